//! A console that does not take what it is told: the connection waits with it, and drops nothing.

use std::time::Duration;

use smoothserve_protocol::auth::Token;
use smoothserve_protocol::event::{Event, EventBatch, EventKind};
use smoothserve_protocol::id::EventSeq;
use smoothserve_protocol::io;
use smoothserve_protocol::message::{FromDaemon, FromTool, Push};
use smoothtool::client::Target;
use smoothtool::msg::Report;
use smoothtool::net;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

/// A write that takes longer waits for the reader; on this machine nothing else is so slow.
const STUCK: Duration = Duration::from_millis(500);
/// Longer than anything here takes; only a failure waits so long.
const PATIENCE: Duration = Duration::from_secs(20);
/// In one push.
const BYTES: usize = 64 * 1024;
/// Pushes that the two ends' systems, the task and the reports may hold together: 64 MB.
const MOST: u64 = 1_000;

fn told(seq: u64) -> FromDaemon {
    let event = Event {
        seq: EventSeq(seq),
        unix_ms: 0,
        service: None,
        slot: None,
        kind: EventKind::Warning { text: "x".repeat(BYTES) },
    };
    FromDaemon::Push(Push::Events(EventBatch { missed: 0, events: vec![event] }))
}

#[tokio::test]
async fn a_console_that_stops_reading_holds_the_daemon_back_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (token, token_file) = (Token::generate().unwrap(), folder.path().join("token"));
    std::fs::write(&token_file, token.to_text()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let target = Target { addr, token_file, actor: "test@here".into(), read_only: true };
    let (_orders, orders) = mpsc::channel(1);
    let (reports, mut read) = mpsc::channel(4);
    let console = tokio::spawn(net::run(target, orders, reports));

    let (mut stream, _) = listener.accept().await.unwrap();
    io::admit(&mut stream, &token).await.unwrap();
    let (mut receiver, mut sender) = io::split::<_, FromTool, FromDaemon>(stream);
    assert!(matches!(receiver.recv().await, Ok(Some(FromTool::Introduce { .. }))));

    let (sent, mut sent_now) = watch::channel(0);
    let daemon = tokio::spawn(async move {
        for seq in 1.. {
            sender.send(&told(seq)).await.unwrap();
            sent.send_replace(seq);
        }
    });

    // Nobody reads: sooner or later the daemon has to wait.
    while timeout(STUCK, sent_now.changed()).await.is_ok() {
        assert!(*sent_now.borrow() < MOST, "everything is taken, and kept somewhere");
    }
    let last = *sent_now.borrow();

    // Somebody reads again, and hears of everything, in order.
    let mut heard = 0;
    while heard <= last {
        match timeout(PATIENCE, read.recv()).await.unwrap().unwrap() {
            Report::Push(Push::Events(batch)) => {
                heard += 1;
                assert_eq!(batch.events[0].seq, EventSeq(heard));
            }
            Report::Trying | Report::Connected => {}
            other => panic!("{other:?}"),
        }
    }
    daemon.abort();
    console.abort();
}
