//! The event log: the cursor on it, what is shown of it, what is looked for.

use super::{entry, nav};
use crate::action::Action;
use crate::model::events::{Filter, Line};
use crate::model::find::Pattern;
use crate::model::{Model, Screen};
use crate::words::Severity;

/// Shows the events of all services, the newest under the cursor.
pub fn open_all(model: &mut Model) {
    let filter = model.events.filter().clone();
    model.events.set_filter(Filter { service: None, ..filter });
    model.events.follow(true);
}

/// Shows the events of the service on the screen alone; those of a past restart from its end on.
pub fn show_of(model: &mut Model) {
    let (service, at) = match &model.screen {
        Screen::Overview => (model.selection.name().cloned(), None),
        Screen::Service(name) | Screen::Logs(name) => (Some(name.clone()), None),
        Screen::History(of) => match model.past.selected() {
            Some(receipt) => (Some(receipt.service.clone()), Some(receipt.unix_ms)),
            None => (of.clone(), None),
        },
        Screen::Events => return,
    };
    let filter = model.events.filter().clone();
    model.events.set_filter(Filter { service, ..filter });
    match at {
        Some(unix_ms) => model.events.go_to_time(unix_ms),
        None => model.events.follow(true),
    }
    nav::go(model, Screen::Events);
}

/// Opens the service that the line is about which the operator saw under the cursor.
pub fn open(model: &mut Model) {
    let Some(line) = seen(model) else { return };
    match line.service.clone() {
        Some(name) => nav::go(model, Screen::Service(name)),
        None => model.say("this line is about no service".to_owned(), false),
    }
}

/// The line that the operator saw under the cursor.
fn seen(model: &Model) -> Option<&Line> {
    model.events.line(model.painted.line?)
}

/// Does what a key of this screen asks for.
pub fn perform(model: &mut Model, action: Action) {
    match action {
        Action::Follow => model.events.follow(!model.events.is_following()),
        Action::Level => {
            let filter = model.events.filter().clone();
            let severity = Severity::next(filter.severity);
            model.events.set_filter(Filter { severity, ..filter });
        }
        Action::OfService => of_service(model),
        Action::FindNext => find_next(model, true),
        Action::FindPrevious => find_next(model, false),
        _ => {}
    }
}

/// Looks for what was typed.
pub fn find(model: &mut Model, needle: String) {
    model.events.needle = needle;
    if !model.events.find() {
        entry::nothing_has(model, &model.events.needle.clone());
    }
}

/// Shows what matches alone; none: everything.
pub fn only(model: &mut Model, pattern: Option<Pattern>) {
    let filter = model.events.filter().clone();
    model.events.set_filter(Filter { pattern, ..filter });
}

fn of_service(model: &mut Model) {
    let filter = model.events.filter().clone();
    let under = seen(model).and_then(|line| line.service.clone());
    let service = match (&filter.service, under) {
        (Some(_), _) => None,
        (None, Some(name)) => Some(name),
        (None, None) => {
            model.say("this line is about no service".to_owned(), false);
            return;
        }
    };
    model.events.set_filter(Filter { service, ..filter });
}

fn find_next(model: &mut Model, down: bool) {
    if model.events.needle.is_empty() || !model.events.find_next(down) {
        entry::no_further(model, &model.events.needle.clone(), down);
    }
}
