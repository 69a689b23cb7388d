//! One service: how its restart goes, where every request is, its instances, its last minute.

use std::collections::BTreeMap;

use ratatui::layout::Rect;
use smoothserve_protocol::failure::Failure;
use smoothserve_protocol::id::{ServiceName, Slot};
use smoothserve_protocol::snapshot::{InstanceState, OperationKind, OperationView, ServiceDetail};

use super::{Width, canary, instances, logs, overview, steps, waits};
use crate::fmt::{count, duration, fit_around, latency, rate, share, took};
use crate::model::Model;
use crate::model::eta::Rise;
use crate::model::series::Figure;
use crate::style::Role;
use crate::widgets::drain::bar;
use crate::widgets::ledger::{Account, ledger};
use crate::widgets::pips::{self, pips};
use crate::widgets::rows::columns;
use crate::widgets::rule::{heading_room, rule, rule_about};
use crate::widgets::spark::spark;
use crate::widgets::{Canvas, Pen};
use crate::words::{self, doing, instance_name, ready, service_state};

/// Rows above the instances, unless two generations serve.
const ABOVE: u16 = 6;
/// Rows that are kept for what is below many instances: what an operation did and waits for.
const BELOW: u16 = 8;
/// Of the instances and what is above them, no fewer rows than this are shown.
const FEW_INSTANCES: u16 = 4;
/// Rows of the last minute, and its heading.
const MINUTE: u16 = 5;
/// Fewer rows than this are no log.
const STRIP: u16 = 4;
/// Of the last lines that a failed run wrote, so many are shown where there is no strip for them.
const LAST_WORDS: usize = 4;
/// For so long after a halted restart its last words are what matters, in milliseconds.
const RECENT: u64 = 10 * 60 * 1_000;

/// Draws the screen.
pub fn draw(model: &Model, name: &ServiceName, canvas: &mut Canvas<'_>, body: Rect, width: Width) {
    let Some(detail) = model.world.detail(name) else {
        rule(&mut canvas.pen(body, 0), name.as_str(), "esc back");
        canvas.pen(body, 1).to(3).say(absence(model, name), Role::Quiet);
        return;
    };
    let cause = detail.operation.as_ref().map(|operation| words::cause(&operation.cause));
    let heading = heading(detail, cause, body.width);
    rule_about(&mut canvas.pen(body, 0), &heading, name.as_str(), "esc back");
    summary(detail, &mut canvas.pen(body, 1));
    progress(detail, &mut canvas.pen(body, 2));
    let narrow = width == Width::Narrow;
    let rise = model.world.eta_rise(name);
    notice(detail, rise, narrow, &mut canvas.pen(body, 3));
    let counted = ledger(canvas, body, 4, &account(detail), model.world.is_unaccounted());
    if generation_rows(detail, body, width) > 0 {
        canary::draw(detail, canvas, from(body, 4 + counted), margin(width));
    }
    let mut row = above(detail, body, width);
    let instances = Rect { height: instance_rows(detail, body, width), ..from(body, row) };
    row += instances::draw(model, detail, canvas, instances, width);
    row += u16::from(!narrow);
    let waits = waits::rows(detail);
    // What a drain waits for is what an operator in a hurry wants to see.
    let room = from(body, row);
    let kept = waits.min(room.height.saturating_sub(steps::rows(detail)).max(2));
    let kept = if room.height >= 4 { kept } else { 0 };
    let steps = Rect { height: room.height - kept, ..room };
    let has_strip = has_strip(model, name);
    let last_words = last_words(model, detail).filter(|_| has_strip);
    let used = match last_words {
        // They have more room further down.
        Some(_) => steps::draw(model, detail, canvas, steps, 0),
        None => steps::draw(model, detail, canvas, steps, LAST_WORDS),
    };
    let used = used.min(steps.height);
    row += used;
    if waits > 0 {
        // A blank row between the two, where one can be spared.
        row += u16::from(body.height > row + waits);
        row += waits::draw(detail, canvas, from(body, row));
    }
    row += u16::from(used > 0);
    if !narrow && body.height >= row + MINUTE {
        minute(model, detail, canvas, from(body, row));
        row += MINUTE + 1;
    }
    if let (Some((slot, failure)), true) = (last_words, body.height >= row + STRIP) {
        row += said_last(detail, *slot, failure, canvas, from(body, row)) + 1;
    }
    if has_strip && body.height >= row + STRIP {
        logs::strip(model, name, canvas, from(body, row), width);
    }
}

