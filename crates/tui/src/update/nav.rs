//! Moving about: the cursor, the screens, the list of keys.

use smoothserve_protocol::id::ServiceName;

use super::list;
use crate::action::Step;
use crate::keymap::Context;
use crate::model::{Dirty, Front, Model, Screen};
use crate::view;

/// Moves the cursor, or what is scrolled.
pub fn travel(model: &mut Model, step: Step) {
    let half = isize::try_from(model.size.1 / 2).unwrap_or(1).max(1);
    model.touch(Dirty::ByInput);
    if let Some(Front::Help(_)) = model.front {
        super::help::travel(model, step, half);
        return;
    }
    if let Some(Front::Page(_)) = model.front {
        super::page::travel(model, step, half);
        return;
    }
    match &mut model.screen {
        Screen::Overview => travel_rows(model, step, half),
        Screen::Events => model.events.go(moved(model.events.index(), step, half)),
        Screen::Logs(_) => super::logs::travel(model, step),
        Screen::History(_) => super::past::travel(model, step, half),
        Screen::Service(name) => {
            let Some(detail) = model.world.detail(name) else { return };
            let (first, last) = view::service::instances_from(model, detail);
            model.instances_from = Some(moved(first, step, half).min(last));
        }
    }
}

fn travel_rows(model: &mut Model, step: Step, half: isize) {
    let rows = model.list.shown();
    match step {
        Step::First => model.selection.go(rows, 0),
        Step::Last => model.selection.go(rows, usize::MAX),
        Step::Up => model.selection.step(rows, -1),
        Step::Down => model.selection.step(rows, 1),
        Step::HalfUp => model.selection.step(rows, -half),
        Step::HalfDown => model.selection.step(rows, half),
    }
}

pub(super) const fn moved(from: usize, step: Step, half: isize) -> usize {
    match step {
        Step::First => 0,
        Step::Last => usize::MAX,
        Step::Up => from.saturating_sub(1),
        Step::Down => from.saturating_add(1),
        Step::HalfUp => from.saturating_add_signed(-half),
        Step::HalfDown => from.saturating_add_signed(half),
    }
}

/// Opens the service under the cursor.
pub fn open(model: &mut Model) {
    let name = match &model.screen {
        Screen::Overview => model.selection.name().cloned(),
        Screen::Logs(name) => Some(name.clone()),
        Screen::History(_) => model.past.selected().map(|receipt| receipt.service.clone()),
        Screen::Service(_) | Screen::Events => None,
    };
    if let Some(name) = name {
        show_service(model, name);
    }
}

/// One service.
pub fn show_service(model: &mut Model, name: ServiceName) {
    go(model, Screen::Service(name));
}

/// Closes what stands in front, else goes back to where one came from.
pub fn back(model: &mut Model) {
    if model.context() == Context::Filter {
        list::show_all(model);
        return;
    }
    if model.front.is_none() && model.screen == Screen::Overview {
        list::clear(model);
        return;
    }
    let closed = super::help::show_all(model)
        || model.front.take().is_some()
        || matches!(model.screen, Screen::History(_)) && model.past.open.take().is_some();
    if closed {
        model.touch(Dirty::ByInput);
    } else {
        let behind = model.behind.take().unwrap_or(Screen::Overview);
        go(model, behind);
    }
}

/// The list of services.
pub fn show_overview(model: &mut Model) {
    go(model, Screen::Overview);
}

/// The event log, at its newest line.
pub fn show_events(model: &mut Model) {
    super::events::open_all(model);
    go(model, Screen::Events);
}

/// Rolling restarts that have ended: of the service on the screen, else of all.
pub fn show_history(model: &mut Model) {
    let service = match &model.screen {
        Screen::Service(name) | Screen::Logs(name) => Some(name.clone()),
        Screen::Overview | Screen::Events | Screen::History(_) => None,
    };
    show_history_of(model, service);
}

/// Those of a service, or of all.
pub fn show_history_of(model: &mut Model, service: Option<ServiceName>) {
    model.past.forget();
    go(model, Screen::History(service));
}

/// What the service prints that is selected.
pub fn show_logs(model: &mut Model) {
    let Some(name) = model.target().cloned() else { return };
    show_logs_of(model, name);
}

/// What a service prints.
pub fn show_logs_of(model: &mut Model, name: ServiceName) {
    model.logs.open(&name);
    go(model, Screen::Logs(name));
}

pub(super) fn go(model: &mut Model, screen: Screen) {
    model.behind = match (&model.screen, &screen) {
        (Screen::Events, Screen::Service(_)) => Some(Screen::Events),
        (_, Screen::Overview | Screen::Service(_)) => None,
        (Screen::Service(_), _) => Some(model.screen.clone()),
        _ => model.behind.take(),
    };
    model.instances_from = None;
    model.screen = screen;
    model.touch(Dirty::ByInput);
}
