//! One service after another, in the order in which they were listed, ending at the first that fails.
//!
//! The command about the next one is given when the answer about the present one has come, and
//! expects the generation that the operator saw when the question was asked.

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::{Done, Refusal};

use super::ops;
use crate::effect::{Effect, Order, Ticket};
use crate::model::batch::Batch;
use crate::model::question::{Subject, Terms, Verb};
use crate::model::{Dirty, Model};
use crate::words;

/// Of the services that were not begun, so many are named.
const NAMED: usize = 4;

/// Begins with the first of `subjects`.
pub fn begin(model: &mut Model, verb: Verb, terms: Terms, subjects: Vec<Subject>) -> Vec<Effect> {
    model.batch = Some(Batch::new(verb, terms, subjects));
    model.touch(Dirty::ByInput);
    give(model)
}

/// The daemon answered a command. None: that was none of a batch.
pub fn answered(
    model: &mut Model,
    ticket: Ticket,
    result: &Result<Done, Refusal>,
) -> Option<Vec<Effect>> {
    let batch = model.batch.as_ref().filter(|batch| batch.ticket == ticket)?;
    let service = batch.present()?.service.clone();
    let effects = match result {
        Ok(
            Done::AlreadySo | Done::Started { .. } | Done::Stopped { .. } | Done::Restarted { .. },
        ) => go_on(model, &service),
        Ok(_) => {
            fail(model, &format!("{service}: the daemon did not say how it ended"));
            Vec::new()
        }
        Err(refusal) => {
            fail(model, &words::refusal(Some(&service), refusal).what);
            Vec::new()
        }
    };
    Some(effects)
}

/// The connection ended before the answer to a command. Whether that was one of a batch.
pub fn unanswered(model: &mut Model, ticket: Ticket) -> bool {
    let Some(batch) = model.batch.as_ref().filter(|batch| batch.ticket == ticket) else {
        return false;
    };
    let service = batch.present().map(|present| present.service.to_string()).unwrap_or_default();
    fail(model, &format!("{service}: no answer; look before asking again"));
    true
}

/// Begins no further one after the present one.
pub fn end_after_this(model: &mut Model) {
    match &mut model.batch {
        Some(batch) => batch.is_ending = true,
        None => model.say("no batch is under way".to_owned(), true),
    }
    model.touch(Dirty::ByInput);
}

/// Says once what would not be begun if the console ended now. Whether there is something to say.
pub fn warns_of_quit(model: &mut Model) -> bool {
    let Some(batch) = &mut model.batch else { return false };
    let rest = batch.rest().len();
    if batch.is_quit_warned || rest == 0 {
        return false;
    }
    batch.is_quit_warned = true;
    let text = format!("{rest} more would not be begun: quit again to leave");
    model.say(text, true);
    true
}

/// Gives the command about the present one.
fn give(model: &mut Model) -> Vec<Effect> {
    let ticket = model.last_ticket.next();
    let Some(batch) = &mut model.batch else { return Vec::new() };
    batch.ticket = ticket;
    let Some(subject) = batch.present() else { return Vec::new() };
    let request = ops::request(batch.verb, subject, batch.terms, true);
    vec![Order::Act { ticket, request }.into()]
}

/// The present one is done.
fn go_on(model: &mut Model, service: &ServiceName) -> Vec<Effect> {
    model.list.unmark(service);
    model.touch(Dirty::ByInput);
    let Some(batch) = &mut model.batch else { return Vec::new() };
    if batch.rest().len() > 0 && !batch.is_ending {
        batch.advance();
        return give(model);
    }
    let (at, of) = batch.position();
    let text = format!("{}: {at} of {of} done{}", batch.verb.word(), not_begun(batch));
    model.batch = None;
    model.say(text, false);
    Vec::new()
}

/// The present one failed, and no further one is begun. The row of toasts has no room for the whole
/// story, and is not for ever: the events have it.
fn fail(model: &mut Model, why: &str) {
    let Some(batch) = model.batch.take() else { return };
    let (at, of) = batch.position();
    let service = batch.present().map(|present| present.service.to_string()).unwrap_or_default();
    let verb = batch.verb.word();
    let text = format!("{verb} ended at {service}, {at} of {of}{}", not_begun(&batch));
    let now = model.clock.unix_ms();
    model.events.remark(now, format!("{why}; {text}"));
    model.say(text, true);
}

fn not_begun(batch: &Batch) -> String {
    let rest = batch.rest();
    let more = rest.len().saturating_sub(NAMED);
    let names: Vec<&str> = rest.take(NAMED).map(ServiceName::as_str).collect();
    match (names.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!("; not begun: {}", names.join(", ")),
        (false, more) => format!("; not begun: {} and {more} more", names.join(", ")),
    }
}
