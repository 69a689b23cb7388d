//! What a restart would do, as the daemon says: asked for while the question about it is open.

use smoothserve_protocol::plan::RestartPlan;

use crate::effect::{Effect, Order, Ticket};
use crate::model::question::{Plan, Question, Verb};
use crate::model::{Dirty, Front, Model};

/// Asks when the open question is about the restart of one service, and nothing is known yet.
pub fn ask(model: &mut Model) -> Option<Effect> {
    let Some(Front::Question(question)) = &mut model.front else { return None };
    let wanted = question.verb == Verb::Restart && question.others.is_empty();
    if !wanted || question.plan != Plan::Unknown || !model.connection.is_open() {
        return None;
    }
    let ticket = model.last_ticket.next();
    question.plan = Plan::Asked(ticket);
    Some(Order::Plan { ticket, service: question.service.clone() }.into())
}

/// The daemon answered.
pub fn answered(model: &mut Model, ticket: Ticket, plan: Box<RestartPlan>) {
    let Some(Front::Question(question)) = &mut model.front else { return };
    // Else another question took its place, or it is asked again.
    if question.plan == Plan::Asked(ticket) {
        take(question, plan);
        model.touch(Dirty::ByInput);
    }
}

fn take(question: &mut Question, plan: Box<RestartPlan>) {
    question.limit.set_own(plan.drain_timeout_ms);
    question.plan = Plan::Known(plan);
}
