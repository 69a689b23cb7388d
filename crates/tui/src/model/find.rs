//! What an operator looks for in text: a word to go to, a pattern that lines must match to be shown.

use regex::{Regex, RegexBuilder};

/// A pattern may not become larger than this, whatever is typed.
const LARGEST: usize = 1 << 20;

/// Where `needle` first is in `text`, as bytes. Without a capital letter in it, case does not matter.
pub fn occurrence(text: &str, needle: &str) -> Option<(usize, usize)> {
    if needle.is_empty() {
        return None;
    }
    if needle.chars().any(char::is_uppercase) {
        return text.find(needle).map(|at| (at, at + needle.len()));
    }
    // The cases of other letters than those of ASCII may be of different lengths.
    let (text, wanted) = (text.as_bytes(), needle.as_bytes());
    let same = |window: &[u8]| window.eq_ignore_ascii_case(wanted);
    text.windows(wanted.len()).position(same).map(|at| (at, at + wanted.len()))
}

/// A regular expression. Without a capital letter in it, case does not matter.
#[derive(Clone, Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// The pattern that was typed.
    ///
    /// # Errors
    /// When it is none: why, in a few words.
    pub fn new(typed: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(typed)
            .case_insensitive(!has_capital(typed))
            .size_limit(LARGEST)
            .build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            // The rest of the message shows where, below the pattern.
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                last.trim_start_matches("error:").trim().to_owned()
            }
        })
    }

    /// As it was typed.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it is anywhere in `text`.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

/// Whether a capital letter is looked for; `\S` is none.
fn has_capital(typed: &str) -> bool {
    let mut escaped = false;
    typed.chars().any(|c| {
        let is_letter = !escaped && c.is_uppercase();
        escaped = c == '\\' && !escaped;
        is_letter
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_matters_once_it_is_typed() {
        assert_eq!(occurrence("a Timeout", "timeout"), Some((2, 9)));
        assert_eq!(occurrence("a timeout", "Timeout"), None);
        assert_eq!(occurrence("Größe", "größe"), Some((0, 7)));
        assert_eq!(occurrence("a", ""), None);
        let is_in = |typed, text| Pattern::new(typed).is_ok_and(|pattern| pattern.is_in(text));
        assert!(is_in(r"time\S+$", "a TimeOut") && !is_in("Timeout", "a timeout"));
        assert!(is_in(r"GET|POST /v\d", "POST /v1") && !is_in("GET", "get"));
    }

    #[test]
    fn a_wrong_pattern_is_told_in_a_few_words() {
        let why = |typed| Pattern::new(typed).err();
        assert_eq!(why("a(b").as_deref(), Some("unclosed group"));
        assert_eq!(why("a{9999}{9999}").as_deref(), Some("it is too large"));
        assert_eq!(why("a|b"), None);
    }
}
