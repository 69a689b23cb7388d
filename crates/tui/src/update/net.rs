//! What the connection reports: the mirror of the daemon, the age of it, the answers to commands.

use smoothserve_protocol::event::EventBatch;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::{Done, Push, Refusal};
use smoothserve_protocol::moved::OverviewMoved;
use smoothserve_protocol::snapshot::{DaemonView, Overview, ServiceDetail};

use super::{batch, list, logs, page, past, plan};
use crate::effect::{Effect, Order, Ticket};
use crate::fmt;
use crate::model::conn::Freshness;
use crate::model::question::Verb;
use crate::model::{Dirty, Front, Model, Screen};
use crate::msg::Report;
use crate::view;
use crate::words;

/// Events asked for when nothing is known yet.
const HISTORY: u32 = 500;

/// Takes in what the connection reports.
pub fn report(model: &mut Model, report: Report) -> Vec<Effect> {
    match report {
        Report::Trying => model.connection.trying(),
        Report::Connected => return connected(model),
        Report::Down { why, failures, retry_in } => {
            let millis = u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX);
            let retry_at = model.clock.now.plus(millis);
            logs::cut_off(model);
            model.connection.down(words::escape(&why).into_owned(), failures, retry_at);
            model.touch(Dirty::ByInput);
        }
        Report::Push(Push::Overview(overview)) => return apply(model, overview),
        Report::Push(Push::OverviewMoved(moved)) => apply_moved(model, moved),
        Report::Push(Push::Service(detail)) => apply_detail(model, detail),
        Report::Push(Push::ServiceMoved(moved)) => {
            model.world.apply_detail_moved(*moved);
            detail_moved(model, Dirty::ByData);
        }
        Report::Push(Push::Events(batch)) | Report::History(batch) => add_events(model, &batch),
        Report::Push(Push::Logs(batch)) => logs::printed(model, batch),
        Report::Receipts { ticket, result } => past::answered(model, ticket, result),
        Report::Logs { ticket, result } => logs::answered(model, ticket, result),
        Report::Push(Push::Bye { reason }) => {
            model.connection.goodbye(model.clock.now, words::escape(&reason).into_owned());
        }
        Report::Plan { ticket, plan } => plan::answered(model, ticket, plan),
        Report::Answered { ticket, result } => {
            if let Some(effects) = batch::answered(model, ticket, &result) {
                return effects;
            }
            answered(model, ticket, result);
        }
        Report::Unanswered { ticket } if batch::unanswered(model, ticket) => {}
        Report::Unanswered { ticket } => {
            page::unanswered(model, ticket);
            if let Some(asked) = model.pending.remove(&ticket) {
                let (verb, service) = (asked.verb.word(), asked.service);
                model.say(format!("{verb} {service}: no answer; look before asking again"), true);
            }
        }
    }
    Vec::new()
}

/// Tells the daemon when another service is looked at.
pub fn refocus(model: &mut Model) -> Option<Effect> {
    let wanted = match (&model.front, &model.screen) {
        (Some(Front::Question(question)), _) => Some(&question.service),
        (_, Screen::Service(name) | Screen::Logs(name)) => Some(name),
        (_, Screen::Overview | Screen::Events | Screen::History(_)) => model.selection.name(),
    };
    if !model.connection.is_open() || wanted == model.focus.as_ref() {
        return None;
    }
    model.focus = wanted.cloned();
    Some(subscribe(model))
}

fn subscribe(model: &Model) -> Effect {
    Order::Subscribe { focus: model.focus.clone(), events_after: model.events.last() }.into()
}

fn connected(model: &mut Model) -> Vec<Effect> {
    if let Freshness::Down { age: Some(age), .. } = model.freshness() {
        let text = format!("connected again after {}", fmt::duration(age));
        model.events.remark(model.clock.unix_ms(), text);
    }
    model.connection.opened();
    model.past.is_stale = true;
    logs::cut_off(model);
    model.touch(Dirty::ByInput);
    let mut effects = vec![subscribe(model)];
    if model.events.last().is_none() {
        effects.push(Order::History { limit: HISTORY }.into());
    }
    effects
}

