//! Cells: pips, colours and columns.

use clap::builder::styling::{AnsiColor, Style};
use smoothserve_protocol::snapshot::Pip;
use unicode_width::UnicodeWidthStr;

use crate::style::glyphs::{DRAWN, counted};
use crate::style::{Glyphs, Role};

/// One mark an instance, in the order of their slots; a count of each when there are many.
pub(crate) fn pips(pips: &[Pip], glyphs: &Glyphs) -> String {
    if pips.len() <= DRAWN {
        return pips.iter().map(|pip| glyphs.pip(*pip).0).collect();
    }
    let kinds = counted(pips).into_iter();
    let kinds: Vec<_> =
        kinds.map(|(number, pip)| format!("{number}{}", glyphs.pip(pip).0)).collect();
    kinds.join(" ")
}

/// `text` as `role` looks on a terminal that has colours.
pub(crate) fn paint(text: &str, role: Role) -> String {
    let style = match role {
        Role::Plain => Style::new(),
        Role::Quiet => Style::new().dimmed(),
        Role::Strong => Style::new().bold(),
        Role::Ok => AnsiColor::Green.on_default(),
        Role::Moving => AnsiColor::Yellow.on_default(),
        Role::New => AnsiColor::Cyan.on_default(),
        Role::Bad => AnsiColor::Red.on_default().bold(),
        Role::Button => Style::new().invert(),
    };
    if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
}

/// One cell of a table.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    role: Role,
    right: bool,
}

impl Cell {
    /// Words, to the left.
    pub(crate) fn word(text: impl Into<String>, role: Role) -> Self {
        Self { text: text.into(), role, right: false }
    }

    /// A figure, to the right.
    pub(crate) fn figure(text: impl Into<String>) -> Self {
        Self { text: text.into(), role: Role::Plain, right: true }
    }

    /// The same in another role.
    #[must_use]
    pub(crate) fn in_role(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

/// Rows of cells as lines, every column as wide as its widest cell, two spaces between them.
pub(crate) fn table(rows: &[Vec<Cell>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.text.width()).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..columns).map(width).collect();
    rows.iter().map(|row| line(row, &widths)).collect()
}

fn line(row: &[Cell], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        let space = " ".repeat(width - cell.text.width());
        let painted = paint(&cell.text, cell.role);
        line += &if cell.right { format!("{space}{painted}") } else { format!("{painted}{space}") };
        line += "  ";
    }
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use smoothserve_protocol::snapshot::InstanceState;

    use super::*;
    use crate::style::glyphs::{ASCII, UNICODE};

    #[test]
    fn many_instances_are_counted() {
        let ready = Pip { state: InstanceState::Ready, new: false };
        let new = Pip { state: InstanceState::Ready, new: true };
        let draining = Pip { state: InstanceState::Draining, new: false };
        assert_eq!(pips(&[new, draining, ready], &UNICODE), "▮▾▪");
        assert_eq!(pips(&[new, draining, ready], &ASCII), "#vo");
        let mut many = vec![new; 12];
        many.extend([draining, ready, ready, ready]);
        assert_eq!(pips(&many, &UNICODE), "12▮ 1▾ 3▪");
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [
            vec![Cell::word("商店", Role::Plain), Cell::figure("1")],
            vec![Cell::word("a", Role::Plain), Cell::figure("1 000"), Cell::word("x", Role::Plain)],
        ];
        assert_eq!(table(&rows), ["商店      1", "a     1 000  x"]);
    }
}
