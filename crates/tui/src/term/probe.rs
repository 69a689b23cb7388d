//! What the terminal is asked before the first frame, and what its answers mean.
//!
//! Pure: who writes the questions and reads the answers is [`super::ask`]. Every terminal that answers
//! anything answers the last question, what it is, so that nobody waits for those it ignores.

use vte::{Params, Parser, Perform};

use crate::style::theme::Background;

/// The background colour. The answer ends as the question does.
const BACKGROUND: &str = "\x1b]11;?\x07";
/// At the left edge, a glyph of the usual set; then, where is the cursor?
const WIDTH: &str = "\r\u{25aa}\x1b[6n";
/// Whether frames can be marked, so that none is shown half painted.
const SYNCHRONIZED: &str = "\x1b[?2026$p";
/// What it is.
const IDENTITY: &str = "\x1b[c";

/// Which questions make sense to this terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// What its background is.
    pub background: bool,
    /// Whether frames can be marked.
    pub synchronized: bool,
    /// How wide the usual glyphs are.
    pub width: bool,
}

impl Questions {
    /// What is written to the terminal; nothing, if it is asked nothing.
    pub fn text(self) -> String {
        let asked = [
            (self.background, BACKGROUND),
            (self.width, WIDTH),
            // Last but one: until the identity follows, the reader of keys takes its answer for a
            // key that is not complete yet.
            (self.synchronized, SYNCHRONIZED),
        ];
        let mut text: String = asked.iter().filter(|(asked, _)| *asked).map(|(_, q)| *q).collect();
        if !text.is_empty() {
            text.push_str(IDENTITY);
        }
        text
    }
}

/// What the terminal said of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// What its background is; none: it did not say.
    pub background: Option<Background>,
    /// Frames can be marked.
    pub synchronized: bool,
    /// The usual glyphs take more than one column.
    pub wide: bool,
    /// Nothing more will come.
    pub complete: bool,
    /// Control-C was pressed meanwhile. All other keys are forgotten: who pressed them saw nothing.
    pub interrupted: bool,
}

/// Takes in what the terminal sends, in pieces of any length.
#[derive(Default)]
pub struct Listener {
    parser: Parser,
    /// What is known so far.
    pub answers: Answers,
}

impl Listener {
    /// Takes in the next piece.
    pub fn take(&mut self, bytes: &[u8]) {
        self.parser.advance(&mut self.answers, bytes);
    }
}

impl Perform for Answers {
    fn osc_dispatch(&mut self, params: &[&[u8]], _bell_terminated: bool) {
        if let [b"11", colour] = params {
            self.background = str::from_utf8(colour).ok().and_then(background);
        }
    }

    fn csi_dispatch(&mut self, params: &Params, between: &[u8], _ignore: bool, last: char) {
        let mut numbers = params.iter().filter_map(|param| param.first().copied());
        match (between, last) {
            // A terminal that does not know the mode says 0, one that never marks frames 4.
            (b"?$", 'y') if numbers.next() == Some(2026) => {
                self.synchronized = matches!(numbers.next(), Some(1..=3));
            }
            (b"", 'R') => self.wide = numbers.nth(1).is_some_and(|column| column > 2),
            (b"?", 'c') => self.complete = true,
            _ => {}
        }
    }

    fn execute(&mut self, byte: u8) {
        self.interrupted |= byte == 0x03;
    }
}

/// The background that `rgb:1c1c/1c1c/1c1c` is; with fewer digits, and with an opacity, too.
pub fn background(colour: &str) -> Option<Background> {
    let (_, parts) = colour.split_once("rgb:").or_else(|| colour.split_once("rgba:"))?;
    let mut shares = parts.split('/').map(|digits| {
        let value = u32::from_str_radix(digits, 16).ok()?;
        let most = 16_u32.checked_pow(u32::try_from(digits.len()).ok()?)? - 1;
        Some(value.saturating_mul(1_000) / most.max(1))
    });
    let mut share = || shares.next().flatten();
    let (red, green, blue) = (share()?, share()?, share()?);
    // As bright as eyes find them, of 1 000 000.
    let bright = red * 299 + green * 587 + blue * 114;
    Some(if bright > 500_000 { Background::Light } else { Background::Dark })
}

#[cfg(test)]
mod tests {
    use super::*;

    const XTERM: &str = "\x1b]11;rgb:ffff/ffff/dddd\x07\x1b[1;2R\x1b[?2026;2$y\x1b[?64;1;22c";

    fn answers(pieces: &[&str]) -> Answers {
        let mut listener = Listener::default();
        for piece in pieces {
            listener.take(piece.as_bytes());
        }
        listener.answers
    }

    #[test]
    fn answers_are_understood_however_they_are_split() {
        let understood = Answers {
            background: Some(Background::Light),
            synchronized: true,
            wide: false,
            complete: true,
            interrupted: false,
        };
        for at in 0..XTERM.len() {
            let (first, second) = XTERM.split_at(at);
            assert_eq!(answers(&[first, second]), understood, "{first:?}");
        }
    }

    #[test]
    fn a_glyph_of_two_columns_is_noticed() {
        assert!(!answers(&["\x1b[1;2R"]).wide);
        assert!(answers(&["\x1b[1;3R"]).wide);
        assert!(answers(&["\x1b[24;4R"]).wide, "its bytes were taken for characters");
    }

    #[test]
    fn a_mode_that_is_unknown_or_never_on_is_not_used() {
        for (state, synchronized) in [(0, false), (1, true), (2, true), (3, true), (4, false)] {
            let said = answers(&[&format!("\x1b[?2026;{state}$y")]);
            assert_eq!(said.synchronized, synchronized, "{state}");
        }
        assert!(!answers(&["\x1b[?2027;2$y"]).synchronized);
    }

    #[test]
    fn backgrounds_are_light_or_dark() {
        use Background::{Dark, Light};
        for (colour, is) in [
            ("rgb:0000/0000/0000", Some(Dark)),
            ("rgb:0000/2b2b/3636", Some(Dark)),
            ("rgb:fdfd/f6f6/e3e3", Some(Light)),
            ("rgb:ff/ff/ff", Some(Light)),
            ("rgba:ffff/ffff/ffff/8000", Some(Light)),
            ("rgb:f/f/f", Some(Light)),
            ("rgb:ffff/ffff", None),
            ("rgb:ffffffffff/0/0", None),
            ("rgb:/0/0", None),
            ("rgb:-1/0/0", None),
            ("white", None),
        ] {
            assert_eq!(background(colour), is, "{colour}");
        }
    }

    #[test]
    fn of_all_keys_pressed_meanwhile_only_leaving_counts() {
        assert!(answers(&["jrx\x03"]).interrupted);
        assert_eq!(answers(&["jrxy\r\x1b[A"]), Answers::default());
    }

    #[test]
    fn a_terminal_that_is_asked_nothing_is_sent_nothing() {
        assert_eq!(Questions::default().text(), "");
        let only = Questions { synchronized: true, ..Questions::default() };
        assert_eq!(only.text(), "\x1b[?2026$p\x1b[c");
    }
}
