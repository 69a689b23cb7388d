//! Commands: whether they may be given, the question before them, and the request that they become.

use std::fmt;

use smoothserve_protocol::id::{OperationId, ServiceName};
use smoothserve_protocol::message::{Request, Steer};
use smoothserve_protocol::snapshot::InstanceState;

use crate::action::Action;
use crate::effect::{Effect, Order, Ticket};
use crate::input::Key;
use crate::keymap::Context;
use crate::model::question::{Level, Question, Terms, Verb};
use crate::model::{Dirty, Front, Model, Pending};

/// What a drain is given at a time, in milliseconds.
const EXTENSION: u64 = 60_000;

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
    /// The restart began after the screen was last painted.
    RestartNotSeen,
    /// There is no restart whose course could be changed.
    NoRestart,
    /// How the restart goes was not heard of yet.
    NotHeard,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadOnly => "read-only: actions are off",
            Self::NotLive => "actions off until it is back",
            Self::NoService => "no service selected",
            Self::NotSeen => "the cursor had not been drawn there yet: press again",
            Self::RestartNotSeen => "the restart had not been drawn yet: press again",
            Self::NoRestart => "no rolling restart runs",
            Self::NotHeard => "asking the daemon how the restart goes: press again",
        })
    }
}

/// Why `action` cannot be asked for now; none: it can.
pub fn unavailable(model: &Model, action: Action) -> Option<Unavailable> {
    if !action.is_command() {
        return None;
    }
    if let Some(off) = off(model) {
        return Some(off);
    }
    if action == Action::Confirm {
        // The question knows whom it is about.
        return None;
    }
    match model.target() {
        Some(name) if action.is_steering() => not_steerable(model, name),
        Some(name) if model.world.row(name).is_some() => None,
        Some(_) | None => Some(Unavailable::NoService),
    }
}

/// Why no command can be given at all; none: some can.
pub fn off(model: &Model) -> Option<Unavailable> {
    if model.read_only {
        return Some(Unavailable::ReadOnly);
    }
    (!model.is_live()).then_some(Unavailable::NotLive)
}

/// Why the course of a restart of `name` cannot be changed now; none: it can.
fn not_steerable(model: &Model, name: &ServiceName) -> Option<Unavailable> {
    match (model.world.restart(name), model.world.restart_detail(name)) {
        (None, _) => Some(Unavailable::NoRestart),
        (Some(_), None) => Some(Unavailable::NotHeard),
        (Some(_), Some(_)) => None,
    }
}

/// Gives a command about the service under the cursor, or asks first.
pub fn command(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(service) = commanded(model, action) else { return Vec::new() };
    let verb = match action {
        Action::Restart => Verb::Restart,
        Action::Stop => stop_verb(model, &service),
        Action::Pause => pause_verb(model, &service),
        Action::Cut => Verb::Steer(Steer::Cut),
        _ => return vec![start(model, service)],
    };
    ask(model, verb, &service, Terms::default());
    Vec::new()
}

/// Asks whether to do `verb` to `service`, on these terms.
pub fn ask(model: &mut Model, verb: Verb, service: &ServiceName, terms: Terms) {
    model.front = question(model, verb, service, terms).map(Front::Question);
    model.touch(Dirty::ByInput);
}

/// Starts `service`. That takes nothing away, and is not asked about.
pub fn start(model: &mut Model, service: ServiceName) -> Effect {
    let request = Request::Start { service: service.clone(), wait: false };
    act(model, "start", service, None, request)
}

/// Gives what drains another minute. That loses nothing, and is not asked about.
pub fn extend(model: &mut Model) -> Vec<Effect> {
    let Some(service) = commanded(model, Action::Extend) else { return Vec::new() };
    let operation = model.painted.restart;
    vec![extend_by(model, service, operation, EXTENSION)]
}

/// Gives what drains so many more milliseconds, if this is the restart that runs.
pub fn extend_by(
    model: &mut Model,
    service: ServiceName,
    operation: Option<OperationId>,
    by_ms: u64,
) -> Effect {
    let steer = Steer::Extend { by_ms };
    let request = Request::Steer { service: service.clone(), operation, steer };
    act(model, "extend", service, Some(steer), request)
}

