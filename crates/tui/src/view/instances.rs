//! The instances of one service: one row each, what is in flight as a bar.

use ratatui::layout::Rect;
use smoothserve_protocol::snapshot::{InstanceState, InstanceView, Pip, ServiceDetail};

use super::Width;
use crate::fmt::{duration, latency, or_dash, plural, rate, share, so_far};
use crate::model::Model;
use crate::style::Role;
use crate::widgets::drain::{bar, scale};
use crate::widgets::rows::{columns as text_columns, window};
use crate::widgets::{Canvas, Pen};
use crate::words::{self, instance_name, instance_state};

/// The widths of the columns.
struct Columns {
    /// Process id and port too.
    all: bool,
    /// The share of errors too.
    errors: bool,
    name: u16,
    bar: u16,
}

/// With fewer columns, the share of errors would take the place of what a drain waits for.
const ERRORS_FROM: u16 = 130;

fn columns(detail: &ServiceDetail, width: Width, area: Rect) -> Columns {
    let all = width == Width::Wide;
    let errors = area.width >= ERRORS_FROM;
    // All but the name, with a bar that has given what it can.
    let others = if all { 74 } else { 54 } + if errors { 6 } else { 0 };
    let spare = area.width.saturating_sub(others + NOTE);
    let name = name_width(detail, spare.max(14));
    // What a long name takes, the bar gives first.
    let bar = (if all { 15 } else { 10_u16 }).saturating_sub(name.min(14) - 8);
    Columns { all, errors, name, bar }
}

/// The width of the names of all instances: what they need, but no more than `most`.
pub fn name_width(detail: &ServiceDetail, most: u16) -> u16 {
    let last = detail.instances.last().map(|last| instance_name(&detail.row, last.slot));
    last.map_or(8, |name| text_columns(&name)).clamp(8, most.max(8))
}

/// Columns that what a drain waits for has beside a long name.
const NOTE: u16 = 16;

/// Rows above the instances that say what is in the columns.
pub const fn head_rows(width: Width) -> u16 {
    match width {
        Width::Line | Width::Narrow => 0,
        Width::Normal | Width::Wide => 1,
    }
}

/// The first one that is on the screen, when so many are: where the operator went, else where the
/// operation is.
pub fn first(model: &Model, detail: &ServiceDetail, shown: usize) -> usize {
    let total = detail.instances.len();
    let turn = detail.instances.iter().position(|instance| is_its_turn(detail, instance));
    match model.instances_from {
        Some(first) => first.min(total.saturating_sub(shown)),
        None => window(total, shown, turn.unwrap_or(0)),
    }
}

/// Draws a heading and as many instances as fit, and says how many rows that took.
pub fn draw(
    model: &Model,
    detail: &ServiceDetail,
    canvas: &mut Canvas<'_>,
    area: Rect,
    width: Width,
) -> u16 {
    let (shown, total) = (area.height.saturating_sub(head_rows(width)), detail.instances.len());
    let first = first(model, detail, usize::from(shown));
    if width == Width::Narrow {
        return narrow(model, detail, canvas, area, first);
    }
    let columns = columns(detail, width, area);
    head(&mut canvas.pen(area, 0), &columns);
    if usize::from(shown) < total {
        let last = first + usize::from(shown);
        let note = format!("{} to {last} of {total}", first + 1);
        canvas.pen(area, 0).ending(2, &note, Role::Quiet);
    }
    let highest = detail.instances.iter().map(|i| u64::from(i.in_flight)).max().unwrap_or(0);
    let mut rows = 1;
    for (line, instance) in (1..area.height).zip(detail.instances.iter().skip(first)) {
        let mut pen = canvas.pen(area, line);
        row(model, detail, instance, &mut pen, &columns, scale(highest));
        rows = line + 1;
    }
    rows
}

fn head(pen: &mut Pen<'_>, columns: &Columns) {
    let quiet = Role::Quiet;
    pen.to(3).left(columns.name + 2, "INSTANCE", quiet).left(5, "GEN", quiet);
    pen.left(10, "STATE", quiet);
    if columns.all {
        pen.left(8, "PID", quiet).left(7, "PORT", quiet);
    }
    pen.left(columns.bar + 9, "IN FLIGHT", quiet);
    pen.right(5, "RPS", quiet).right(7, "P99", quiet);
    if columns.errors {
        pen.right(6, "ERR%", quiet);
    }
    pen.skip(2).say("UP", quiet);
}

/// Its port; there is no room for a path.
fn place(instance: &InstanceView) -> String {
    match instance.socket {
        Some(_) => "socket".to_owned(),
        None => instance.port.to_string(),
    }
}

