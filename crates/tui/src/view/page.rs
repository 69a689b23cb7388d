//! A page of text in front of the screen.

use ratatui::layout::Rect;

use crate::model::page::{Content, Page};
use crate::model::{Front, Model};
use crate::style::Role;
use crate::widgets::Canvas;
use crate::widgets::rows::columns;
use crate::widgets::rule::rule;

/// A row that goes on with the one above begins so far to the right.
const INDENT: usize = 4;

/// Draws the page.
pub fn draw(page: &Page, canvas: &mut Canvas<'_>, body: Rect) {
    let note = if body.width < 72 { "" } else { "esc close" };
    rule(&mut canvas.pen(body, 0), &page.title, note);
    let Content::Text(lines) = &page.content else {
        canvas.pen(body, 1).to(2).say("asking the daemon", Role::Quiet);
        return;
    };
    let rows = rows(lines, body.width);
    let shown = usize::from(body.height.saturating_sub(1));
    let first = page.down.min(rows.len().saturating_sub(shown));
    for (row, text) in (1..body.height).zip(rows.iter().skip(first)) {
        canvas.pen(body, row).to(1).say(text, Role::Plain);
    }
}

/// How many rows there are beyond those that fit.
pub fn beyond(model: &Model) -> usize {
    let Some(Front::Page(Page { content: Content::Text(lines), .. })) = &model.front else {
        return 0;
    };
    let (width, height) = model.size;
    let body = super::body(model, Rect::new(0, 0, width, height));
    rows(lines, width).len().saturating_sub(usize::from(body.height.saturating_sub(1)))
}

/// Nothing is cut: a line that is too long goes on in the next row.
fn rows(lines: &[String], width: u16) -> Vec<String> {
    lines.iter().flat_map(|line| in_rows(line, width)).collect()
}

/// `line` in rows that leave a column blank on either side.
pub(super) fn in_rows(line: &str, width: u16) -> Vec<String> {
    let room = usize::from(width.saturating_sub(2).max(1));
    let mut rows = Vec::new();
    let mut row = String::new();
    for word in line.split_inclusive(' ') {
        let end = row.trim_end().len();
        let is_full = usize::from(columns(&row)) + usize::from(columns(word.trim_end())) > room;
        if is_full && end > 0 && !(rows.is_empty() && word.trim().is_empty()) {
            row.truncate(end);
            rows.push(std::mem::replace(&mut row, " ".repeat(INDENT.min(room / 4))));
        }
        row.push_str(word);
    }
    rows.push(row);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_goes_on_in_the_next_row() {
        let rows = in_rows("  api-3  exited 1 after 4s; no such table", 22);
        assert_eq!(rows, ["  api-3  exited 1", "    after 4s; no", "    such table"]);
        assert_eq!(in_rows("", 22), [""]);
        assert_eq!(in_rows("short", 22), ["short"]);
    }
}
