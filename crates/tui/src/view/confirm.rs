//! The question before a command: consequences in numbers, and what happened last time.

use ratatui::layout::Rect;
use smoothserve_protocol::message::Steer;
use smoothserve_protocol::snapshot::{OnDrainTimeout, OperationSummary, ServiceRow};

use super::steps;
use crate::fmt::{count, plural, rate, took};
use crate::model::Model;
use crate::model::question::{Level, Question, Seen, Terms, Verb};
use crate::style::Role;
use crate::widgets::rows::columns;
use crate::widgets::{Canvas, Pen};
use crate::words::{blocker, cause, escape, instance_name, ready};

/// The width of the box, its sides included.
const WIDTH: u16 = 60;
/// Blank columns inside either side.
const MARGIN: u16 = 2;

/// What an abort does to the instances.
const ABORTS: &str = "What drains takes requests again, what was told to exit is brought back, and no \
     other instance is touched.";

/// One row inside the box.
enum Line {
    Blank,
    Text(String),
    Warning(String),
    /// The name, as far as it is typed.
    Typed(String),
    Buttons,
}

/// Draws the box in the middle of `area`, never beyond it.
pub fn draw(model: &Model, question: &Question, canvas: &mut Canvas<'_>, area: Rect) {
    // The hints stay in sight.
    let room = area.height.saturating_sub(1);
    let width = WIDTH.min(area.width);
    let lines = wrapped(lines(model, question), width.saturating_sub(2 * (1 + MARGIN)));
    let lines = fitting(lines, usize::from(room.saturating_sub(2)));
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let height = rows.min(room);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + ((area.height - height) / 2).min(10),
        width,
        height,
    };
    canvas.clear(place);
    canvas.pen(place, 0).to(1).say(&title(model, question), Role::Strong);
    for (row, line) in (1..height.saturating_sub(1)).zip(&lines) {
        let mut pen = canvas.pen(place, row);
        let side = pen.look().glyphs.side;
        pen.say(side, Role::Quiet);
        draw_line(question, line, &mut pen);
        let mut pen = canvas.pen(place, row);
        pen.to(width.saturating_sub(1)).say(side, Role::Quiet);
    }
    let mut pen = canvas.pen(place, height.saturating_sub(1));
    let rule = pen.look().glyphs.rule.repeat(usize::from(width));
    pen.say(&rule, Role::Quiet);
}

/// The lines that are worth it when there is room for `room` only.
fn fitting(mut lines: Vec<Line>, room: usize) -> Vec<Line> {
    if lines.len() > room {
        lines.retain(|line| !matches!(line, Line::Blank));
    }
    // The first lines are the consequences and the last ones the answer; hints teach.
    while lines.len() > room.max(3) {
        lines.remove(lines.len() - 2);
    }
    lines
}

fn title(model: &Model, question: &Question) -> String {
    let name = &question.service;
    let serves = model.world.row(name).is_some_and(|row| ready(row) > 0);
    match question.verb {
        Verb::Restart => {
            // Which one comes next is the daemon's to say: a halted restart has used one up.
            format!("Restart {name}, now on {}?", question.seen.generation)
        }
        Verb::Stop if serves => format!("Stop {name}?  This takes a live service down."),
        Verb::Stop => format!("Stop {name}?"),
        Verb::Steer(Steer::Pause) => format!("Pause the restart of {name}?"),
        Verb::Steer(Steer::Resume) => format!("Go on with the restart of {name}?"),
        Verb::Steer(Steer::Abort) => format!("End the restart of {name} here?"),
        Verb::Steer(Steer::Extend { .. }) => format!("Give {name} more time?"),
        Verb::Steer(Steer::Cut) => format!("Cut requests of {name}?  They are lost."),
    }
}

fn lines(model: &Model, question: &Question) -> Vec<Line> {
    let mut lines = vec![Line::Blank];
    if let Some(was) = &question.moved_from {
        lines.extend([Line::Warning(moved(question, was)), Line::Blank]);
    }
    if let Some(row) = model.world.row(&question.service) {
        lines.extend(match question.verb {
            Verb::Restart => restart(model, row),
            Verb::Stop => stop(model, row),
            Verb::Steer(steer) => steering(model, row, steer),
        });
        lines.extend(terms(question.terms, row));
        lines.push(Line::Blank);
    }
    if let Level::Name(typed) = &question.level {
        lines.extend([Line::Typed(typed.clone()), Line::Blank]);
    }
    lines.push(Line::Text(format!("same as  smoothtool {}", command(question))));
    lines.extend([Line::Blank, Line::Buttons, Line::Blank]);
    lines
}

/// What is not as usual.
fn terms(terms: Terms, row: &ServiceRow) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(limit) = terms.drain_timeout_ms {
        lines.push(Line::Text(format!("They have {} to end.", took(limit))));
    }
    match terms.on_drain_timeout {
        None => {}
        Some(OnDrainTimeout::Abort) => {
            lines.push(Line::Text("What outlives that ends the restart, and is kept.".to_owned()));
        }
        Some(OnDrainTimeout::Wait) => {
            lines.push(Line::Text("What outlives that is waited for.".to_owned()));
        }
        Some(OnDrainTimeout::Cut) => {
            lines.push(Line::Warning("What outlives that is cut: it is lost.".to_owned()));
        }
    }
    if let Some(limit) = terms.timeout_ms {
        let text = format!("What is still inside after {} is cut: it is lost.", took(limit));
        lines.push(Line::Warning(text));
    }
    if terms.force {
        let inside = plural(row.traffic.in_flight, "request");
        lines.push(Line::Warning(format!("{inside} inside: cut at once.")));
    }
    lines
}

