//! A new user's walk: whoever knows the help key alone finds out what is slow, restarts it, learns why
//! that was refused, reads the last lines and takes them along.

use smoothserve_protocol::id::OperationId;
use smoothserve_protocol::message::{Done, Push, Request};
use smoothserve_protocol::snapshot::ServiceDetail;
use smoothtool::effect::{Effect, Order};
use smoothtool::msg::Report;

use crate::stage::Stage;
use crate::support::world;

/// No step of the walk takes more keys than this.
const KEYS: usize = 3;

/// One key, as the help of the screen where one is names it, and what it says of it.
struct Key {
    press: &'static str,
    shown: &'static str,
    help: &'static str,
}

const fn key(press: &'static str, shown: &'static str, help: &'static str) -> Key {
    Key { press, shown, help }
}

const OPEN: Key = key("\r", "enter", "open");
const RESTART: Key = key("r", "r", "rolling restart");
const YES: Key = key("y", "y", "yes, do it");
const HISTORY: Key = key("h", "h", "past restarts");
const BACK: Key = key("\u{1b}", "esc", "back");
const LOGS: Key = key("l", "l", "logs");
const COPY: Key = key("y", "y", "copy these lines");

/// Looks every key up where it is pressed, and presses it. What came of the last is returned.
fn walk(stage: &mut Stage, keys: &[Key]) -> Vec<Effect> {
    assert!(keys.len() <= KEYS, "{} keys", keys.len());
    let mut effects = Vec::new();
    for key in keys {
        let found = lines_of_help(stage);
        let named = found.iter().any(|line| names(line, key));
        assert!(named, "{} {}: not in\n{}", key.shown, key.help, found.join("\n"));
        effects = stage.press(key.press);
    }
    effects
}

/// What the screen says of its keys: the list of keys, or a question's own.
fn lines_of_help(stage: &mut Stage) -> Vec<String> {
    let asks = stage.model.front.is_some();
    if !asks {
        stage.press("?");
        assert!(stage.model.front.is_some(), "no help");
    }
    // Whoever goes down sees the rest.
    let mut text = stage.text(80, 24);
    if !asks {
        for _ in 0..40 {
            stage.write("j");
            text += &stage.text(80, 24);
        }
        stage.press("\u{1b}");
    }
    text.lines().map(str::to_owned).collect()
}

/// Whether the line has the key, and after it what it does.
fn names(line: &str, key: &Key) -> bool {
    let begins = |part: &str| part.trim().trim_start_matches("▸ ").starts_with(key.shown);
    line.split("   ").any(begins) && line.contains(key.help)
}

fn detail(stage: &mut Stage, detail: ServiceDetail) {
    stage.net(Report::Push(Push::Service(Some(Box::new(detail)))));
    stage.paint();
}

/// `billing`, of which one instance is slow.
fn slow() -> ServiceDetail {
    let mut detail = world::quiet("billing");
    detail.instances[0].p99_us = Some(1_840_000);
    detail
}

/// The rows of the screen that hold `text`.
fn rows_with(stage: &mut Stage, text: &str) -> Vec<String> {
    stage.text(80, 24).lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
}

#[test]
fn a_new_user_finds_the_slow_one_and_learns_why_its_new_build_was_refused() {
    let mut stage = Stage::live();
    detail(&mut stage, slow());

    // Which instance is slow?
    walk(&mut stage, &[OPEN]);
    detail(&mut stage, slow());
    let slowest = rows_with(&mut stage, "1.84s");
    assert!(slowest.iter().any(|row| row.contains("billing-1")), "{slowest:?}");

    // Restart its service.
    let effects = walk(&mut stage, &[RESTART, YES]);
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Order(Order::Act { ticket, request: Request::Restart { service, .. } }) => {
            Some((*ticket, service.clone()))
        }
        _ => None,
    });
    let (ticket, service) = asked.expect("a restart");
    assert_eq!(service, world::name("billing"));
    let result = Ok(Done::Begun { operation: OperationId(15) });
    stage.net(Report::Answered { ticket, result });
    detail(&mut stage, world::halted());

    // Why was the new build refused?
    walk(&mut stage, &[HISTORY]);
    stage.answer_receipts(world::halted().receipts);
    walk(&mut stage, &[OPEN]);
    let reason = rows_with(&mut stage, "exited with code 1");
    assert!(!reason.is_empty(), "{}", stage.text(80, 24));
    assert!(!rows_with(&mut stage, "halted").is_empty());

    // What did it say last?
    walk(&mut stage, &[BACK, BACK, LOGS]);
    stage.answer_logs(world::logs());
    let last = "pool timeout: no connection of 20 was free";
    assert_eq!(rows_with(&mut stage, last).len(), 1, "{}", stage.text(80, 24));

    // Take it along.
    let effects = walk(&mut stage, &[COPY]);
    let copied = effects.iter().find_map(|effect| match effect {
        Effect::Copy(text) => Some(text),
        _ => None,
    });
    assert!(copied.expect("a copy").contains(last));
}
