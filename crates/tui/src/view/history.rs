//! Rolling restarts that have ended: a list, newest first, or one of them in full.

use ratatui::layout::Rect;
use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::snapshot::{Ledger, Receipt, StepPhase, StepView};

use super::{Width, body};
use crate::fmt::{count, latency, together, took, wrapped};
use crate::model::Model;
use crate::style::{Glyphs, Role};
use crate::widgets::rows::{columns, window};
use crate::widgets::rule::rule_about;
use crate::widgets::{Canvas, Pen, found};
use crate::words::{self, escape};

/// Columns of a row beside the name of its service, with some for who began the restart.
const BESIDE_NAME: u16 = 84;

/// Blank columns before what is told of one restart.
const fn margin(frame: u16) -> u16 {
    if frame < 72 { 1 } else { 3 }
}

/// Draws the screen.
pub fn draw(
    model: &Model,
    service: Option<&ServiceName>,
    canvas: &mut Canvas<'_>,
    body: Rect,
    width: Width,
) {
    match (model.past.open, model.past.selected()) {
        (Some(down), Some(receipt)) => whole(model, receipt, down, canvas, body),
        _ => list(model, service, canvas, body, width),
    }
}

fn list(
    model: &Model,
    service: Option<&ServiceName>,
    canvas: &mut Canvas<'_>,
    body: Rect,
    width: Width,
) {
    let receipts = model.past.receipts();
    let of = service.map_or_else(|| "all services".to_owned(), ToString::to_string);
    let heading = match width {
        Width::Line | Width::Narrow => format!("restarts   {of}"),
        Width::Normal | Width::Wide => format!("past restarts   {of}, {}", receipts.len()),
    };
    let note = match model.past.needle.as_str() {
        "" => "newest first".to_owned(),
        needle => format!("newest first   / {needle}"),
    };
    rule_about(&mut canvas.pen(body, 0), &heading, &of, &note);
    if receipts.is_empty() {
        canvas.pen(body, 1).to(3).say(absence(model), Role::Quiet);
        return;
    }
    let longest = receipts.iter().map(|one| columns(one.service.as_str())).max().unwrap_or(0);
    let name = longest.min(body.width.saturating_sub(BESIDE_NAME).max(20));
    let selected = model.past.index();
    let shown = usize::from(body.height.saturating_sub(1));
    let first = window(receipts.len(), shown, selected.unwrap_or(0));
    for (line, index) in (1..body.height).zip(first..receipts.len()) {
        let mut pen = canvas.pen(body, line);
        let mut emphasis = Role::Plain;
        if selected == Some(index) {
            pen.to(1).say(model.look.glyphs.cursor, Role::Strong);
            emphasis = Role::Strong;
        }
        let receipt = &receipts[index];
        match width {
            Width::Line | Width::Narrow => narrow_row(model, receipt, pen.to(3), emphasis),
            Width::Normal | Width::Wide => {
                row(model, receipt, pen.to(3), name, emphasis);
            }
        }
    }
}

fn absence(model: &Model) -> &'static str {
    match model.past.asked {
        Some((_, true)) => "none has ended yet",
        Some((_, false)) => "asking the daemon",
        None => "not connected",
    }
}

fn row(model: &Model, receipt: &Receipt, pen: &mut Pen<'_>, name: u16, emphasis: Role) {
    let Receipt { service, from, to, replaced, of, took_ms, .. } = receipt;
    let needle = &model.past.needle;
    let (mark, role) = mark(model.look.glyphs, receipt.done);
    pen.left(21, &model.clock.day_text(receipt.unix_ms), Role::Quiet).left(3, mark, role);
    found::say(&mut pen.column(name), service.as_str(), needle, emphasis);
    pen.skip(name + 2);
    pen.left(12, &format!("{from} to {to}"), Role::Plain);
    pen.left(8, &format!("{replaced} of {of}"), Role::Plain);
    pen.right(5, &took(*took_ms), Role::Plain).skip(2);
    lost(receipt, pen);
    found::say(pen.skip(2), &words::cause(&receipt.cause), needle, Role::Quiet);
}

fn narrow_row(model: &Model, receipt: &Receipt, pen: &mut Pen<'_>, emphasis: Role) {
    let Receipt { service, replaced, of, .. } = receipt;
    let (mark, role) = mark(model.look.glyphs, receipt.done);
    // The year and the seconds are what is missed least.
    let when = model.clock.day_text(receipt.unix_ms);
    let when = when.get(5..16).unwrap_or(&when);
    pen.left(12, when, Role::Quiet).left(2, mark, role);
    pen.left(10, service.as_str(), emphasis).say(&format!(" {replaced}/{of} "), Role::Plain);
    lost(receipt, pen);
}

fn lost(receipt: &Receipt, pen: &mut Pen<'_>) {
    let lost = receipt.ledger.all_lost();
    let role = if lost == 0 { Role::Plain } else { Role::Bad };
    pen.say(&format!("{} lost", count(lost)), role);
}

const fn mark(glyphs: &'static Glyphs, done: bool) -> (&'static str, Role) {
    if done { (glyphs.check, Role::Ok) } else { (glyphs.failed, Role::Bad) }
}