/// The first instance that is on the screen, and the last one that could be.
pub fn instances_from(model: &Model, detail: &ServiceDetail) -> (usize, usize) {
    let (width, height) = model.size;
    let frame = Rect::new(0, 0, width, height);
    let class = super::width_of(frame);
    let rows = instance_rows(detail, super::body(model, frame), class);
    let shown = usize::from(rows.saturating_sub(instances::head_rows(class)));
    let last = detail.instances.len().saturating_sub(shown);
    (instances::first(model, detail, shown), last)
}

/// Rows above the instances.
fn above(detail: &ServiceDetail, body: Rect, width: Width) -> u16 {
    ABOVE + generation_rows(detail, body, width)
}

/// Rows for both generations, while both serve. On a narrow frame every row counts, and the
/// instances are more than how they do on average.
fn generation_rows(detail: &ServiceDetail, body: Rect, width: Width) -> u16 {
    let rows = canary::rows(detail, body.width, margin(width));
    let instances = u16::try_from(detail.instances.len()).unwrap_or(u16::MAX);
    let fits = body.height >= instances.saturating_add(ABOVE + rows);
    if width == Width::Narrow && !fits { 0 } else { rows }
}

/// Blank columns before what is told of the whole service.
const fn margin(width: Width) -> u16 {
    match width {
        Width::Line | Width::Narrow => 1,
        Width::Normal | Width::Wide => 3,
    }
}

/// How many rows the instances get, with what is above them: all they need, unless that would leave
/// nothing for what happens to them.
fn instance_rows(detail: &ServiceDetail, body: Rect, width: Width) -> u16 {
    let room = body.height.saturating_sub(above(detail, body, width));
    let instances = u16::try_from(detail.instances.len()).unwrap_or(u16::MAX);
    let wanted = instances.saturating_add(instances::head_rows(width));
    let below = match (&detail.operation, width) {
        (_, Width::Line | Width::Narrow) => 0,
        (Some(_), _) => steps::rows(detail).saturating_add(waits::rows(detail)).min(BELOW),
        (None, _) if detail.receipts.is_empty() => 0,
        (None, _) => BELOW / 2,
    };
    wanted.min(room.saturating_sub(below).max(FEW_INSTANCES)).min(room)
}

/// Whether the frame has room for the last lines that `name` printed, unless much goes on.
pub fn has_strip(model: &Model, name: &ServiceName) -> bool {
    let (width, height) = model.size;
    let frame = Rect::new(0, 0, width, height);
    let instances = model.world.row(name).map_or(0, |row| row.pips.len());
    // Above the instances, their heading, and a blank row below each part.
    let above = usize::from(ABOVE + MINUTE + STRIP + 3);
    let rows = usize::from(super::body(model, frame).height);
    super::width_of(frame) == Width::Wide && rows >= instances.saturating_add(above)
}

/// The run at which the last restart halted a short while ago, if it said something.
fn last_words<'a>(model: &Model, detail: &'a ServiceDetail) -> Option<&'a (Slot, Failure)> {
    let receipt = detail.receipts.first().filter(|_| detail.operation.is_none())?;
    let age = model.clock.unix_ms().saturating_sub(receipt.unix_ms);
    let failure = receipt.failure.as_ref().filter(|_| age <= RECENT)?;
    (!failure.1.last_output.is_empty()).then_some(failure)
}

/// Draws what it said last, and says how many rows that took.
fn said_last(
    detail: &ServiceDetail,
    slot: Slot,
    failure: &Failure,
    canvas: &mut Canvas<'_>,
    area: Rect,
) -> u16 {
    let who = instance_name(&detail.row, slot);
    let heading = format!("last words   {who} {}", words::failure_reason(failure));
    rule_about(&mut canvas.pen(area, 0), &heading, &who, "l logs");
    let shown = usize::from(area.height.saturating_sub(1));
    let skipped = failure.last_output.len().saturating_sub(shown);
    let mut used = 1;
    for (row, line) in (1..area.height).zip(failure.last_output.iter().skip(skipped)) {
        canvas.pen(area, row).to(2).say("|", Role::Quiet).skip(1).say(line, Role::Plain);
        used = row + 1;
    }
    used
}