/// What changed while the question was open.
fn moved(question: &Question, was: &Seen) -> String {
    match question.verb {
        Verb::Restart | Verb::Stop => {
            format!(
                "It moved on from {} to {} meanwhile.",
                was.generation, question.seen.generation
            )
        }
        Verb::Steer(_) => "Other instances drain than a moment ago.".to_owned(),
    }
}

/// The command that does the same.
fn command(question: &Question) -> String {
    let name = &question.service;
    let words = match question.verb {
        Verb::Restart | Verb::Stop => {
            return format!("{} {name}{}", question.verb.word(), question.terms.options());
        }
        Verb::Steer(Steer::Extend { by_ms }) => format!("drain {name} --extend {by_ms}ms"),
        Verb::Steer(Steer::Cut) => format!("drain {name} --cut --yes"),
        Verb::Steer(_) => format!("{} {name}", question.verb.word()),
    };
    match question.seen.operation {
        Some(operation) => format!("{words} --operation {operation}"),
        None => words,
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
        let tunnels = match instance.tunnels {
            0 => String::new(),
            tunnels => format!(" and {}", plural(tunnels, "tunnel")),
        };
        let inside = plural(instance.in_flight, "request") + &tunnels;
        lines.push(Line::Warning(format!("{inside} inside {name}: cut at once.")));
        let blockers = instance.drain.iter().flat_map(|drain| &drain.blockers);
        lines.extend(blockers.take(NAMED).map(|one| Line::Text(format!("  {}", blocker(one)))));
    }
    lines
}

fn restart(model: &Model, row: &ServiceRow) -> Vec<Line> {
    let instances = row.pips.len();
    let ready = ready(row);
    let order = match ready {
        0 | 1 => {
            format!("{}. Requests wait while it is away.", plural(instances as u64, "instance"))
        }
        2 => format!("{instances} instances, one at a time. At least 1 stays ready."),
        _ => format!("{instances} instances, one at a time. At least {} stay ready.", ready - 1),
    };
    let inside = format!("{} in flight are finished first.", count(row.traffic.in_flight));
    let mut lines = vec![Line::Text(order), Line::Text(inside)];
    let detail = model.world.detail(&row.name);
    if let Some(last) = detail.and_then(|detail| detail.receipts.first()) {
        lines.push(Line::Text(format!("Last time: {}.", steps::result(last))));
    }
    if let Some(operation) = &row.operation {
        let text = format!("{} runs already; this will be refused.", operation.id);
        lines.push(Line::Warning(text));
    }
    lines
}

fn stop(model: &Model, row: &ServiceRow) -> Vec<Line> {
    let instances = plural(row.pips.len() as u64, "instance");
    let mut lines = vec![
        Line::Text(format!("All {instances} drain, then stop.")),
        Line::Text(format!("{} 503 until it is started again.", names(model, row))),
    ];
    if row.traffic.milli_rps > 0 {
        let rate = rate(row.traffic.milli_rps);
        lines.push(Line::Blank);
        lines.push(Line::Text(format!("{rate} requests a second go there now.")));
    }
    lines
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

/// `lines`, with those of text that are too long for `width` columns in several.
fn wrapped(lines: Vec<Line>, width: u16) -> Vec<Line> {
    let wrap = |line| match line {
        Line::Text(text) => in_lines(&text, width).into_iter().map(Line::Text).collect(),
        Line::Warning(text) => in_lines(&text, width).into_iter().map(Line::Warning).collect(),
        other => vec![other],
    };
    lines.into_iter().flat_map(wrap).collect()
}

/// `text` in lines, as many words in each as fit.
fn in_lines(text: &str, width: u16) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(last) if columns(last) + 1 + columns(word) <= width => {
                last.push(' ');
                last.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn draw_line(question: &Question, line: &Line, pen: &mut Pen<'_>) {
    pen.skip(MARGIN);
    let room = pen.room().saturating_sub(1 + MARGIN);
    match line {
        Line::Blank => {}
        Line::Text(text) => {
            pen.left(room, text, Role::Plain);
        }
        Line::Warning(text) => {
            pen.left(room, text, Role::Moving);
        }
        Line::Typed(typed) => {
            let asks = "type the name to confirm  ";
            pen.say(asks, Role::Plain);
            let room = room.saturating_sub(columns(asks));
            pen.left(room, &format!("{typed}_"), Role::Strong);
        }
        Line::Buttons => buttons(question, pen),
    }
}

fn buttons(question: &Question, pen: &mut Pen<'_>) {
    let verb = question.verb.word();
    match &question.level {
        Level::Key => {
            pen.skip(2).say("[ Cancel ]", Role::Button).skip(6);
            pen.say(&format!("y {verb}"), Role::Plain);
        }
        Level::Name(_) if question.is_matched() => {
            pen.skip(2).say("  Cancel  ", Role::Plain).skip(6);
            pen.say(&format!("[ {verb} ]"), Role::Button);
        }
        Level::Name(_) => {
            pen.skip(2).say("[ Cancel ]", Role::Button).skip(6);
            pen.say(&format!("{verb}  (name does not match yet)"), Role::Quiet);
        }
    }
}
