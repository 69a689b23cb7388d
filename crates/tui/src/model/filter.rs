//! Which services are shown: words that must all hold, as the operator typed them.
//!
//! A word is part of the name; `state:ready` is the state, or how it begins; `!` in front of either
//! says that it must not hold.

use smoothserve_protocol::snapshot::ServiceRow;

use crate::words::service_state;

/// The grammar in a line, for whoever types.
pub const GRAMMAR: &str = "part of the name, state:ready, !not";

/// The word that is about the state.
const STATE: &str = "state:";

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    text: String,
    words: Vec<Word>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    /// It must not hold.
    is_not: bool,
    about: About,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum About {
    Name(String),
    State(String),
}

impl Filter {
    /// Reads what was typed; every text is a filter.
    pub fn new(text: &str) -> Self {
        let words = text.split_whitespace().filter_map(Word::new).collect();
        Self { text: text.to_owned(), words }
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it lets everything pass.
    pub const fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether `row` is shown.
    pub fn lets_pass(&self, row: &ServiceRow) -> bool {
        self.words.iter().all(|word| word.about.holds(row) != word.is_not)
    }
}

impl Word {
    /// None: a word of which so far only its beginning was typed, and which says nothing yet.
    fn new(text: &str) -> Option<Self> {
        let (is_not, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let text = text.to_lowercase();
        let about = match text.strip_prefix(STATE) {
            Some(state) => About::State(state.to_owned()),
            None => About::Name(text),
        };
        let says_nothing = match &about {
            About::Name(text) | About::State(text) => text.is_empty(),
        };
        (!says_nothing).then_some(Self { is_not, about })
    }
}

impl About {
    fn holds(&self, row: &ServiceRow) -> bool {
        match self {
            Self::Name(part) => contains(row.name.as_str(), part),
            Self::State(start) => service_state(row.state).starts_with(start.as_str()),
        }
    }
}

/// Whether `name` has `part`, which is in lower case, in any case.
fn contains(name: &str, part: &str) -> bool {
    if name.is_ascii() {
        let (name, part) = (name.as_bytes(), part.as_bytes());
        return name.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part));
    }
    name.to_lowercase().contains(part)
}

#[cfg(test)]
mod tests {
    use smoothserve_protocol::id::{Generation, ServiceName};
    use smoothserve_protocol::snapshot::{ServiceState, Traffic};

    use super::*;

    fn passes(filter: &str, name: &str, state: ServiceState) -> bool {
        let row = ServiceRow {
            name: ServiceName::new(name).unwrap(),
            state,
            generation: Generation(1),
            pips: Vec::new(),
            traffic: Traffic::default(),
            since_ms: 0,
            operation: None,
            stale_config: false,
        };
        Filter::new(filter).lets_pass(&row)
    }

    #[test]
    fn every_word_must_hold() {
        use ServiceState::{Degraded, Ready};
        for (filter, expected) in [
            ("", true),
            ("   ", true),
            ("shop", true),
            ("SHOP api", true),
            ("shop web", false),
            ("!web", true),
            ("!api", false),
            ("state:ready", true),
            ("state:re", true),
            ("state:deg", false),
            ("!state:ready", false),
            ("state:ready api", true),
            ("a very long text that no name has", false),
        ] {
            assert_eq!(passes(filter, "Shop-API", Ready), expected, "{filter:?}");
        }
        assert!(passes("state:degraded", "x", Degraded));
    }

    #[test]
    fn a_word_that_is_only_begun_hides_nothing() {
        for begun in ["!", "state:", "!state:"] {
            assert!(passes(begun, "api", ServiceState::Ready), "{begun:?}");
        }
    }

    #[test]
    fn letters_beyond_ascii_are_found_in_any_case() {
        assert!(passes("BÜRO", "büro", ServiceState::Ready));
        assert!(!passes("é", "büro", ServiceState::Ready));
    }
}
