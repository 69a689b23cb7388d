//! The log of a service: asked for while it is on the screen, scrolled, filtered, searched.

use smoothserve_protocol::log::LogBatch;
use smoothserve_protocol::message::Refusal;

use crate::action::{Action, Step};
use crate::effect::{Effect, Order, Ticket};
use crate::input::Key;
use crate::model::logs::{Filter, Line};
use crate::model::{Dirty, Front, Model, Screen};
use crate::view::logs::{height, rows};
use crate::words::{self, Severity};

/// Lines asked for.
const LINES: u32 = 1_000;
/// Nobody types more to look for.
const LONGEST: usize = 200;

/// Tells the daemon when the log of another service is looked at, or of none any more.
pub fn ask(model: &mut Model) -> Option<Effect> {
    let wanted = match &model.screen {
        Screen::Logs(name) => Some(name),
        Screen::Overview | Screen::Service(_) | Screen::Events { .. } | Screen::History(_) => None,
    };
    if !model.connection.is_open() || wanted == model.logs.followed.as_ref() {
        return None;
    }
    let (service, follow) = match wanted {
        Some(name) => (name.clone(), true),
        None => (model.logs.followed.clone()?, false),
    };
    model.last_ticket = Ticket(model.last_ticket.0 + 1);
    let ticket = model.last_ticket;
    model.logs.followed = follow.then(|| service.clone());
    model.logs.asked = follow.then_some((ticket, false));
    let lines = if follow { LINES } else { 0 };
    Some(Order::Logs { ticket, service, lines, follow }.into())
}

/// Nothing is pushed any more: the connection is gone.
pub fn cut_off(model: &mut Model) {
    (model.logs.followed, model.logs.asked) = (None, None);
}

/// The daemon answered.
pub fn answered(model: &mut Model, ticket: Ticket, result: Result<LogBatch, Refusal>) {
    match &mut model.logs.asked {
        Some((asked, is_answered)) if *asked == ticket => *is_answered = true,
        // Another question took its place.
        Some(_) | None => return,
    }
    match result {
        Ok(batch) => model.logs.answer(batch),
        Err(refusal) => model.say(words::refusal(None, &refusal).what, true),
    }
    model.touch(Dirty::ByInput);
}

/// Something was printed.
pub fn printed(model: &mut Model, batch: LogBatch) {
    // Before the answer to the last question, it is about the question before.
    if matches!(model.logs.asked, Some((_, true))) {
        model.logs.add(batch);
        if matches!(model.screen, Screen::Logs(_)) {
            model.touch(Dirty::ByData);
        }
    }
}

/// Does what a key of this screen asks for.
pub fn perform(model: &mut Model, action: Action) {
    match action {
        Action::Follow => model.logs.follow(!model.logs.is_following()),
        Action::Level => {
            let filter = model.logs.filter();
            let severity = match filter.severity {
                None => Some(Severity::Warning),
                Some(Severity::Warning) => Some(Severity::Error),
                Some(_) => None,
            };
            model.logs.set_filter(Filter { severity, ..filter });
        }
        Action::Instance => {
            let filter = model.logs.filter();
            let slot = model.logs.slots().find(|slot| filter.slot.is_none_or(|was| *slot > was));
            model.logs.set_filter(Filter { slot, ..filter });
        }
        Action::Wrap => model.logs.wrap = !model.logs.wrap,
        Action::Find => model.front = Some(Front::Find(String::new())),
        Action::Search => search(model),
        Action::FindNext => find_next(model, true),
        Action::FindPrevious => find_next(model, false),
        _ => {}
    }
    model.touch(Dirty::ByInput);
}

/// Moves what is on the screen.
pub fn travel(model: &mut Model, step: Step) {
    let half = isize::try_from(rows(model) / 2).unwrap_or(1).max(1);
    let by = match step {
        Step::Up => -1,
        Step::Down => 1,
        Step::First => isize::MIN,
        Step::Last => isize::MAX,
        Step::HalfUp => -half,
        Step::HalfDown => half,
    };
    let (rows, height) = measure(model);
    model.logs.scroll(by, rows, height);
}

/// A letter of what to look for. Says whether `key` was one.
pub fn type_needle(model: &mut Model, key: Key) -> bool {
    let Some(Front::Find(typed)) = &mut model.front else { return false };
    match key {
        Key::Char(c) if typed.chars().count() < LONGEST => typed.push(c),
        Key::Char(_) => {}
        Key::Backspace => {
            typed.pop();
        }
        _ => return false,
    }
    model.touch(Dirty::ByInput);
    true
}

fn search(model: &mut Model) {
    let Some(Front::Find(typed)) = model.front.take() else { return };
    model.logs.found = None;
    model.logs.needle = typed;
    let (rows, height) = measure(model);
    let found = model.logs.find(rows, height);
    if !found && !model.logs.needle.is_empty() {
        model.say(format!("nothing has {}", model.logs.needle), true);
    }
}

fn find_next(model: &mut Model, down: bool) {
    if model.logs.needle.is_empty() {
        model.say("nothing to look for yet: / asks".to_owned(), false);
        return;
    }
    let (rows, height) = measure(model);
    if !model.logs.find_next(down, rows, height) {
        let way = if down { "below" } else { "above" };
        model.say(format!("nothing {way} has {}", model.logs.needle), true);
    }
}

/// The rows on the screen, and how many of them a line takes.
fn measure(model: &Model) -> (usize, impl Fn(&Line) -> usize + use<>) {
    (rows(model), height(model))
}
