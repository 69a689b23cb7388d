//! The line in which one types what to look for.

/// Nobody types more to look for.
const LONGEST: usize = 200;

/// What is to be done with what is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Go to where it is.
    Find,
    /// Show only what matches it.
    Match,
}

/// What was typed so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What for.
    pub purpose: Purpose,
    /// The text.
    pub typed: String,
    /// Why it was not taken.
    pub wrong: Option<String>,
}

impl Entry {
    /// Nothing is typed yet.
    pub const fn new(purpose: Purpose) -> Self {
        Self { purpose, typed: String::new(), wrong: None }
    }

    /// The key that opened it.
    pub const fn sign(&self) -> &'static str {
        match self.purpose {
            Purpose::Find => "/",
            Purpose::Match => "&",
        }
    }

    /// Adds a character, unless it is too long already.
    pub fn push(&mut self, c: char) {
        self.wrong = None;
        if self.typed.chars().count() < LONGEST {
            self.typed.push(c);
        }
    }

    /// Takes the last character away.
    pub fn pop(&mut self) {
        self.wrong = None;
        self.typed.pop();
    }
}
