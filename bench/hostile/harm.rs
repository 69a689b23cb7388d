//! Those who mean harm: what each of them does, how many there are, and how often they do it.

use std::future::pending;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use crate::floods::Flood;
use crate::{TIME, place};

/// Who means harm, to which service.
#[derive(Clone, Copy)]
pub(crate) enum Harm {
    SlowHeads,
    Aborts,
    Bombs,
    Uploads,
    Garbage,
    Resets,
    Floods(Flood),
}

impl Harm {
    /// With its name, and the service it is meant for.
    pub(crate) const ALL: [(Self, &str, &str); 14] = [
        (Self::SlowHeads, "200 heads that trickle", "inn"),
        (Self::Aborts, "1,000 clients that abort", "inn"),
        (Self::Bombs, "heads without an end", "inn"),
        (Self::Uploads, "an instance that stops reading", "deaf"),
        (Self::Garbage, "an instance that sends garbage", "garbage"),
        (Self::Resets, "an instance that resets", "reset"),
        (Self::Floods(Flood::RapidResets), "streams that are reset at once", "inn"),
        (Self::Floods(Flood::MadeResets), "streams that must be reset", "inn"),
        (Self::Floods(Flood::Settings), "floods of SETTINGS", "inn"),
        (Self::Floods(Flood::Pings), "floods of PING", "inn"),
        (Self::Floods(Flood::EmptyData), "floods of empty DATA", "inn"),
        (Self::Floods(Flood::Continuations), "floods of CONTINUATION", "inn"),
        (Self::Floods(Flood::Hpack), "lists small only on the wire", "inn"),
        (Self::Floods(Flood::ClosedWindows), "windows that stay closed", "inn"),
    ];

    /// How many do it, and how long each rests between two times.
    fn crowd(self) -> (usize, Duration) {
        match self {
            Self::SlowHeads => (200, Duration::from_millis(100)),
            Self::Aborts => (100, TIME / 10),
            Self::Bombs | Self::Uploads | Self::Floods(_) => (20, Duration::from_millis(500)),
            Self::Garbage | Self::Resets => (20, Duration::from_millis(100)),
        }
    }

    /// Does it once. That it ends badly is what it is for.
    async fn once(self, addr: SocketAddr) -> std::io::Result<()> {
        if let Self::Floods(flood) = self {
            flood.once(addr).await;
            return Ok(());
        }
        let mut stream = TcpStream::connect(addr).await?;
        match self {
            Self::SlowHeads => {
                stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nx: ").await?;
                loop {
                    sleep(Duration::from_millis(100)).await;
                    stream.write_all(b"y").await?;
                }
            }
            Self::Aborts => {
                let head = "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf";
                stream.write_all(head.as_bytes()).await?;
                sleep(Duration::from_millis(20)).await;
                stream.set_zero_linger()
            }
            Self::Bombs => {
                stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n").await?;
                stream.write_all("a: b\r\n".repeat(50_000).as_bytes()).await?;
                stream.read_to_end(&mut Vec::new()).await.map(drop)
            }
            Self::Uploads => {
                let head = "PUT /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 5000000000\r\n\r\n";
                stream.write_all(head.as_bytes()).await?;
                let piece = vec![b'x'; 64 * 1024];
                loop {
                    stream.write_all(&piece).await?;
                }
            }
            Self::Garbage | Self::Resets => {
                let ask = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
                stream.write_all(ask.as_bytes()).await?;
                stream.read_to_end(&mut Vec::new()).await.map(drop)
            }
            Self::Floods(_) => Ok(()),
        }
    }

    /// Goes on doing it until the sender is dropped.
    pub(crate) fn begin(self, addr: SocketAddr) -> oneshot::Sender<()> {
        let (sender, ended) = oneshot::channel();
        thread::spawn(move || -> anyhow::Result<()> {
            place::idle_thread()?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                tokio::select! {
                    () = self.go_on(addr) => {}
                    _ = ended => {}
                }
            });
            Ok(())
        });
        sender
    }

    async fn go_on(self, addr: SocketAddr) {
        let (count, rest) = self.crowd();
        let mut crowd = JoinSet::new();
        for number in 0..count {
            crowd.spawn(async move {
                // One after the other, not all in the same moment.
                sleep(rest * number as u32 / count as u32).await;
                let mut turns = interval(rest);
                loop {
                    turns.tick().await;
                    // It is meant to fail.
                    let _ = self.once(addr).await;
                }
            });
        }
        pending().await
    }
}
