//! What happened: the newest few under other screens, or all of it on its own.

use ratatui::layout::Rect;

use crate::fmt::count;
use crate::model::Model;
use crate::model::events::Line;
use crate::style::Role;
use crate::widgets::rows::columns;
use crate::widgets::rule::rule;
use crate::widgets::{Canvas, Pen};

/// Draws a heading and the newest events, newest first.
pub fn strip(model: &Model, canvas: &mut Canvas<'_>, area: Rect) {
    if area.height < 2 {
        return;
    }
    rule(&mut canvas.pen(area, 0), "events", "3 all");
    let lines: Vec<&Line> = model.events.newest().take(usize::from(area.height - 1)).collect();
    list(model, canvas, area, &lines);
}

/// Draws the whole screen: oldest on top, `back` lines back from the newest at the bottom.
pub fn draw(model: &Model, back: usize, canvas: &mut Canvas<'_>, body: Rect) {
    let heading = format!("events {}", count(model.events.len() as u64));
    let note = match back {
        0 => "following".to_owned(),
        _ => format!("{} newer below", count(back as u64)),
    };
    rule(&mut canvas.pen(body, 0), &heading, &note);
    let shown = usize::from(body.height.saturating_sub(1));
    // At the oldest end the frame stays full.
    let back = back.min(model.events.len().saturating_sub(shown));
    let mut lines: Vec<&Line> = model.events.newest().skip(back).take(shown).collect();
    lines.reverse();
    if lines.is_empty() {
        canvas.pen(body, 1).to(2).say("nothing happened yet", Role::Quiet);
    }
    list(model, canvas, body, &lines);
}

fn list(model: &Model, canvas: &mut Canvas<'_>, area: Rect, lines: &[&Line]) {
    let widest = lines.iter().map(|line| columns(&line.subject)).max().unwrap_or(0);
    let subject = widest.clamp(9, if area.width < 72 { 12 } else { 24 });
    for (row, line) in (1..area.height).zip(lines) {
        draw_line(model, line, &mut canvas.pen(area, row), subject);
    }
}

fn draw_line(model: &Model, line: &Line, pen: &mut Pen<'_>, subject: u16) {
    let time = model.clock.text(line.unix_ms);
    let glyphs = pen.look().glyphs;
    let (mark, role) = match line.mark {
        Some(mark) => glyphs.mark(mark),
        None => (glyphs.rule, Role::Quiet),
    };
    pen.to(2).left(10, &time, Role::Quiet).left(3, mark, role);
    pen.left(subject, &line.subject, Role::Plain).skip(1).say(&line.text, Role::Plain);
}
