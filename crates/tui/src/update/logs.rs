//! The log of a service: asked for while it is on the screen, scrolled, filtered, searched.

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::log::LogBatch;
use smoothserve_protocol::message::Refusal;

use super::entry;
use crate::action::{Action, Step};
use crate::effect::{Effect, Order, Ticket};
use crate::model::find::Pattern;
use crate::model::logs::{Filter, Followed, Line};
use crate::model::{Dirty, Model, Screen};
use crate::view::logs::{height, room, rows};
use crate::view::service::has_strip;
use crate::words::{self, Severity};

/// Lines asked for when the log fills the screen.
const LINES: u32 = 1_000;
/// Lines asked for when a few of them are shown below something else.
const FEW: u32 = 40;

/// Tells the daemon when the log of another service is looked at, or of none any more.
pub fn ask(model: &mut Model) -> Option<Effect> {
    if !model.connection.is_open() {
        return None;
    }
    let wanted = match &model.screen {
        Screen::Logs(name) => Some((name.clone(), LINES)),
        Screen::Service(name) if has_strip(model, name) => Some((name.clone(), FEW)),
        Screen::Overview | Screen::Service(_) | Screen::Events | Screen::History(_) => None,
    };
    match (wanted, model.logs.followed.take()) {
        (Some((service, lines)), Some(followed))
            if followed.service == service && followed.lines >= lines =>
        {
            model.logs.followed = Some(followed);
            None
        }
        (Some((service, lines)), _) => Some(follow(model, service, lines)),
        (None, Some(followed)) => {
            model.logs.asked = None;
            let ticket = model.last_ticket.next();
            Some(Order::Logs { ticket, service: followed.service, lines: 0, follow: false }.into())
        }
        (None, None) => None,
    }
}

fn follow(model: &mut Model, service: ServiceName, lines: u32) -> Effect {
    let ticket = model.last_ticket.next();
    model.logs.open(&service);
    model.logs.followed = Some(Followed { service: service.clone(), lines });
    model.logs.asked = Some((ticket, false));
    Order::Logs { ticket, service, lines, follow: true }.into()
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
    let lines = model.logs.followed.as_ref().map_or(0, |followed| followed.lines);
    match result {
        Ok(batch) => model.logs.answer(batch, lines),
        Err(refusal) => model.say(words::refusal(None, &refusal).what, true),
    }
    model.touch(Dirty::ByInput);
}

/// Something was printed.
pub fn printed(model: &mut Model, batch: LogBatch) {
    // Before the answer to the last question, it is about the question before.
    if matches!(model.logs.asked, Some((_, true))) {
        model.logs.add(batch);
        if matches!(model.screen, Screen::Logs(_) | Screen::Service(_)) {
            model.touch(Dirty::ByData);
        }
    }
}

/// Does what a key of this screen asks for.
pub fn perform(model: &mut Model, action: Action) {
    match action {
        Action::Follow => model.logs.follow(!model.logs.is_following()),
        Action::Level => {
            let filter = model.logs.filter().clone();
            let severity = Severity::next(filter.severity);
            model.logs.set_filter(Filter { severity, ..filter });
        }
        Action::Instance => {
            let filter = model.logs.filter().clone();
            let slot = model.logs.slots().find(|slot| filter.slot.is_none_or(|was| *slot > was));
            model.logs.set_filter(Filter { slot, ..filter });
        }
        Action::Wrap => model.logs.wrap = !model.logs.wrap,
        Action::ScrollLeft => sideways(model, false),
        Action::ScrollRight => sideways(model, true),
        Action::FindNext => find_next(model, true),
        Action::FindPrevious => find_next(model, false),
        _ => {}
    }
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

/// Shows what matches alone; none: everything.
pub fn only(model: &mut Model, pattern: Option<Pattern>) {
    let filter = model.logs.filter().clone();
    model.logs.set_filter(Filter { pattern, ..filter });
}

/// Looks for what was typed.
pub fn find(model: &mut Model, needle: String) {
    model.logs.found = None;
    model.logs.needle = needle;
    let (rows, height) = measure(model);
    let found = model.logs.find(rows, height);
    if !found {
        entry::nothing_has(model, &model.logs.needle.clone());
    }
}

/// Shows what is cut at the right, or goes back; no further than something is there.
fn sideways(model: &mut Model, right: bool) {
    if model.logs.wrap {
        model.say("lines are wrapped: w cuts them".to_owned(), false);
        return;
    }
    let room = usize::from(room(model));
    let (rows, height) = measure(model);
    let longest = model.logs.longest(rows, height);
    let step = (room / 2).max(1);
    let column = model.logs.column;
    model.logs.column = match right {
        true if column + room < longest => column + step,
        true => column,
        false => column.saturating_sub(step),
    };
}

fn find_next(model: &mut Model, down: bool) {
    let (rows, height) = measure(model);
    if model.logs.needle.is_empty() || !model.logs.find_next(down, rows, height) {
        entry::no_further(model, &model.logs.needle.clone(), down);
    }
}

/// The rows on the screen, and how many of them a line takes.
fn measure(model: &Model) -> (usize, impl Fn(&Line) -> usize + use<>) {
    (rows(model), height(model))
}
