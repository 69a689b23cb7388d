//! A bare connection to the command port: what a tool does, and nothing more, so that the tests do
//! not believe the tool.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use smoothserve_protocol::auth::Token;
use smoothserve_protocol::id::RequestId;
use smoothserve_protocol::io::{self as wire, Receiver, Sender};
use smoothserve_protocol::message::{Done, FromDaemon, FromTool, Push, Refusal, Request};
use smoothserve_protocol::snapshot::{Overview, ServiceDetail};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Whom the daemon's audit lines name.
pub const ACTOR: &str = "tests@localhost";

/// Connecting and proving together.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A subscriber hears something every second, whether anything happens or not.
const PUSH_LIMIT: Duration = Duration::from_secs(30);
/// The longest answer: a restart that waits for drains.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// An open connection to the command port.
#[derive(Debug)]
pub struct CommandConnection {
    receiver: Receiver<TcpStream, FromDaemon>,
    sender: Sender<TcpStream, FromTool>,
    last: RequestId,
    /// What was told, with all that moved since.
    overview: Option<Overview>,
    service: Option<Box<ServiceDetail>>,
}

impl CommandConnection {
    /// Connects and proves that we hold the token in `token_file`.
    ///
    /// # Errors
    /// When the daemon does not let us in.
    pub async fn open(addr: SocketAddr, token_file: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(token_file)
            .with_context(|| format!("no token in {}", token_file.display()))?;
        let token = Token::parse(&text)?;
        timeout(CONNECT_LIMIT, Self::enter(addr, &token)).await.context("the daemon is silent")?
    }

    async fn enter(addr: SocketAddr, token: &Token) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        wire::introduce(&mut stream, token).await?;
        let (receiver, sender) = wire::split(stream);
        let (last, overview, service) = (RequestId::default(), None, None);
        let mut connection = Self { receiver, sender, last, overview, service };
        let introduction = FromTool::Introduce { actor: ACTOR.to_owned(), read_only: false };
        connection.sender.send(&introduction).await?;
        Ok(connection)
    }

    /// Asks, and waits for the answer; pushes that come first are passed over.
    ///
    /// # Errors
    /// When the connection ends, or no answer comes in time.
    pub async fn ask(&mut self, request: Request) -> anyhow::Result<Result<Done, Refusal>> {
        let id = self.begin(request).await?;
        timeout(ANSWER_LIMIT, self.answer(id)).await.context("no answer in time")?
    }

    /// Asks, and leaves the answer to [`answered`](Self::answered).
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn begin(&mut self, request: Request) -> anyhow::Result<RequestId> {
        self.last = self.last.next();
        let id = self.last;
        self.sender.send(&FromTool::Request { id, request }).await?;
        Ok(id)
    }

    /// The next answer, whichever question it is to; pushes that come first are passed over.
    ///
    /// # Errors
    /// When the connection ends.
    ///
    /// # Cancel safety
    /// A dropped call loses no answer.
    pub async fn answered(&mut self) -> anyhow::Result<(RequestId, Result<Done, Refusal>)> {
        loop {
            match self.receiver.recv().await? {
                Some(FromDaemon::Response { id, result }) => return Ok((id, result)),
                Some(FromDaemon::Push(push)) => drop(self.whole(push)?),
                None => bail!("the daemon closed the connection"),
            }
        }
    }

    /// What the daemon tells next, without having been asked; of what moved, the whole.
    ///
    /// # Errors
    /// When the connection ends, or nothing is told in time.
    pub async fn told(&mut self) -> anyhow::Result<Push> {
        let heard = timeout(PUSH_LIMIT, self.receiver.recv()).await.context("nothing is told")?;
        match heard? {
            Some(FromDaemon::Push(push)) => self.whole(push),
            Some(FromDaemon::Response { id, .. }) => bail!("an answer to {id}, not asked for"),
            None => bail!("the daemon closed the connection"),
        }
    }

    fn whole(&mut self, push: Push) -> anyhow::Result<Push> {
        const UNHEARD: &str = "something moved that was never told";
        Ok(match push {
            Push::Overview(overview) => Push::Overview(self.overview.insert(overview).clone()),
            Push::OverviewMoved(moved) => {
                let overview = self.overview.as_mut().context(UNHEARD)?;
                overview.take(moved);
                Push::Overview(overview.clone())
            }
            Push::Service(service) => {
                self.service.clone_from(&service);
                Push::Service(service)
            }
            Push::ServiceMoved(moved) => {
                let service = self.service.as_mut().context(UNHEARD)?;
                anyhow::ensure!(service.row.name == moved.row.name, UNHEARD);
                service.take(*moved);
                Push::Service(Some(service.clone()))
            }
            other @ (Push::Events(_) | Push::Logs(_) | Push::Bye { .. }) => other,
        })
    }

    async fn answer(&mut self, asked: RequestId) -> anyhow::Result<Result<Done, Refusal>> {
        match self.answered().await? {
            (id, result) if id == asked => Ok(result),
            (id, _) => bail!("an answer to {id}, not asked for"),
        }
    }
}
