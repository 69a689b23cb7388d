//! What a process printed: made harmless, and judged by the level it says it has.

use std::borrow::Cow;

use super::escape;

/// How bad a line says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For those who look for something.
    Debug,
    /// For the record.
    Info,
    /// To look at.
    Warning,
    /// To do something about.
    Error,
}

impl Severity {
    /// What is shown next, at the least, by whoever goes from everything to warnings to errors.
    pub const fn next(least: Option<Self>) -> Option<Self> {
        match least {
            None => Some(Self::Warning),
            Some(Self::Warning) => Some(Self::Error),
            Some(_) => None,
        }
    }
}

/// The words by which programs name a level, in their own letter case.
const LEVELS: [(Severity, &[&str]); 4] = [
    (
        Severity::Error,
        &["error", "fatal", "panic", "panicked", "critical", "crit", "emerg", "alert", "severe"],
    ),
    (Severity::Warning, &["warn", "warning"]),
    (Severity::Info, &["info", "notice"]),
    (Severity::Debug, &["debug", "trace"]),
];

/// Levels stand at the beginning of a line.
const LEVEL_WITHIN: usize = 160;

/// A piece of a printed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text, harmless to a terminal.
    Text(Cow<'a, str>),
    /// A command to write in another colour from here on, as it was printed.
    Colour(&'a str),
}

/// A line as it may be shown: colours are left out, and whatever else could steer a terminal is
/// written out.
pub fn printed(bytes: &[u8]) -> String {
    let line = String::from_utf8_lossy(bytes);
    let mut text = String::with_capacity(line.len());
    for piece in printed_pieces(&line) {
        if let Piece::Text(piece) = piece {
            text.push_str(&piece);
        }
    }
    text
}

/// The same with the colours, where they were.
pub fn printed_pieces(line: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let text = |text| Piece::Text(escape(text));
    let mut rest = line.strip_suffix('\r').unwrap_or(line);
    let mut looked = 0;
    while let Some(at) = rest[looked..].find("\u{1b}[").map(|at| looked + at) {
        let parameters = &rest[at + 2..];
        let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':');
        match end {
            Some(end) if parameters[end..].starts_with('m') => {
                let after = at + 2 + end + 1;
                pieces.push(text(&rest[..at]));
                pieces.push(Piece::Colour(&rest[at..after]));
                (rest, looked) = (&rest[after..], 0);
            }
            Some(_) | None => looked = at + 2,
        }
    }
    pieces.push(text(rest));
    pieces
}

/// The level that `line` names first; none: it names none.
pub fn severity(line: &str) -> Option<Severity> {
    let head = crate::fmt::fit(line, LEVEL_WITHIN);
    head.split(|c: char| !c.is_ascii_alphanumeric()).find_map(|word| {
        let named = |(_, words): &&(Severity, &[&str])| {
            words.iter().any(|level| level.eq_ignore_ascii_case(word))
        };
        LEVELS.iter().find(named).map(|(severity, _)| *severity)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_commands_are_written_out() {
        let line = b"\x1b[1;31mERROR\x1b[0m \x1b[38:5:9mred\x1b[m \x1b[2J\x1b]0;title\x07 end\r";
        assert_eq!(printed(line), r"ERROR red \x1b[2J\x1b]0;title\x07 end");
        assert_eq!(printed(b"\xff\x1b["), "\u{fffd}\\x1b[");
        assert_eq!(printed("a\u{9b}2J".as_bytes()), r"a\u{9b}2J");
    }

    #[test]
    fn a_level_is_the_first_word_that_names_one() {
        for (line, level) in [
            ("2026-01-02T14:02:07Z  WARN pool: error rate 3 %", Some(Severity::Warning)),
            (r#"{"level":"error","msg":"info"}"#, Some(Severity::Error)),
            ("[info] 0 errors", Some(Severity::Info)),
            ("thread 'main' panicked at src/main.rs", Some(Severity::Error)),
            ("TRACE hyper", Some(Severity::Debug)),
            ("GET /errors 200", None),
            ("", None),
        ] {
            assert_eq!(severity(line), level, "{line}");
        }
    }
}
