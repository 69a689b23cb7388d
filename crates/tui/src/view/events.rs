//! What happened: the newest few under other screens, or all of it on its own.

use ratatui::layout::Rect;
use smoothserve_protocol::id::ServiceName;

use super::Width;
use crate::fmt::{count, fit_name, took, wrapped};
use crate::model::Model;
use crate::model::events::Line;
use crate::style::Role;
use crate::widgets::rows::{columns, window};
use crate::widgets::rule::{Weight, rule, rule_with};
use crate::widgets::{Canvas, Pen, found};
use crate::words::Severity;

/// Columns for when it was, and the mark.
const BEFORE: u16 = 15;
/// Columns for who asked for something, where there are columns.
const BY: u16 = 18;
/// Rows for the whole text of the selected line, below the list.
const WHOLE: u16 = 2;

/// Draws a heading and the newest events, newest first.
pub fn strip(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    if area.height < 2 {
        return;
    }
    rule(&mut canvas.pen(area, 0), "events", "3 all");
    let lines: Vec<&Line> = model.events.newest().take(usize::from(area.height - 1)).collect();
    list(model, canvas, area, &lines);
}

/// Draws the whole screen: oldest on top, and below the list the selected line in full.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>, body: Rect, width: Width) {
    let service = model.events.filter().service.as_ref().map_or("", ServiceName::as_str);
    rule_with(&mut canvas.pen(body, 0), &heading(model, width), service, note(model));
    let below = Rect { y: body.y + 1, height: body.height.saturating_sub(1), ..body };
    if model.events.shown() == 0 {
        canvas.pen(below, 0).to(2).say(absence(model), Role::Quiet);
        return;
    }
    let foot = if below.height > 2 * (WHOLE + 1) { WHOLE + 1 } else { 0 };
    let head = u16::from(width == Width::Wide);
    let height = below.height.saturating_sub(foot + head);
    let list = Rect { y: below.y + head, height, ..below };
    let subject = subject_width(model, list, width);
    if head > 0 {
        column_heads(&mut canvas.pen(below, 0), subject);
    }
    rows(model, canvas, list, width, subject);
    whole(model, canvas, Rect { y: list.bottom(), height: foot, ..below });
}

fn rows(model: &Model, canvas: &mut Canvas<'_>, area: Rect, width: Width, subject: u16) {
    let selected = model.events.index();
    for (row, index) in (0..area.height).zip(first(model, area)..) {
        let Some(line) = model.events.at(index) else { return };
        let mut pen = canvas.pen(area, row);
        let emphasis = if index == selected { Role::Strong } else { Role::Plain };
        if index == selected {
            let column = u16::from(width != Width::Narrow);
            let cursor = model.look.glyphs.cursor;
            pen.to(column).say(cursor, Role::Strong);
        }
        match width {
            Width::Line | Width::Narrow => narrow_row(model, line, &mut pen, subject, emphasis),
            Width::Normal | Width::Wide => {
                row_of(model, line, &mut pen, subject, emphasis, width);
            }
        }
    }
}

/// The first line of those on the screen.
fn first(model: &Model, area: Rect) -> usize {
    window(model.events.shown(), usize::from(area.height), model.events.index())
}

/// The width of what events are about, for those on the screen.
fn subject_width(model: &Model, area: Rect, width: Width) -> u16 {
    let first = first(model, area);
    let on_screen = first..first + usize::from(area.height);
    let lines: Vec<&Line> = on_screen.filter_map(|index| model.events.at(index)).collect();
    let text = lines.iter().map(|line| match width {
        Width::Wide => columns(&line.what).saturating_add(BY + 10),
        Width::Line | Width::Narrow | Width::Normal => columns(&line.text),
    });
    clamped(&lines, text.max(), area.width)
}

/// As wide as the widest subject, and so wide that what is told of each, of at most `text` columns,
/// is not cut for it.
fn clamped(lines: &[&Line], text: Option<u16>, frame: u16) -> u16 {
    let widest = lines.iter().map(|line| columns(&line.subject)).max().unwrap_or(0);
    let spare = frame.saturating_sub(BEFORE + 1).saturating_sub(text.unwrap_or(0));
    widest.clamp(9, if frame < 72 { 12 } else { spare.max(24) })
}

fn column_heads(pen: &mut Pen<'_>, subject: u16) {
    let quiet = Role::Quiet;
    pen.to(2).left(13, "TIME", quiet).left(subject + 1, "ABOUT", quiet).say("WHAT", quiet);
    let end = pen.to(0).room();
    pen.to(end.saturating_sub(BY + 10)).right(7, "TOOK", quiet).skip(2).left(BY, "BY", quiet);
}

