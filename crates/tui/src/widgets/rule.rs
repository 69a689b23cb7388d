//! The line between two sections, with a heading in it.

use std::borrow::Cow;

use super::Pen;
use super::rows::columns;
use crate::fmt::{LEAST_NAME, fit, fit_around};
use crate::style::Role;

/// How much a part of a note matters; the first go first where there is no room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It is always so, unless something else is said.
    Usual,
    /// Where one is, and what is looked for.
    Place,
    /// What the operator left out.
    Choice,
}

/// Draws a rule over the whole row: `╌╌ heading ╌╌╌╌╌ note ╌╌`.
pub fn rule(pen: &mut Pen<'_>, heading: &str, note: &str) {
    let glyph = pen.look().glyphs.rule;
    let width = pen.room();
    pen.say(&glyph.repeat(usize::from(width)), Role::Quiet);
    if !heading.is_empty() {
        let heading = shortened(heading, heading_room(width), pen.look().glyphs.cut);
        pen.to(2).say(" ", Role::Plain).say(&heading, Role::Strong).say(" ", Role::Plain);
    }
    let from = width.saturating_sub(4 + columns(note));
    if !note.is_empty() && from > columns(heading) + 4 {
        pen.to(from).say(" ", Role::Plain).say(note, Role::Quiet).say(" ", Role::Plain);
    }
}

/// The same for a heading in which there is a `name`, which gives way where there is no room for all.
pub fn rule_about(pen: &mut Pen<'_>, heading: &str, name: &str, note: &str) {
    let room = heading_room(pen.room());
    let heading = fit_around(heading, name, usize::from(room), pen.look().glyphs.cut);
    rule(pen, &heading, note);
}

/// Columns for a heading in a rule of `width`: two of rule and a blank are on either side.
pub const fn heading_room(width: u16) -> u16 {
    width.saturating_sub(6)
}

/// Draws a rule with a note of several parts: as many as there is room for. A `name` in the heading
/// gives way first.
pub fn rule_with(pen: &mut Pen<'_>, heading: &str, name: &str, mut parts: Vec<(Weight, String)>) {
    // The rule, the blanks, and what keeps the note from the heading.
    let room = pen.room().saturating_sub(9);
    let given = columns(name).saturating_sub(LEAST_NAME);
    let shortest = columns(heading).saturating_sub(given);
    let joined = |parts: &[(Weight, String)]| {
        let texts: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
        texts.join("   ")
    };
    while parts.len() > 1 && columns(&joined(&parts)) > room.saturating_sub(shortest) {
        let lightest = (0..parts.len()).min_by_key(|&index| parts[index].0);
        parts.remove(lightest.unwrap_or(0));
    }
    let cut = pen.look().glyphs.cut;
    let note = joined(&parts);
    let note = shortened(&note, room.saturating_sub(shortest), cut);
    let room = room.saturating_sub(columns(&note));
    rule(pen, &fit_around(heading, name, usize::from(room), cut), &note);
}

/// `text`, or what of it fits into so many columns before the sign that it is cut.
fn shortened<'a>(text: &'a str, room: u16, cut: &str) -> Cow<'a, str> {
    if columns(text) <= room {
        return Cow::Borrowed(text);
    }
    let kept = fit(text, usize::from(room.saturating_sub(columns(cut))));
    Cow::Owned(format!("{}{cut}", kept.trim_end()))
}

#[cfg(test)]
mod tests {
    use ratatui::buffer::Buffer;
    use ratatui::layout::Rect;

    use super::*;
    use crate::console::{GlyphChoice, text};
    use crate::term::caps;
    use crate::widgets::Canvas;

    #[test]
    fn what_matters_least_goes_first() {
        let drawn = |width| {
            let area = Rect::new(0, 0, width, 1);
            let mut buffer = Buffer::empty(area);
            let look = caps::look(GlyphChoice::Ascii, |_| None);
            let parts = vec![
                (Weight::Place, "following".to_owned()),
                (Weight::Usual, "level all".to_owned()),
                (Weight::Choice, "& one".to_owned()),
                (Weight::Choice, "/ two".to_owned()),
            ];
            rule_with(&mut Canvas::new(&mut buffer, look).pen(area, 0), "logs", "", parts);
            text(&buffer).trim_end().to_owned()
        };
        assert_eq!(drawn(50), "-- logs - following   level all   & one   / two --");
        assert_eq!(drawn(49), "-- logs ------------ following   & one   / two --");
        assert_eq!(drawn(37), "-- logs ------------ & one   / two --");
        assert_eq!(drawn(25), "-- logs -------- / two --");
        assert_eq!(drawn(17), "-- logs - / t> --");
    }

    #[test]
    fn a_name_gives_way_before_the_note_does() {
        let drawn = |width| {
            let area = Rect::new(0, 0, width, 1);
            let mut buffer = Buffer::empty(area);
            let look = caps::look(GlyphChoice::Ascii, |_| None);
            let (name, heading) = ("talk-with-many-words", "logs   talk-with-many-words-2, now");
            let parts = vec![
                (Weight::Place, "following".to_owned()),
                (Weight::Usual, "level all".to_owned()),
            ];
            rule_with(&mut Canvas::new(&mut buffer, look).pen(area, 0), heading, name, parts);
            text(&buffer).trim_end().to_owned()
        };
        let whole = "-- logs   talk-with-many-words-2, now - following   level all --";
        assert_eq!(drawn(64), whole);
        assert_eq!(drawn(63), "-- logs   talk-with-many-wor>-2, now - following   level all --");
        assert_eq!(drawn(54), "-- logs   talk-with>-2, now - following   level all --");
        assert_eq!(drawn(53), "-- logs   talk-with-many-words-2, now -- following --");
        assert_eq!(drawn(30), "-- logs   talk-with>-2, now --");
    }
}