fn whole(model: &Model, receipt: &Receipt, down: usize, canvas: &mut Canvas<'_>, body: Rect) {
    let Receipt { service, operation, from, to, .. } = receipt;
    let heading = match body.width {
        0..72 => format!("{service}   {from} to {to}"),
        72.. => format!("{service}   {operation}, {from} to {to}"),
    };
    let lines = rows(model, receipt, body.width);
    let beyond = lines.len().saturating_sub(usize::from(body.height.saturating_sub(1)));
    let down = down.min(beyond);
    let note = match beyond - down {
        0 => "esc back".to_owned(),
        more => format!("+{} below", count(more as u64)),
    };
    rule_about(&mut canvas.pen(body, 0), &heading, service.as_str(), &note);
    let (margin, needle) = (margin(body.width), &model.past.needle);
    for (row, (role, text)) in (1..body.height).zip(lines.iter().skip(down)) {
        found::say(canvas.pen(body, row).to(margin), text, needle, *role);
    }
}

/// How many rows of the open one are beyond the end of the screen.
pub fn beyond(model: &Model) -> usize {
    let (width, height) = model.size;
    let Some(receipt) = model.past.selected() else { return 0 };
    let shown = usize::from(body(model, Rect::new(0, 0, width, height)).height.saturating_sub(1));
    rows(model, receipt, width).len().saturating_sub(shown)
}

/// Everything that is known of a restart, in rows that fit into a frame.
fn rows(model: &Model, receipt: &Receipt, width: u16) -> Vec<(Role, String)> {
    let room = usize::from(width.saturating_sub(margin(width)).max(1));
    let lines = lines(model, receipt).into_iter();
    lines
        .flat_map(|(role, text)| {
            wrapped(&escape(&text), room, 2).into_iter().map(move |row| (role, row))
        })
        .collect()
}

fn lines(model: &Model, receipt: &Receipt) -> Vec<(Role, String)> {
    let Receipt { service, replaced, of, to, took_ms, ledger, .. } = receipt;
    let plain = |text: String| (Role::Plain, text);
    let glyphs = model.look.glyphs;
    let (mark, role) = mark(glyphs, receipt.done);
    let how = if receipt.done { "done in" } else { "halted after" };
    let result = format!("{mark} {how} {}, {replaced} of {of} replaced on {to}", took(*took_ms));
    let mut lines = vec![(role, result)];
    lines.extend(receipt.halted.iter().map(|why| (Role::Bad, format!("  {why}"))));
    lines.push(plain(format!("ended {}", model.clock.day_text(receipt.unix_ms))));
    lines.extend(cause(&receipt.cause).into_iter().map(plain));
    lines.push(plain(String::new()));
    lines.extend(sum(ledger, receipt.slowest_held_us));
    lines.push(plain(String::new()));
    lines.extend(receipt.steps.iter().map(|one| step(glyphs, receipt, one)));
    lines.push(plain(format!("at least {} of {of} ready at every moment", receipt.min_ready)));
    if let Some((slot, failure)) = &receipt.failure {
        lines.push(plain(String::new()));
        lines.push((Role::Bad, format!("{service}-{slot} {}", words::failure_reason(failure))));
        lines.extend(failure.last_output.iter().map(|line| (Role::Quiet, format!("| {line}"))));
    }
    if !receipt.remarks.is_empty() {
        lines.push(plain(String::new()));
    }
    lines.extend(receipt.remarks.iter().map(|text| (Role::Moving, format!("! {text}"))));
    lines
}

/// Who or what began it; of what changed, each on its own.
fn cause(cause: &Cause) -> Vec<String> {
    let (what, changed) = match cause {
        Cause::FilesChanged(files) => ("begun because files changed:", files),
        Cause::ConfigChanged(what) => ("begun because the configuration changed:", what),
        Cause::Daemon | Cause::Operator(_) | Cause::MemoryLimit { .. } => {
            return vec![format!("begun {}", words::cause(cause))];
        }
    };
    let changed = changed.iter().map(|one| format!("  {one}"));
    [what.to_owned()].into_iter().chain(changed).collect()
}

/// The ledger, of which every part was counted by itself.
fn sum(ledger: &Ledger, slowest_held_us: Option<u64>) -> Vec<(Role, String)> {
    let (accepted, done) = (count(ledger.accepted), count(ledger.done()));
    let (inside, lost) = (count(ledger.in_flight), count(ledger.all_lost()));
    let sum = [
        format!("accepted {accepted}"),
        format!("= done {done}"),
        format!("+ in flight {inside}"),
        format!("+ lost {lost}"),
    ];
    let sum = sum.map(|part| together(&part)).join(" ");
    let role = if ledger.all_lost() == 0 { Role::Plain } else { Role::Bad };
    let longest = slowest_held_us.map(|us| format!(" (the longest {})", latency(us)));
    let more = [
        format!("cut {},", count(ledger.cut)),
        format!("retried {},", count(ledger.retried)),
        format!("held {}{},", count(ledger.held), longest.unwrap_or_default()),
        format!("tunnels closed {}", count(ledger.tunnels_closed)),
    ];
    let more = more.map(|part| together(&part)).join(" ");
    vec![(role, sum), (Role::Plain, more)]
}

fn step(glyphs: &Glyphs, receipt: &Receipt, step: &StepView) -> (Role, String) {
    let mut parts = words::step_times(step);
    let (mark, role) = match step.phase {
        StepPhase::Done => (glyphs.check, Role::Plain),
        StepPhase::Failed => (glyphs.failed, Role::Bad),
        StepPhase::Waiting | StepPhase::Running => (glyphs.ready, Role::Quiet),
    };
    if step.phase == StepPhase::Failed {
        parts.push("failed".to_owned());
    } else if parts.is_empty() {
        parts.push("not touched".to_owned());
    }
    let parts: Vec<String> = parts.iter().map(|part| together(part)).collect();
    (role, format!("{mark} {}-{}  {}", receipt.service, step.slot, parts.join("   ")))
}
