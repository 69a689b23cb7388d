//! What a question says: consequences in numbers, and what happened last time.

use smoothserve_protocol::message::Steer;
use smoothserve_protocol::plan::{RestartOrder, RestartPlan};
use smoothserve_protocol::snapshot::{
    OnDrainTimeout, OperationSummary, ServiceRow, ServiceState, Traffic,
};

use super::confirm::Line;
use super::steps;
use crate::fmt::{count, plural, rate};
use crate::model::Model;
use crate::model::limit;
use crate::model::question::{Level, Plan, Question, Subject, Verb};
use crate::update::ops::{busy, is_refused};
use crate::words::{blocker, cause, escape, instance_name, ready};

/// What an abort does to the instances.
const ABORTS: &str = "What drains takes requests again, what was told to exit is brought back, and no \
     other instance is touched.";

/// Of several services, so many are named.
const NAMED: usize = 12;

/// What is asked, in a line.
pub fn title(model: &Model, question: &Question) -> String {
    let name = &question.service;
    let rows = rows(model, question);
    let serves = rows.iter().any(|row| ready(row) > 0);
    match (question.verb, question.size()) {
        (Verb::Restart, 1) => match &question.plan {
            Plan::Known(plan) => format!("Restart {name}, {} to {}?", plan.from, plan.to),
            // Which one comes next is the daemon's to say: a halted restart has used one up.
            Plan::Unknown | Plan::Asked(_) => {
                format!("Restart {name}, now on {}?", question.seen.generation)
            }
        },
        (Verb::Restart, size) => format!("Restart {size} services, one after another?"),
        (Verb::Start, 1) => format!("Start {name}?"),
        (Verb::Start, size) => format!("Start {size} services?"),
        (Verb::Stop, 1) if serves => format!("Stop {name}?  This takes a live service down."),
        (Verb::Stop, 1) => format!("Stop {name}?"),
        (Verb::Stop, size) if serves => {
            format!("Stop {size} services?  This takes live services down.")
        }
        (Verb::Stop, size) => format!("Stop {size} services?"),
        (Verb::Kill, _) => match inside(&sum(&rows)) {
            Some(inside) => format!("Kill {name} now?  This loses {inside}."),
            None => format!("Kill {name} now?"),
        },
        (Verb::Steer(Steer::Pause), _) => format!("Pause the restart of {name}?"),
        (Verb::Steer(Steer::Resume), _) => format!("Go on with the restart of {name}?"),
        (Verb::Steer(Steer::Abort), _) => format!("End the restart of {name} here?"),
        (Verb::Steer(Steer::Extend { .. }), _) => format!("Give {name} more time?"),
        (Verb::Steer(Steer::Cut), _) => format!("Cut requests of {name}?  They are lost."),
    }
}

/// All that the box says.
pub fn lines(model: &Model, question: &Question) -> Vec<Line> {
    let mut lines = vec![Line::Blank];
    if !question.moved.is_empty() {
        lines.extend(question.moved.iter().filter_map(|was| moved(question, was)));
        lines.push(Line::Blank);
    }
    let rows = rows(model, question);
    lines.extend(match &rows[..] {
        [] => Vec::new(),
        [row] => about_one(model, question, row),
        rows => about_several(question, rows),
    });
    lines.push(Line::Blank);
    let refused = is_refused(model, question);
    if let Level::Name(typed) | Level::Count(typed) = &question.level
        && !refused
    {
        lines.extend([Line::Typed(typed.clone()), Line::Blank]);
    }
    let command = command(question).filter(|_| !refused);
    if let Some(command) = command {
        lines.extend([Line::Command(format!("same as  smoothtool {command}")), Line::Blank]);
    }
    lines.extend([Line::Buttons, Line::Blank]);
    lines
}

/// The services it is about, as they are now.
fn rows<'a>(model: &'a Model, question: &Question) -> Vec<&'a ServiceRow> {
    let subjects = question.subjects();
    subjects.iter().filter_map(|subject| model.world.row(&subject.service)).collect()
}

