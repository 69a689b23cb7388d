//! The bytes of a connection that is no longer HTTP, both ways, and its end.
//!
//! When a run drains, its WebSockets are told so: the frame under way is finished in each
//! direction, a Close frame with 1001 follows, and both ends have a moment to answer. Other
//! protocols see their connection end.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::stream::Stream;
use super::upstream_socket::UpstreamSocket;
use super::websocket::{CLOSE_TO_CLIENT, CLOSE_TO_SERVER, Frames};

/// In each direction. Messages are small; what is larger comes in pieces anyway.
const BUFFER: usize = 16 * 1024;
/// How long both ends have to take the good-bye and close.
const GOODBYE: Duration = Duration::from_secs(1);

/// Both ends of a tunnel.
pub(crate) struct Ends {
    pub client: Stream,
    pub instance: UpstreamSocket,
    /// What they speak, as far as it matters to us.
    pub speaks: Speaks,
}

/// What is spoken in a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    WebSocket,
    SomethingElse,
}

/// How one direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The sender closed.
    Closed,
    /// We were told to end it, and did so between two frames.
    Stopped,
}

/// Carries bytes both ways until both sides have closed, or one is gone, or `end` is cancelled. A
/// side that closes only its sending half is still sent to.
///
/// `begun` is what each side said before: the client, and the instance.
///
/// After `end`, whoever calls bounds the time: a frame that is never finished is not waited for
/// here.
pub(crate) async fn carry(
    ends: &mut Ends,
    begun: [&[u8]; 2],
    end: &CancellationToken,
) -> io::Result<()> {
    let client = &mut ends.client;
    let speaks = ends.speaks;
    match &mut ends.instance {
        UpstreamSocket::Tcp(instance) => join(client, instance.split(), speaks, begun, end).await,
        UpstreamSocket::Unix(instance) => join(client, instance.split(), speaks, begun, end).await,
    }
}

/// The same, for both halves of the instance.
async fn join(
    client: &mut Stream,
    instance: (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    speaks: Speaks,
    begun: [&[u8]; 2],
    end: &CancellationToken,
) -> io::Result<()> {
    match client {
        Stream::Plain(client) => between(client.split(), instance, speaks, begun, end).await,
        Stream::Tls(client) => {
            between(tokio::io::split(client), instance, speaks, begun, end).await
        }
    }
}

/// The same, for both halves of the client as well.
async fn between(
    (mut from_client, mut to_client): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    (mut from_instance, mut to_instance): (impl AsyncRead + Unpin, impl AsyncWrite + Unpin),
    speaks: Speaks,
    begun: [&[u8]; 2],
    end: &CancellationToken,
) -> io::Result<()> {
    let mut up = Direction::new(speaks, &CLOSE_TO_SERVER);
    let mut down = Direction::new(speaks, &CLOSE_TO_CLIENT);
    up.follow(begun[0], false);
    down.follow(begun[1], false);
    let (up, down) = tokio::try_join!(
        up.carry(&mut from_client, &mut to_instance, end),
        down.carry(&mut from_instance, &mut to_client, end),
    )?;
    if up == Ended::Stopped || down == Ended::Stopped {
        // Unread bytes would turn the close into a reset, and the good-bye would never arrive.
        let emptied = async {
            tokio::join!(discard(&mut from_client), discard(&mut from_instance));
        };
        // Whoever does not answer is closed on.
        let _ = timeout(GOODBYE, emptied).await;
    }
    Ok(())
}

struct Direction {
    /// None: not WebSocket.
    frames: Option<Frames>,
    close: &'static [u8],
}

impl Direction {
    fn new(speaks: Speaks, close: &'static [u8]) -> Self {
        let frames = (speaks == Speaks::WebSocket).then(Frames::default);
        Self { frames, close }
    }

    async fn carry(
        &mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        end: &CancellationToken,
    ) -> io::Result<Ended> {
        let mut buffer = vec![0; BUFFER];
        loop {
            if end.is_cancelled() && self.may_stop() {
                self.say_goodbye(to).await?;
                return Ok(Ended::Stopped);
            }
            let read = tokio::select! {
                read = from.read(&mut buffer) => read?,
                () = end.cancelled(), if !end.is_cancelled() => continue,
            };
            if read == 0 {
                to.shutdown().await?;
                return Ok(Ended::Closed);
            }
            let passed = self.follow(&buffer[..read], end.is_cancelled());
            to.write_all(&buffer[..passed]).await?;
            // TLS may have kept some of it.
            to.flush().await?;
        }
    }

    fn may_stop(&self) -> bool {
        self.frames.as_ref().is_none_or(Frames::at_border)
    }

    /// How much of `bytes` is passed on: all, or what ends the frame under way.
    fn follow(&mut self, bytes: &[u8], ending: bool) -> usize {
        match &mut self.frames {
            None => bytes.len(),
            Some(frames) if ending => frames.follow_to_border(bytes),
            Some(frames) => {
                frames.follow(bytes);
                bytes.len()
            }
        }
    }

    async fn say_goodbye(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        if self.frames.as_ref().is_some_and(|frames| !frames.are_over()) {
            to.write_all(self.close).await?;
        }
        to.shutdown().await
    }
}

async fn discard(from: &mut (impl AsyncRead + Unpin)) {
    let mut ignored = vec![0; BUFFER];
    while matches!(from.read(&mut ignored).await, Ok(1..)) {}
}
