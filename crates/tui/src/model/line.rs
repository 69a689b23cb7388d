//! One line of text that is typed, with its cursor. The only file that names the library behind it.

use tui_input::{Input, InputRequest};

use crate::input::Key;

/// Nobody types more.
const LONGEST: usize = 400;

/// What was typed so far, and where the next character goes.
#[derive(Clone, Debug, Default)]
pub struct Line(Input);

impl Line {
    /// All of it.
    pub fn text(&self) -> &str {
        self.0.value()
    }

    /// What stands before the cursor.
    pub fn before(&self) -> &str {
        self.split().0
    }

    /// What stands at the cursor and after it.
    pub fn after(&self) -> &str {
        self.split().1
    }

    /// Takes the place of the whole line; the cursor goes to its end.
    pub fn set(&mut self, text: &str) {
        self.0 = Input::new(text.to_owned());
    }

    /// Puts `text` in the place of what stands between byte `from` and the cursor.
    pub fn replace(&mut self, from: usize, text: &str) {
        let (before, after) = self.split();
        let head = before.get(..from).unwrap_or(before).to_owned() + text;
        let cursor = head.chars().count();
        self.0 = Input::new(head + after).with_cursor(cursor);
    }

    /// Puts `text` in at the cursor, as much of it as the line still takes.
    pub fn insert(&mut self, text: &str) {
        let room = LONGEST.saturating_sub(self.text().chars().count());
        for c in text.chars().take(room) {
            self.0.handle(InputRequest::InsertChar(c));
        }
    }

    /// Does what `key` does in a line that is edited. Says whether it does anything there.
    pub fn edit(&mut self, key: Key) -> bool {
        let request = match key {
            Key::Char(_) if self.text().chars().count() >= LONGEST => return true,
            Key::Char(c) => InputRequest::InsertChar(c),
            Key::Backspace => InputRequest::DeletePrevChar,
            Key::Delete => InputRequest::DeleteNextChar,
            Key::Left => InputRequest::GoToPrevChar,
            Key::Right => InputRequest::GoToNextChar,
            Key::Home => InputRequest::GoToStart,
            Key::End | Key::Ctrl('e') => InputRequest::GoToEnd,
            Key::Ctrl('u') => InputRequest::DeleteFromStart,
            Key::Ctrl('k') => InputRequest::DeleteTillEnd,
            Key::Ctrl('w') => InputRequest::DeletePrevWord,
            _ => return false,
        };
        self.0.handle(request);
        true
    }

    fn split(&self) -> (&str, &str) {
        let text = self.text();
        let at = text.char_indices().nth(self.0.cursor()).map_or(text.len(), |(at, _)| at);
        text.split_at(at)
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.split() == other.split()
    }
}

impl Eq for Line {}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Line {
        let mut line = Line::default();
        for c in text.chars() {
            line.edit(Key::Char(c));
        }
        line
    }

    #[test]
    fn a_line_is_edited_where_its_cursor_is() {
        for (keys, before, after) in [
            (&[Key::Left, Key::Left][..], "restart a", "pi"),
            (&[Key::Home, Key::Delete], "", "estart api"),
            (&[Key::Left, Key::Backspace], "restart a", "i"),
            (&[Key::Left, Key::Ctrl('k')], "restart ap", ""),
            (&[Key::Left, Key::Ctrl('u')], "", "i"),
            (&[Key::Ctrl('w')], "restart ", ""),
            (&[Key::Home, Key::End, Key::Char('2')], "restart api2", ""),
        ] {
            let mut line = typed("restart api");
            assert!(keys.iter().all(|&key| line.edit(key)), "{keys:?}");
            assert_eq!((line.before(), line.after()), (before, after), "{keys:?}");
        }
    }

    #[test]
    fn a_word_is_replaced_up_to_the_cursor() {
        let mut line = typed("stop w now");
        for _ in 0..4 {
            line.edit(Key::Left);
        }
        line.replace(5, "www");
        assert_eq!((line.before(), line.after()), ("stop www", " now"));
    }

    #[test]
    fn a_line_has_an_end() {
        assert_eq!(typed(&"商".repeat(1_000)).text().chars().count(), LONGEST);
        let mut line = typed("ab");
        line.edit(Key::Left);
        line.insert(&"商".repeat(1_000));
        assert_eq!((line.text().chars().count(), line.after()), (LONGEST, "b"));
    }
}
