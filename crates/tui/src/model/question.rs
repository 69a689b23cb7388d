//! A question before something is done: whom it is about is fixed when it is asked.

use smoothserve_protocol::id::{Generation, OperationId, ServiceName, Slot};
use smoothserve_protocol::message::Steer;
use smoothserve_protocol::plan::RestartPlan;
use smoothserve_protocol::snapshot::OnDrainTimeout;

use super::clock::Moment;
use super::limit::{self, Limit};
use crate::effect::Ticket;

/// Keys within so many milliseconds after the question was painted are no answers: whoever pressed
/// them had not read it.
pub const SETTLES_AFTER: u64 = 150;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Starts what does not run; asks nothing.
    Start,
    /// A rolling restart.
    Restart,
    /// Drain and stop.
    Stop,
    /// Stop, and cut what is inside at once.
    Kill,
    /// Another course for the rolling restart that runs; extending its drain asks nothing.
    Steer(Steer),
}

impl Verb {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Kill => "kill",
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
}

impl Terms {
    /// Whether requests may be lost that would otherwise be waited for.
    pub fn cuts(&self) -> bool {
        self.on_drain_timeout == Some(OnDrainTimeout::Cut)
    }

    /// As on the command line, each with a blank before it.
    pub fn options(&self) -> String {
        let mut options = String::new();
        for (option, time) in
            [("drain-timeout", self.drain_timeout_ms), ("timeout", self.timeout_ms)]
        {
            options +=
                &time.map(|ms| format!(" --{option} {}", limit::text(ms))).unwrap_or_default();
        }
        options += match self.on_drain_timeout {
            None => "",
            Some(OnDrainTimeout::Abort) => " --on-drain-timeout abort",
            Some(OnDrainTimeout::Wait) => " --on-drain-timeout wait",
            Some(OnDrainTimeout::Cut) => " --on-drain-timeout cut",
        };
        options
    }
}

/// How the operator says yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// With one key.
    Key,
    /// By typing the service's name; so far, this much.
    Name(String),
    /// By typing how many services it is about; so far, this much.
    Count(String),
}

/// A service, and what the operator saw of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which.
    pub service: ServiceName,
    /// As the operator saw it.
    pub seen: Seen,
}

/// What the daemon says that a restart would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Plan {
    /// It was not asked.
    #[default]
    Unknown,
    /// It was asked.
    Asked(Ticket),
    /// It said so.
    Known(Box<RestartPlan>),
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
    /// The service it is about, or the first of them.
    pub service: ServiceName,
    /// As the operator saw it.
    pub seen: Seen,
    /// What is asked for beyond the usual.
    pub terms: Terms,
    /// The others that it is about, in the order in which they come.
    pub others: Vec<Subject>,
    /// How the operator says yes.
    pub level: Level,
    /// What moved on while the question was open, as it was before.
    pub moved: Vec<Subject>,
    /// How long requests may take to end; of a restart.
    pub limit: Limit,
    /// What a restart of the service would do.
    pub plan: Plan,
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
            others: Vec::new(),
            level,
            moved: Vec::new(),
            limit: Limit::default(),
            plan: Plan::default(),
            shown: Shown::No,
        }
    }

    /// All that it is about, in the order in which they come.
    pub fn subjects(&self) -> Vec<Subject> {
        let first = Subject { service: self.service.clone(), seen: self.seen.clone() };
        std::iter::once(first).chain(self.others.iter().cloned()).collect()
    }

    /// What holds if it is answered now.
    pub const fn agreed(&self) -> Terms {
        Terms { drain_timeout_ms: self.limit.wanted(), ..self.terms }
    }

    /// How many services it is about.
    pub const fn size(&self) -> usize {
        1 + self.others.len()
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
            Verb::Start | Verb::Restart | Verb::Stop | Verb::Kill => None,
        }
    }

    /// Whether `now` is another thing than what it asks about, where that is `was`.
    fn is_outdated(&self, was: &Seen, now: &Seen) -> bool {
        match self.verb {
            Verb::Start | Verb::Restart | Verb::Stop | Verb::Kill => {
                was.generation != now.generation
            }
            // Only what is cut is about the instances that drain.
            Verb::Steer(Steer::Cut) => was.draining != now.draining,
            Verb::Steer(_) => false,
        }
    }

    /// The services are as `look` says; if one is not what it was, says so, and asks again. Whether
    /// that is so.
    pub fn ask_again_if(&mut self, look: impl Fn(&ServiceName) -> Option<Seen>) -> bool {
        let before = self.subjects();
        let now = before.iter().map(|subject| look(&subject.service));
        let changes: Vec<(Subject, Seen)> = before
            .iter()
            .zip(now)
            .filter_map(|(subject, now)| Some((subject.clone(), now?)))
            .filter(|(subject, now)| self.is_outdated(&subject.seen, now))
            .collect();
        if changes.is_empty() {
            return false;
        }
        self.moved.clear();
        for (subject, now) in changes {
            self.set_seen(&subject.service, now);
            self.moved.push(subject);
        }
        self.plan = Plan::Unknown;
        self.shown = Shown::No;
        match &mut self.level {
            Level::Key => {}
            Level::Name(typed) | Level::Count(typed) => typed.clear(),
        }
        true
    }

    fn set_seen(&mut self, service: &ServiceName, now: Seen) {
        if self.service == *service {
            self.seen = now;
        } else if let Some(other) = self.others.iter_mut().find(|one| one.service == *service) {
            other.seen = now;
        }
    }

    /// What the operator saw of `service`, if it is about that.
    pub fn seen_of(&self, service: &ServiceName) -> Option<&Seen> {
        if self.service == *service {
            return Some(&self.seen);
        }
        self.others.iter().find(|one| one.service == *service).map(|one| &one.seen)
    }

    /// Changes the drain limit of a restart. What was changed has to be seen before it is agreed to;
    /// more of it may follow at once.
    pub fn change_limit(&mut self, now: Moment, change: impl FnOnce(&mut Limit)) {
        let is_being_changed = self.limit.wanted().is_some();
        if self.verb == Verb::Restart && (self.is_settled(now) || is_being_changed) {
            change(&mut self.limit);
            self.shown = Shown::No;
        }
    }

    /// Whether the name or the number was typed, where one has to be.
    pub fn is_matched(&self) -> bool {
        match &self.level {
            Level::Key => true,
            Level::Name(typed) => typed == self.service.as_str(),
            Level::Count(typed) => *typed == self.size().to_string(),
        }
    }
}
