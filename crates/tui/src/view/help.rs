//! The list of keys, made from the keymap, and the legend of the pips.

use ratatui::layout::Rect;
use smoothserve_protocol::snapshot::{InstanceState, Pip};

use crate::keymap::{Binding, Group};
use crate::model::Model;
use crate::model::help::{Help, rows};
use crate::style::Role;
use crate::update::ops::unavailable;
use crate::widgets::rows::window;
use crate::widgets::rule::rule;
use crate::widgets::{Canvas, Pen};

/// Columns that the keys take before what they do.
const KEYS: u16 = 13;

/// One line of the help.
enum Line<'a> {
    Blank,
    Heading(&'static str),
    /// A row, by its number.
    Key(usize, Binding<'a>),
}

/// Draws the help for the screen behind it.
pub fn draw(model: &Model, help: &Help, canvas: &mut Canvas<'_>, body: Rect) {
    heading(model, help, canvas, body);
    let rows = rows(model, help);
    let row = help.row.min(rows.len().saturating_sub(1));
    let off = rows.get(row).and_then(|row| unavailable(model, row.action));
    let (left, right) = blocks(rows);
    let below = Rect { y: body.y + 1, height: body.height.saturating_sub(1), ..body };
    if body.width < 72 {
        let lines: Vec<Line<'_>> = left.into_iter().chain(right).collect();
        let longest = lines.len();
        let lines = in_room(lines, longest, below.height);
        column(model, canvas, below, 1, &lines, row);
        return;
    }
    let (first, second) = if body.width < 110 { (3, 41) } else { (6, 62) };
    let keys = Rect { height: below.height.saturating_sub(4), ..below };
    let longest = left.len().max(right.len());
    let [left, right] = [left, right].map(|lines| in_room(lines, longest, keys.height));
    let half = Rect { width: second - 2, ..keys };
    column(model, canvas, half, first, &left, row);
    column(model, canvas, keys, second, &right, row);
    legend(canvas, below);
    let mut pen = canvas.pen(below, below.height.saturating_sub(1));
    let permission = if model.read_only { "read-only" } else { "read-write" };
    pen.to(3).say(&format!("{permission}   {}", model.keys.origin()), Role::Quiet);
    if let Some(reason) = off {
        pen.ending(1, &format!("off now: {reason}"), Role::Moving);
    }
}

fn heading(model: &Model, help: &Help, canvas: &mut Canvas<'_>, body: Rect) {
    let screen = model.screen_context().name();
    let here = match body.width {
        0..72 => format!("help   {screen}"),
        72.. => format!("help   keys that work here: {screen}"),
    };
    let cursor = if help.is_typing { "_" } else { "" };
    let needle = help.needle.text();
    let searched = if needle.is_empty() && !help.is_typing {
        String::new()
    } else {
        format!("   /{needle}{cursor}")
    };
    rule(&mut canvas.pen(body, 0), &(here + &searched), &target(model));
}

/// Whom a row that commands something would be about.
fn target(model: &Model) -> String {
    match (model.marked().len(), model.target()) {
        (0, Some(name)) => format!("for {name}"),
        (0, None) => String::new(),
        (marked, _) => format!("for {marked} marked"),
    }
}

/// The rows in two columns, each group under its heading.
fn blocks(rows: Vec<Binding<'_>>) -> (Vec<Line<'_>>, Vec<Line<'_>>) {
    let (mut left, mut right) = (vec![Line::Blank], vec![Line::Blank]);
    let mut last = None;
    for (number, row) in rows.into_iter().enumerate() {
        let (column, title) = match row.group {
            Group::Move => (&mut left, "MOVE"),
            Group::List => (&mut left, "LIST"),
            Group::Act => (&mut right, "ACT (asks first)"),
            Group::Other => (&mut right, "OTHER"),
        };
        if last != Some(row.group) {
            if column.len() > 1 {
                column.push(Line::Blank);
            }
            column.push(Line::Heading(title));
            last = Some(row.group);
        }
        column.push(Line::Key(number, row));
    }
    (left, right)
}

/// Blank lines go when the longest column does not fit with them.
fn in_room(lines: Vec<Line<'_>>, longest: usize, room: u16) -> Vec<Line<'_>> {
    let is_tight = longest > usize::from(room);
    lines.into_iter().filter(|line| !(is_tight && matches!(line, Line::Blank))).collect()
}

/// Draws as many of `lines` as there is room for, the one under the cursor among them.
fn column(
    model: &Model,
    canvas: &mut Canvas<'_>,
    area: Rect,
    at: u16,
    lines: &[Line<'_>],
    cursor: usize,
) {
    let room = usize::from(area.height);
    let is_selected = |line: &Line<'_>| matches!(line, Line::Key(number, _) if *number == cursor);
    let selected = lines.iter().position(is_selected);
    // What does not fit is counted in the last row.
    let shown = if lines.len() > room { room.saturating_sub(1) } else { room };
    let first = window(lines.len(), shown, selected.unwrap_or(0));
    let (above, below) = (first, lines.len().saturating_sub(first + shown));
    if above + below > 0 {
        let rest = if below > 0 { format!("{below} below") } else { format!("{above} above") };
        canvas.pen(area, area.height.saturating_sub(1)).to(at).say(&rest, Role::Quiet);
    }
    for (row, line) in (0..area.height).zip(lines.iter().skip(first).take(shown)) {
        let mut pen = canvas.pen(area, row);
        match line {
            Line::Blank => {}
            Line::Heading(text) => {
                pen.to(at).say(text, Role::Strong);
            }
            Line::Key(_, binding) => {
                if is_selected(line) {
                    let mark = pen.look().glyphs.cursor;
                    pen.to(at.saturating_sub(2)).say(mark, Role::Strong);
                }
                key(model, binding, pen.to(at));
            }
        }
    }
}

fn key(model: &Model, binding: &Binding<'_>, pen: &mut Pen<'_>) {
    let keys = binding.shown_keys();
    let (keys, role) = match unavailable(model, binding.action) {
        None => (keys, Role::Plain),
        Some(_) => (keys + " (off)", Role::Quiet),
    };
    pen.left(KEYS, &keys, role).say(binding.help, role);
}

/// Every state an instance can be in, in two lines.
const PIPS: [&[(InstanceState, bool, &str)]; 2] = [
    &[
        (InstanceState::Ready, true, "new"),
        (InstanceState::Ready, false, "ready"),
        (InstanceState::Starting, false, "starting"),
        (InstanceState::Draining, false, "draining"),
        (InstanceState::Stopping, false, "stopping"),
    ],
    &[
        (InstanceState::Stopped, false, "stopped"),
        (InstanceState::Failed, false, "failed"),
        (InstanceState::Backoff, false, "backoff"),
        (InstanceState::Unhealthy, false, "unhealthy"),
    ],
];

fn legend(canvas: &mut Canvas<'_>, area: Rect) {
    for (row, states) in (area.height.saturating_sub(3)..).zip(PIPS) {
        let mut pen = canvas.pen(area, row);
        let glyphs = pen.look().glyphs;
        pen.to(2);
        for &(state, new, word) in states {
            let (mark, role) = glyphs.pip(Pip { state, new });
            pen.say(mark, role).skip(1).say(word, Role::Plain).skip(1);
        }
    }
}
