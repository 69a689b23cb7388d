//! The event log: where the cursor is, what is shown, where Enter leads.

use smoothserve_protocol::event::{Event, EventBatch, EventKind};
use smoothserve_protocol::id::EventSeq;
use smoothserve_protocol::message::Push;
use smoothtool::input::Key;
use smoothtool::model::Screen;
use smoothtool::msg::{Msg, Report};

use crate::stage::Stage;
use crate::support::world;

fn reading() -> Stage {
    let mut stage = Stage::live();
    stage.press("3");
    stage.text(80, 24);
    stage
}

fn event(seq: u64, service: &str) -> Event {
    Event {
        seq: EventSeq(seq),
        unix_ms: world::NOON + seq,
        service: Some(world::name(service)),
        slot: None,
        kind: EventKind::Warning { text: format!("number {seq} here") },
    }
}

/// Warnings of `service`, with these numbers.
fn happen(stage: &mut Stage, service: &str, seqs: std::ops::Range<u64>) {
    let events = seqs.map(|seq| event(seq, service)).collect();
    stage.net(Report::Push(Push::Events(EventBatch { missed: 0, events })));
}

/// The line under the cursor.
fn selected(stage: &mut Stage) -> String {
    let frame = stage.text(80, 24);
    let line = frame.lines().find(|line| line.starts_with(" ▸"));
    line.unwrap_or_else(|| panic!("no cursor: {frame}")).to_owned()
}

#[test]
fn it_follows_until_one_goes_up_and_counts_what_came() {
    let mut stage = reading();
    happen(&mut stage, "api", 20..60);
    assert!(selected(&mut stage).contains("number 59 here"));
    stage.press("kk");
    happen(&mut stage, "api", 60..72);
    assert!(selected(&mut stage).contains("number 57 here"), "it stays with its event");
    let frame = stage.text(80, 24);
    assert!(frame.contains(" +12   level all ╌╌"), "{frame}");
    stage.press("G");
    assert!(stage.model.events.is_following());
    stage.press("f");
    happen(&mut stage, "api", 72..73);
    assert!(selected(&mut stage).contains("number 71 here"));
    stage.press("f");
    assert!(selected(&mut stage).contains("number 72 here"));
    stage.press("g");
    assert!(selected(&mut stage).contains("webhooks"));
}

#[test]
fn enter_goes_to_the_service_that_was_under_the_cursor() {
    let mut stage = reading();
    // What came after the frame was painted is not what the operator pointed at.
    happen(&mut stage, "www", 20..21);
    stage.key(Key::Enter);
    assert_eq!(stage.model.screen, Screen::Service(world::name("api")));
    stage.press("\u{1b}");
    assert_eq!(stage.model.screen, Screen::Events, "and back");
    stage.tell(Msg::Sent);
    stage.tell(Msg::Painted);
    stage.press("\r");
    assert_eq!(stage.model.screen, Screen::Service(world::name("www")));
}

#[test]
fn a_line_about_no_service_opens_none() {
    let mut stage = reading();
    stage.press("gjj\r");
    assert_eq!(stage.model.screen, Screen::Events);
    let frame = stage.text(80, 24);
    assert!(frame.contains("this line is about no service"), "{frame}");
    assert!(!frame.contains("go to it"), "no hint promises it: {frame}");
}

#[test]
fn one_level_one_service_or_one_pattern_is_shown_alone() {
    let mut stage = reading();
    stage.press("v");
    let frame = stage.text(80, 24);
    assert!(frame.contains("events 2 of 8") && frame.contains("level warnings"), "{frame}");
    assert!(frame.contains("try 3 failed") && !frame.contains("ready in"), "{frame}");
    stage.press("v");
    assert!(stage.text(80, 24).contains("nothing of that kind"));
    stage.press("vs");
    let frame = stage.text(80, 24);
    assert!(frame.contains("events   api, 4 of 8"), "{frame}");
    assert!(frame.contains("api-2") && !frame.contains("billing"), "{frame}");
    stage.press("s&^(www|billing)\r");
    let frame = stage.text(80, 24);
    assert!(frame.contains("& ^(www|billing)") && frame.contains("events 2 of 8"), "{frame}");
    stage.press("&\r");
    assert!(stage.text(80, 24).contains("events 8"));
}

