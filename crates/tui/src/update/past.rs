//! Rolling restarts that have ended: asked for while they are on the screen, and again when another
//! one ends.

use smoothserve_protocol::event::{EventBatch, EventKind};
use smoothserve_protocol::message::Refusal;
use smoothserve_protocol::snapshot::Receipt;

use super::entry;
use super::nav::moved;
use crate::action::{Action, Step};
use crate::effect::{Effect, Order, Ticket};
use crate::model::{Dirty, Model, Screen};
use crate::view;
use crate::words;

/// Receipts asked for.
const LIMIT: u32 = 200;

/// Asks when what is on the screen may no longer be all.
pub fn ask(model: &mut Model) -> Option<Effect> {
    let Screen::History(service) = &model.screen else { return None };
    if !model.connection.is_open() || !model.past.is_stale {
        return None;
    }
    let service = service.clone();
    let ticket = model.last_ticket.next();
    model.past.is_stale = false;
    model.past.asked = Some((ticket, false));
    Some(Order::Receipts { ticket, service, limit: LIMIT }.into())
}

/// The daemon answered.
pub fn answered(model: &mut Model, ticket: Ticket, result: Result<Vec<Receipt>, Refusal>) {
    match &mut model.past.asked {
        Some((asked, is_answered)) if *asked == ticket => *is_answered = true,
        // Another question took its place.
        Some(_) | None => return,
    }
    match result {
        Ok(receipts) => model.past.set(receipts),
        Err(refusal) => model.say(words::refusal(None, &refusal).what, true),
    }
    model.touch(Dirty::ByInput);
}

/// Something happened; it may have been the end of a restart.
pub fn note(model: &mut Model, batch: &EventBatch) {
    let ends = |kind: &EventKind| {
        matches!(kind, EventKind::RolloutDone { .. } | EventKind::RolloutHalted { .. })
    };
    if batch.missed > 0 || batch.events.iter().any(|event| ends(&event.kind)) {
        model.past.is_stale = true;
    }
}

/// Shows the one under the cursor in full.
pub fn open(model: &mut Model) {
    if model.past.open.is_none() && model.past.selected().is_some() {
        model.past.open = Some(0);
        model.touch(Dirty::ByInput);
    }
}

/// Does what a key of this screen asks for.
pub fn perform(model: &mut Model, action: Action) {
    let down = match action {
        Action::FindNext => true,
        Action::FindPrevious => false,
        _ => return,
    };
    if model.past.needle.is_empty() || !model.past.find_next(down) {
        entry::no_further(model, &model.past.needle.clone(), down);
    }
}

/// Looks for what was typed.
pub fn find(model: &mut Model, needle: String) {
    model.past.needle = needle;
    if !model.past.find() {
        entry::nothing_has(model, &model.past.needle.clone());
    }
}

/// Moves the cursor, or what is scrolled.
pub fn travel(model: &mut Model, step: Step, half: isize) {
    match model.past.open {
        Some(down) => {
            let most = view::history::beyond(model);
            model.past.open = Some(moved(down.min(most), step, half).min(most));
        }
        None => {
            let row = model.past.index().unwrap_or(0);
            model.past.go(moved(row, step, half));
        }
    }
}
