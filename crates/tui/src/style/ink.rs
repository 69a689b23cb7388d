//! The colours in which a service printed a line: kept as far as they can be read everywhere.
//!
//! Sixteen colours, bold, dim, underlined, reversed. Other colours become the nearest of these; what
//! stands on a ground of its own is written in the ground's colour, reversed, so that it can be read
//! whatever the terminal's own ground is. Nothing else that a terminal obeys gets through.

use anstyle::{Ansi256Color, AnsiColor, Color, RgbColor};
use anstyle_lossy::{color_to_ansi, palette::DEFAULT};
use anstyle_parse::{DefaultCharAccumulator, Params, Parser, Perform};

use crate::words::{Piece, printed_pieces};

/// How a piece of text was printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ink {
    /// The colour; none: the terminal's own.
    pub colour: Option<AnsiColor>,
    /// Bold.
    pub bold: bool,
    /// Dim.
    pub dim: bool,
    /// Underlined.
    pub underline: bool,
    /// Reversed.
    pub reverse: bool,
}

/// From here to the next one, text was printed in one ink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The byte where it begins.
    pub from: usize,
    /// Its ink.
    pub ink: Ink,
}

/// A printed line: its text, harmless to a terminal, and the inks of it; none if it has one alone
/// and that is the ordinary.
pub fn read(bytes: &[u8]) -> (String, Vec<Run>) {
    let line = String::from_utf8_lossy(bytes);
    let mut text = String::with_capacity(line.len());
    let mut runs: Vec<Run> = Vec::new();
    let mut pot = Pot::default();
    for piece in printed_pieces(&line) {
        match piece {
            Piece::Text(piece) if piece.is_empty() => {}
            Piece::Text(piece) => {
                let (ink, from) = (pot.ink(), text.len());
                if runs.last().map_or(Ink::default(), |run| run.ink) != ink {
                    runs.push(Run { from, ink });
                }
                text.push_str(&piece);
            }
            Piece::Colour(command) => {
                let mut parser = Parser::<DefaultCharAccumulator>::new();
                command.bytes().for_each(|byte| parser.advance(&mut pot, byte));
            }
        }
    }
    (text, runs)
}

/// The ink of the character at byte `at`, and where the next one begins.
pub fn at(runs: &[Run], at: usize) -> (Ink, Option<usize>) {
    let after = runs.partition_point(|run| run.from <= at);
    let ink = after.checked_sub(1).and_then(|index| runs.get(index)).map(|run| run.ink);
    (ink.unwrap_or_default(), runs.get(after).map(|run| run.from))
}

/// What commands have said so far.
#[derive(Default)]
struct Pot {
    text: Option<Color>,
    ground: Option<Color>,
    effects: Ink,
}

impl Pot {
    fn ink(&self) -> Ink {
        let nearest = |colour| color_to_ansi(colour, DEFAULT);
        let effects = self.effects;
        match (self.text.map(nearest), self.ground.map(nearest)) {
            // Black and white are the terminal's own ground on one terminal or another.
            (_, Some(ground)) if !is_grey(ground) => {
                Ink { colour: Some(ground), reverse: !effects.reverse, ..effects }
            }
            (Some(AnsiColor::BrightBlack), _) => Ink { dim: true, ..effects },
            (Some(colour), _) if !is_grey(colour) => Ink { colour: Some(colour), ..effects },
            _ => effects,
        }
    }

    fn obey(&mut self, code: u16) {
        match code {
            0 => *self = Self::default(),
            1 => self.effects.bold = true,
            2 => self.effects.dim = true,
            4 | 21 => self.effects.underline = true,
            7 => self.effects.reverse = true,
            22 => (self.effects.bold, self.effects.dim) = (false, false),
            24 => self.effects.underline = false,
            27 => self.effects.reverse = false,
            39 => self.text = None,
            49 => self.ground = None,
            30..=37 => self.text = named(code - 30),
            40..=47 => self.ground = named(code - 40),
            90..=97 => self.text = named(code - 90 + 8),
            100..=107 => self.ground = named(code - 100 + 8),
            _ => {}
        }
    }
}

impl Perform for Pot {
    fn csi_dispatch(&mut self, params: &Params, _: &[u8], is_ignored: bool, action: u8) {
        if is_ignored || action != b'm' {
            return;
        }
        let mut params = params.iter();
        while let Some(param) = params.next() {
            match param {
                // `4:0` is how some say that nothing is underlined any more.
                [4, 0] => self.obey(24),
                [38, ..] => self.text = other(param, &mut params).or(self.text),
                [48, ..] => self.ground = other(param, &mut params).or(self.ground),
                // The colour of the line below is left out with its parameters.
                [58, ..] => drop(other(param, &mut params)),
                [code, ..] => self.obey(*code),
                [] => {}
            }
        }
    }
}

/// A colour that is none of the sixteen: `38;5;208`, `38;2;255;135;0`, or the same with colons.
fn other<'a>(param: &[u16], rest: &mut impl Iterator<Item = &'a [u16]>) -> Option<Color> {
    let mut next = || rest.next().and_then(|param| param.first().copied());
    let of_256 = |index: u16| u8::try_from(index).ok().map(|index| Ansi256Color(index).into());
    let rgb = |r: u16, g: u16, b: u16| {
        let [r, g, b] = [r, g, b].map(|part| u8::try_from(part).ok());
        Some(RgbColor(r?, g?, b?).into())
    };
    match param {
        [_, 5, index, ..] => of_256(*index),
        [_, 2, r, g, b] | [_, 2, _, r, g, b, ..] => rgb(*r, *g, *b),
        [_] => match next()? {
            5 => of_256(next()?),
            2 => rgb(next()?, next()?, next()?),
            _ => None,
        },
        _ => None,
    }
}