/// What changed while the question was open.
fn moved(question: &Question, was: &Subject) -> Option<Line> {
    let now = question.seen_of(&was.service)?;
    if let Verb::Steer(_) = question.verb {
        return Some(Line::Warning("Other instances drain than a moment ago.".to_owned()));
    }
    let who = if question.size() == 1 { "It" } else { was.service.as_str() };
    let (from, to) = (was.seen.generation, now.generation);
    Some(Line::Warning(format!("{who} moved on from {from} to {to} meanwhile.")))
}

/// The command that does the same; none: it would name too many services.
fn command(question: &Question) -> Option<String> {
    let subjects = question.subjects();
    let names: Vec<&str> = subjects.iter().map(|one| one.service.as_str()).collect();
    if names.len() > NAMED {
        return None;
    }
    let (word, names) = (question.verb.word(), names.join(" "));
    let words = match question.verb {
        Verb::Start | Verb::Stop | Verb::Restart => {
            return Some(format!("{word} {names}{}", question.agreed().options()));
        }
        Verb::Kill => return Some(format!("stop {names} --force --yes")),
        Verb::Steer(Steer::Extend { by_ms }) => format!("drain {names} --extend {by_ms}ms"),
        Verb::Steer(Steer::Cut) => format!("drain {names} --cut --yes"),
        Verb::Steer(_) => format!("{word} {names}"),
    };
    Some(match question.seen.operation {
        Some(operation) => format!("{words} --operation {operation}"),
        None => words,
    })
}

fn about_one(model: &Model, question: &Question, row: &ServiceRow) -> Vec<Line> {
    match question.verb {
        Verb::Restart => restart(model, question, row),
        Verb::Start => Vec::new(),
        Verb::Stop => stop(model, question, row),
        Verb::Kill => kill(model, row),
        Verb::Steer(steer) => steering(model, row, steer),
    }
}

fn about_several(question: &Question, rows: &[&ServiceRow]) -> Vec<Line> {
    let named: Vec<&str> = rows.iter().take(NAMED).map(|row| row.name.as_str()).collect();
    let names = match rows.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    };
    let mut lines = vec![Line::Text(names), Line::Blank];
    let all = sum(rows);
    let instances = rows.iter().map(|row| row.pips.len()).sum::<usize>();
    if question.verb == Verb::Stop {
        lines.push(Line::Text(drain_and_stop(instances)));
        lines.extend(cut_after(question));
        if all.milli_rps > 0 {
            let rate = rate(all.milli_rps);
            lines.push(Line::Text(format!("{rate} requests a second will answer 503.")));
        }
    } else {
        let instances = plural(instances as u64, "instance");
        lines.push(Line::Text(format!("{instances}, each service one at a time.")));
        lines.extend(finished(question, None, all.in_flight));
    }
    lines.push(Line::Text("In this order; ends at the first that fails.".to_owned()));
    let refused = rows.iter().filter_map(|row| refused(question.verb, row));
    lines.extend(refused.take(3).map(Line::Warning));
    lines
}

/// Why the daemon will not do it, as far as that is known.
fn refused(verb: Verb, row: &ServiceRow) -> Option<String> {
    let name = &row.name;
    match (verb, &row.operation) {
        (Verb::Restart, Some(operation)) => {
            Some(format!("{name}: {} runs already; it ends there.", operation.id))
        }
        (Verb::Restart, None) if row.state == ServiceState::Stopped => {
            Some(format!("{name} is stopped; it ends there."))
        }
        _ => None,
    }
}

/// The figures of several services together.
fn sum(rows: &[&ServiceRow]) -> Traffic {
    rows.iter().fold(Traffic::default(), |sum, row| Traffic {
        in_flight: sum.in_flight.saturating_add(row.traffic.in_flight),
        tunnels: sum.tunnels.saturating_add(row.traffic.tunnels),
        milli_rps: sum.milli_rps.saturating_add(row.traffic.milli_rps),
        ..sum
    })
}

/// What is inside; none: nothing.
fn inside(traffic: &Traffic) -> Option<String> {
    let requests = plural(traffic.in_flight, "request");
    let tunnels = plural(traffic.tunnels, "tunnel");
    match (traffic.in_flight, traffic.tunnels) {
        (0, 0) => None,
        (_, 0) => Some(requests),
        (0, _) => Some(tunnels),
        _ => Some(format!("{requests} and {tunnels}")),
    }
}