fn row(
    model: &Model,
    detail: &ServiceDetail,
    instance: &InstanceView,
    pen: &mut Pen<'_>,
    columns: &Columns,
    scale: u64,
) {
    let turn = is_its_turn(detail, instance);
    if turn {
        pen.to(1).say(model.look.glyphs.cursor, Role::Strong);
    }
    let emphasis = if turn { Role::Strong } else { Role::Plain };
    pen.to(3).name(columns.name, &instance_name(&detail.row, instance.slot), emphasis).skip(2);
    pen.left(4, &instance.generation.to_string(), Role::Plain).skip(1);
    let (state, role) = (instance_state(instance.state), Role::of_instance(instance.state));
    pen.left(9, state, role).skip(1);
    if columns.all {
        let pid = or_dash(instance.pid, |pid| pid.to_string());
        pen.left(7, &pid, Role::Plain).skip(1).left(7, &place(instance), Role::Plain);
    }
    in_flight(instance, pen, columns.bar, scale);
    let p99 = or_dash(instance.p99_us, latency);
    let up = or_dash(instance.up_ms, duration);
    pen.right(5, &rate(instance.milli_rps), Role::Plain).right(7, &p99, Role::Plain);
    if columns.errors {
        pen.right(6, &share(instance.errors_ppm), Role::of_errors(instance.errors_ppm));
    }
    pen.skip(2).left(5, &up, Role::Plain).skip(2);
    note(instance, pen);
}

fn in_flight(instance: &InstanceView, pen: &mut Pen<'_>, width: u16, scale: u64) {
    let now = u64::from(instance.in_flight);
    match &instance.drain {
        // Its scale is what was inside when the door closed, so that it only ever shrinks.
        Some(drain) => {
            let left = u64::from(instance.in_flight.saturating_add(instance.tunnels));
            bar(pen, width, left, u64::from(drain.began_with), Role::Moving);
            let text = format!("{left:>2} of {}", drain.began_with);
            let text = if text.len() > 8 { format!("{left}/{}", drain.began_with) } else { text };
            pen.skip(1).left(8, &text, Role::Plain);
        }
        None => {
            bar(pen, width, now, scale, Role::Plain);
            pen.skip(1).left(8, &format!("{now:>2}"), Role::Plain);
        }
    }
}

fn note(instance: &InstanceView, pen: &mut Pen<'_>) {
    if let Some(drain) = &instance.drain {
        let text = match drain.limit_ms {
            Some(limit) => format!("{} of {}", so_far(drain.since_ms), duration(limit)),
            None => format!("for {}", so_far(drain.since_ms)),
        };
        pen.say(&text, drain_role(drain.since_ms, drain.limit_ms));
        let left = instance.in_flight.saturating_add(instance.tunnels);
        let done = drain.began_with.saturating_sub(left);
        let oldest = drain.blockers.first().map(|one| format!(", oldest {}", so_far(one.age_ms)));
        let more = [format!(", {done} done, {left} to go"), oldest.unwrap_or_default()];
        for text in more {
            if pen.room() < text_columns(&text) {
                break;
            }
            pen.say(&text, Role::Plain);
        }
    } else if let Some(retry) = instance.retry_ms {
        pen.say(&format!("try in {}", duration(retry)), Role::Moving);
    } else if let (InstanceState::Failed, Some(failure)) = (instance.state, &instance.failure) {
        pen.say(&words::failure_reason(failure), Role::Bad);
    } else if instance.tunnels > 0 {
        pen.say(&plural(instance.tunnels, "tunnel"), Role::Quiet);
    }
}

/// Half of the time gone is worth a look, four fifths are an alarm.
const fn drain_role(since: u64, limit: Option<u64>) -> Role {
    match limit {
        Some(limit) if since.saturating_mul(5) >= limit.saturating_mul(4) => Role::Bad,
        Some(limit) if since.saturating_mul(2) >= limit => Role::Moving,
        Some(_) | None => Role::Plain,
    }
}

/// Whether the running operation is at this instance.
fn is_its_turn(detail: &ServiceDetail, instance: &InstanceView) -> bool {
    use smoothserve_protocol::snapshot::StepPhase::Running;
    let steps = detail.operation.iter().flat_map(|operation| &operation.steps);
    steps.into_iter().any(|step| step.phase == Running && step.slot == instance.slot)
}

fn narrow(
    model: &Model,
    detail: &ServiceDetail,
    canvas: &mut Canvas<'_>,
    area: Rect,
    first: usize,
) -> u16 {
    let mut rows = 0;
    for (line, instance) in (0..area.height).zip(detail.instances.iter().skip(first)) {
        let new = detail.operation.as_ref().is_some_and(|o| o.to == instance.generation);
        let (mark, mark_role) = model.look.glyphs.pip(Pip { state: instance.state, new });
        let (state, role) = (instance_state(instance.state), Role::of_instance(instance.state));
        let mut pen = canvas.pen(area, line);
        pen.to(1).say(mark, mark_role).skip(1);
        pen.name(12, &instance_name(&detail.row, instance.slot), Role::Plain)
            .skip(1)
            .left(9, state, role);
        pen.right(5, &instance.in_flight.to_string(), Role::Plain);
        if let Some(drain) = &instance.drain {
            pen.say(&format!(" of {}", drain.began_with), Role::Plain);
        }
        rows = line + 1;
    }
    let hidden = detail.instances.len().saturating_sub(usize::from(rows));
    if let (1.., Some(last)) = (hidden, rows.checked_sub(1)) {
        canvas.pen(area, last).to(33).ending(1, &format!("+{hidden}"), Role::Quiet);
    }
    rows
}
