//! What instances print, asked for at the command port: the last lines, and each as it comes.

use smoothserve_protocol::id::{Generation, ServiceName, Slot};
use smoothserve_protocol::log::{LogBatch, LogLine, Stream};
use smoothserve_protocol::message::{Done, Push, Refusal, Request};
use smoothserve_tests::command::CommandConnection;
use smoothserve_tests::daemon::TestDaemon;
use smoothserve_tests::setup::{Service, Setup};

/// The last lines of all instances of `shop`.
fn logs(lines: u32) -> Request {
    let service = ServiceName::new("shop").expect("a valid name");
    Request::Logs { service, slot: None, lines, grep: None, follow: false }
}

fn narrowed(slot: Option<Slot>, grep: Option<&str>, follow: bool) -> Request {
    let service = ServiceName::new("shop").expect("a valid name");
    Request::Logs { service, slot, lines: 100, grep: grep.map(str::to_owned), follow }
}

async fn daemon() -> anyhow::Result<TestDaemon> {
    Setup::of(Service::new("shop")).start_ready().await
}

async fn asked(connection: &mut CommandConnection, request: Request) -> LogBatch {
    match connection.ask(request).await {
        Ok(Ok(Done::Logs(batch))) => batch,
        other => panic!("no logs but {other:?}"),
    }
}

fn text(line: &LogLine) -> String {
    String::from_utf8_lossy(&line.bytes).into_owned()
}

/// Who said that it listens: slots and generations.
fn listening(lines: &[LogLine]) -> Vec<(u16, u64)> {
    let saying = lines.iter().filter(|line| text(line).starts_with("fixture: listening on "));
    let mut who: Vec<_> = saying.map(|line| (line.slot.0, line.generation.0)).collect();
    who.sort_unstable();
    who
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_lines_of_all_instances_are_told_in_the_order_of_time() {
    let daemon = daemon().await.unwrap();
    let mut connection = daemon.open().await.unwrap();
    let batch = asked(&mut connection, logs(100)).await;
    assert_eq!(listening(&batch.lines), [(0, 1), (1, 1), (2, 1)]);
    assert!(batch.lines.is_sorted_by_key(|line| line.unix_ms));
    assert!(batch.lines.iter().all(|line| line.stream == Stream::Out && line.unix_ms > 0));
    let newest = asked(&mut connection, logs(1)).await;
    assert_eq!(newest.lines, batch.lines[batch.lines.len() - 1..]);

    let second = asked(&mut connection, narrowed(Some(Slot(1)), None, false)).await;
    assert_eq!(listening(&second.lines), [(1, 1)]);
    let none = asked(&mut connection, narrowed(None, Some("^listening"), false)).await;
    assert_eq!(none, LogBatch::default());
    let some = asked(&mut connection, narrowed(None, Some("listening on [0-9.:]+ "), false)).await;
    assert_eq!(listening(&some.lines), [(0, 1), (1, 1), (2, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_is_told_every_line_of_the_next_generation_once() {
    let daemon = daemon().await.unwrap();
    let mut connection = daemon.open().await.unwrap();
    let batch = asked(&mut connection, narrowed(None, Some("listening"), true)).await;
    assert_eq!(listening(&batch.lines), [(0, 1), (1, 1), (2, 1)]);
    assert!(daemon.restart("shop").await.is_ok());
    let mut lines = Vec::new();
    while lines.len() < 3 {
        if let Push::Logs(batch) = connection.told().await.unwrap() {
            assert_eq!(batch.missed, 0);
            lines.extend(batch.lines);
        }
    }
    assert_eq!(listening(&lines), [(0, 2), (1, 2), (2, 2)]);
    assert!(lines.iter().all(|line| line.generation == Generation(2)));

    // Each line was told, so that a later question finds them all, and no other.
    let all = asked(&mut connection, narrowed(None, Some("listening"), false)).await;
    assert_eq!(all.lines, [batch.lines, lines].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_cannot_be_answered_is_refused() {
    let daemon = daemon().await.unwrap();
    let name = ServiceName::new("nobody").unwrap();
    let unknown =
        Request::Logs { service: name.clone(), slot: None, lines: 1, grep: None, follow: true };
    let known = vec![ServiceName::new("shop").unwrap()];
    assert_eq!(daemon.ask(unknown).await, Err(Refusal::UnknownService { name, known }));
    let refused = daemon.ask(narrowed(None, Some("("), false)).await;
    let Err(Refusal::BadPattern { error }) = refused else { panic!("{refused:?}") };
    assert!(error.contains("unclosed group"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tool_prints_what_one_instance_printed_and_its_file_holds_it() {
    let daemon = daemon().await.unwrap();
    assert!(daemon.restart("shop").await.is_ok());
    let output = daemon.tool(&["logs", "shop/2", "--grep", "listening"]).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains("generation 1"), "{printed}");
    assert!(lines[1].contains("generation 2"), "{printed}");
    let file = daemon.folder.path().join("smoothserve.logs/shop-2.log");
    let is_written = async || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        (text.matches("fixture: listening on").count() == 2).then_some(())
    };
    smoothserve_tests::wait::until("both are in the file", is_written).await;
}
