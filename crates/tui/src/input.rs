//! Keys from the terminal's events; what arrives faster than anyone types is no key.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use crate::msg::{Msg, Turn};

/// So many characters at once were pasted, on a terminal that does not mark a paste.
const BURST: usize = 12;

/// A key as [`crate::keymap`] names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A character, shift included.
    Char(char),
    /// A character with control.
    Ctrl(char),
    /// Return.
    Enter,
    /// Escape.
    Esc,
    /// Erases the character before the cursor.
    Backspace,
    /// Erases the one at the cursor.
    Delete,
    /// Tabulator.
    Tab,
    /// The same with shift.
    BackTab,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(' ') => f.write_str("space"),
            Self::Char(c) => write!(f, "{c}"),
            Self::Ctrl(c) => write!(f, "^{c}"),
            Self::Enter => f.write_str("enter"),
            Self::Esc => f.write_str("esc"),
            Self::Backspace => f.write_str("backspace"),
            Self::Delete => f.write_str("del"),
            Self::Tab => f.write_str("tab"),
            Self::BackTab => f.write_str("backtab"),
            Self::Up => f.write_str("up"),
            Self::Down => f.write_str("down"),
            Self::Left => f.write_str("left"),
            Self::Right => f.write_str("right"),
            Self::PageUp => f.write_str("pgup"),
            Self::PageDown => f.write_str("pgdn"),
            Self::Home => f.write_str("home"),
            Self::End => f.write_str("end"),
        }
    }
}

impl FromStr for Key {
    type Err = NoKey;

    /// As [`fmt::Display`] writes it: `R`, `^d`, `space`, `pgup`.
    fn from_str(text: &str) -> Result<Self, NoKey> {
        let mut chars = text.chars();
        match (chars.next(), chars.next(), chars.next()) {
            (Some(c), None, None) if !c.is_control() && c != ' ' => return Ok(Self::Char(c)),
            (Some('^'), Some(c), None) if c.is_ascii_alphabetic() => {
                return Ok(Self::Ctrl(c.to_ascii_lowercase()));
            }
            _ => {}
        }
        NAMED.into_iter().find(|key| key.to_string() == text).ok_or(NoKey)
    }
}

/// Keys that are called by a name.
const NAMED: [Key; 15] = [
    Key::Char(' '),
    Key::Enter,
    Key::Esc,
    Key::Backspace,
    Key::Delete,
    Key::Tab,
    Key::BackTab,
    Key::Up,
    Key::Down,
    Key::Left,
    Key::Right,
    Key::PageUp,
    Key::PageDown,
    Key::Home,
    Key::End,
];

/// It names no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such key")]
pub struct NoKey;

/// The messages that one batch of terminal events amounts to. A batch is everything that could be
/// read without waiting.
pub fn messages(batch: &[Event]) -> Vec<Msg> {
    let typed = batch.iter().filter(|event| matches!(key(event), Some(Key::Char(_)))).count();
    let mut messages = Vec::with_capacity(batch.len());
    if typed >= BURST {
        messages.push(Msg::Paste(typed));
    }
    for event in batch {
        match event {
            Event::Paste(text) => messages.push(Msg::Paste(text.chars().count())),
            Event::Resize(width, height) => {
                messages.push(Msg::Resize { width: *width, height: *height });
            }
            Event::Key(_) => match key(event) {
                // Whatever else is in a burst may be pasted too; only leaving is never an accident.
                Some(Key::Ctrl('c')) => messages.push(Msg::Key(Key::Ctrl('c'))),
                Some(key) if typed < BURST => messages.push(Msg::Key(key)),
                Some(_) | None => {}
            },
            Event::Mouse(event) => messages.extend(mouse(*event)),
            Event::FocusGained | Event::FocusLost => {}
        }
    }
    messages
}

/// What the mouse says: the left button, and the wheel.
fn mouse(event: MouseEvent) -> Option<Msg> {
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => {
            Some(Msg::Click { column: event.column, row: event.row })
        }
        MouseEventKind::ScrollUp => Some(Msg::Wheel(Turn::Up)),
        MouseEventKind::ScrollDown => Some(Msg::Wheel(Turn::Down)),
        _ => None,
    }
}

fn key(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent { code, modifiers, kind, .. }) = event else { return None };
    if *kind == KeyEventKind::Release {
        return None;
    }
    if modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    let control = modifiers.contains(KeyModifiers::CONTROL);
    match code {
        KeyCode::Char(c) if control => Some(Key::Ctrl(c.to_ascii_lowercase())),
        KeyCode::Char(c) => Some(Key::Char(*c)),
        KeyCode::Enter => Some(Key::Enter),
        KeyCode::Esc => Some(Key::Esc),
        KeyCode::Backspace => Some(Key::Backspace),
        KeyCode::Delete => Some(Key::Delete),
        KeyCode::Tab => Some(Key::Tab),
        KeyCode::BackTab => Some(Key::BackTab),
        KeyCode::Up => Some(Key::Up),
        KeyCode::Down => Some(Key::Down),
        KeyCode::Left => Some(Key::Left),
        KeyCode::Right => Some(Key::Right),
        KeyCode::PageUp => Some(Key::PageUp),
        KeyCode::PageDown => Some(Key::PageDown),
        KeyCode::Home => Some(Key::Home),
        KeyCode::End => Some(Key::End),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Vec<Event> {
        text.chars()
            .map(|c| Event::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)))
            .collect()
    }

    #[test]
    fn what_comes_faster_than_anyone_types_is_no_key() {
        let burst = messages(&typed(&"ry".repeat(2_000)));
        assert!(matches!(burst[..], [Msg::Paste(4_000)]), "{burst:?}");
        assert!(matches!(messages(&typed("jr"))[..], [Msg::Key(_), Msg::Key(_)]));
    }

    #[test]
    fn a_key_is_read_as_it_is_written() {
        let letters = [Key::Char('R'), Key::Char('^'), Key::Char('ß'), Key::Ctrl('d')];
        for key in NAMED.into_iter().chain(letters) {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for wrong in ["", "ctrl-d", "^", "^^", "^dd", "Space", "\u{1b}", "f1"] {
            let is_sign = wrong.chars().count() == 1 && wrong != "\u{1b}";
            assert_eq!(wrong.parse::<Key>().is_ok(), is_sign, "{wrong:?}");
        }
    }

    #[test]
    fn a_paste_is_no_key() {
        let paste = messages(&[Event::Paste("ry".to_owned())]);
        assert!(matches!(paste[..], [Msg::Paste(2)]), "{paste:?}");
    }
}
