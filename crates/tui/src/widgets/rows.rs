//! Rows of text in columns: a pen that never leaves its row and cuts what does not fit.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use crate::fmt::{fit, fit_around, fit_name};
use crate::model::Look;
use crate::style::Role;
use crate::words::escape;

/// What is drawn on.
pub struct Canvas<'a> {
    buffer: &'a mut Buffer,
    /// What the terminal can show.
    pub look: Look,
}

/// Writes one row from left to right.
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    look: Look,
    left: u16,
    x: u16,
    end: u16,
    y: u16,
}

impl<'a> Canvas<'a> {
    /// A canvas over all of `buffer`.
    pub const fn new(buffer: &'a mut Buffer, look: Look) -> Self {
        Self { buffer, look }
    }

    /// The same for data that is no longer fresh.
    pub const fn faded(&mut self) -> Canvas<'_> {
        let look = Look { theme: self.look.theme.faded(), ..self.look };
        self.with(look)
    }

    /// The same canvas with another look.
    pub const fn with(&mut self, look: Look) -> Canvas<'_> {
        Canvas { buffer: &mut *self.buffer, look }
    }

    /// A pen at the start of row `row` of `area`. A row that is not there takes no text.
    pub fn pen(&mut self, area: Rect, row: u16) -> Pen<'_> {
        let area = area.intersection(self.buffer.area);
        let (left, y) = (area.left(), area.top().saturating_add(row));
        let end = if row < area.height { area.right() } else { left };
        Pen { buffer: &mut *self.buffer, look: self.look, left, x: left, end, y }
    }

    /// Makes `area` blank.
    pub fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buffer.area);
        for position in area.positions() {
            self.buffer[position].reset();
        }
    }
}

impl Pen<'_> {
    /// What the terminal can show.
    pub const fn look(&self) -> Look {
        self.look
    }

    /// Writes `text`, cut where the row ends.
    pub fn say(&mut self, text: &str, role: Role) -> &mut Self {
        let room = self.end.saturating_sub(self.x);
        self.put(text, room, role);
        self
    }

    /// Writes `text` into a column of `width`, at its left.
    pub fn left(&mut self, width: u16, text: &str, role: Role) -> &mut Self {
        let next = self.x.saturating_add(width);
        self.put(text, width.min(self.end.saturating_sub(self.x)), role);
        self.x = next;
        self
    }

    /// Writes the name of an instance into a column of `width`; its number always stays.
    pub fn name(&mut self, width: u16, name: &str, role: Role) -> &mut Self {
        let name = fit_name(name, usize::from(width.min(self.room())), self.look.glyphs.cut);
        self.left(width, &name, role)
    }

    /// Writes `text` up to the end of the row; where it is too long, the `name` in it gives way.
    pub fn say_about(&mut self, text: &str, name: &str, role: Role) -> &mut Self {
        let text = fit_around(text, name, usize::from(self.room()), self.look.glyphs.cut);
        self.say(&text, role)
    }

    /// Writes `text` into a column of `width`, at its right.
    pub fn right(&mut self, width: u16, text: &str, role: Role) -> &mut Self {
        let next = self.x.saturating_add(width);
        self.x = self.x.saturating_add(width.saturating_sub(columns(text)));
        self.put(text, next.min(self.end).saturating_sub(self.x), role);
        self.x = next;
        self
    }

    /// Goes on in `column`, counted from the start of the row.
    pub const fn to(&mut self, column: u16) -> &mut Self {
        self.x = self.left.saturating_add(column);
        self
    }

    /// A pen for the next `width` columns alone; this one stays where it is.
    pub fn column(&mut self, width: u16) -> Pen<'_> {
        let end = self.end.min(self.x.saturating_add(width));
        Pen { buffer: &mut *self.buffer, look: self.look, left: self.x, x: self.x, end, y: self.y }
    }

    /// Leaves so many columns blank.
    pub const fn skip(&mut self, width: u16) -> &mut Self {
        self.x = self.x.saturating_add(width);
        self
    }

    /// Writes `text` so that it ends `margin` columns before the end of the row, unless it would
    /// come too near to what is written already.
    pub fn ending(&mut self, margin: u16, text: &str, role: Role) -> &mut Self {
        let start = self.end.saturating_sub(margin).saturating_sub(columns(text));
        if start > self.x + 1 {
            self.x = start;
            self.say(text, role);
        }
        self
    }

    /// Columns of the whole row.
    pub const fn width(&self) -> u16 {
        self.end.saturating_sub(self.left)
    }

    /// Columns left in the row.
    pub const fn room(&self) -> u16 {
        self.end.saturating_sub(self.x)
    }

    /// Writes `text`, cut where the row ends, in a look of its own.
    pub fn styled(&mut self, text: &str, style: Style) -> &mut Self {
        self.put_styled(text, self.room(), style);
        self
    }

    fn put(&mut self, text: &str, room: u16, role: Role) {
        self.put_styled(text, room, self.look.theme.style(role));
    }

    fn put_styled(&mut self, text: &str, room: u16, style: Style) {
        if room == 0 || text.is_empty() {
            return;
        }
        let clean = escape(text);
        let plain;
        let mut text = clean.as_ref();
        if self.look.glyphs.ascii_only && !text.is_ascii() {
            plain = text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect::<String>();
            text = &plain;
        }
        let shortened;
        if columns(text) > room {
            shortened = cut(text, room, self.look.glyphs.cut);
            text = &shortened;
        }
        // Whatever was written there before leaves nothing of its look behind.
        let style = Style::reset().patch(style);
        let (x, _) = self.buffer.set_stringn(self.x, self.y, text, usize::from(room), style);
        self.x = x;
    }
}

/// How many columns `text` takes.
pub fn columns(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// The beginning of `text`, with `mark` at its end, in `room` columns.
fn cut(text: &str, room: u16, mark: &str) -> String {
    fit(text, usize::from(room.saturating_sub(1))).to_owned() + mark
}

/// The first row to show of `total`, so that row `selected` is among the `shown`.
pub fn window(total: usize, shown: usize, selected: usize) -> usize {
    selected.saturating_sub(shown / 2).min(total.saturating_sub(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_columns_not_by_bytes() {
        assert_eq!(cut("worker-ui", 6, "›"), "worke›");
        assert_eq!(cut("商店商店", 6, "›"), "商店›");
    }

    #[test]
    fn the_selected_row_is_always_in_the_window() {
        for total in 0..20 {
            for shown in 1..10 {
                for selected in 0..total {
                    let first = window(total, shown, selected);
                    assert!((first..first + shown).contains(&selected));
                }
            }
        }
    }
}