/// Draws the ledger and the instances of `name`, below the list of services.
pub fn peek(model: &Model, name: &ServiceName, canvas: &mut Canvas<'_>, area: Rect, width: Width) {
    let Some(detail) = model.world.detail(name) else {
        rule(&mut canvas.pen(area, 0), name.as_str(), "enter opens");
        canvas.pen(area, 1).to(3).say(absence(model, name), Role::Quiet);
        return;
    };
    let far = detail.operation.as_ref().map(how_far);
    let heading = heading(detail, far, area.width);
    rule_about(&mut canvas.pen(area, 0), &heading, name.as_str(), "enter opens");
    ledger(canvas, area, 1, &account(detail), model.world.is_unaccounted());
    // One row stays blank above what comes next.
    let rest = Rect { height: area.height.saturating_sub(1), ..area };
    instances::draw(model, detail, canvas, from(rest, 3), width);
}

fn from(area: Rect, row: u16) -> Rect {
    let row = row.min(area.height);
    Rect { y: area.y + row, height: area.height - row, ..area }
}

fn absence(model: &Model, name: &ServiceName) -> &'static str {
    match model.world.row(name) {
        Some(_) => "asking the daemon",
        None => "the daemon has no service of that name",
    }
}

/// The ledger of the running operation, else since the daemon started.
fn account(detail: &ServiceDetail) -> Account<'_> {
    let Some(operation) = &detail.operation else {
        return Account { of: ["since start: ", "total: "], ledger: &detail.ledger };
    };
    let of = match operation.summary.kind {
        OperationKind::Restart => ["this restart: ", "restart: "],
        OperationKind::Start => ["this start: ", "start: "],
        OperationKind::Stop => ["this stop: ", "stop: "],
    };
    Account { of, ledger: &operation.ledger }
}

/// What the service does, and `more` about it where there is room for all of that.
fn heading(detail: &ServiceDetail, more: Option<String>, width: u16) -> String {
    let name = &detail.row.name;
    let Some(operation) = &detail.operation else {
        return format!("{name}   {}", standing(detail));
    };
    let what = match operation.summary.kind {
        OperationKind::Restart => {
            format!("rolling restart {} to {}", operation.from, operation.to)
        }
        kind @ (OperationKind::Start | OperationKind::Stop) => {
            words::operation_kind(kind).to_owned()
        }
    };
    let what = format!("{name}   {what}");
    let whole = more.map(|more| format!("{what}, {more}"));
    whole.filter(|whole| columns(whole) <= heading_room(width)).unwrap_or(what)
}

/// The state, and what runs: `ready on g5`; after a restart that ended half-way,
/// `ready, 1 on g2 and 3 on g1`.
fn standing(detail: &ServiceDetail) -> String {
    let state = service_state(detail.row.state);
    let mut by_generation = BTreeMap::new();
    for one in detail.instances.iter().filter(|one| one.state != InstanceState::Stopped) {
        *by_generation.entry(one.generation).or_insert(0_u32) += 1;
    }
    if by_generation.len() < 2 {
        return format!("{state} on {}", detail.row.generation);
    }
    let newest_first = by_generation.iter().rev();
    let parts: Vec<_> = newest_first.map(|(of, number)| format!("{number} on {of}")).collect();
    format!("{state}, {}", parts.join(" and "))
}

fn how_far(operation: &OperationView) -> String {
    let word = match operation.summary.kind {
        OperationKind::Restart => "replaced",
        OperationKind::Start => "started",
        OperationKind::Stop => "stopped",
    };
    format!("{} of {} {word}", operation.summary.done, operation.summary.of)
}

fn summary(detail: &ServiceDetail, pen: &mut Pen<'_>) {
    pen.to(3);
    pips(pen, &detail.row.pips, pips::width(&detail.row.pips));
    pen.skip(3);
    let Some(operation) = &detail.operation else {
        let (ready, of) = (ready(&detail.row), detail.row.pips.len());
        pen.say(&format!("{ready} of {of} ready"), overview::readiness(&detail.row));
        if let Some(cause) = &detail.stopped_by {
            pen.say(&format!("   stopped {}", words::cause(cause)), Role::Plain);
        }
        let state = service_state(detail.row.state);
        pen.ending(2, &format!("{state} for {}", duration(detail.row.since_ms)), Role::Quiet);
        return;
    };
    pen.say(&how_far(operation), Role::Strong).skip(3);
    let elapsed = format!("{} elapsed", duration(operation.elapsed_ms));
    let times = match operation.eta_ms {
        Some(eta) => format!("{elapsed}   eta {}", duration(eta)),
        None => elapsed,
    };
    let (doing, name) = (doing(detail, operation), detail.row.name.as_str());
    let room = pen.room().saturating_sub(columns(&times) + 4);
    let doing = fit_around(&doing, name, usize::from(room), pen.look().glyphs.cut);
    pen.say_about(&doing, name, Role::Moving).ending(2, &times, Role::Plain);
}

