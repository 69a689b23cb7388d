//! The receipt: what the running operation did instance by instance, or what the last ones did.

use ratatui::layout::Rect;
use smoothserve_protocol::id::Slot;
use smoothserve_protocol::snapshot::{
    InstanceView, OperationKind, OperationView, Pip, Receipt, ServiceDetail, StepPhase, StepView,
};

use super::instances::name_width;
use crate::fmt::{count, so_far, took};
use crate::model::Model;
use crate::style::Role;
use crate::widgets::rows::window;
use crate::widgets::rule::rule;
use crate::widgets::{Canvas, Pen};
use crate::words::{self, instance_name, step_parts, step_state};

/// Draws the section, and says how many rows it took. Of the last lines that a failed run wrote, it
/// has so many at most.
pub fn draw(
    model: &Model,
    detail: &ServiceDetail,
    canvas: &mut Canvas<'_>,
    area: Rect,
    last_words: usize,
) -> u16 {
    if area.height < 2 {
        return 0;
    }
    match &detail.operation {
        Some(operation) => running(detail, operation, canvas, area),
        None if detail.receipts.is_empty() => 0,
        None => past(model, detail, canvas, area, last_words),
    }
}

/// How many rows the section would take for the running operation.
pub fn rows(detail: &ServiceDetail) -> u16 {
    let steps = detail.operation.as_ref().map_or(0, |operation| operation.steps.len());
    u16::try_from(steps).unwrap_or(u16::MAX).saturating_add(2)
}

fn running(
    detail: &ServiceDetail,
    operation: &OperationView,
    canvas: &mut Canvas<'_>,
    area: Rect,
) -> u16 {
    let heading = match operation.summary.kind {
        OperationKind::Restart => "this restart",
        OperationKind::Start => "this start",
        OperationKind::Stop => "this stop",
    };
    rule(&mut canvas.pen(area, 0), heading, "");
    let turn = operation.steps.iter().find(|step| step.phase == StepPhase::Running);
    let mut row = 1;
    // What is under way is in sight, however many there are; so is the line below them.
    let shown = usize::from(area.height.saturating_sub(2)).max(1);
    let at = operation.steps.iter().position(|step| step.phase == StepPhase::Running);
    let first = window(operation.steps.len(), shown, at.unwrap_or(0));
    for step in operation.steps.iter().skip(first).take(shown) {
        draw_step(detail, step, turn.map(|turn| turn.slot), &mut canvas.pen(area, row));
        row += 1;
    }
    if operation.summary.kind == OperationKind::Restart {
        let of = detail.instances.len();
        let text = format!("at least {} of {of} ready at every moment so far", operation.min_ready);
        let mut pen = canvas.pen(area, row);
        let check = pen.look().glyphs.check;
        pen.to(2).say(check, Role::Ok).skip(2).say(&text, Role::Plain);
        row += 1;
    }
    row
}

fn draw_step(detail: &ServiceDetail, step: &StepView, turn: Option<Slot>, pen: &mut Pen<'_>) {
    let glyphs = pen.look().glyphs;
    let name = |slot| instance_name(&detail.row, slot);
    let instance = detail.instances.iter().find(|instance| instance.slot == step.slot);
    let awaited = turn.map(name).unwrap_or_default();
    let (mark, role, text) = match (step.phase, instance) {
        (StepPhase::Waiting, _) => {
            let text = turn.map_or_else(|| "waits".to_owned(), |_| format!("waits for {awaited}"));
            (glyphs.ready, Role::Plain, text)
        }
        (StepPhase::Running, Some(instance)) => {
            let (mark, role) = glyphs.pip(Pip { state: instance.state, new: true });
            (mark, role, under_way(step, instance))
        }
        (StepPhase::Running, None) => (glyphs.draining, Role::Moving, parts(step)),
        (StepPhase::Done, _) => (glyphs.check, Role::Ok, parts(step)),
        (StepPhase::Failed, _) => (glyphs.failed, Role::Bad, why(instance)),
    };
    let width = name_width(detail, pen.width() / 4);
    pen.to(2).say(mark, role).skip(2).name(width, &name(step.slot), Role::Plain).skip(2);
    let role = if step.phase == StepPhase::Waiting { Role::Quiet } else { Role::Plain };
    pen.say_about(&text, &awaited, role);
}

