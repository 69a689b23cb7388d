//! The line in which a command is typed, above the hints; above it what would fit, or what is wrong.

use ratatui::layout::Rect;

use super::Width;
use super::page::in_rows;
use crate::model::palette::{Choices, Palette};
use crate::style::Role;
use crate::widgets::rows::columns;
use crate::widgets::{Canvas, Pen};

/// Draws it over the last rows of `area`.
pub fn draw(palette: &Palette, canvas: &mut Canvas<'_>, area: Rect, width: Width) {
    // A narrow frame has no row to spare for the hints.
    let below = if width == Width::Narrow { 1 } else { 2 };
    let line = area.height.saturating_sub(below);
    let wrong = palette.problem.as_ref().map(|problem| in_rows(problem, area.width));
    let rows = wrong.as_ref().map_or(1, |rows| u16::try_from(rows.len()).unwrap_or(u16::MAX));
    let above = line.saturating_sub(rows);
    let height = line.saturating_add(1).min(area.height).saturating_sub(above);
    canvas.clear(Rect { y: area.y + above, height, ..area });
    match wrong {
        Some(rows) => {
            for (row, text) in (above..line).zip(&rows) {
                canvas.pen(area, row).to(1).say(text, Role::Bad);
            }
        }
        None => choices(&palette.choices, &mut canvas.pen(area, above)),
    }
    typed(palette, &mut canvas.pen(area, line));
}

/// The line; its beginning is out of sight when the cursor would be.
fn typed(palette: &Palette, pen: &mut Pen<'_>) {
    pen.to(1).say(":", Role::Strong);
    let room = pen.room().saturating_sub(2);
    let mut before = palette.line.before();
    while columns(before) > room {
        let first = before.chars().next().map_or(0, char::len_utf8);
        before = &before[first..];
    }
    let after = palette.line.after();
    let at = after.chars().next().map_or(0, char::len_utf8);
    let (cursor, after) = after.split_at(at);
    pen.say(before, Role::Strong);
    pen.say(if cursor.is_empty() { " " } else { cursor }, Role::Button);
    pen.say(after, Role::Strong);
}

/// The words that fit, as many as there is room for; of one alone, what it does.
fn choices(choices: &Choices, pen: &mut Pen<'_>) {
    pen.to(1);
    let chosen = match choices.words.as_slice() {
        [only] => Some(only),
        words => choices.chosen.and_then(|at| words.get(at)),
    };
    let what = chosen.map(|choice| choice.what.as_str()).filter(|what| !what.is_empty());
    if let ([only], Some(what)) = (choices.words.as_slice(), what) {
        pen.say(&only.word, Role::Strong).skip(2).say(what, Role::Quiet);
        return;
    }
    // What is chosen is always among those in sight.
    let first = first_in_sight(choices, pen.room());
    for (at, choice) in choices.words.iter().enumerate().skip(first) {
        if columns(&choice.word) + 2 > pen.room() {
            let cut = pen.look().glyphs.cut;
            pen.say(cut, Role::Quiet);
            return;
        }
        let role = if choices.chosen == Some(at) { Role::Button } else { Role::Quiet };
        pen.say(&choice.word, role).skip(2);
    }
    if let Some(what) = what {
        pen.skip(1).say(what, Role::Quiet);
    }
}

fn first_in_sight(choices: &Choices, room: u16) -> usize {
    let Some(chosen) = choices.chosen else { return 0 };
    let width = |words: &[crate::model::palette::Choice]| {
        words.iter().map(|choice| columns(&choice.word) + 2).fold(2, u16::saturating_add)
    };
    let fits = |first: &usize| choices.words.get(*first..=chosen).is_some_and(|w| width(w) <= room);
    (0..=chosen).find(fits).unwrap_or(chosen)
}
