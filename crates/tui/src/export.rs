//! The screen as files: once as plain text, once with the looks that a terminal shows.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// Names tried when one is taken.
const TRIES: u32 = 100;

/// The cells of `buffer` as lines, without the blanks at their ends.
pub fn text(buffer: &Buffer) -> String {
    rows(buffer).map(|row| row.iter().map(Cell::symbol).collect::<String>()).fold(
        String::new(),
        |mut text, line| {
            text.push_str(line.trim_end());
            text.push('\n');
            text
        },
    )
}

/// The same with the sequences that give each cell its look, for `cat` and `less -R`.
pub fn ansi(buffer: &Buffer) -> String {
    let mut text = String::new();
    for row in rows(buffer) {
        let used = row.iter().rposition(|cell| !is_blank(cell)).map_or(0, |last| last + 1);
        let mut look = String::new();
        for cell in &row[..used] {
            let next = sequence(cell);
            if next != look {
                text.push_str("\x1b[0m");
                text.push_str(&next);
                look = next;
            }
            text.push_str(cell.symbol());
        }
        if !look.is_empty() {
            text.push_str("\x1b[0m");
        }
        text.push('\n');
    }
    text
}

/// Writes `buffer` to `stem.txt` and `stem.ansi` in `folder`, or, when these are taken, to
/// `stem-2.txt` and so on. Gives back the stem that was free.
///
/// # Errors
/// When the folder cannot be written to, or too many names are taken.
pub fn save(buffer: &Buffer, folder: &Path, stem: &str) -> io::Result<String> {
    for number in 1..=TRIES {
        let stem = if number == 1 { stem.to_owned() } else { format!("{stem}-{number}") };
        match create(&folder.join(format!("{stem}.txt")), &text(buffer)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => {
                create(&folder.join(format!("{stem}.ansi")), &ansi(buffer))?;
                return Ok(stem);
            }
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn create(file: &Path, text: &str) -> io::Result<()> {
    // What is there already is somebody's.
    OpenOptions::new().write(true).create_new(true).open(file)?.write_all(text.as_bytes())
}

fn rows(buffer: &Buffer) -> impl Iterator<Item = &[Cell]> {
    buffer.content.chunks(usize::from(buffer.area.width).max(1))
}

fn is_blank(cell: &Cell) -> bool {
    cell.symbol() == " " && !cell.modifier.contains(Modifier::REVERSED)
}

fn sequence(cell: &Cell) -> String {
    const MODIFIERS: [(Modifier, &str); 5] = [
        (Modifier::BOLD, "1"),
        (Modifier::DIM, "2"),
        (Modifier::ITALIC, "3"),
        (Modifier::UNDERLINED, "4"),
        (Modifier::REVERSED, "7"),
    ];
    let set = MODIFIERS.iter().filter(|(modifier, _)| cell.modifier.contains(*modifier));
    let codes: Vec<&str> = set.map(|(_, code)| *code).chain(colour(cell.fg)).collect();
    if codes.is_empty() { String::new() } else { format!("\x1b[{}m", codes.join(";")) }
}

/// The sixteen that every terminal has; the console uses no other.
const fn colour(colour: Color) -> Option<&'static str> {
    Some(match colour {
        Color::Black => "30",
        Color::Red => "31",
        Color::Green => "32",
        Color::Yellow => "33",
        Color::Blue => "34",
        Color::Magenta => "35",
        Color::Cyan => "36",
        Color::Gray => "37",
        Color::DarkGray => "90",
        Color::LightRed => "91",
        Color::LightGreen => "92",
        Color::LightYellow => "93",
        Color::LightBlue => "94",
        Color::LightMagenta => "95",
        Color::LightCyan => "96",
        Color::White => "97",
        Color::Reset | Color::Rgb(..) | Color::Indexed(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    fn picture() -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 2));
        buffer.set_string(1, 0, "lost 0", Style::new().fg(Color::Green));
        buffer.set_string(0, 1, "api", Style::new().add_modifier(Modifier::BOLD));
        buffer
    }

    #[test]
    fn looks_begin_and_end_with_the_text_they_are_of() {
        assert_eq!(text(&picture()), " lost 0\napi\n");
        assert_eq!(ansi(&picture()), " \x1b[0m\x1b[32mlost 0\x1b[0m\n\x1b[0m\x1b[1mapi\x1b[0m\n");
    }

    #[test]
    fn a_name_that_is_taken_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(save(&picture(), folder.path(), "screen").unwrap(), "screen");
        assert_eq!(save(&picture(), folder.path(), "screen").unwrap(), "screen-2");
        let names = ["screen.txt", "screen.ansi", "screen-2.txt", "screen-2.ansi"];
        assert!(names.iter().all(|name| folder.path().join(name).exists()));
        assert!(save(&picture(), &folder.path().join("gone"), "screen").is_err());
    }
}
