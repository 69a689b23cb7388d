//! What a service prints: the newest at the bottom, or what was scrolled to.

use ratatui::layout::Rect;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::log::Stream;

use super::{Width, body, width_of};
use crate::fmt::{self, count};
use crate::model::Model;
use crate::model::logs::{Line, occurrence};
use crate::style::Role;
use crate::widgets::rows::columns;
use crate::widgets::rule::rule;
use crate::widgets::{Canvas, Pen};
use crate::words::Severity;

/// Draws the screen.
pub fn draw(model: &Model, name: &ServiceName, canvas: &mut Canvas<'_>, body: Rect, width: Width) {
    rule(&mut canvas.pen(body, 0), &heading(model, name, width), &note(model, width));
    if model.logs.is_empty() {
        canvas.pen(body, 1).to(2).say(absence(model), Role::Quiet);
        return;
    }
    let below = Rect { y: body.y + 1, height: body.height.saturating_sub(1), ..body };
    let (start, room) = layout(name, below.width, width);
    let lines = model.logs.window(usize::from(below.height), height_in(model.logs.wrap, room));
    let mut rows = Vec::new();
    for (seq, line) in &lines {
        let pieces = pieces(&line.text, room, model.logs.wrap);
        let numbered = pieces.into_iter().enumerate();
        rows.extend(numbered.map(|(number, piece)| (*seq, *line, number == 0, piece)));
    }
    // Of the first line, only the end may fit.
    let hidden = rows.len().saturating_sub(usize::from(below.height));
    for (row, (seq, line, is_first, piece)) in (0..below.height).zip(rows.drain(hidden..)) {
        let mut pen = canvas.pen(below, row);
        if model.logs.found == Some(seq) && is_first {
            pen.say(model.look.glyphs.cursor, Role::Strong);
        }
        if is_first {
            origin(model, name, line, pen.to(0), width);
        }
        text(model, line, piece, pen.to(start));
    }
}

/// How many rows of lines this screen has.
pub fn rows(model: &Model) -> usize {
    let (width, height) = model.size;
    usize::from(body(model, Rect::new(0, 0, width, height)).height.saturating_sub(1)).max(1)
}

/// How many of them a line takes.
pub fn height(model: &Model) -> impl Fn(&Line) -> usize + use<> {
    let (width, height) = model.size;
    let class = width_of(Rect::new(0, 0, width, height));
    let name = match &model.screen {
        crate::model::Screen::Logs(name) => Some(name),
        _ => None,
    };
    let room = name.map_or(1, |name| layout(name, width, class).1);
    height_in(model.logs.wrap, room)
}

fn height_in(wrap: bool, room: u16) -> impl Fn(&Line) -> usize + use<> {
    move |line| pieces(&line.text, room, wrap).len()
}

/// Where the text begins, and how wide it may be.
fn layout(name: &ServiceName, frame: u16, width: Width) -> (u16, u16) {
    let start = match width {
        Width::Line | Width::Narrow => 5,
        Width::Normal | Width::Wide => 18 + who(name),
    };
    (start, frame.saturating_sub(start).max(1))
}

/// The width of the names of instances.
fn who(name: &ServiceName) -> u16 {
    (columns(name.as_str()) + 3).clamp(8, 14)
}

/// The rows of a line: as many as it takes, or one that is cut where it is drawn.
fn pieces(text: &str, room: u16, wrap: bool) -> Vec<&str> {
    if wrap { fmt::pieces(text, usize::from(room)) } else { vec![text] }
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
        pen.left(who(name), &format!("{name}-{slot}"), Role::Plain).say(mark, Role::Quiet);
    }
}

fn text(model: &Model, line: &Line, piece: &str, pen: &mut Pen<'_>) {
    let role = match (line.from, line.severity) {
        (None, _) => Role::Moving,
        (Some(_), Some(Severity::Error)) => Role::Bad,
        (Some(_), Some(Severity::Warning)) => Role::Moving,
        (Some(_), Some(Severity::Debug)) => Role::Quiet,
        (Some(_), Some(Severity::Info) | None) => Role::Plain,
    };
    let mut rest = piece;
    while let Some((from, to)) = occurrence(rest, &model.logs.needle) {
        // What is cut has no room for more.
        if pen.room() <= columns(&rest[..to]) {
            break;
        }
        pen.say(&rest[..from], role).say(&rest[from..to], Role::Button);
        rest = &rest[to..];
    }
    pen.say(rest, role);
}

fn heading(model: &Model, name: &ServiceName, width: Width) -> String {
    let filter = model.logs.filter();
    match (filter.slot, width) {
        (Some(slot), _) => format!("logs   {name}-{slot}"),
        (None, Width::Line | Width::Narrow) => format!("logs   {name}"),
        (None, Width::Normal | Width::Wide) => format!("logs   {name}, all instances"),
    }
}

fn note(model: &Model, width: Width) -> String {
    let logs = &model.logs;
    let place = match (logs.is_following(), logs.newer()) {
        (true, _) => "following".to_owned(),
        (false, 0) => "not following".to_owned(),
        (false, newer) => format!("+{} newer", count(newer as u64)),
    };
    let level = match logs.filter().severity {
        None => "level all",
        Some(Severity::Error) => "level error",
        Some(_) => "level warning",
    };
    match width {
        Width::Line | Width::Narrow => place,
        Width::Normal | Width::Wide if logs.needle.is_empty() => format!("{place}   {level}"),
        Width::Normal | Width::Wide => format!("{place}   {level}   / {}", logs.needle),
    }
}

fn absence(model: &Model) -> &'static str {
    let filter = model.logs.filter();
    match model.logs.asked {
        _ if filter.slot.is_some() || filter.severity.is_some() => "nothing of that kind",
        Some((_, true)) => "it printed nothing yet",
        Some((_, false)) => "asking the daemon",
        None => "not connected",
    }
}
