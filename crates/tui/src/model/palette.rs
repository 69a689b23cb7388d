//! The line in which a command is typed: what would complete it, what was typed before, what is
//! wrong with it.

use super::line::Line;

/// Lines of the past that are kept.
pub const REMEMBERED: usize = 200;

/// An open palette.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Palette {
    /// What was typed.
    pub line: Line,
    /// What would complete the word at the cursor.
    pub choices: Choices,
    /// Why the line as it stands cannot be done.
    pub problem: Option<String>,
    /// Which of the earlier lines is shown, and what had been typed before that.
    recalled: Option<(usize, String)>,
}

/// Words that fit at the cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// Where the word begins that they complete, in bytes of the line.
    pub from: usize,
    /// In the order in which they are shown.
    pub words: Vec<Choice>,
    /// The one that stands in the line.
    pub chosen: Option<usize>,
}

/// A word that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The word.
    pub word: String,
    /// What it does or is; empty if that says itself.
    pub what: String,
}

impl Palette {
    /// To the next word that fits, or the one before; a word that is the only one is complete.
    pub fn complete(&mut self, forward: bool) {
        let Choices { from, words, chosen } = &mut self.choices;
        let count = words.len();
        let next = match (*chosen, forward) {
            _ if count == 0 => return,
            (None, true) => 0,
            (None, false) => count - 1,
            (Some(at), true) => (at + 1) % count,
            (Some(at), false) => (at + count - 1) % count,
        };
        let Some(choice) = words.get(next) else { return };
        let end = if count == 1 { " " } else { "" };
        self.line.replace(*from, &format!("{}{end}", choice.word));
        *chosen = Some(next);
        self.problem = None;
    }

    /// Shows an older line of `past`, or a newer one; beyond the newest, what was typed.
    pub fn recall(&mut self, past: &[String], older: bool) {
        let at = self.recalled.as_ref().map_or(past.len(), |(at, _)| *at);
        let next = if older { at.checked_sub(1) } else { Some(at + 1) };
        let Some(next) = next.filter(|next| *next <= past.len()) else { return };
        let typed = match self.recalled.take() {
            Some((_, typed)) => typed,
            None => self.line.text().to_owned(),
        };
        match past.get(next) {
            Some(line) => {
                self.line.set(line);
                self.recalled = Some((next, typed));
            }
            None => self.line.set(&typed),
        }
        self.problem = None;
    }
}

/// Adds `line` to those typed before; the same line is kept once.
pub fn remember(past: &mut Vec<String>, line: &str) {
    past.retain(|known| known != line);
    past.push(line.to_owned());
    past.drain(..past.len().saturating_sub(REMEMBERED));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn what_was_typed_is_there_again_after_the_past() {
        let past = past(&["stop www", "why api"]);
        let mut palette = Palette::default();
        palette.line.set("re");
        for (older, text) in [
            (true, "why api"),
            (true, "stop www"),
            (true, "stop www"),
            (false, "why api"),
            (false, "re"),
            (false, "re"),
        ] {
            palette.recall(&past, older);
            assert_eq!(palette.line.text(), text);
        }
    }

    #[test]
    fn a_line_is_remembered_once_and_the_oldest_goes() {
        let mut kept = past(&["a", "b"]);
        remember(&mut kept, "a");
        assert_eq!(kept, past(&["b", "a"]));
        for number in 0..REMEMBERED {
            remember(&mut kept, &number.to_string());
        }
        assert_eq!(kept.len(), REMEMBERED);
        assert_eq!(kept.first().map(String::as_str), Some("0"));
    }
}
