//! What a service prints: the newest at the bottom, or what was scrolled to.

use ratatui::layout::Rect;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::log::Stream;

use super::{Width, body, width_of};
use crate::fmt::{self, count};
use crate::model::logs::Line;
use crate::model::{Model, Screen};
use crate::style::Role;
use crate::widgets::rows::columns;
use crate::widgets::rule::{Weight, rule_about, rule_with};
use crate::widgets::{Canvas, Pen, found};
use crate::words::Severity;

/// Draws the screen.
pub fn draw(model: &Model, name: &ServiceName, canvas: &mut Canvas<'_>, body: Rect, width: Width) {
    let heading = heading(model, name, width);
    rule_with(&mut canvas.pen(body, 0), &heading, name.as_str(), note(model));
    if model.logs.is_empty() {
        canvas.pen(body, 1).to(2).say(absence(model), Role::Quiet);
        return;
    }
    let below = Rect { y: body.y + 1, height: body.height.saturating_sub(1), ..body };
    let (start, room) = layout(name, below.width, width);
    let (wrap, column) = (model.logs.wrap, model.logs.column);
    let lines = model.logs.window(usize::from(below.height), height_in(wrap, room));
    let mut rows = Vec::new();
    for (seq, line) in &lines {
        let pieces = pieces(&line.text, room, wrap, column);
        let numbered = pieces.into_iter().enumerate();
        rows.extend(
            numbered.map(|(number, (from, piece))| (*seq, *line, number == 0, from, piece)),
        );
    }
    // Of the first line, only the end may fit.
    let hidden = rows.len().saturating_sub(usize::from(below.height));
    for (row, (seq, line, is_first, from, piece)) in (0..below.height).zip(rows.drain(hidden..)) {
        let mut pen = canvas.pen(below, row);
        if model.logs.found == Some(seq) && is_first {
            pen.say(model.look.glyphs.cursor, Role::Strong);
        }
        if is_first {
            origin(model, name, line, pen.to(0), width);
        }
        text(line, from, piece, &model.logs.needle, pen.to(start));
    }
}

/// Draws a heading and the last lines of `name`, below what else is known of it.
pub fn strip(model: &Model, name: &ServiceName, canvas: &mut Canvas<'_>, area: Rect, width: Width) {
    let heading = format!("logs   {name}, all instances");
    rule_about(&mut canvas.pen(area, 0), &heading, name.as_str(), "l full screen");
    let shown = usize::from(area.height.saturating_sub(1));
    let lines: Vec<&Line> = match model.logs.is_of(name) {
        true => model.logs.newest(shown).collect(),
        false => Vec::new(),
    };
    if lines.is_empty() {
        canvas.pen(area, 1).to(2).say(silence(model), Role::Quiet);
    }
    let (start, _) = layout(name, area.width, width);
    for (row, line) in (1..area.height).zip(lines) {
        let mut pen = canvas.pen(area, row);
        origin(model, name, line, &mut pen, width);
        text(line, 0, &line.text, "", pen.to(start));
    }
}

/// How many rows of lines this screen has.
pub fn rows(model: &Model) -> usize {
    let (width, height) = model.size;
    usize::from(body(model, Rect::new(0, 0, width, height)).height.saturating_sub(1)).max(1)
}

/// How many of them a line takes.
pub fn height(model: &Model) -> impl Fn(&Line) -> usize + use<> {
    height_in(model.logs.wrap, room(model))
}

/// How many columns the text of a line has.
pub fn room(model: &Model) -> u16 {
    let (width, height) = model.size;
    let class = width_of(Rect::new(0, 0, width, height));
    match &model.screen {
        Screen::Logs(name) => layout(name, width, class).1,
        Screen::Overview | Screen::Service(_) | Screen::Events | Screen::History(_) => 1,
    }
}

fn height_in(wrap: bool, room: u16) -> impl Fn(&Line) -> usize + use<> {
    move |line| if wrap { fmt::pieces(&line.text, usize::from(room)).len() } else { 1 }
}

/// Where the text begins, and how wide it may be.
fn layout(name: &ServiceName, frame: u16, width: Width) -> (u16, u16) {
    let start = match width {
        Width::Line | Width::Narrow => 5,
        Width::Normal | Width::Wide => 18 + who(name, frame),
    };
    (start, frame.saturating_sub(start).max(1))
}