fn apply(model: &mut Model, overview: Overview) -> Vec<Effect> {
    let now = model.clock.now;
    let replaced = model.world.daemon.as_ref().and_then(|was| replaced_by(was, &overview.daemon));
    let (is_first, was_live) = (model.world.daemon.is_none(), model.is_live());
    model.world.apply(overview);
    model.series.sample(model.world.rows(), now);
    heard(model, was_live);
    if is_first {
        model.selection.go(model.list.shown(), 0);
    }

    let Some(text) = replaced else { return Vec::new() };
    model.events.new_daemon(model.clock.unix_ms(), text);
    model.lost_noted = 0;
    vec![subscribe(model), Order::History { limit: HISTORY }.into()]
}

fn apply_moved(model: &mut Model, moved: OverviewMoved) {
    let (was_live, has_figures) = (model.is_live(), moved.figures.is_some());
    if !model.world.apply_moved(moved) {
        return;
    }
    if has_figures {
        model.series.sample(model.world.rows(), model.clock.now);
    }
    heard(model, was_live);
}

/// The overview is as fresh as can be.
fn heard(model: &mut Model, was_live: bool) {
    if let Some(daemon) = &model.world.daemon {
        model.clock.set(daemon.unix_ms);
    }
    model.connection.heard(model.clock.now);
    check_question(model);
    list::arrange(model);
    model.touch(if was_live { Dirty::ByData } else { Dirty::ByInput });
}

/// What to say if `now` is another daemon than `was`.
fn replaced_by(was: &DaemonView, now: &DaemonView) -> Option<String> {
    let (old, new) = (was.pid, now.pid);
    // A pid may be used again; an uptime never goes back.
    let same = old == new && now.uptime_ms >= was.uptime_ms;
    (!same).then(|| format!("daemon is new (pid {new}, was {old})"))
}

fn apply_detail(model: &mut Model, detail: Option<Box<ServiceDetail>>) {
    let known = model.focus.as_ref().is_some_and(|name| model.world.detail(name).is_some());
    model.world.apply_detail(detail);
    // The operator waits for the first of another service; the others are but news.
    detail_moved(model, if known { Dirty::ByData } else { Dirty::ByInput });
}

fn detail_moved(model: &mut Model, why: Dirty) {
    check_question(model);
    if view::shows_detail(model) {
        model.touch(why);
    }
}

/// The open question is about what the operator saw; if that moved on, it says so.
fn check_question(model: &mut Model) {
    let Some(Front::Question(question)) = &mut model.front else { return };
    let world = &model.world;
    let over = question.subjects().into_iter().find_map(|subject| {
        let service = subject.service;
        match (world.seen(&service), question.steers()) {
            (None, _) => Some(format!("{service} is gone")),
            (Some(now), Some(operation)) if now.operation != Some(operation) => {
                Some(format!("{operation} of {service} has ended"))
            }
            (Some(_), _) => None,
        }
    });
    if let Some(over) = over {
        model.front = None;
        model.say(over, true);
    } else if question.ask_again_if(|service| world.seen(service)) {
        model.touch(Dirty::ByInput);
    }
}

fn add_events(model: &mut Model, batch: &EventBatch) {
    model.events.add(batch);
    past::note(model, batch);
    model.touch(Dirty::ByData);
}

fn answered(model: &mut Model, ticket: Ticket, result: Result<Done, Refusal>) {
    let Some(asked) = model.pending.remove(&ticket) else {
        return page::answered(model, ticket, result);
    };
    let (verb, service) = (asked.verb.word(), &asked.service);
    match result {
        Ok(Done::AlreadySo) => model.say(already(asked.verb, service), false),
        Ok(Done::Begun { operation }) => {
            model.say(format!("{verb} {service}: {operation} began"), false);
        }
        Ok(Done::Steered { operation }) => {
            let course = match asked.verb {
                Verb::Steer(steer) => words::course(operation, steer),
                Verb::Start | Verb::Restart | Verb::Stop | Verb::Kill => String::new(),
            };
            model.say(format!("{service}: {course}"), false);
        }
        Ok(_) => model.say(format!("{verb} {service}: done"), false),
        Err(refusal) => model.say(words::refusal(Some(service), &refusal).what, true),
    }
}

/// What was asked for is so: `api is running already`.
fn already(verb: Verb, service: &ServiceName) -> String {
    let state = match verb {
        Verb::Start => "is running already",
        Verb::Stop | Verb::Kill => "is stopped already",
        Verb::Restart => "is being restarted already",
        Verb::Steer(_) => "goes that way already",
    };
    format!("{service} {state}")
}