/// The gauge of the running operation; without one, where the service is and what it runs.
fn progress(detail: &ServiceDetail, pen: &mut Pen<'_>) {
    let Some(operation) = &detail.operation else {
        let names = detail.server_names.join(", ");
        let place = if names.is_empty() { String::new() } else { format!("  {names}") };
        let text = format!("{}{place}   {}", detail.listen, detail.executable);
        pen.to(3).say(&text, Role::Quiet);
        return;
    };
    // By time rather than by count, so that it does not stand still while an instance drains.
    let (part, whole) = match operation.eta_ms {
        Some(eta) => (operation.elapsed_ms, operation.elapsed_ms.saturating_add(eta)),
        None => (u64::from(operation.summary.done), u64::from(operation.summary.of)),
    };
    let percent = part.saturating_mul(100) / whole.max(1);
    pen.to(3);
    let width = pen.room().saturating_sub(9);
    bar(pen, width, part, whole, Role::Plain);
    pen.right(6, &format!("{percent}%"), Role::Plain);
}

/// What an operator should know before all else: what is wrong with its file, when the former
/// configuration runs; who changed the course of its restart; on a narrow frame, what a drain waits
/// for; why it takes longer than was said.
fn notice(detail: &ServiceDetail, rise: Option<Rise>, narrow: bool, pen: &mut Pen<'_>) {
    pen.to(1);
    if let Some(problem) = &detail.config_problem {
        pen.say("! config: ", Role::Bad).say(&words::problem_line(problem), Role::Plain);
        return;
    }
    let operation = detail.operation.as_ref();
    let paused = operation.and_then(|operation| operation.paused_by.as_ref());
    if operation.is_some_and(|operation| operation.aborting) {
        pen.say("! aborting: ", Role::Moving);
        pen.say("it ends at the nearest safe point", Role::Plain);
    } else if let Some(by) = paused {
        pen.say(&format!("! paused {}: ", words::cause(by)), Role::Moving);
        pen.say("no further turn begins", Role::Plain);
    } else if let (true, Some(waits)) = (narrow, waits::oldest(detail)) {
        pen.say(&waits, Role::Moving);
    } else if let Some(rise) = rise {
        let longest = rise.longest.map_or_else(
            || "more to do than there was".to_owned(),
            |(slot, ms)| format!("{} took {}", instance_name(&detail.row, slot), took(ms)),
        );
        let from = duration(rise.from_ms);
        pen.say("! longer than said: ", Role::Moving);
        let text = format!("eta was {from}, {longest}");
        pen.say_about(&text, detail.row.name.as_str(), Role::Plain);
    }
}

fn minute(model: &Model, detail: &ServiceDetail, canvas: &mut Canvas<'_>, area: Rect) {
    let name = &detail.row.name;
    let heading = format!("{name}   last 60s");
    rule_about(&mut canvas.pen(area, 0), &heading, name.as_str(), "");
    type Show = fn(u64) -> String;
    let figures: [(&str, Figure, Show); 4] = [
        ("rps", Figure::Rate, rate),
        ("p99", Figure::P99, latency),
        ("in flight", Figure::InFlight, count),
        ("errors %", Figure::Errors, |ppm| share(u32::try_from(ppm).unwrap_or(u32::MAX))),
    ];
    for (row, (word, figure, show)) in (1..area.height).zip(figures) {
        let samples = model.series.last_minute(name, figure);
        let now = samples.last().copied().unwrap_or(0);
        let highest = samples.iter().copied().max().unwrap_or(0);
        let mut pen = canvas.pen(area, row);
        pen.to(3).left(10, word, Role::Quiet).right(7, &show(now), Role::Plain).skip(2);
        spark(&mut pen, &samples, 30);
        pen.skip(3).say(&format!("max {}", show(highest)), Role::Quiet);
    }
}