/// The width of the names of instances: all they need, up to a fifth of the frame.
fn who(name: &ServiceName, frame: u16) -> u16 {
    (columns(name.as_str()) + 4).clamp(8, (frame / 5).max(14))
}

/// The rows of a line, each with the byte where it begins: as many as it takes, or one from `column`
/// on that is cut where it is drawn.
fn pieces(text: &str, room: u16, wrap: bool, column: usize) -> Vec<(usize, &str)> {
    if !wrap {
        let from = fmt::fit(text, column).len();
        return vec![(from, &text[from..])];
    }
    let mut from = 0;
    let mut pieces = Vec::new();
    for piece in fmt::pieces(text, usize::from(room)) {
        pieces.push((from, piece));
        from += piece.len();
    }
    pieces
}

/// When it was printed, by whom, and where to: `|` is standard output, `!` standard error.
fn origin(model: &Model, name: &ServiceName, line: &Line, pen: &mut Pen<'_>, width: Width) {
    let narrow = matches!(width, Width::Line | Width::Narrow);
    if !narrow {
        pen.to(2).left(14, &model.clock.fine_text(line.unix_ms), Role::Quiet);
    }
    let Some((slot, stream)) = line.from else { return };
    let mark = match stream {
        Stream::Out => "|",
        Stream::Err => "!",
    };
    if narrow {
        pen.to(1).right(2, &slot.to_string(), Role::Plain).say(mark, Role::Quiet);
    } else {
        let who = who(name, pen.width());
        pen.name(who - 1, &format!("{name}-{slot}"), Role::Plain).skip(1).say(mark, Role::Quiet);
    }
}

fn text(line: &Line, from: usize, piece: &str, needle: &str, pen: &mut Pen<'_>) {
    let role = match (line.from, line.severity) {
        (None, _) => Role::Moving,
        (Some(_), Some(Severity::Error)) => Role::Bad,
        (Some(_), Some(Severity::Warning)) => Role::Moving,
        (Some(_), Some(Severity::Debug)) => Role::Quiet,
        (Some(_), Some(Severity::Info) | None) => Role::Plain,
    };
    found::say_inked(pen, piece, from, &line.inks, needle, role);
}

fn heading(model: &Model, name: &ServiceName, width: Width) -> String {
    let filter = model.logs.filter();
    match (filter.slot, width) {
        (Some(slot), _) => format!("logs   {name}-{slot}"),
        (None, Width::Line | Width::Narrow) => format!("logs   {name}"),
        (None, Width::Normal | Width::Wide) => format!("logs   {name}, all instances"),
    }
}

fn note(model: &Model) -> Vec<(Weight, String)> {
    let logs = &model.logs;
    let place = match (logs.is_following(), logs.newer()) {
        (true, _) => "following".to_owned(),
        (false, 0) => "not following".to_owned(),
        (false, newer) => format!("+{} newer", count(newer as u64)),
    };
    let level = match logs.filter().severity {
        None => (Weight::Usual, "level all"),
        Some(Severity::Error) => (Weight::Choice, "level error"),
        Some(_) => (Weight::Choice, "level warning"),
    };
    let mut parts = vec![(Weight::Place, place), (level.0, level.1.to_owned())];
    let is_moved = !logs.wrap && logs.column > 0;
    let column = is_moved.then(|| format!("from column {}", logs.column + 1));
    let pattern = logs.filter().pattern.as_ref().map(|one| format!("& {}", one.as_str()));
    let needle = (!logs.needle.is_empty()).then(|| format!("/ {}", logs.needle));
    parts.extend(column.map(|text| (Weight::Place, text)));
    parts.extend(pattern.map(|text| (Weight::Choice, text)));
    parts.extend(needle.map(|text| (Weight::Place, text)));
    parts
}

fn absence(model: &Model) -> &'static str {
    if model.logs.filter().is_all() { silence(model) } else { "nothing of that kind" }
}

fn silence(model: &Model) -> &'static str {
    match model.logs.asked {
        Some((_, true)) => "it printed nothing yet",
        Some((_, false)) => "asking the daemon",
        None => "not connected",
    }
}
