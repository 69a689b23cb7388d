//! Commands: whether they may be given, the question before them, and the request that they become.

use std::fmt;

use smoothserve_protocol::id::{OperationId, ServiceName};
use smoothserve_protocol::message::{Request, Steer};
use smoothserve_protocol::snapshot::{InstanceState, OperationKind};

use super::batch;
use crate::action::Action;
use crate::effect::{Effect, Order};
use crate::input::Key;
use crate::keymap::Context;
use crate::model::limit::Limit;
use crate::model::question::{Level, Plan, Question, Subject, Terms, Verb};
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
    /// Nothing drains that could be cut.
    NothingDrains,
    /// The marks are others than those that were last painted.
    MarksNotSeen,
    /// No marked service is in the list as it is filtered.
    MarksHidden,
    /// Services are marked, and this is about one alone.
    OneAtATime,
    /// Another batch is under way.
    BatchRuns,
    /// What runs on the service has to end first.
    Busy(OperationKind),
    /// What the open question asks for would be refused.
    WouldBeRefused,
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
            Self::NothingDrains => "nothing drains now",
            Self::MarksNotSeen => "the marks had not been drawn yet: press again",
            Self::MarksHidden => "no marked service is shown: esc shows all",
            Self::OneAtATime => "that is about one service alone: take the marks away first",
            Self::BatchRuns => "a batch is under way: E ends it",
            Self::Busy(OperationKind::Restart) => {
                "a rolling restart is under way; x aborts it, or wait for its end"
            }
            Self::Busy(OperationKind::Start) => "a start is under way; wait for its end",
            Self::Busy(OperationKind::Stop) => "a stop is under way; wait for its end",
            Self::WouldBeRefused => "the daemon would refuse it: esc closes this",
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
        let Some(Front::Question(question)) = &model.front else { return None };
        return is_refused(model, question).then_some(Unavailable::WouldBeRefused);
    }
    if is_about_marks(model, action) {
        return not_for_marks(model, action);
    }
    match model.target() {
        Some(name) if is_kill(model, name, action) => None,
        Some(name) if action.is_steering() => not_steerable(model, name, action),
        Some(name) if action == Action::Restart && busy(model, name).is_some() => busy(model, name),
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

/// What a restart of `name` has to wait for; none: nothing.
pub fn busy(model: &Model, name: &ServiceName) -> Option<Unavailable> {
    let operation = model.world.row(name)?.operation?;
    Some(Unavailable::Busy(operation.kind))
}

/// Whether the daemon would not do what `question` asks for, as far as that is known.
pub fn is_refused(model: &Model, question: &Question) -> bool {
    let has_problem = matches!(&question.plan, Plan::Known(plan) if plan.problem.is_some());
    let is_restart = question.verb == Verb::Restart && question.others.is_empty();
    is_restart && (has_problem || busy(model, &question.service).is_some())
}

/// Why the course of a restart of `name` cannot be changed now; none: it can.
fn not_steerable(model: &Model, name: &ServiceName, action: Action) -> Option<Unavailable> {
    match (model.world.restart(name), model.world.restart_detail(name)) {
        (None, _) => Some(Unavailable::NoRestart),
        (Some(_), None) => Some(Unavailable::NotHeard),
        (Some(_), Some(_)) => {
            let cuts_nothing = action == Action::Cut && model.world.draining(name).is_empty();
            cuts_nothing.then_some(Unavailable::NothingDrains)
        }
    }
}

/// Whether `action` ends `name` at once: where no restart runs, there is no drain of its to cut.
fn is_kill(model: &Model, name: &ServiceName, action: Action) -> bool {
    let ends = match action {
        Action::Kill => true,
        Action::Cut => model.world.restart(name).is_none(),
        _ => false,
    };
    ends && model.world.row(name).is_some()
}

/// Whether `action` is about the marked services rather than the one under the cursor.
fn is_about_marks(model: &Model, action: Action) -> bool {
    model.marks() > 0 && (action.is_for_several() || action == Action::Kill)
}

/// Why `action` cannot be about the marked services now; none: it can.
fn not_for_marks(model: &Model, action: Action) -> Option<Unavailable> {
    if action == Action::Kill {
        return Some(Unavailable::OneAtATime);
    }
    if model.batch.is_some() {
        return Some(Unavailable::BatchRuns);
    }
    model.list.marked().next().is_none().then_some(Unavailable::MarksHidden)
}

/// Gives a command about the service under the cursor or the marked ones, or asks first.
pub fn command(model: &mut Model, action: Action) -> Vec<Effect> {
    let Some(services) = commanded(model, action) else { return Vec::new() };
    let Some(first) = services.first() else { return Vec::new() };
    let verb = match action {
        Action::Restart => Verb::Restart,
        Action::Stop if services.len() > 1 => Verb::Stop,
        Action::Stop => stop_verb(model, first),
        Action::Kill => Verb::Kill,
        Action::Cut if is_kill(model, first, action) => Verb::Kill,
        Action::Cut => Verb::Steer(Steer::Cut),
        Action::Pause => pause_verb(model, first),
        _ => Verb::Start,
    };
    ask(model, verb, &services, Terms::default())
}

/// Asks whether to do `verb` to `services`, one after another, on these terms; a start takes nothing
/// away, and is not asked about.
pub fn ask(model: &mut Model, verb: Verb, services: &[ServiceName], terms: Terms) -> Vec<Effect> {
    let subjects: Option<Vec<Subject>> =
        services.iter().map(|service| subject(model, service)).collect();
    let Some(subjects) = subjects else { return Vec::new() };
    if verb == Verb::Start {
        return carry_out(model, verb, terms, subjects);
    }
    model.front = question(model, verb, subjects, terms).map(Front::Question);
    model.touch(Dirty::ByInput);
    Vec::new()
}

fn subject(model: &Model, service: &ServiceName) -> Option<Subject> {
    Some(Subject { service: service.clone(), seen: model.world.seen(service)? })
}

/// Gives what drains another minute. That loses nothing, and is not asked about.
pub fn extend(model: &mut Model) -> Vec<Effect> {
    let services = commanded(model, Action::Extend).unwrap_or_default();
    let Some(service) = services.into_iter().next() else { return Vec::new() };
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
    act(model, Verb::Steer(steer), service, request)
}

/// The services that `action` is about, in the order shown; none: it cannot be given, and the
/// operator was told why.
fn commanded(model: &mut Model, action: Action) -> Option<Vec<ServiceName>> {
    let refused = unavailable(model, action).or_else(|| unseen(model, action));
    if let Some(reason) = refused {
        model.say(reason.to_string(), true);
        return None;
    }
    if let Some(Front::Question(question)) = &model.front {
        return Some(vec![question.service.clone()]);
    }
    if is_about_marks(model, action) {
        return Some(model.marked());
    }
    Some(vec![model.target()?.clone()])
}

/// Why what is on the screen is not yet what `action` would be about.
fn unseen(model: &Model, action: Action) -> Option<Unavailable> {
    if let Some(Front::Question(question)) = &model.front {
        return (!question.is_settled(model.clock.now)).then_some(Unavailable::NotSeen);
    }
    let (marks, marked) = (model.marks(), model.marked());
    if action.is_for_several() && (marks, &marked) != (model.painted.marks, &model.painted.marked) {
        return Some(Unavailable::MarksNotSeen);
    }
    if is_about_marks(model, action) {
        return None;
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
    let (verb, terms, subjects) = (question.verb, question.agreed(), question.subjects());
    if subjects.len() > 1 && model.batch.is_some() {
        model.say(Unavailable::BatchRuns.to_string(), true);
        return Vec::new();
    }
    model.front = None;
    model.touch(Dirty::ByInput);
    carry_out(model, verb, terms, subjects)
}

/// What the operator agreed to, or need not be asked about.
fn carry_out(model: &mut Model, verb: Verb, terms: Terms, subjects: Vec<Subject>) -> Vec<Effect> {
    match &subjects[..] {
        [subject] => {
            let request = request(verb, subject, terms, false);
            vec![act(model, verb, subject.service.clone(), request)]
        }
        _ => batch::begin(model, verb, terms, subjects),
    }
}

/// Makes the drain limit of the restart that is asked about longer or shorter.
pub fn change_limit(model: &mut Model, action: Action) {
    let now = model.clock.now;
    let Some(Front::Question(question)) = &mut model.front else { return };
    question.change_limit(now, |limit| match action {
        Action::ShorterLimit => limit.shorten(),
        _ => limit.lengthen(),
    });
    model.touch(Dirty::ByInput);
}

/// A letter of the name, or of the number, that confirms. Says whether `key` was one.
pub fn type_name(model: &mut Model, key: Key) -> bool {
    let now = model.clock.now;
    let Some(Front::Question(question)) = &mut model.front else { return false };
    let settled = question.is_settled(now);
    let (Level::Name(typed) | Level::Count(typed)) = &mut question.level else { return false };
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

fn question(model: &Model, verb: Verb, subjects: Vec<Subject>, terms: Terms) -> Option<Question> {
    let mut subjects = subjects.into_iter();
    let Subject { service, seen } = subjects.next()?;
    let others: Vec<Subject> = subjects.collect();
    let level = match verb {
        Verb::Stop if !others.is_empty() => Level::Count(String::new()),
        Verb::Stop if serves(model, &service) => Level::Name(String::new()),
        // What loses requests is not one key away.
        Verb::Kill | Verb::Steer(Steer::Cut) => Level::Name(String::new()),
        Verb::Restart if terms.cuts() => Level::Name(String::new()),
        Verb::Start | Verb::Stop | Verb::Restart | Verb::Steer(_) => Level::Key,
    };
    let limit = Limit::wanting(terms.drain_timeout_ms);
    Some(Question { others, terms, limit, ..Question::new(verb, service, seen, level) })
}

fn serves(model: &Model, service: &ServiceName) -> bool {
    let pips = model.world.row(service).into_iter().flat_map(|row| &row.pips);
    pips.into_iter().any(|pip| matches!(pip.state, InstanceState::Ready | InstanceState::Draining))
}

/// The request that does `verb` to `subject`, answered when that has ended if somebody `wait`s.
pub fn request(verb: Verb, subject: &Subject, terms: Terms, wait: bool) -> Request {
    let (service, expected) = (subject.service.clone(), Some(subject.seen.generation));
    match verb {
        Verb::Start => Request::Start { service, wait },
        // Not joined: an operator who asks for a restart must not get one that began before.
        Verb::Restart => {
            let Terms { drain_timeout_ms, on_drain_timeout, .. } = terms;
            let join = false;
            Request::Restart { service, drain_timeout_ms, on_drain_timeout, expected, join, wait }
        }
        Verb::Stop | Verb::Kill => {
            let (force, timeout_ms) = (verb == Verb::Kill, terms.timeout_ms);
            Request::Stop { service, force, timeout_ms, expected, wait }
        }
        Verb::Steer(steer) => Request::Steer { service, operation: subject.seen.operation, steer },
    }
}

fn act(model: &mut Model, verb: Verb, service: ServiceName, request: Request) -> Effect {
    let ticket = model.last_ticket.next();
    model.pending.insert(ticket, Pending { verb, service });
    Order::Act { ticket, request }.into()
}
