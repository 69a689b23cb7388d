//! The line between two sections, with a heading in it.

use super::Pen;
use super::rows::columns;
use crate::style::Role;

/// Draws a rule over the whole row: `╌╌ heading ╌╌╌╌╌ note ╌╌`.
pub fn rule(pen: &mut Pen<'_>, heading: &str, note: &str) {
    let glyph = pen.look().glyphs.rule;
    let width = pen.room();
    pen.say(&glyph.repeat(usize::from(width)), Role::Quiet);
    if !heading.is_empty() {
        // Two columns of rule and a blank on either side.
        let heading: String = heading.chars().take(usize::from(width.saturating_sub(6))).collect();
        pen.to(2).say(" ", Role::Plain).say(&heading, Role::Strong).say(" ", Role::Plain);
    }
    let from = width.saturating_sub(4 + columns(note));
    if !note.is_empty() && from > columns(heading) + 4 {
        pen.to(from).say(" ", Role::Plain).say(note, Role::Quiet).say(" ", Role::Plain);
    }
}