fn parts(step: &StepView) -> String {
    step_parts(step).join("   ")
}

fn under_way(step: &StepView, instance: &InstanceView) -> String {
    let Some(drain) = &instance.drain else {
        let mut parts = step_parts(step);
        parts.push(step_state(instance.state).trim_end_matches([':']).to_owned());
        return parts.join("   ");
    };
    let left = instance.in_flight.saturating_add(instance.tunnels);
    let done = drain.began_with.saturating_sub(left);
    format!("draining, {done} done, {left} to go   {}", so_far(drain.since_ms))
}

fn why(instance: Option<&InstanceView>) -> String {
    let failure = instance.and_then(|instance| instance.failure.as_ref());
    failure.map_or_else(|| "failed".to_owned(), words::failure_line)
}

fn past(
    model: &Model,
    detail: &ServiceDetail,
    canvas: &mut Canvas<'_>,
    area: Rect,
    last_words: usize,
) -> u16 {
    rule(&mut canvas.pen(area, 0), "last restarts", "");
    let mut row = 1;
    for (position, receipt) in detail.receipts.iter().enumerate() {
        draw_receipt(model, receipt, &mut canvas.pen(area, row));
        row += 1;
        if position > 0 {
            continue;
        }
        // Of the newest, more is told as far as the others leave room.
        let others = u16::try_from(detail.receipts.len() - 1).unwrap_or(u16::MAX);
        let room = area.height.saturating_sub(row).saturating_sub(others);
        for (role, text) in more(receipt, last_words).into_iter().take(usize::from(room)) {
            canvas.pen(area, row).to(6).say_about(&text, receipt.service.as_str(), role);
            row += 1;
        }
    }
    row
}

/// Why a restart did not reach its end, with its last words, and what makes restarts harder.
fn more(receipt: &Receipt, last_words: usize) -> Vec<(Role, String)> {
    let mut lines = Vec::new();
    if let Some((slot, failure)) = &receipt.failure {
        let why = words::failure_reason(failure);
        lines.push((Role::Bad, format!("{}-{slot} {why}", receipt.service)));
        let skipped = failure.last_output.len().saturating_sub(last_words);
        let said = failure.last_output.iter().skip(skipped);
        lines.extend(said.map(|line| (Role::Quiet, format!("| {line}"))));
    }
    let remarks = receipt.remarks.iter().map(|text| (Role::Moving, format!("! {text}")));
    lines.extend(remarks);
    lines
}

fn draw_receipt(model: &Model, receipt: &Receipt, pen: &mut Pen<'_>) {
    let glyphs = pen.look().glyphs;
    let (mark, role) =
        if receipt.done { (glyphs.check, Role::Ok) } else { (glyphs.failed, Role::Bad) };
    pen.to(2).left(10, &model.clock.text(receipt.unix_ms), Role::Quiet).left(3, mark, role);
    let end = match &receipt.halted {
        Some(why) => format!("halted: {why}"),
        None => words::cause(&receipt.cause),
    };
    pen.say(&format!("{} to {}  {}, ", receipt.from, receipt.to, result(receipt)), Role::Plain);
    pen.say(&end, Role::Plain);
}

/// What a restart came to: `41s, 4 of 4, 0 lost`.
pub fn result(receipt: &Receipt) -> String {
    let (replaced, of) = (receipt.replaced, receipt.of);
    let lost = count(receipt.ledger.all_lost());
    format!("{}, {replaced} of {of}, {lost} lost", took(receipt.took_ms))
}
