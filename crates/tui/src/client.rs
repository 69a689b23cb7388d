//! A connection to the daemon: prove, introduce, ask, listen.
//!
//! One connection carries questions and pushes together. Reconnecting is the caller's decision.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use smoothserve_protocol::VERSION;
use smoothserve_protocol::auth::Token;
use smoothserve_protocol::id::RequestId;
use smoothserve_protocol::io::{self as wire, ConnectionError, HandshakeError};
use smoothserve_protocol::message::{Done, FromDaemon, FromTool, Push, Refusal, Request};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::words::reason;

/// How long the daemon may take to let us connect, to take our proof, or to say something.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Where the daemon is, and how to prove that we may command it.
#[derive(Clone, Debug)]
pub struct Target {
    /// `host:port` of the command port.
    pub addr: String,
    /// The file that holds the token.
    pub token_file: PathBuf,
    /// `user@host`, for the daemon's audit lines.
    pub actor: String,
    /// Ask the daemon to refuse every command on this connection.
    pub read_only: bool,
}

/// Why there is no connection, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers there.
    #[error("{}", reason(.0))]
    Unreachable(io::Error),
    /// It takes too long.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent,
    /// There is no token to prove with.
    #[error("could not read the token {}: {error}", file.display())]
    Token {
        /// The file that should hold it.
        file: PathBuf,
        /// Why it could not be used.
        error: String,
    },
    /// The daemon holds another token than the file.
    #[error("the daemon did not accept the token")]
    NotAccepted,
    /// Whatever listens there is no smoothserve.
    #[error("what listens there is not smoothserve")]
    Foreign,
    /// The daemon speaks another version.
    #[error("smoothtool speaks version {VERSION}, the daemon version {0}")]
    Version(u16),
    /// The connection broke, with what the daemon said before, if anything.
    #[error("the connection ended: {0}")]
    Lost(String),
}

/// An open connection.
#[derive(Debug)]
pub struct Client {
    receiver: wire::Receiver<TcpStream, FromDaemon>,
    sender: wire::Sender<TcpStream, FromTool>,
    next_id: RequestId,
    /// Pushes that came while an answer was awaited.
    pushes: VecDeque<Push>,
}

/// What the daemon says, in the order it says it.
#[derive(Clone, Debug)]
pub enum Said {
    /// The answer to an earlier [`Client::send`].
    Answer(RequestId, Result<Done, Refusal>),
    /// Something subscribed to.
    Push(Push),
}

impl Client {
    /// Connects, proves that we hold the token, and introduces the actor.
    ///
    /// # Errors
    /// Within 5 s, whatever the other end does.
    pub async fn connect(target: &Target) -> Result<Self, ClientError> {
        let mut stream = timeout(PATIENCE, async {
            let stream = TcpStream::connect(&target.addr).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
        .await
        .map_err(|_| ClientError::Silent)?
        .map_err(ClientError::Unreachable)?;
        // Only now: the first daemon makes the token, so that it may be missing because nobody
        // listens, and that is the better thing to say.
        let token = read_token(target)?;
        timeout(PATIENCE, wire::introduce(&mut stream, &token))
            .await
            .map_err(|_| ClientError::Silent)?
            .map_err(refused)?;

        let (receiver, sender) = wire::split(stream);
        let mut client =
            Self { receiver, sender, next_id: RequestId::default(), pushes: VecDeque::new() };
        client
            .write(&FromTool::Introduce {
                actor: target.actor.clone(),
                read_only: target.read_only,
            })
            .await?;
        Ok(client)
    }

    /// Asks without waiting; the answer comes out of [`Client::next`].
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, request: Request) -> Result<RequestId, ClientError> {
        self.next_id = self.next_id.next();
        let id = self.next_id;
        self.write(&FromTool::Request { id, request }).await?;
        Ok(id)
    }

    /// Asks, and waits for the answer as long as it takes. Pushes that come first are kept for
    /// [`Client::next`].
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn ask(&mut self, request: Request) -> Result<Result<Done, Refusal>, ClientError> {
        let asked = self.send(request).await?;
        loop {
            match self.read().await? {
                Said::Answer(id, result) if id == asked => return Ok(result),
                // Of a question whose asker no longer waits.
                Said::Answer(..) => {}
                Said::Push(push) => self.pushes.push_back(push),
            }
        }
    }

    /// The next answer or push.
    ///
    /// # Errors
    /// When the connection is gone.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn next(&mut self) -> Result<Said, ClientError> {
        match self.pushes.pop_front() {
            Some(push) => Ok(Said::Push(push)),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Result<Said, ClientError> {
        match self.receiver.recv().await.map_err(lost)? {
            Some(FromDaemon::Response { id, result }) => Ok(Said::Answer(id, result)),
            Some(FromDaemon::Push(push)) => Ok(Said::Push(push)),
            None => Err(ClientError::Lost("the daemon closed it".to_owned())),
        }
    }

    async fn write(&mut self, message: &FromTool) -> Result<(), ClientError> {
        self.sender.send(message).await.map_err(lost)
    }
}

fn read_token(target: &Target) -> Result<Token, ClientError> {
    let unusable = |error: String| ClientError::Token { file: target.token_file.clone(), error };
    let text = std::fs::read_to_string(&target.token_file).map_err(|e| unusable(reason(&e)))?;
    Token::parse(&text).map_err(|e| unusable(e.to_string()))
}

fn refused(error: HandshakeError) -> ClientError {
    match error {
        // The daemon answers a wrong proof by closing.
        HandshakeError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            ClientError::NotAccepted
        }
        HandshakeError::Io(error) => ClientError::Unreachable(error),
        HandshakeError::Foreign | HandshakeError::Unproven => ClientError::Foreign,
        HandshakeError::Version { other } => ClientError::Version(other),
        HandshakeError::NoRandom(error) => ClientError::Lost(error.to_string()),
    }
}

fn lost(error: ConnectionError) -> ClientError {
    ClientError::Lost(error.to_string())
}