fn steering(model: &Model, row: &ServiceRow, steer: Steer) -> Vec<Line> {
    let Some(operation) = model.world.restart_detail(&row.name) else { return Vec::new() };
    let OperationSummary { id, done, of, .. } = operation.summary;
    let so_far = format!("{done} of {of} are replaced.");
    match steer {
        Steer::Pause => vec![
            Line::Text(format!("{id} finishes the turn under way and begins no other.")),
            Line::Text(format!("{so_far} It waits until somebody resumes it.")),
        ],
        Steer::Resume => {
            let paused = operation.paused_by.as_ref();
            let by = paused.map_or_else(String::new, |by| format!(" It was paused {}.", cause(by)));
            vec![Line::Text(format!("{id} goes on: {so_far}{by}"))]
        }
        Steer::Abort => vec![
            Line::Text(format!("{id} ends at the nearest safe point: {so_far}")),
            Line::Text(ABORTS.to_owned()),
            Line::Blank,
            Line::Text("No request is cut.  x stops the whole service instead.".to_owned()),
        ],
        Steer::Extend { .. } => Vec::new(),
        Steer::Cut => cut(model, row),
    }
}

/// What would be lost, the oldest first.
fn cut(model: &Model, row: &ServiceRow) -> Vec<Line> {
    const NAMED: usize = 3;
    let instances = model.world.detail(&row.name).into_iter().flat_map(|detail| &detail.instances);
    let draining: Vec<_> = instances.filter(|one| one.drain.is_some()).collect();
    if draining.is_empty() {
        return vec![Line::Text("No instance is known to drain now.".to_owned())];
    }
    let mut lines = Vec::new();
    for instance in draining {
        let name = instance_name(row, instance.slot);
        let (in_flight, tunnels) = (instance.in_flight.into(), instance.tunnels.into());
        let inside = inside(&Traffic { in_flight, tunnels, ..Traffic::default() });
        lines.push(match inside {
            Some(inside) => Line::Warning(format!("{inside} inside {name}: cut at once.")),
            None => Line::Text(format!("Nothing is inside {name} now.")),
        });
        let blockers = instance.drain.iter().flat_map(|drain| &drain.blockers);
        lines.extend(blockers.take(NAMED).map(|one| Line::Text(format!("  {}", blocker(one)))));
    }
    lines
}

fn restart(model: &Model, question: &Question, row: &ServiceRow) -> Vec<Line> {
    if let Some(why) = busy(model, &row.name) {
        return vec![Line::Warning(format!("It would be refused: {why}."))];
    }
    let plan = match &question.plan {
        Plan::Known(plan) => Some(plan.as_ref()),
        Plan::Unknown | Plan::Asked(_) => None,
    };
    let mut lines = vec![Line::Text(order(row, plan))];
    lines.extend(finished(question, plan, row.traffic.in_flight));
    let detail = model.world.detail(&row.name);
    if let Some(last) = detail.and_then(|detail| detail.receipts.first()) {
        lines.push(Line::Text(format!("Last time: {}.", steps::result(last))));
    }
    if let Some(problem) = plan.and_then(|plan| plan.problem.as_deref()) {
        lines.push(Line::Warning(format!("It would be refused: {}.", escape(problem))));
    }
    lines
}

/// What is waited for, how long, and what becomes of that which takes longer.
fn finished(question: &Question, plan: Option<&RestartPlan>, in_flight: u64) -> Vec<Line> {
    let limit = question.limit.effective().map(limit::text);
    let up_to = limit.as_ref().map(|limit| format!(", up to {limit}")).unwrap_or_default();
    let first = match in_flight {
        0 => None,
        1 => Some(format!("1 in flight is finished first{up_to}.")),
        n if up_to.is_empty() => Some(format!("{} in flight are finished first.", count(n))),
        n => Some(format!("{} in flight are finished first{up_to} each.", count(n))),
    };
    let longer = match (&first, limit) {
        (None, Some(limit)) => format!("A request that takes longer than {limit}"),
        (None, None) => "A request that takes longer than its limit".to_owned(),
        (Some(_), _) => "What takes longer".to_owned(),
    };
    first.map(Line::Text).into_iter().chain(outlived(question, plan, &longer)).collect()
}