fn row_of(
    model: &Model,
    line: &Line,
    pen: &mut Pen<'_>,
    subject: u16,
    emphasis: Role,
    width: Width,
) {
    let needle = &model.events.needle;
    let (mark, role) = mark(pen, line);
    pen.to(2).left(10, &model.clock.text(line.unix_ms), Role::Quiet).left(3, mark, role);
    let name = fit_name(&line.subject, usize::from(subject), pen.look().glyphs.cut);
    found::say(&mut pen.column(subject), &name, needle, emphasis);
    pen.skip(subject + 1);
    if width == Width::Normal {
        found::say(pen, &line.text, needle, emphasis);
        return;
    }
    let text = pen.room().saturating_sub(BY + 10);
    found::say(&mut pen.column(text), &line.what, needle, emphasis);
    pen.skip(text);
    // What took no time, or nobody asked for, leaves its column blank.
    let took = line.took_ms.map(took).unwrap_or_default();
    pen.right(7, &took, Role::Plain).skip(2);
    found::say(&mut pen.column(BY), line.by.as_deref().unwrap_or_default(), needle, Role::Quiet);
}

fn narrow_row(model: &Model, line: &Line, pen: &mut Pen<'_>, subject: u16, emphasis: Role) {
    let needle = &model.events.needle;
    let (mark, role) = mark(pen, line);
    pen.to(1).left(9, &model.clock.text(line.unix_ms), Role::Quiet).left(2, mark, role);
    pen.name(subject, &line.subject, emphasis).skip(1);
    found::say(pen, &line.text, needle, emphasis);
}

/// The selected line in full, as far as there is room; when it was, and its number.
fn whole(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    let (1.., Some(line)) = (area.height, model.events.selected()) else { return };
    let day = model.clock.day_text(line.unix_ms);
    let note = match line.seq {
        Some(seq) => format!("{day}   seq {}", count(seq.0)),
        None => day,
    };
    rule(&mut canvas.pen(area, 0), "", &note);
    let text = match line.subject.as_str() {
        "" => line.text.clone(),
        subject => format!("{subject} {}", line.text),
    };
    let margin = if area.width < 72 { 1 } else { 2 };
    let room = usize::from(area.width.saturating_sub(margin).max(1));
    let mut lines = wrapped(&text, room, 0);
    // What does not fit into the last row is cut there.
    let last = usize::from(area.height - 1).max(1);
    if lines.len() > last {
        let rest = lines.split_off(last - 1).join(" ");
        lines.push(rest);
    }
    for (row, line) in (1..area.height).zip(&lines) {
        found::say(canvas.pen(area, row).to(margin), line, &model.events.needle, Role::Plain);
    }
}

fn heading(model: &Model, width: Width) -> String {
    let events = &model.events;
    let (shown, all) = (count(events.shown() as u64), count(events.len() as u64));
    let number = if shown == all { all } else { format!("{shown} of {all}") };
    match (&events.filter().service, width) {
        (Some(name), Width::Line | Width::Narrow) => format!("events   {name}"),
        (None, Width::Line | Width::Narrow) => "events".to_owned(),
        (Some(name), Width::Normal | Width::Wide) => format!("events   {name}, {number}"),
        (None, Width::Normal | Width::Wide) => format!("events {number}"),
    }
}

fn note(model: &Model) -> Vec<(Weight, String)> {
    let events = &model.events;
    let place = match (events.is_following(), events.came()) {
        (true, _) => "following".to_owned(),
        (false, 0) => "not following".to_owned(),
        (false, came) => format!("+{}", count(came as u64)),
    };
    let level = match events.filter().severity {
        None => (Weight::Usual, "level all"),
        Some(Severity::Error) => (Weight::Choice, "level bad"),
        Some(_) => (Weight::Choice, "level warnings"),
    };
    let mut parts = vec![(Weight::Place, place), (level.0, level.1.to_owned())];
    let pattern = events.filter().pattern.as_ref().map(|one| format!("& {}", one.as_str()));
    let needle = (!events.needle.is_empty()).then(|| format!("/ {}", events.needle));
    parts.extend(pattern.map(|text| (Weight::Choice, text)));
    parts.extend(needle.map(|text| (Weight::Place, text)));
    parts
}

fn absence(model: &Model) -> &'static str {
    if model.events.is_empty() { "nothing happened yet" } else { "nothing of that kind" }
}

fn list(model: &Model, canvas: &mut Canvas<'_>, area: Rect, lines: &[&Line]) {
    let text = lines.iter().map(|line| columns(&line.text)).max();
    let subject = clamped(lines, text, area.width);
    for (row, line) in (1..area.height).zip(lines) {
        draw_line(model, line, &mut canvas.pen(area, row), subject);
    }
}

fn draw_line(model: &Model, line: &Line, pen: &mut Pen<'_>, subject: u16) {
    let (mark, role) = mark(pen, line);
    pen.to(2).left(10, &model.clock.text(line.unix_ms), Role::Quiet).left(3, mark, role);
    pen.name(subject, &line.subject, Role::Plain).skip(1).say(&line.text, Role::Plain);
}

fn mark(pen: &Pen<'_>, line: &Line) -> (&'static str, Role) {
    let glyphs = pen.look().glyphs;
    line.mark.map_or((glyphs.rule, Role::Quiet), |mark| glyphs.mark(mark))
}
