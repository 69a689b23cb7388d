//! The list of keys, made from the keymap, and the legend of the pips.

use ratatui::layout::Rect;
use smoothserve_protocol::snapshot::{InstanceState, Pip};

use crate::keymap::{self, Binding, Group};
use crate::model::Model;
use crate::style::Role;
use crate::update::ops::unavailable;
use crate::widgets::rule::rule;
use crate::widgets::{Canvas, Pen};

/// Columns that the keys take before what they do.
const KEYS: u16 = 13;

/// One line of the help.
enum Line {
    Blank,
    Heading(&'static str),
    Key(&'static Binding),
}

/// Draws the help for the screen behind it, from line `down` on.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>, body: Rect, down: usize) {
    let screen = model.screen_context().name();
    let heading = match body.width {
        0..72 => format!("help   {screen}"),
        72.. => format!("help   keys that work here: {screen}"),
    };
    rule(&mut canvas.pen(body, 0), &heading, "esc close");
    let narrow = body.width < 72;
    let (first, second) = match body.width {
        0..72 => (1, 1),
        72..110 => (3, 41),
        110.. => (6, 62),
    };
    let (left, right) = blocks(model);
    let below = Rect { y: body.y + 1, height: body.height.saturating_sub(1), ..body };
    if narrow {
        let lines: Vec<Line> = left.into_iter().chain(right).collect();
        column(model, canvas, below, first, &lines, down);
    } else {
        let keys = Rect { height: below.height.saturating_sub(3), ..below };
        column(model, canvas, keys, first, &left, down);
        column(model, canvas, keys, second, &right, down);
        legend(canvas, below);
        permission(model, &mut canvas.pen(below, below.height.saturating_sub(1)));
    }
}

fn blocks(model: &Model) -> (Vec<Line>, Vec<Line>) {
    let mut left = vec![Line::Blank, Line::Heading("MOVE")];
    left.extend(of_group(model, Group::Move));
    let lists: Vec<Line> = of_group(model, Group::List).collect();
    if !lists.is_empty() {
        left.extend([Line::Blank, Line::Heading("LIST")]);
        left.extend(lists);
    }
    let mut right = vec![Line::Blank];
    let acts: Vec<Line> = of_group(model, Group::Act).collect();
    if !acts.is_empty() {
        right.push(Line::Heading("ACT (asks first)"));
        right.extend(acts);
        right.push(Line::Blank);
    }
    right.push(Line::Heading("OTHER"));
    right.extend(of_group(model, Group::Other));
    (left, right)
}

fn of_group(model: &Model, group: Group) -> impl Iterator<Item = Line> {
    keymap::bindings(model.screen_context())
        .filter(move |binding| binding.group == group)
        .map(Line::Key)
}

fn column(
    model: &Model,
    canvas: &mut Canvas<'_>,
    area: Rect,
    at: u16,
    lines: &[Line],
    down: usize,
) {
    let room = usize::from(area.height);
    let lines: Vec<&Line> = if lines.len() > room {
        lines.iter().filter(|line| !matches!(line, Line::Blank)).collect()
    } else {
        lines.iter().collect()
    };
    let down = down.min(lines.len().saturating_sub(usize::from(area.height)));
    for (row, line) in (0..area.height).zip(lines.iter().skip(down)) {
        let mut pen = canvas.pen(area, row);
        pen.to(at);
        match line {
            Line::Blank => {}
            Line::Heading(text) => {
                pen.say(text, Role::Strong);
            }
            Line::Key(binding) => key(model, binding, &mut pen),
        }
    }
}

fn key(model: &Model, binding: &Binding, pen: &mut Pen<'_>) {
    pen.left(KEYS, &binding.shown_keys(), Role::Plain);
    match unavailable(model, binding.action) {
        None => pen.say(binding.help, Role::Plain),
        Some(_) => pen.say(binding.help, Role::Quiet).say("  (off now)", Role::Quiet),
    };
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

fn permission(model: &Model, pen: &mut Pen<'_>) {
    let text = if model.read_only { "read-only" } else { "read-write" };
    pen.to(3).say(text, Role::Quiet);
}
