//! What instances print, as it reaches whoever reads it.

use std::time::Duration;

use smoothserve_protocol::id::{Generation, Slot};
use smoothserve_protocol::log::{LogBatch, LogLine, Stream};
use smoothserve_protocol::message::{Done, Push, Refusal, Request};

use super::fake::{Act, Fake, answer, ended};
use super::samples::{NOON, name};

fn line(slot: u16, stream: Stream, bytes: &[u8]) -> LogLine {
    let (slot, generation) = (Slot(slot), Generation(42));
    LogLine { unix_ms: NOON, slot, generation, stream, bytes: bytes.to_vec() }
}

fn printed() -> LogBatch {
    let lines =
        vec![line(0, Stream::Out, b"GET /\t200\x1b[2J"), line(1, Stream::Err, b"\xff\xfe no text")];
    LogBatch { missed: 0, lines }
}

fn printing(request: &Request) -> Vec<Act> {
    match request {
        Request::Logs { service, .. } if *service == name("shop") => {
            answer(Ok(Done::Logs(printed())))
        }
        Request::Logs { service, .. } => {
            let known = vec![name("shop")];
            answer(Err(Refusal::UnknownService { name: service.clone(), known }))
        }
        _ => answer(Err(Refusal::NotPermitted)),
    }
}

fn asked(slot: Option<Slot>) -> Request {
    Request::Logs { service: name("shop"), slot, lines: 200, grep: None, follow: false }
}

#[tokio::test]
async fn into_a_pipe_every_byte_goes_as_it_was_written() {
    let fake = Fake::start(printing).await;
    let piped = fake.run("logs shop").await;
    ended(&piped, 0);
    assert_eq!(piped.bytes, b"GET /\t200\x1b[2J\n\xff\xfe no text\n");
    assert_eq!(fake.asked(), [asked(None)]);
    let raw = fake.run_on_terminal("logs shop --raw").await;
    assert_eq!(raw.bytes, piped.bytes);
}

#[tokio::test]
async fn on_a_terminal_lines_have_a_name_and_steer_nothing() {
    let fake = Fake::start(printing).await;
    let ran = fake.run_on_terminal("logs shop").await;
    ended(&ran, 0);
    let lines: Vec<_> = ran.stdout.lines().map(|line| &line["14:02:07".len()..]).collect();
    let expected = [".123  shop-1 | GET /\t200\\x1b[2J", ".123  shop-2 ! \u{fffd}\u{fffd} no text"];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn in_json_a_line_that_is_no_text_has_its_bytes() {
    let fake = Fake::start(printing).await;
    let ran = fake.run("logs shop --json").await;
    ended(&ran, 0);
    insta::assert_snapshot!(ran.stdout);
}

#[tokio::test]
async fn one_instance_has_two_spellings() {
    let fake = Fake::start(printing).await;
    ended(&fake.run("logs shop/2").await, 0);
    assert_eq!(fake.asked(), [asked(Some(Slot(1)))]);
    ended(&fake.run("logs shop-2").await, 0);
    assert_eq!(fake.asked().last(), Some(&asked(Some(Slot(1)))));
    ended(&fake.run("logs stop-2").await, 4);
    ended(&fake.run("logs shop-two").await, 4);
}

#[tokio::test]
async fn a_pattern_is_the_daemons_to_judge() {
    let error = "regex parse error:\n    (\n    ^\nerror: unclosed group";
    let fake = Fake::start(move |_| answer(Err(Refusal::BadPattern { error: error.into() }))).await;
    let ran = fake.run("logs shop -n 5 --grep (").await;
    ended(&ran, 2);
    let first = ran.stderr.lines().next().unwrap();
    assert_eq!(first, "error: the pattern is no regular expression: unclosed group");
    let (service, slot, grep) = (name("shop"), None, Some("(".to_owned()));
    let expected = Request::Logs { service, slot, lines: 5, grep, follow: false };
    assert_eq!(fake.asked(), [expected]);
}

/// Lines that come later, some of which were not kept; then the daemon goes, or stays.
fn following(then: Option<Act>) -> impl FnMut(&Request) -> Vec<Act> + Send {
    let mut then = then;
    move |_| {
        let lines = vec![line(2, Stream::Out, b"later")];
        let mut acts = answer(Ok(Done::Logs(LogBatch::default())));
        acts.push(Act::Push(Push::Logs(LogBatch { missed: 12, lines })));
        acts.extend(then.take());
        acts
    }
}

#[tokio::test]
async fn lines_are_followed_until_the_daemon_goes() {
    let fake = Fake::start(following(Some(Act::Leave))).await;
    let ran = fake.run("logs shop -f -n 0").await;
    ended(&ran, 7);
    assert_eq!(ran.bytes, b"later\n");
    assert!(ran.stderr.starts_with("12 lines could not be kept and are not shown\n"));
    let (service, slot, grep) = (name("shop"), None, None);
    assert_eq!(fake.asked(), [Request::Logs { service, slot, lines: 0, grep, follow: true }]);
}

#[tokio::test]
async fn lines_are_followed_until_ctrl_c() {
    let fake = Fake::start(following(None)).await;
    let soon = tokio::time::sleep(Duration::from_millis(200));
    let ran = fake.run_until("logs shop --follow", Box::pin(soon)).await;
    ended(&ran, 130);
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_it_quietly() {
    let fake = Fake::start(printing).await;
    for line in ["logs shop", "logs shop --json"] {
        let ran = fake.run_unread(line).await;
        ended(&ran, 0);
        assert_eq!(ran.stderr, "");
    }
}
