//! A command about several services, which is given to one after another.

use smoothserve_protocol::id::ServiceName;

use super::question::{Subject, Terms, Verb};
use crate::effect::Ticket;

/// What is done, to whom, and how far that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What is done.
    pub verb: Verb,
    /// On which terms.
    pub terms: Terms,
    /// In the order in which they come.
    subjects: Vec<Subject>,
    /// The position of the one under way.
    at: usize,
    /// The command about the one under way.
    pub ticket: Ticket,
    /// No further one is begun.
    pub is_ending: bool,
    /// The operator was told what a quit leaves undone.
    pub is_quit_warned: bool,
}

impl Batch {
    /// Before the first of `subjects`.
    pub const fn new(verb: Verb, terms: Terms, subjects: Vec<Subject>) -> Self {
        let ticket = Ticket(0);
        let (is_ending, is_quit_warned) = (false, false);
        Self { verb, terms, subjects, at: 0, ticket, is_ending, is_quit_warned }
    }

    /// The one under way.
    pub fn present(&self) -> Option<&Subject> {
        self.subjects.get(self.at)
    }

    /// Which that is, counted from 1, and of how many.
    pub const fn position(&self) -> (usize, usize) {
        (self.at + 1, self.subjects.len())
    }

    /// Goes on to the next one.
    pub const fn advance(&mut self) {
        self.at += 1;
    }

    /// Those that were not begun.
    pub fn rest(&self) -> impl ExactSizeIterator<Item = &ServiceName> {
        let rest = self.subjects.get(self.at + 1..).unwrap_or_default();
        rest.iter().map(|subject| &subject.service)
    }
}
