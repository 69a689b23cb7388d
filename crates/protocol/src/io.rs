//! A connection that speaks the protocol: the handshake of [`crate::auth`], then frames.
//!
//! Knows no clock: whoever calls wraps these futures in a time limit.

use std::io;
use std::marker::PhantomData;

use bincode::{Decode, Encode};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

use crate::VERSION;
use crate::auth::{self, NONCE, Nonces, OPENING, PROOF, Side, Token};
use crate::frame::{self, FrameError, MAX_FRAME};

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection broke, or the other end closed it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other end speaks something else.
    #[error("the other end does not speak this protocol")]
    Foreign,
    /// The other end has another version.
    #[error("version {VERSION} here, version {other} at the other end")]
    Version {
        /// The other end's.
        other: u16,
    },
    /// The other end could not prove that it holds the token.
    #[error("the other end does not hold the token")]
    Unproven,
    /// The system gave no random bytes.
    #[error(transparent)]
    NoRandom(#[from] auth::NoRandom),
}

/// The tool's part of the handshake.
///
/// # Errors
/// [`HandshakeError::Io`] with `UnexpectedEof` after the proof means that the daemon did not
/// accept it: the token is another.
pub async fn introduce<S>(stream: &mut S, token: &Token) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(&auth::opening()).await?;
    check_opening(stream).await?;
    let mut daemon = [0; NONCE];
    stream.read_exact(&mut daemon).await?;
    let nonces = Nonces { daemon, tool: auth::nonce()? };

    let mut answer = [0; NONCE + PROOF];
    answer[..NONCE].copy_from_slice(&nonces.tool);
    answer[NONCE..].copy_from_slice(&auth::prove(token, Side::Tool, &nonces));
    stream.write_all(&answer).await?;

    let mut proof = [0; PROOF];
    stream.read_exact(&mut proof).await?;
    if auth::verify(token, Side::Daemon, &nonces, &proof) {
        Ok(())
    } else {
        Err(HandshakeError::Unproven)
    }
}

/// The daemon's part of the handshake. Says nothing to a stranger.
///
/// # Errors
/// Whatever the error, the connection is to be closed without another byte.
pub async fn admit<S>(stream: &mut S, token: &Token) -> Result<(), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let version = check_opening(stream).await;
    if let Err(HandshakeError::Version { .. }) = version {
        // The opening alone, so that a tool of another version can name both.
        stream.write_all(&auth::opening()).await?;
    }
    version?;

    let daemon = auth::nonce()?;
    let mut greeting = [0; OPENING + NONCE];
    greeting[..OPENING].copy_from_slice(&auth::opening());
    greeting[OPENING..].copy_from_slice(&daemon);
    stream.write_all(&greeting).await?;

    let (mut tool, mut proof) = ([0; NONCE], [0; PROOF]);
    stream.read_exact(&mut tool).await?;
    stream.read_exact(&mut proof).await?;
    let nonces = Nonces { daemon, tool };
    if !auth::verify(token, Side::Tool, &nonces, &proof) {
        return Err(HandshakeError::Unproven);
    }
    stream.write_all(&auth::prove(token, Side::Daemon, &nonces)).await?;
    Ok(())
}

async fn check_opening<S>(stream: &mut S) -> Result<(), HandshakeError>
where
    S: AsyncRead + Unpin,
{
    let mut bytes = [0; OPENING];
    // The first byte alone: a stranger is sent away at its first byte, not at its eighth.
    stream.read_exact(&mut bytes[..1]).await?;
    if bytes[0] != auth::MAGIC[0] {
        return Err(HandshakeError::Foreign);
    }
    stream.read_exact(&mut bytes[1..]).await?;
    match auth::read_opening(&bytes) {
        Some(VERSION) => Ok(()),
        Some(other) => Err(HandshakeError::Version { other }),
        None => Err(HandshakeError::Foreign),
    }
}

/// Why a message could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came is no message, or what should go is none.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct Receiver<S, In> {
    frames: FramedRead<ReadHalf<S>, LengthDelimitedCodec>,
    message: PhantomData<fn() -> In>,
}

/// The sending half of a connection.
#[derive(Debug)]
pub struct Sender<S, Out> {
    frames: FramedWrite<WriteHalf<S>, LengthDelimitedCodec>,
    message: PhantomData<fn(Out)>,
}

/// Splits a connection after its handshake.
pub fn split<S, In, Out>(stream: S) -> (Receiver<S, In>, Sender<S, Out>)
where
    S: AsyncRead + AsyncWrite,
{
    let codec = LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME).new_codec();
    let (read, write) = tokio::io::split(stream);
    (
        Receiver { frames: FramedRead::new(read, codec.clone()), message: PhantomData },
        Sender { frames: FramedWrite::new(write, codec), message: PhantomData },
    )
}

impl<S: AsyncRead, In: Decode<()>> Receiver<S, In> {
    /// The next message; none: the other end closed.
    ///
    /// # Errors
    /// After an error the connection is of no more use.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn recv(&mut self) -> Result<Option<In>, ConnectionError> {
        match self.frames.next().await {
            None => Ok(None),
            Some(payload) => Ok(Some(frame::decode(&payload?)?)),
        }
    }
}

impl<S: AsyncWrite, Out: Encode> Sender<S, Out> {
    /// Sends one message; resolves when it was handed to the system.
    ///
    /// # Errors
    /// After an I/O error the connection is of no more use.
    pub async fn send(&mut self, message: &Out) -> Result<(), ConnectionError> {
        let payload = frame::encode(message)?;
        Ok(self.frames.send(Bytes::from(payload)).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn both_ends_with_the_same_token_meet() {
        let (mut tool, mut daemon) = tokio::io::duplex(1024);
        let token = Token::generate().unwrap();
        let (a, b) = tokio::join!(introduce(&mut tool, &token), admit(&mut daemon, &token));
        a.unwrap();
        b.unwrap();
    }

    #[tokio::test]
    async fn another_token_is_sent_away_without_a_proof() {
        let (mut tool, mut daemon) = tokio::io::duplex(1024);
        let (mine, theirs) = (Token::generate().unwrap(), Token::generate().unwrap());
        let admit = async {
            let result = admit(&mut daemon, &theirs).await;
            drop(daemon);
            result
        };
        let (a, b) = tokio::join!(introduce(&mut tool, &mine), admit);
        assert!(matches!(a, Err(HandshakeError::Io(_))), "{a:?}");
        assert!(matches!(b, Err(HandshakeError::Unproven)), "{b:?}");
    }

    #[tokio::test]
    async fn a_stranger_hears_nothing() {
        let (mut stranger, mut daemon) = tokio::io::duplex(1024);
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let result = admit(&mut daemon, &Token::generate().unwrap()).await;
        assert!(matches!(result, Err(HandshakeError::Foreign)), "{result:?}");
        drop(daemon);
        let mut heard = Vec::new();
        stranger.read_to_end(&mut heard).await.unwrap();
        assert!(heard.is_empty());
    }

    #[tokio::test]
    async fn another_version_is_named_by_both_ends() {
        let (mut tool, mut daemon) = tokio::io::duplex(1024);
        let mut opening = auth::opening();
        opening[7] += 1;
        tool.write_all(&opening).await.unwrap();
        let result = admit(&mut daemon, &Token::generate().unwrap()).await;
        assert!(matches!(result, Err(HandshakeError::Version { other }) if other == VERSION + 1));
        let mut heard = [0; OPENING];
        tool.read_exact(&mut heard).await.unwrap();
        assert_eq!(auth::read_opening(&heard), Some(VERSION));
    }
}