/// The service that `action` is about; none: it cannot be given, and the operator was told why.
fn commanded(model: &mut Model, action: Action) -> Option<ServiceName> {
    let refused = unavailable(model, action).or_else(|| unseen(model, action));
    if let Some(reason) = refused {
        model.say(reason.to_string(), true);
        return None;
    }
    match &model.front {
        Some(Front::Question(question)) => Some(question.service.clone()),
        Some(
            Front::Help { .. }
            | Front::Find(_)
            | Front::Filter { .. }
            | Front::Palette(_)
            | Front::Page(_),
        )
        | None => model.target().cloned(),
    }
}

/// Why what is on the screen is not yet what `action` would be about.
fn unseen(model: &Model, action: Action) -> Option<Unavailable> {
    if let Some(Front::Question(question)) = &model.front {
        return (!question.is_settled(model.clock.now)).then_some(Unavailable::NotSeen);
    }
    let target = model.target();
    if target != model.painted.target.as_ref() {
        return Some(Unavailable::NotSeen);
    }
    let restart = target.and_then(|name| model.world.restart(name));
    let moved = action.is_steering() && restart != model.painted.restart;
    moved.then_some(Unavailable::RestartNotSeen)
}

/// A rolling restart that runs is ended rather than its service.
fn stop_verb(model: &Model, service: &ServiceName) -> Verb {
    let asked = model.context() == Context::Offer;
    match model.world.restart(service) {
        Some(_) if !asked => Verb::Steer(Steer::Abort),
        Some(_) | None => Verb::Stop,
    }
}

/// What is paused goes on.
fn pause_verb(model: &Model, service: &ServiceName) -> Verb {
    Verb::Steer(if is_paused(model, service) { Steer::Resume } else { Steer::Pause })
}

/// Whether the rolling restart of `service` is known to be paused.
pub fn is_paused(model: &Model, service: &ServiceName) -> bool {
    model.world.restart_detail(service).is_some_and(|operation| operation.paused_by.is_some())
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
    let steer = match verb {
        Verb::Steer(steer) => Some(steer),
        Verb::Restart | Verb::Stop => None,
    };
    let request = request(question);
    model.front = None;
    model.touch(Dirty::ByInput);
    vec![act(model, verb.word(), service, steer, request)]
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

fn question(model: &Model, verb: Verb, service: &ServiceName, terms: Terms) -> Option<Question> {
    let serves = model
        .world
        .row(service)?
        .pips
        .iter()
        .any(|pip| matches!(pip.state, InstanceState::Ready | InstanceState::Draining));
    let level = match verb {
        Verb::Stop if serves => Level::Name(String::new()),
        // What loses requests is not one key away.
        Verb::Steer(Steer::Cut) => Level::Name(String::new()),
        Verb::Restart if terms.cuts() => Level::Name(String::new()),
        Verb::Stop | Verb::Restart | Verb::Steer(_) => Level::Key,
    };
    let seen = model.world.seen(service)?;
    Some(Question { terms, ..Question::new(verb, service.clone(), seen, level) })
}

fn request(question: &Question) -> Request {
    let (service, expected) = (question.service.clone(), Some(question.seen.generation));
    match question.verb {
        // Not joined: an operator who asks for a restart must not get one that began before.
        Verb::Restart => {
            let Terms { drain_timeout_ms, on_drain_timeout, .. } = question.terms;
            let (join, wait) = (false, false);
            Request::Restart { service, drain_timeout_ms, on_drain_timeout, expected, join, wait }
        }
        Verb::Stop => {
            let Terms { force, timeout_ms, .. } = question.terms;
            Request::Stop { service, force, timeout_ms, expected, wait: false }
        }
        Verb::Steer(steer) => Request::Steer { service, operation: question.seen.operation, steer },
    }
}

fn act(
    model: &mut Model,
    verb: &'static str,
    service: ServiceName,
    steer: Option<Steer>,
    request: Request,
) -> Effect {
    model.last_ticket = Ticket(model.last_ticket.0 + 1);
    let ticket = model.last_ticket;
    model.pending.insert(ticket, Pending { verb, service, steer });
    Order::Act { ticket, request }.into()
}