#[test]
fn a_pattern_that_is_none_is_said_and_changes_nothing() {
    let mut stage = reading();
    stage.press("&www|(b\r");
    let frame = stage.text(80, 24);
    assert!(frame.contains("&www|(b_  unclosed group"), "{frame}");
    assert!(frame.contains("events 8"), "{frame}");
    stage.key(Key::Backspace);
    assert!(!stage.text(80, 24).contains("unclosed group"));
    stage.key(Key::Backspace);
    stage.press("\r");
    assert!(stage.text(80, 24).contains("events 8"), "www or nothing matches everything");
}

#[test]
fn what_is_looked_for_is_found_up_and_down() {
    let mut stage = reading();
    happen(&mut stage, "api", 20..60);
    stage.press("/number 4\r");
    assert!(selected(&mut stage).contains("number 49 here"));
    stage.press("NN");
    assert!(selected(&mut stage).contains("number 47 here"));
    stage.press("n");
    assert!(selected(&mut stage).contains("number 48 here"));
    stage.press("/nowhere\r");
    assert!(stage.text(80, 24).contains("nothing has nowhere"));
    assert!(selected(&mut stage).contains("number 48 here"));
}

#[test]
fn the_whole_line_is_told_below_the_list() {
    let mut stage = reading();
    let mut long = event(20, "api");
    long.kind = EventKind::Warning { text: format!("it {} ended", "goes on and ".repeat(6)) };
    stage.net(Report::Push(Push::Events(EventBatch { missed: 0, events: vec![long] })));
    assert!(selected(&mut stage).ends_with('›'));
    let frame = stage.text(80, 24);
    assert!(frame.contains("2026-01-02 14:02:07   seq 20 ╌╌"), "{frame}");
    assert!(frame.contains("ended\n"), "{frame}");
    let narrow = stage.text(40, 12);
    assert!(narrow.contains("\n api it goes on and"), "{narrow}");
}

#[test]
fn the_whole_line_is_broken_between_words() {
    let mut stage = reading();
    let mut long = event(20, "billing");
    let text = "exited with code 3 after 132ms, before it was ready; last output: fatal";
    long.kind = EventKind::Warning { text: text.to_owned() };
    stage.net(Report::Push(Push::Events(EventBatch { missed: 0, events: vec![long] })));
    let frame = stage.text(80, 24);
    assert!(frame.contains("\n  billing exited with"), "{frame}");
    assert!(frame.contains("last output:\n  fatal"), "{frame}");
    let tiny = stage.text(40, 12);
    let cut = tiny.lines().filter(|line| line.ends_with('›')).count();
    assert!(cut >= 1 && tiny.contains(" billing exited with code 3 after 132ms,\n"), "{tiny}");
}

#[test]
fn who_asked_and_how_long_it_took_have_columns_where_there_is_room() {
    let mut stage = reading();
    let frame = stage.text(120, 40);
    assert!(frame.contains("rolling restart g41 to g42, 4 instances   "), "{frame}");
    let row = frame.lines().find(|line| line.contains("api-1")).unwrap();
    assert!(row.contains("ready on g42 ") && row.ends_with("   4.4s"), "{row}");
    assert!(frame.contains("  ops@bastion\n"), "{frame}");
}

#[test]
fn the_events_of_what_is_on_the_screen_are_shown_alone() {
    let mut stage = Stage::live();
    stage.select("billing");
    stage.press("e");
    assert!(stage.text(80, 24).contains("events   billing, 1 of 8"));
    stage.press("\u{1b}");
    stage.press("3");
    assert!(stage.text(80, 24).contains("events 8"));
}

#[test]
fn a_gap_is_a_row_and_passes_every_filter() {
    let mut stage = reading();
    let events = vec![event(21, "api")];
    stage.net(Report::Push(Push::Events(EventBatch { missed: 12, events })));
    stage.press("vv&nothing\r");
    let frame = stage.text(80, 24);
    assert!(frame.contains("12 events missed (seq 9 to 20)"), "{frame}");
}

#[test]
fn the_last_five_thousand_are_kept_and_the_oldest_is_in_reach() {
    let mut stage = reading();
    happen(&mut stage, "api", 20..7_000);
    assert_eq!(stage.model.events.len(), 5_000);
    stage.press("gkjj");
    let frame = stage.text(80, 24);
    assert!(frame.contains("events 5 000") && frame.contains("number 2002 here"), "{frame}");
}
