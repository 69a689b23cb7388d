//! The history view: what is asked for, what is chosen, what is told of one restart.

use smoothserve_protocol::event::{Event, EventBatch, EventKind};
use smoothserve_protocol::id::{EventSeq, OperationId, ServiceName};
use smoothserve_protocol::message::Push;
use smoothtool::effect::{Effect, Order};
use smoothtool::model::Screen;
use smoothtool::msg::Report;

use crate::stage::Stage;
use crate::support::world;

/// The questions about past restarts: of which service.
fn asked(effects: &[Effect]) -> Vec<Option<&str>> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Order(Order::Receipts { service, .. }) => {
                Some(service.as_ref().map(ServiceName::as_str))
            }
            _ => None,
        })
        .collect()
}

fn reading() -> Stage {
    let mut stage = Stage::live();
    stage.press("h");
    stage.answer_receipts(world::past());
    stage
}

#[test]
fn the_past_is_that_of_the_service_on_the_screen_or_of_all() {
    let mut stage = Stage::live();
    assert_eq!(asked(&stage.press("h")), [None]);
    assert_eq!(asked(&stage.press("jk")), [], "it is asked once");
    stage.press("\u{1b}");
    stage.select("api");
    stage.press("\r");
    assert_eq!(asked(&stage.press("h")), [Some("api")]);
    stage.press("\u{1b}");
    assert_eq!(stage.model.screen, Screen::Service(world::name("api")));
}

#[test]
fn another_restart_that_ends_is_heard_of_and_the_cursor_stays() {
    let mut stage = reading();
    stage.press("j");
    let kind = EventKind::RolloutDone {
        operation: OperationId(17),
        took_ms: 54_000,
        instances: 4,
        lost: 0,
    };
    let service = Some(world::name("api"));
    let event = Event { seq: EventSeq(99), unix_ms: world::NOON, service, slot: None, kind };
    let batch = EventBatch { missed: 0, events: vec![event] };
    assert_eq!(asked(&stage.net(Report::Push(Push::Events(batch)))), [None]);
    let mut receipts = world::past();
    let mut newest = receipts[1].clone();
    (newest.service, newest.unix_ms) = (world::name("api"), world::NOON);
    receipts.insert(0, newest);
    stage.answer_receipts(receipts);
    assert_eq!(stage.model.past.index(), Some(2));
    assert!(stage.text(80, 24).contains(" ▸ 2026-01-02 12:02:07"), "{}", stage.text(80, 24));
}

#[test]
fn one_that_failed_is_told_in_full() {
    let mut stage = reading();
    stage.press("\r");
    let frame = stage.text(80, 24);
    for text in [
        "billing   op-15, g13 to g14",
        "✗ halted after 41s, 1 of 2 replaced on g14",
        "billing-2 exited with code 1",
        "begun by ci-deploy",
        "held 2 (the longest 84ms)",
        "✓ billing-1  drained in 6.1s   stopped in 9.0s   answered in 1.9s\n     ready in 4.4s\n",
        "✗ billing-2  drained in 900ms   failed",
        "at least 1 of 2 ready at every moment",
        r"| database\x1b[2J is not there",
        "! billing-1 took 9.0s to exit after it was told to",
    ] {
        assert!(frame.contains(text), "{text}: {frame}");
    }
    stage.press("\u{1b}");
    assert!(stage.text(80, 24).contains("newest first"));
}

#[test]
fn the_files_that_began_it_are_named() {
    let mut stage = reading();
    stage.press("G\r");
    let frame = stage.text(80, 24);
    assert!(frame.contains("begun because files changed:"), "{frame}");
    assert!(frame.contains("     /opt/search/lib/libindex.so"), "{frame}");
    assert!(frame.contains("+ lost 2") && frame.contains("cut 2,"), "{frame}");
}

#[test]
fn what_is_looked_for_is_found_in_what_is_told_of_a_restart() {
    let mut stage = reading();
    stage.press("/libindex\r");
    assert_eq!(stage.model.past.index(), Some(2), "in the files that changed");
    stage.press("/ci-deploy\r");
    assert_eq!(stage.model.past.index(), Some(0));
    stage.press("n");
    assert_eq!(stage.model.past.index(), Some(1));
    stage.press("n");
    assert!(stage.text(80, 24).contains("nothing below has ci-deploy"));
    stage.press("N\r");
    assert!(stage.text(80, 24).contains("billing   op-15"));
    stage.press("/nobody\r");
    assert!(stage.text(80, 24).contains("nothing has nobody"));
}

#[test]
fn the_events_of_a_restart_are_those_of_its_service_at_its_end() {
    let mut stage = Stage::live();
    stage.press("h");
    let mut receipts = world::past();
    receipts[0].service = world::name("api");
    receipts[0].unix_ms = world::NOON - 16_000;
    stage.answer_receipts(receipts);
    stage.press("e");
    let frame = stage.text(80, 24);
    assert!(frame.contains("events   api, 4 of 8") && frame.contains(" ▸14:01:50"), "{frame}");
}

#[test]
fn a_receipt_is_broken_between_words() {
    let mut stage = reading();
    stage.press("\r");
    let frame = stage.text(40, 12);
    assert!(frame.contains("╌╌ billing   g13 to g14 ╌╌╌ +15 below ╌╌"), "{frame}");
    for row in [
        " ✗ halted after 41s, 1 of 2 replaced on",
        "   g14",
        " accepted 1 204 118 = done 1 204 114",
        "   + in flight 4 + lost 0",
    ] {
        assert!(frame.lines().any(|line| line == row), "{row}: {frame}");
    }
    stage.press("G");
    assert!(stage.text(40, 12).contains("! billing-1 took 9.0s to exit after it"));
}

#[test]
fn a_long_one_is_scrolled_to_its_end_and_no_further() {
    let mut stage = Stage::live();
    stage.press("h");
    let mut receipts = world::past();
    let (_, failure) = receipts[0].failure.as_mut().unwrap();
    failure.last_output = (1..=50).map(|n| format!("last words {n}")).collect();
    stage.answer_receipts(receipts);
    stage.press("\r");
    assert!(!stage.text(80, 24).contains("last words 50"));
    stage.press("GG");
    let end = stage.text(80, 24);
    assert!(end.contains("took 9.0s to exit") && end.contains("last words 50"), "{end}");
    stage.press("jjjk");
    let frame = stage.text(80, 24);
    assert!(!frame.contains("took 9.0s to exit"), "one up from the end: {frame}");
}

#[test]
fn nothing_that_was_written_steers_the_terminal() {
    let mut stage = Stage::live();
    stage.press("h");
    let mut receipts = world::past();
    receipts[0].halted = Some("a\u{1b}[2Jb".into());
    receipts[0].remarks = vec!["c\u{9b}2Jd".into()];
    stage.answer_receipts(receipts);
    stage.press("\r");
    for cell in &stage.frame(120, 40).content {
        assert!(!cell.symbol().chars().any(char::is_control), "{:?}", cell.symbol());
    }
}

#[test]
fn a_past_without_a_restart_says_so() {
    let mut stage = Stage::live();
    stage.press("h");
    assert!(stage.text(80, 24).contains("asking the daemon"));
    stage.answer_receipts(Vec::new());
    assert!(stage.text(80, 24).contains("none has ended yet"));
    stage.press("\rjG");
    assert_eq!(stage.model.past.open, None);
}
