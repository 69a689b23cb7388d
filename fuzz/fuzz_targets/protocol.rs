//! The command port: who holds no token is not let in, learns nothing and cannot crash it, whatever
//! is sent in whatever portions; and a message that is read can be written, and reads the same.
#![no_main]

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use libfuzzer_sys::fuzz_target;
use smoothserve_fuzz::in_portions;
use smoothserve_protocol::auth::{self, Token};
use smoothserve_protocol::frame;
use smoothserve_protocol::io::{HandshakeError, admit, introduce, split};
use smoothserve_protocol::message::{FromDaemon, FromTool};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));
static TOKEN: LazyLock<Token> = LazyLock::new(|| Token::generate().expect("random bytes"));

/// The other end: says what it is to say, then nothing more, and hears everything.
struct Peer {
    says: VecDeque<Vec<u8>>,
    hears: Vec<u8>,
}

impl Peer {
    fn new(portions: &[&[u8]]) -> Self {
        let says = portions.iter().filter(|portion| !portion.is_empty());
        Self { says: says.map(|portion| portion.to_vec()).collect(), hears: Vec::new() }
    }
}

impl AsyncRead for Peer {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(mut portion) = self.says.pop_front() {
            let rest = portion.split_off(portion.len().min(into.remaining()));
            into.put_slice(&portion);
            if !rest.is_empty() {
                self.says.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.hears.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A message of this type, if the bytes are one, is written and read again.
macro_rules! check_message {
    ($message:ty, $bytes:expr) => {
        if let Ok(message) = frame::decode::<$message>($bytes) {
            let written = frame::encode(&message).expect("what was read can be written");
            let back: $message = frame::decode(&written).expect("what was written can be read");
            assert_eq!(back, message);
        }
    };
}

async fn check_strangers(input: &[u8], portions: &[&[u8]]) {
    let mut tool = Peer::new(portions);
    let admitted = admit(&mut tool, &TOKEN).await;
    assert!(admitted.is_err(), "let in without the token");
    // It learns our version and a nonce if it speaks the protocol, and not a byte else.
    let opens = input.starts_with(&auth::MAGIC) && input.len() >= auth::OPENING;
    match admitted {
        Err(HandshakeError::Version { .. }) => assert_eq!(tool.hears, auth::opening()),
        _ if opens => assert_eq!(tool.hears.len(), auth::OPENING + auth::NONCE),
        _ => assert!(tool.hears.is_empty()),
    }
    let mut daemon = Peer::new(portions);
    assert!(introduce(&mut daemon, &TOKEN).await.is_err(), "believed without the token");
}

/// What comes out of a connection, by the messages and the kind of its end.
async fn received(portions: &[&[u8]]) -> (Vec<FromTool>, bool) {
    let (mut receiver, _sender) = split::<_, FromTool, FromDaemon>(Peer::new(portions));
    let mut messages = Vec::new();
    loop {
        match receiver.recv().await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => return (messages, true),
            Err(_) => return (messages, false),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((input, portions)) = in_portions(data) else { return };
    check_message!(FromTool, input);
    check_message!(FromDaemon, input);
    RUNTIME.block_on(async {
        check_strangers(input, &portions).await;
        let greeting = auth::opening();
        let behind_opening: Vec<&[u8]> =
            std::iter::once(&greeting[..]).chain(portions.iter().copied()).collect();
        check_strangers(&behind_opening.concat(), &behind_opening).await;
        assert_eq!(received(&portions).await, received(&[input]).await);
    });
});
