//! A question before something is done: whom it is about is fixed when it is asked.

use smoothserve_protocol::id::{Generation, ServiceName};

use super::clock::Moment;

/// Keys within so many milliseconds after the question was painted are no answers: whoever pressed
/// them had not read it.
pub const SETTLES_AFTER: u64 = 150;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// A rolling restart.
    Restart,
    /// Drain and stop.
    Stop,
}

impl Verb {
    /// As on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Stop => "stop",
        }
    }
}

/// How the operator says yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// With one key.
    Key,
    /// By typing the service's name; so far, this much.
    Name(String),
}

/// An open question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked for.
    pub verb: Verb,
    /// The service it is about.
    pub service: ServiceName,
    /// Its generation as the operator saw it.
    pub generation: Generation,
    /// How the operator says yes.
    pub level: Level,
    /// The generation it was asked about before, if that moved on while the question was open.
    pub moved_from: Option<Generation>,
    /// When it was first on the screen, as it stands.
    pub painted: Option<Moment>,
}

impl Question {
    /// A new one, not painted yet.
    pub const fn new(
        verb: Verb,
        service: ServiceName,
        generation: Generation,
        level: Level,
    ) -> Self {
        Self { verb, service, generation, level, moved_from: None, painted: None }
    }

    /// Whether a key pressed `now` can be an answer to what is on the screen.
    pub fn is_settled(&self, now: Moment) -> bool {
        self.painted.is_some_and(|painted| now.since(painted) >= SETTLES_AFTER)
    }

    /// The service is of another generation now: says so, and asks again.
    pub fn ask_again(&mut self, generation: Generation) {
        self.moved_from = Some(self.generation);
        self.generation = generation;
        self.painted = None;
        if let Level::Name(typed) = &mut self.level {
            typed.clear();
        }
    }

    /// Whether the name was typed, where it has to be.
    pub fn is_matched(&self) -> bool {
        match &self.level {
            Level::Key => true,
            Level::Name(typed) => typed == self.service.as_str(),
        }
    }
}
