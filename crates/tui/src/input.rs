//! Keys from the terminal's events; what arrives faster than anyone types is no key.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use crate::model::clock::Moment;
use crate::msg::{Msg, Paste, Turn};

/// So many characters at once were pasted, on a terminal that does not mark a paste.
const BURST: usize = 12;
/// What follows a burst within so many milliseconds belongs to it.
const PAUSE: u64 = 100;

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

/// Tells keys from text that was pasted on a terminal that does not mark a paste.
#[derive(Clone, Copy, Debug, Default)]
pub struct Typing {
    /// What came last that was too fast.
    burst: Option<Burst>,
}

/// A paste that the terminal does not mark.
#[derive(Clone, Copy, Debug)]
struct Burst {
    /// Characters so far.
    characters: usize,
    /// Its first line is over.
    has_line: bool,
    /// What comes before this still belongs to it.
    until: Moment,
}

impl Typing {
    /// The messages that one batch of terminal events amounts to, read at `now`. A batch is
    /// everything that could be read without waiting; `beyond` characters more were thrown away.
    pub fn messages(&mut self, batch: &[Event], beyond: usize, now: Moment) -> Vec<Msg> {
        let characters = |event: &&Event| matches!(key(event), Some(Key::Char(_)));
        let typed = batch.iter().filter(characters).count() + beyond;
        let before = self.burst.filter(|burst| now < burst.until);
        let has_key = typed > 0 || batch.iter().any(|event| key(event).is_some());
        // A return that belongs to a paste must not run what was pasted.
        let is_paste = typed >= BURST || has_key && before.is_some();
        let mut messages = Vec::with_capacity(batch.len());
        if is_paste {
            // A key that is held down after a paste must not go on to be taken for it.
            let until = match self.burst {
                Some(burst) if typed < BURST => burst.until,
                Some(_) | None => now.plus(PAUSE),
            };
            let characters = before.map_or(0, |burst| burst.characters) + typed;
            let had_line = before.is_some_and(|burst| burst.has_line);
            let (line, ends) = if had_line { (String::new(), true) } else { first_line(batch) };
            self.burst = Some(Burst { characters, has_line: ends || beyond > 0, until });
            messages.push(Msg::Paste(Paste { characters, line }));
        }
        messages.extend(batch.iter().filter_map(|event| message(event, is_paste)));
        messages
    }
}

/// What was typed before the first return, and whether there was one.
fn first_line(batch: &[Event]) -> (String, bool) {
    let mut line = String::new();
    for key in batch.iter().filter_map(key) {
        match key {
            Key::Char(c) => line.push(c),
            Key::Enter => return (line, true),
            _ => {}
        }
    }
    (line, false)
}

/// A paste that the terminal marks. Its lines end as the terminal has it.
fn pasted(text: &str) -> Paste {
    let mut lines = text.split(['\n', '\r']);
    let first = lines.find(|line| !line.trim().is_empty()).unwrap_or_default();
    let line = first.chars().filter(|c| !c.is_control()).collect();
    Paste { characters: text.chars().count(), line }
}

fn message(event: &Event, is_paste: bool) -> Option<Msg> {
    match event {
        Event::Paste(text) => Some(Msg::Paste(pasted(text))),
        Event::Resize(width, height) => Some(Msg::Resize { width: *width, height: *height }),
        Event::Key(_) => match key(event) {
            // Whatever else is in a burst may be pasted too; only leaving is never an accident.
            Some(Key::Ctrl('c')) => Some(Msg::Key(Key::Ctrl('c'))),
            Some(key) if !is_paste => Some(Msg::Key(key)),
            Some(_) | None => None,
        },
        Event::Mouse(event) => mouse(*event),
        Event::FocusGained | Event::FocusLost => None,
    }
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

    fn messages(batch: &[Event]) -> Vec<Msg> {
        Typing::default().messages(batch, 0, Moment(0))
    }

    /// How much was pasted, and what of its first line is told, if nothing else is.
    fn told(messages: &[Msg]) -> Option<(usize, &str)> {
        match messages {
            [Msg::Paste(paste)] => Some((paste.characters, &paste.line)),
            _ => None,
        }
    }

    #[test]
    fn what_comes_faster_than_anyone_types_is_no_key() {
        let text = "ry".repeat(2_000);
        assert_eq!(told(&messages(&typed(&text))), Some((4_000, text.as_str())));
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
    fn the_rest_of_a_burst_is_no_key_either() {
        let mut typing = Typing::default();
        let first = typing.messages(&typed(&"ry".repeat(512)), 3_000, Moment(100));
        assert_eq!(told(&first).map(|(characters, _)| characters), Some(4_024));
        let rest = typing.messages(&typed("ry"), 0, Moment(120));
        // What was thrown away in between is missing: the line ends before it.
        assert_eq!(told(&rest), Some((4_026, "")));
        let later = typing.messages(&typed("r"), 0, Moment(100 + PAUSE));
        assert!(matches!(later[..], [Msg::Key(Key::Char('r'))]), "{later:?}");
    }

    #[test]
    fn control_c_leaves_even_while_text_is_pasted() {
        let leave = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        let burst = [typed(&"ry".repeat(50)), vec![Event::Key(leave)]].concat();
        assert!(matches!(messages(&burst)[..], [Msg::Paste(_), Msg::Key(Key::Ctrl('c'))]));
    }

    #[test]
    fn a_paste_is_no_key_and_its_first_line_is_told() {
        for (text, characters, line) in [
            ("ry", 2, "ry"),
            ("\r\nrestart api\rstop www", 22, "restart api"),
            ("a\u{1b}[2J\tb\u{7}", 8, "a[2Jb"),
            ("\n \n", 3, ""),
        ] {
            assert_eq!(told(&messages(&[Event::Paste(text.to_owned())])), Some((characters, line)));
        }
    }

    #[test]
    fn the_first_line_of_a_burst_ends_at_its_return() {
        let mut typing = Typing::default();
        let enter = || Event::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE));
        let first = typing.messages(&typed("restart the "), 0, Moment(100));
        assert_eq!(told(&first), Some((12, "restart the ")));
        assert_eq!(told(&typing.messages(&[enter()], 0, Moment(105))), Some((12, "")));
        let mut typing = Typing::default();
        typing.messages(&typed("restart the "), 0, Moment(100));
        let batch = [typed("api"), vec![enter()], typed("stop")].concat();
        assert_eq!(told(&typing.messages(&batch, 0, Moment(110))), Some((19, "api")));
        assert_eq!(told(&typing.messages(&typed(" www"), 0, Moment(120))), Some((23, "")));
        let later = typing.messages(&[enter()], 0, Moment(110 + PAUSE));
        assert!(matches!(later[..], [Msg::Key(Key::Enter)]), "{later:?}");
    }
}