/// In what order instances are replaced, and how many stay ready.
fn order(row: &ServiceRow, plan: Option<&RestartPlan>) -> String {
    let instances = row.pips.len();
    if plan.is_some_and(|plan| plan.order == RestartOrder::StartFirst) {
        let instances = plural(instances as u64, "instance");
        return format!("{instances}, each replaced when its successor is ready.");
    }
    let out = plan.map_or(1, |plan| usize::from(plan.max_unavailable).max(1));
    let at_a_time = if out == 1 { "one".to_owned() } else { out.to_string() };
    match (instances, ready(row).saturating_sub(out)) {
        (1, 0) => "1 instance. Requests wait while it is away.".to_owned(),
        (_, 0) => {
            format!(
                "{instances} instances, {at_a_time} at a time. Requests wait while none is ready."
            )
        }
        (_, 1) => format!("{instances} instances, {at_a_time} at a time. At least 1 stays ready."),
        (_, stay) => {
            format!("{instances} instances, {at_a_time} at a time. At least {stay} stay ready.")
        }
    }
}

/// What becomes of requests that take longer.
fn outlived(question: &Question, plan: Option<&RestartPlan>, longer: &str) -> Option<Line> {
    let usual = plan.map(|plan| plan.on_drain_timeout);
    Some(match question.terms.on_drain_timeout.or(usual)? {
        OnDrainTimeout::Abort => Line::Text(format!("{longer} ends the restart. Nothing is lost.")),
        OnDrainTimeout::Wait => Line::Text(format!("{longer} is waited for. Nothing is lost.")),
        OnDrainTimeout::Cut => Line::Warning(format!("{longer} is cut, and lost.")),
    })
}

/// What a stop does to so many instances.
fn drain_and_stop(instances: usize) -> String {
    all_of(instances, "drains, then stops.", "drain, then stop.")
}

/// All of so many instances, and what one of them does, or several.
fn all_of(instances: usize, one: &str, several: &str) -> String {
    match instances {
        1 => format!("1 instance {one}"),
        2 => format!("Both instances {several}"),
        n => format!("All {n} instances {several}"),
    }
}

fn stop(model: &Model, question: &Question, row: &ServiceRow) -> Vec<Line> {
    let mut lines = vec![
        Line::Text(drain_and_stop(row.pips.len())),
        Line::Text(format!("{} 503 until it is started again.", names(model, row))),
    ];
    lines.extend(cut_after(question));
    if row.traffic.milli_rps > 0 {
        let rate = rate(row.traffic.milli_rps);
        lines.push(Line::Blank);
        lines.push(Line::Text(format!("{rate} requests a second go there now.")));
    }
    lines
}

/// What a stop does not wait for.
fn cut_after(question: &Question) -> Option<Line> {
    let limit = limit::text(question.terms.timeout_ms?);
    Some(Line::Warning(format!("What is inside after {limit} is cut, and lost.")))
}

fn kill(model: &Model, row: &ServiceRow) -> Vec<Line> {
    let instances = all_of(row.pips.len(), "ends now", "end now");
    let lost = match inside(&row.traffic) {
        Some(inside) => Line::Warning(format!("{inside} inside: cut at once, and lost.")),
        None => Line::Text("Nothing is inside now; what comes meanwhile is lost.".to_owned()),
    };
    vec![
        Line::Text(format!("{instances}. Nothing is drained.")),
        lost,
        Line::Text(format!("{} 503 until it is started again.", names(model, row))),
        Line::Blank,
        Line::Text("x drains first, and loses nothing.".to_owned()),
    ]
}

/// The names that requests come in by, and that they will answer.
fn names(model: &Model, row: &ServiceRow) -> String {
    let Some(detail) = model.world.detail(&row.name) else { return "It will answer".to_owned() };
    match detail.server_names.as_slice() {
        [] => format!("{} will answer", escape(&detail.listen)),
        [only] => format!("{} will answer", escape(only)),
        [first, more @ ..] => {
            format!("{} and {} will answer", escape(first), plural(more.len() as u64, "other name"))
        }
    }
}
