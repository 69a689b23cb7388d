//! Commands: whether they may be given, the question before them, and the request that they become.

use std::fmt;

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::Request;
use smoothserve_protocol::snapshot::{InstanceState, ServiceRow};

use crate::action::Action;
use crate::effect::{Effect, Order, Ticket};
use crate::input::Key;
use crate::model::question::{Level, Question, Verb};
use crate::model::{Dirty, Front, Model, Pending};

/// Why a command cannot be given now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// The console was started to look only.
    ReadOnly,
    /// What is shown is not what is.
    NotLive,
    /// The cursor is on no service.
    NoService,
    /// The cursor went to this service after the screen was last painted.
    NotSeen,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadOnly => "read-only: actions are off",
            Self::NotLive => "actions off until it is back",
            Self::NoService => "no service selected",
            Self::NotSeen => "the cursor had not been drawn there yet: press again",
        })
    }
}

/// Why `action` cannot be asked for now; none: it can.
pub fn unavailable(model: &Model, action: Action) -> Option<Unavailable> {
    if !action.is_command() {
        return None;
    }
    if model.read_only {
        return Some(Unavailable::ReadOnly);
    }
    if !model.is_live() {
        return Some(Unavailable::NotLive);
    }
    if action == Action::Confirm {
        // The question knows whom it is about.
        return None;
    }
    match model.target() {
        Some(name) if model.world.row(name).is_some() => None,
        Some(_) | None => Some(Unavailable::NoService),
    }
}

/// Gives a command about the service under the cursor, or asks first.
pub fn command(model: &mut Model, action: Action) -> Vec<Effect> {
    let seen = model.target() == model.painted_target.as_ref();
    let refused = unavailable(model, action).or((!seen).then_some(Unavailable::NotSeen));
    if let Some(reason) = refused {
        model.say(reason.to_string(), true);
        return Vec::new();
    }
    let Some(row) = model.target().and_then(|name| model.world.row(name)) else {
        return Vec::new();
    };
    let asked = match action {
        Action::Restart => question(Verb::Restart, row),
        Action::Stop => question(Verb::Stop, row),
        _ => {
            let service = row.name.clone();
            let request = Request::Start { service: service.clone(), wait: false };
            return vec![act(model, "start", service, request)];
        }
    };
    model.front = Some(Front::Question(asked));
    model.touch(Dirty::ByInput);
    Vec::new()
}

/// The operator says yes to the open question.
pub fn confirm(model: &mut Model) -> Vec<Effect> {
    if let Some(reason) = unavailable(model, Action::Confirm) {
        model.say(reason.to_string(), true);
        return Vec::new();
    }
    let now = model.clock.now;
    let Some(Front::Question(question)) = &model.front else { return Vec::new() };
    if !question.is_settled(now) || !question.is_matched() {
        return Vec::new();
    }
    let (verb, service) = (question.verb, question.service.clone());
    let request = request(question);
    model.front = None;
    model.touch(Dirty::ByInput);
    vec![act(model, verb.word(), service, request)]
}

/// A letter of the name that confirms. Says whether `key` was one.
pub fn type_name(model: &mut Model, key: Key) -> bool {
    let now = model.clock.now;
    let Some(Front::Question(question)) = &mut model.front else { return false };
    let settled = question.is_settled(now);
    let Level::Name(typed) = &mut question.level else { return false };
    match key {
        // Typed before the question could be read.
        Key::Char(_) | Key::Backspace if !settled => {}
        Key::Char(c) if typed.chars().count() < ServiceName::MAX_CHARS => typed.push(c),
        Key::Char(_) => {}
        Key::Backspace => {
            typed.pop();
        }
        _ => return false,
    }
    model.touch(Dirty::ByInput);
    true
}

fn question(verb: Verb, row: &ServiceRow) -> Question {
    let serves = row
        .pips
        .iter()
        .any(|pip| matches!(pip.state, InstanceState::Ready | InstanceState::Draining));
    let level = match verb {
        Verb::Stop if serves => Level::Name(String::new()),
        Verb::Stop | Verb::Restart => Level::Key,
    };
    Question::new(verb, row.name.clone(), row.generation, level)
}

fn request(question: &Question) -> Request {
    let (service, expected) = (question.service.clone(), Some(question.generation));
    match question.verb {
        // Not joined: an operator who asks for a restart must not get one that began before.
        Verb::Restart => {
            let (drain_timeout_ms, on_drain_timeout) = (None, None);
            let (join, wait) = (false, false);
            Request::Restart { service, drain_timeout_ms, on_drain_timeout, expected, join, wait }
        }
        Verb::Stop => {
            Request::Stop { service, force: false, timeout_ms: None, expected, wait: false }
        }
    }
}

fn act(model: &mut Model, verb: &'static str, service: ServiceName, request: Request) -> Effect {
    model.last_ticket = Ticket(model.last_ticket.0 + 1);
    let ticket = model.last_ticket;
    model.pending.insert(ticket, Pending { verb, service });
    Order::Act { ticket, request }.into()
}
