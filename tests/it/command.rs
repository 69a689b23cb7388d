//! The command port among strangers: whoever cannot prove that it holds the token is sent away
//! without a word, and disturbs nobody.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::Context;
use smoothserve_protocol::auth::{self, Token};
use smoothserve_protocol::io::{self as wire, HandshakeError};
use smoothserve_protocol::message::{Done, FromTool, Request};
use smoothserve_protocol::{VERSION, frame};
use smoothserve_tests::daemon::{TestDaemon, run_to_exit};
use smoothserve_tests::load::{Load, LoadPlan};
use smoothserve_tests::process::Signal;
use smoothserve_tests::process::resident_memory;
use smoothserve_tests::setup::{Service, Setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::agree::ledger_agrees;

/// How long a stranger may be kept.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much memory strangers may cost.
const COST: u64 = 32 * 1024 * 1024;

async fn daemon() -> anyhow::Result<TestDaemon> {
    Setup::of(Service::new("shop").instances(1)).start_ready().await
}

/// Says `bytes`, and gives what the daemon says until it closes.
async fn heard_after(daemon: &TestDaemon, bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(daemon.command()).await?;
    // A stranger may be sent away before it has said everything.
    let said = stream.write_all(bytes).await;
    let mut heard = Vec::new();
    let closed = timeout(PATIENCE, stream.read_to_end(&mut heard)).await;
    let closed = closed.with_context(|| format!("kept {:?}", bytes.first_chunk::<16>()))?;
    // A reset is a close as well.
    if let (Err(error), Ok(())) = (closed.map(drop), said) {
        anyhow::ensure!(error.kind() == std::io::ErrorKind::ConnectionReset, "{error}");
    }
    Ok(heard)
}

async fn still_answers(daemon: &TestDaemon) {
    assert!(matches!(daemon.ask(Request::Status).await, Ok(Done::Status(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_hears_nothing_and_is_sent_away() {
    let daemon = daemon().await.unwrap();
    let before = resident_memory(daemon.pid()).unwrap();
    let load = Load::start(daemon.listen("shop"), LoadPlan { clients: 8, ..LoadPlan::brisk() });
    let garbage: Vec<u8> = (0..100_000_u32).map(|number| (number * 7919 % 251) as u8 + 1).collect();
    let strangers: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /restart HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nshop",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        &[0xff; 64],
        &[0; 64],
        &garbage,
    ];
    for stranger in strangers {
        assert_eq!(heard_after(&daemon, stranger).await.unwrap(), b"", "{stranger:?}");
    }
    // Whoever says nothing at all, or stops in the middle, is sent away as well.
    let opening = auth::opening();
    let (silent, halfway) =
        tokio::join!(heard_after(&daemon, b""), heard_after(&daemon, &opening[..5]));
    assert_eq!((silent.unwrap(), halfway.unwrap()), (Vec::new(), Vec::new()));

    still_answers(&daemon).await;
    let report = load.stop().await;
    report.assert_nothing_lost();
    ledger_agrees(&daemon, "shop", &report).await;
    let after = resident_memory(daemon.pid()).unwrap();
    assert!(after < before + COST, "{before} bytes became {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_proof_is_answered_by_closing() {
    let daemon = daemon().await.unwrap();
    let mut stream = TcpStream::connect(daemon.command()).await.unwrap();
    let token = Token::generate().unwrap();
    let error = timeout(PATIENCE, wire::introduce(&mut stream, &token)).await.unwrap().unwrap_err();
    assert!(matches!(error, HandshakeError::Io(_)), "{error:?}");
    still_answers(&daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_proof_does_not_keep_the_connection() {
    let daemon = daemon().await.unwrap();
    let mut half = auth::opening().to_vec();
    half.extend([7; auth::NONCE]);
    let heard = heard_after(&daemon, &half).await.unwrap();
    assert_eq!(heard.len(), auth::OPENING + auth::NONCE, "no more than the nonce");
    still_answers(&daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_is_told_ours() {
    let daemon = daemon().await.unwrap();
    let mut opening = auth::opening();
    opening[6..].copy_from_slice(&(VERSION + 1).to_be_bytes());
    assert_eq!(heard_after(&daemon, &opening).await.unwrap(), auth::opening());
    still_answers(&daemon).await;
}

/// A connection that has proved that it holds the token, before its first message.
async fn admitted(daemon: &TestDaemon) -> anyhow::Result<TcpStream> {
    let token = Token::parse(&std::fs::read_to_string(daemon.folder.token_file())?)?;
    let mut stream = TcpStream::connect(daemon.command()).await?;
    wire::introduce(&mut stream, &token).await?;
    Ok(stream)
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
    bytes.extend(payload);
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_from_an_admitted_tool_ends_its_connection_alone() {
    let daemon = daemon().await.unwrap();
    let before = resident_memory(daemon.pid()).unwrap();
    let introduction = FromTool::Introduce { actor: "tests".to_owned(), read_only: false };
    let introduction = framed(&frame::encode(&introduction).unwrap());
    for nonsense in [
        u32::MAX.to_be_bytes().to_vec(),
        (frame::MAX_FRAME as u32 + 1).to_be_bytes().to_vec(),
        framed(&[0xff; 1000]),
        framed(&[]),
    ] {
        for first in [&[][..], &introduction] {
            let mut stream = admitted(&daemon).await.unwrap();
            stream.write_all(&[first, &nonsense].concat()).await.unwrap();
            let mut heard = Vec::new();
            // A reset is a close as well.
            let _ = timeout(PATIENCE, stream.read_to_end(&mut heard))
                .await
                .unwrap_or_else(|_| panic!("kept after {nonsense:?}"));
        }
    }
    still_answers(&daemon).await;
    let after = resident_memory(daemon.pid()).unwrap();
    assert!(after < before + COST, "{before} bytes became {after}");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_message_disturbs_nobody() {
    let daemon = daemon().await.unwrap();
    let mut stream = admitted(&daemon).await.unwrap();
    stream.write_all(&[0, 0, 1, 0, 7]).await.unwrap();
    still_answers(&daemon).await;
    drop(stream);
    still_answers(&daemon).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_does_not_lock_the_operator_out() {
    let daemon = daemon().await.unwrap();
    let mut strangers = JoinSet::new();
    for _ in 0..200 {
        strangers.spawn(TcpStream::connect(daemon.command()));
    }
    let strangers = strangers.join_all().await;
    still_answers(&daemon).await;
    let connected = strangers.iter().filter(|stranger| stranger.is_ok()).count();
    assert!(connected > 100, "only {connected} got through to the system");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_others_can_read_is_no_token() {
    let mut daemon = daemon().await.unwrap();
    let token = daemon.folder.token_file();
    let mode = |mode| std::fs::set_permissions(&token, Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    assert!(daemon.open().await.is_err(), "admitted with a token that is none");
    mode(0o600);
    still_answers(&daemon).await;
    daemon.signal(Signal::TERM).unwrap();
    daemon.exited().await.unwrap();
    mode(0o644);
    let output = run_to_exit(&daemon.folder.config_file()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("has mode 0644") && said.contains("chmod 600"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_public_port_commands() {
    let daemon = daemon().await.unwrap();
    let token =
        Token::parse(&std::fs::read_to_string(daemon.folder.token_file()).unwrap()).unwrap();
    let mut stream = TcpStream::connect(daemon.listen("shop")).await.unwrap();
    let entered = timeout(PATIENCE * 2, wire::introduce(&mut stream, &token)).await.unwrap();
    assert!(entered.is_err());
    still_answers(&daemon).await;
}
