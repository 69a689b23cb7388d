//! Text in which what was looked for stands out.

use super::Pen;
use super::rows::columns;
use crate::fmt::fit;
use crate::model::find::occurrence;
use crate::style::Role;
use crate::style::ink::{self, Run};

/// Writes `text`, cut where the row ends, with every occurrence of `needle` in it reversed.
pub fn say(pen: &mut Pen<'_>, text: &str, needle: &str, role: Role) {
    say_inked(pen, text, 0, &[], needle, role);
}

/// The same for a part of a printed line, which begins at byte `from` of it, in the inks of that
/// line.
pub fn say_inked(
    pen: &mut Pen<'_>,
    text: &str,
    from: usize,
    inks: &[Run],
    needle: &str,
    role: Role,
) {
    let is_cut = columns(text) > pen.room();
    let shown = if is_cut { fit(text, usize::from(pen.room().saturating_sub(1))) } else { text };
    let hits = hits(shown, needle);
    let mut hits = hits.iter().copied().peekable();
    let theme = pen.look().theme;
    let mut at = 0;
    while at < shown.len() {
        let (ink, next) = ink::at(inks, from + at);
        let end = next.map_or(shown.len(), |next| next - from).min(shown.len());
        while hits.next_if(|(_, to)| *to <= at).is_some() {}
        let (end, style) = match hits.peek() {
            Some(&(first, to)) if first <= at => (end.min(to), theme.found(ink)),
            Some(&(first, _)) => (end.min(first), theme.printed(ink, role)),
            None => (end, theme.printed(ink, role)),
        };
        pen.styled(&shown[at..end], style);
        at = end;
    }
    if is_cut {
        let mark = pen.look().glyphs.cut;
        pen.say(mark, role);
    }
}

/// Where `needle` is in `text`, as bytes, one after the other.
fn hits(text: &str, needle: &str) -> Vec<(usize, usize)> {
    let mut hits = Vec::new();
    let mut after = 0;
    while let Some((from, to)) = occurrence(&text[after..], needle) {
        hits.push((after + from, after + to));
        after += to;
    }
    hits
}
