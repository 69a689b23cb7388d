//! A question before something is done: whom it is about is fixed when it is asked.

use smoothserve_protocol::id::{Generation, OperationId, ServiceName, Slot};
use smoothserve_protocol::message::Steer;
use smoothserve_protocol::snapshot::OnDrainTimeout;

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
    /// Another course for the rolling restart that runs; extending its drain asks nothing.
    Steer(Steer),
}

impl Verb {
    /// As on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Steer(Steer::Pause) => "pause",
            Self::Steer(Steer::Resume) => "resume",
            Self::Steer(Steer::Abort) => "abort",
            Self::Steer(Steer::Extend { .. }) => "extend",
            Self::Steer(Steer::Cut) => "cut",
        }
    }
}

/// What was asked for beyond the usual. Only the command line's words say it; a key asks for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// How long the requests inside an instance may take to end, in milliseconds.
    pub drain_timeout_ms: Option<u64>,
    /// What happens to those that outlive it.
    pub on_drain_timeout: Option<OnDrainTimeout>,
    /// After how many milliseconds a stop cuts what is inside.
    pub timeout_ms: Option<u64>,
    /// A stop cuts at once.
    pub force: bool,
}

impl Terms {
    /// Whether requests may be lost that would otherwise be waited for.
    pub fn cuts(&self) -> bool {
        self.force || self.on_drain_timeout == Some(OnDrainTimeout::Cut)
    }

    /// As on the command line, each with a blank before it.
    pub fn options(&self) -> String {
        let mut options = String::new();
        for (option, time) in
            [("drain-timeout", self.drain_timeout_ms), ("timeout", self.timeout_ms)]
        {
            options += &time.map(|ms| format!(" --{option} {}", exact(ms))).unwrap_or_default();
        }
        options += match self.on_drain_timeout {
            None => "",
            Some(OnDrainTimeout::Abort) => " --on-drain-timeout abort",
            Some(OnDrainTimeout::Wait) => " --on-drain-timeout wait",
            Some(OnDrainTimeout::Cut) => " --on-drain-timeout cut",
        };
        options + if self.force { " --force --yes" } else { "" }
    }
}

/// A time that the command line reads back as the same.
fn exact(ms: u64) -> String {
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}

/// How the operator says yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// With one key.
    Key,
    /// By typing the service's name; so far, this much.
    Name(String),
}

/// What the operator saw of the service when the question was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The generation that serves, or that a rolling restart brings.
    pub generation: Generation,
    /// The operation that runs.
    pub operation: Option<OperationId>,
    /// The instances that drain.
    pub draining: Vec<Slot>,
}

/// Whether the operator can have read a question as it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    /// No frame has it.
    #[default]
    No,
    /// A frame that is on its way has it.
    Sent,
    /// It is on the screen since then.
    Since(Moment),
}

/// An open question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked for.
    pub verb: Verb,
    /// The service it is about.
    pub service: ServiceName,
    /// As the operator saw it.
    pub seen: Seen,
    /// What is asked for beyond the usual.
    pub terms: Terms,
    /// How the operator says yes.
    pub level: Level,
    /// What it was asked about before, if that moved on while the question was open.
    pub moved_from: Option<Seen>,
    /// Whether it is on the screen, as it stands.
    pub shown: Shown,
}

impl Question {
    /// A new one, not painted yet.
    pub fn new(verb: Verb, service: ServiceName, seen: Seen, level: Level) -> Self {
        Self {
            verb,
            service,
            seen,
            terms: Terms::default(),
            level,
            moved_from: None,
            shown: Shown::No,
        }
    }

    /// Whether a key pressed `now` can be an answer to what is on the screen.
    pub fn is_settled(&self, now: Moment) -> bool {
        matches!(self.shown, Shown::Since(painted) if now.since(painted) >= SETTLES_AFTER)
    }

    /// A frame with it as it stands is on its way.
    pub fn sent(&mut self) {
        if self.shown == Shown::No {
            self.shown = Shown::Sent;
        }
    }

    /// The frame that was on its way has arrived.
    pub fn painted(&mut self, now: Moment) {
        if self.shown == Shown::Sent {
            self.shown = Shown::Since(now);
        }
    }

    /// The operation that it is about, if it is about one.
    pub const fn steers(&self) -> Option<OperationId> {
        match self.verb {
            Verb::Steer(_) => self.seen.operation,
            Verb::Restart | Verb::Stop => None,
        }
    }

    /// Whether `now` is another thing than what it asks about.
    pub fn is_outdated_by(&self, now: &Seen) -> bool {
        match self.verb {
            Verb::Restart | Verb::Stop => self.seen.generation != now.generation,
            // Only what is cut is about the instances that drain.
            Verb::Steer(Steer::Cut) => self.seen.draining != now.draining,
            Verb::Steer(_) => false,
        }
    }

    /// The service is not what it was: says so, and asks again.
    pub fn ask_again(&mut self, now: Seen) {
        self.moved_from = Some(std::mem::replace(&mut self.seen, now));
        self.shown = Shown::No;
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
