//! Makes foreign text harmless: what a service wrote may hold terminal commands.

use std::borrow::Cow;
use std::fmt::Write;

/// `text` with every character that could steer a terminal written out, as in `\x1b`.
///
/// Control characters, and those that turn the direction of text, end a line or have no width, are
/// replaced; all else stays as it is. What was made harmless once is left alone.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        // Writing to a String cannot fail.
        let _ = match c {
            '\t' => write!(safe, " "),
            '\n' => write!(safe, "\\n"),
            '\r' => write!(safe, "\\r"),
            c if c.is_ascii_control() => write!(safe, "\\x{:02x}", u32::from(c)),
            c if steers(c) => write!(safe, "\\u{{{:x}}}", u32::from(c)),
            c => write!(safe, "{c}"),
        };
    }
    Cow::Owned(safe)
}

/// Control characters, separators of lines, and marks without a width.
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_survives() {
        assert_eq!(escape("a\u{1b}[2Jb\u{7}"), "a\\x1b[2Jb\\x07");
        assert_eq!(escape("a\u{9b}2Jb\u{202e}c"), "a\\u{9b}2Jb\\u{202e}c");
        assert_eq!(escape("a\tb\r\nc"), "a b\\r\\nc");
        assert_eq!(escape("Zürich 商店 ▮"), "Zürich 商店 ▮");
    }
}