fn named(index: u16) -> Option<Color> {
    Ansi256Color(u8::try_from(index).ok()?).into_ansi().map(Color::Ansi)
}

const fn is_grey(colour: AnsiColor) -> bool {
    use AnsiColor::{Black, BrightBlack, BrightWhite, White};
    matches!(colour, Black | White | BrightBlack | BrightWhite)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::words::{escape, printed};

    /// Of lines with colours, and of lines that mean harm.
    const PIECES: &[&[u8]] = &[
        b"\x1b[",
        b"\x1b[31m",
        b"\x1b[38;5;9m",
        b"38:2::",
        b"\x1b]0;",
        b"\x07",
        b"m",
        b";",
        b"a",
        "é\u{202e}".as_bytes(),
        "\u{9b}2J".as_bytes(),
        b"\xff",
        b"\r",
        b"\t",
    ];

    proptest! {
        #[test]
        fn no_line_steers_a_terminal_and_every_ink_has_its_place(
            pieces in prop::collection::vec(select(PIECES), 0..20),
            noise in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let line = [pieces.concat(), noise, pieces.concat()].concat();
            let (text, runs) = read(&line);
            prop_assert!(!text.contains(char::is_control), "{text:?}");
            prop_assert_eq!(&text, &printed(&line));
            prop_assert_eq!(&escape(&text), &text);
            prop_assert!(runs.is_sorted_by(|one, next| one.from < next.from));
            for run in &runs {
                prop_assert!(text.is_char_boundary(run.from) && run.from < text.len());
                prop_assert_eq!(at(&runs, run.from).0, run.ink);
            }
        }
    }

    /// The pieces of a line that are not in the ordinary ink.
    fn inked(line: &str) -> Vec<(String, Ink)> {
        let (text, runs) = read(line.as_bytes());
        let ends = runs.iter().skip(1).map(|run| run.from).chain([text.len()]);
        let pieces =
            runs.iter().zip(ends).map(|(run, end)| (text[run.from..end].to_owned(), run.ink));
        pieces.filter(|(_, ink)| *ink != Ink::default()).collect()
    }

    fn one(line: &str) -> Ink {
        match &inked(line)[..] {
            [] => Ink::default(),
            [(_, ink)] => *ink,
            more => panic!("{more:?}"),
        }
    }

    fn colour(colour: AnsiColor) -> Ink {
        Ink { colour: Some(colour), ..Ink::default() }
    }

    #[test]
    fn what_is_printed_in_colour_is_kept_in_colour() {
        let line = "\u{1b}[32minfo\u{1b}[0m fine \u{1b}[1;31mERROR\u{1b}[22;39m then";
        let bold = Ink { bold: true, ..colour(AnsiColor::Red) };
        let expected = [("info".to_owned(), colour(AnsiColor::Green)), ("ERROR".to_owned(), bold)];
        assert_eq!(inked(line), expected);
        assert_eq!(read(line.as_bytes()).0, "info fine ERROR then");
        assert_eq!(read(b"plain\r"), ("plain".to_owned(), Vec::new()));
    }

    #[test]
    fn other_colours_become_the_nearest_of_sixteen() {
        for (command, expected) in [
            ("38;5;9", AnsiColor::BrightRed),
            ("38;5;28", AnsiColor::Green),
            ("38;2;205;0;0", AnsiColor::Red),
            ("38:2::0:0:238", AnsiColor::Blue),
            ("38:5:6", AnsiColor::Cyan),
            ("58;5;1;35", AnsiColor::Magenta),
            ("38;7;36", AnsiColor::Cyan),
        ] {
            assert_eq!(one(&format!("\u{1b}[{command}mx")).colour, Some(expected), "{command}");
        }
        assert_eq!(one("\u{1b}[38;5;999mx"), Ink::default());
    }

    #[test]
    fn nothing_is_printed_in_the_colour_of_the_ground() {
        assert_eq!(one("\u{1b}[37mx"), Ink::default());
        assert_eq!(one("\u{1b}[30;47mx"), Ink::default());
        assert_eq!(one("\u{1b}[90mx"), Ink { dim: true, ..Ink::default() });
        let on_red = Ink { reverse: true, ..colour(AnsiColor::Red) };
        assert_eq!(one("\u{1b}[41;97mFATAL"), on_red);
    }

    #[test]
    fn only_colours_get_through() {
        let (text, runs) = read("\u{1b}[31ma\u{1b}[2Jb\u{1b}]0;t\u{7}\u{9b}1mc".as_bytes());
        assert_eq!(text, r"a\x1b[2Jb\x1b]0;t\x07\u{9b}1mc");
        assert_eq!(runs, [Run { from: 0, ink: colour(AnsiColor::Red) }]);
        let long = format!("\u{1b}[{}mx", "1;".repeat(4_000));
        assert_eq!(read(long.as_bytes()).0, "x");
    }

    #[test]
    fn the_ink_of_a_place_is_that_of_its_run() {
        let (_, runs) = read(b"ab\x1b[31mcd\x1b[mef");
        let red = colour(AnsiColor::Red);
        assert_eq!(at(&runs, 1), (Ink::default(), Some(2)));
        assert_eq!(at(&runs, 2), (red, Some(4)));
        assert_eq!(at(&runs, 5), (Ink::default(), None));
        assert_eq!(at(&[], 5), (Ink::default(), None));
    }
}
