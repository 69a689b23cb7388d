//! What crosses the wire, to the byte; and what happens to bytes that nobody sent.
//!
//! `UPDATE_EXPECT=1 cargo test -p smoothserve-protocol` rewrites the golden bytes. If that changes
//! a line that exists, an old tool and a new daemon no longer understand each other: raise
//! `VERSION`.

mod samples;

use std::fmt::Write as _;

use proptest::prelude::*;
use smoothserve_protocol::auth;
use smoothserve_protocol::frame::{self, FrameError, MAX_FRAME};
use smoothserve_protocol::io;
use smoothserve_protocol::message::{FromDaemon, FromTool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn every_message_has_the_bytes_it_always_had() {
    let mut lines = String::new();
    for message in samples::from_tool() {
        lines += &format!("tool   {}\n", hex(&frame::encode(&message).unwrap()));
    }
    for message in samples::from_daemon() {
        lines += &format!("daemon {}\n", hex(&frame::encode(&message).unwrap()));
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(GOLDEN, &lines).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    for (number, (now, before)) in lines.lines().zip(golden.lines()).enumerate() {
        assert_eq!(now, before, "message {} changed on the wire", number + 1);
    }
    assert_eq!(lines.lines().count(), golden.lines().count());
}

#[test]
fn every_message_comes_back_as_it_went() {
    for message in samples::from_tool() {
        let back: FromTool = frame::decode(&frame::encode(&message).unwrap()).unwrap();
        assert_eq!(back, message);
    }
    for message in samples::from_daemon() {
        let back: FromDaemon = frame::decode(&frame::encode(&message).unwrap()).unwrap();
        assert_eq!(back, message);
    }
}

#[test]
fn bytes_after_a_message_are_an_error() {
    let mut bytes = frame::encode(&samples::from_tool()[0]).unwrap();
    bytes.push(0);
    assert!(matches!(frame::decode::<FromTool>(&bytes), Err(FrameError::Trailing(1))));
}

#[test]
fn a_length_inside_a_message_is_not_believed() {
    // A list of 2^60 events, in ten bytes: refused by its length, before anything is allocated.
    let mut bytes = frame::encode(&samples::from_tool()[0]).unwrap();
    bytes.truncate(1);
    bytes.extend([253, 0, 0, 0, 0, 0, 0, 0, 16]);
    assert!(matches!(frame::decode::<FromTool>(&bytes), Err(FrameError::Malformed(_))));
}

#[tokio::test]
async fn a_frame_that_announces_too_much_is_refused_before_it_comes() {
    let (mut peer, ours) = tokio::io::duplex(64);
    let (mut receiver, _sender) = io::split::<_, FromTool, FromDaemon>(ours);
    peer.write_all(&(MAX_FRAME as u32 + 1).to_be_bytes()).await.unwrap();
    assert!(receiver.recv().await.is_err());
}

proptest! {
    #[test]
    fn who_holds_no_token_is_not_let_in_and_learns_nothing(
        opens in any::<bool>(),
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        portion in 1..100_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let opening = if opens { &auth::opening()[..] } else { b"" };
            let said = [opening, &bytes].concat();
            let (mut stranger, mut ours) = tokio::io::duplex(4096);
            let token = auth::Token::generate().unwrap();
            let talk = async {
                for portion in said.chunks(portion) {
                    // Whoever is turned away is not listened to any more.
                    if stranger.write_all(portion).await.is_err() {
                        break;
                    }
                }
                stranger.shutdown().await.unwrap();
                let mut heard = Vec::new();
                stranger.read_to_end(&mut heard).await.unwrap();
                heard
            };
            let admit = async {
                let admitted = io::admit(&mut ours, &token).await;
                drop(ours);
                admitted
            };
            let (heard, admitted) = tokio::join!(talk, admit);
            assert!(admitted.is_err());
            // Our version and a nonce; and nothing at all before the magic.
            assert!(heard.len() <= auth::OPENING + auth::NONCE, "{heard:?}");
            assert!(heard.is_empty() || said.starts_with(&auth::MAGIC), "{heard:?}");
        });
    }

    #[test]
    fn garbage_is_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = frame::decode::<FromTool>(&bytes);
        let _ = frame::decode::<FromDaemon>(&bytes);
    }

    #[test]
    fn a_damaged_message_is_an_error_or_another_message(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let messages = samples::from_daemon();
        let mut bytes = frame::encode(which.get(&messages)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(message) = frame::decode::<FromDaemon>(&bytes) {
            prop_assert!(frame::encode(&message).is_ok());
        }
    }

    #[test]
    fn messages_come_out_however_the_bytes_are_split(cuts in prop::collection::vec(1usize..200, 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let messages = samples::from_tool();
            let mut stream = Vec::new();
            for message in &messages {
                let payload = frame::encode(message).unwrap();
                stream.extend((payload.len() as u32).to_be_bytes());
                stream.extend(payload);
            }
            let (mut peer, ours) = tokio::io::duplex(16);
            let (mut receiver, _sender) = io::split::<_, FromTool, FromDaemon>(ours);
            let write = async move {
                let mut rest = &stream[..];
                for cut in cuts.iter().cycle() {
                    if rest.is_empty() {
                        break;
                    }
                    let (now, later) = rest.split_at((*cut).min(rest.len()));
                    peer.write_all(now).await.unwrap();
                    rest = later;
                }
            };
            let read = async {
                let mut got = Vec::new();
                while let Some(message) = receiver.recv().await.unwrap() {
                    got.push(message);
                }
                got
            };
            let ((), got) = tokio::join!(write, read);
            assert_eq!(got, messages);
        });
    }
}
