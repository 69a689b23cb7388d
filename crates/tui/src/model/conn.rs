//! How fresh the data is, and what is done about it.

use super::clock::Moment;

/// Without a word for so long, an open connection counts as silent.
pub const SILENT_AFTER: u64 = 3_000;

/// What the connection task last reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Trying,
    Open,
    Waiting { retry_at: Moment },
}

/// The connection, as far as the operator should know it.
#[derive(Clone, Debug)]
pub struct Connection {
    phase: Phase,
    /// Tries that failed since the last connection.
    failures: u32,
    why: String,
    /// When data last came; none: never.
    heard: Option<Moment>,
    /// When the daemon said good-bye, and why.
    goodbye: Option<(Moment, String)>,
}

/// How far what is shown can be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing was heard yet, and nothing failed.
    Connecting,
    /// What is shown is what is.
    Live,
    /// The connection is open, and nothing comes.
    Silent {
        /// Milliseconds since the last word.
        age: u64,
    },
    /// There is no connection.
    Down {
        /// Milliseconds since the last word; none: never heard of it.
        age: Option<u64>,
        /// Milliseconds to the next try; none: it is under way.
        retry_in: Option<u64>,
        /// Tries that failed since the last connection.
        failures: u32,
        /// Why, in a few words.
        why: String,
        /// What the daemon said before it went, and how many milliseconds ago.
        announced: Option<(u64, String)>,
    },
}

impl Default for Connection {
    fn default() -> Self {
        Self { phase: Phase::Trying, failures: 0, why: String::new(), heard: None, goodbye: None }
    }
}

impl Connection {
    /// A try began.
    pub const fn trying(&mut self) {
        self.phase = Phase::Trying;
    }

    /// A try succeeded. What is shown stays old until data comes.
    pub fn opened(&mut self) {
        *self = Self { phase: Phase::Open, heard: self.heard, ..Self::default() };
    }

    /// Data came.
    pub const fn heard(&mut self, now: Moment) {
        self.heard = Some(now);
    }

    /// The daemon said good-bye.
    pub fn goodbye(&mut self, now: Moment, why: String) {
        self.goodbye = Some((now, why));
    }

    /// The connection ended, or could not be made.
    pub fn down(&mut self, why: String, failures: u32, retry_at: Moment) {
        self.phase = Phase::Waiting { retry_at };
        self.failures = failures;
        self.why = why;
    }

    /// Whether questions can be sent.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// When data last came; none: never.
    pub const fn last_heard(&self) -> Option<Moment> {
        self.heard
    }

    /// How far what is shown can be trusted `now`.
    pub fn freshness(&self, now: Moment) -> Freshness {
        let age = self.heard.map(|heard| now.since(heard));
        let retry_in = match self.phase {
            Phase::Open => {
                return match age {
                    None => Freshness::Connecting,
                    Some(age) if age < SILENT_AFTER => Freshness::Live,
                    Some(age) => Freshness::Silent { age },
                };
            }
            Phase::Trying if age.is_none() && self.failures == 0 => return Freshness::Connecting,
            Phase::Trying => None,
            Phase::Waiting { retry_at } => Some(retry_at.since(now)),
        };
        let announced = self.goodbye.as_ref().map(|(when, why)| (now.since(*when), why.clone()));
        Freshness::Down { age, retry_in, failures: self.failures, why: self.why.clone(), announced }
    }

    /// When what is shown about the connection next changes by itself; none: never.
    pub fn next_change(&self, now: Moment) -> Option<Moment> {
        match self.freshness(now) {
            Freshness::Connecting => None,
            Freshness::Live => self.heard.map(|heard| heard.plus(SILENT_AFTER)),
            // Every figure is in whole seconds; the age and the countdown change together.
            Freshness::Silent { .. } | Freshness::Down { .. } => {
                let began = self.heard.unwrap_or_default();
                Some(now.plus(1_000 - now.since(began) % 1_000))
            }
        }
    }
}
