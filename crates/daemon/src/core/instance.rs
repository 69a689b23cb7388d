//! One instance: the transition table.
//!
//! ```text
//!            launch             ready               retire(then)        idle | until            exited
//!  Stopped ─────────▶ Starting ───────▶ Ready ────────────────▶ Draining ──────────▶ Stopping ───────────▶ Stopped     then: Rest
//!     ▲                 │  ▲  │            │          ◀── undrain ──┤                    ▲   └ kill_at:     Starting    then: Relaunch
//!     │ start           │  │  │ give_up_at │ exited                 └ exited: by `then`  │     SIGKILL,     BackingOff  then: Retry
//!     │                 │  │  └────────────┼────────────── (then: Retry) ────────────────┘     stays
//!     │          exited │  │ retry_at      │
//!   Failed ◀─too many─ BackingOff ◀────────┘
//! ```
//! Knows nothing of the other instances; [`super::service`] decides, this file remembers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use smoothserve_protocol::failure::{FailReason, Failure};
use smoothserve_protocol::id::{Generation, RunId, Slot};
use smoothserve_protocol::snapshot::{InstanceState, OnDrainTimeout};

use super::input::DrainId;
use super::settle;

/// What an instance does, with what is needed to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not running, and not meant to.
    Stopped,
    /// Launched; the probe has not succeeded, or `delay_running_time` has not passed since.
    Starting { run: RunId, give_up_at: Instant, ready_at: Option<Instant> },
    /// May be chosen.
    Ready { run: RunId, since: Instant },
    /// Does not answer its liveness probe: out of the choice, and soon to be replaced. `since` is
    /// when it had become ready.
    Unhealthy { run: RunId, since: Instant },
    /// Out of the choice, finishing what it has.
    Draining { run: RunId, drain: Drain, then: Next },
    /// Told to exit. `kill_at` is none once SIGKILL was sent.
    Stopping { run: RunId, since: Instant, kill_at: Option<Instant>, then: Next },
    /// Failed; the next try is due at `retry_at`.
    BackingOff { retry_at: Instant },
    /// Failed too often.
    Failed,
}

/// A drain under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drain {
    pub id: DrainId,
    pub since: Instant,
    /// When to give up waiting; none: never.
    pub until: Option<Instant>,
    /// What happens then, if the next run waits.
    pub on_timeout: OnDrainTimeout,
    /// When to say what it waits for; none: done already.
    pub told_at: Option<Instant>,
    /// When to close tunnels; none: done already.
    pub tunnels_until: Option<Instant>,
    /// When the instance had become ready, to be itself again when it is reopened.
    pub ready_since: Instant,
}

/// What follows when a process that was told to exit is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Rest,
    /// The next run.
    Relaunch,
    /// It failed to start: back off first.
    Retry(FailReason),
}

/// One place of a service, over all its runs.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub slot: Slot,
    pub state: State,
    /// Of the present run, or of the last one.
    pub generation: Generation,
    /// Where the present run listens, or the last one did; 0 before the first.
    pub port: u16,
    /// When the present run was asked for.
    pub launched: Option<Instant>,
    pub pid: Option<u32>,
    /// What the probe of the present run found last.
    pub probe_error: Option<String>,
    /// Why the present run counts as not answering its liveness probe.
    pub unresponsive: Option<String>,
    /// Samples in a row in which the present run used more memory than it may, and how much.
    pub over_memory: (u32, u64),
    /// Runs that failed in a row.
    pub failures: u32,
    /// When the last runs failed, for the "too many" rule.
    pub failed_at: VecDeque<Instant>,
    pub failure: Option<Failure>,
    /// Grows with each drain.
    pub last_drain: DrainId,
}

impl Instance {
    pub(super) fn new(slot: Slot) -> Self {
        Self {
            slot,
            state: State::Stopped,
            generation: Generation::default(),
            port: 0,
            launched: None,
            pid: None,
            probe_error: None,
            unresponsive: None,
            over_memory: (0, 0),
            failures: 0,
            failed_at: VecDeque::new(),
            failure: None,
            last_drain: DrainId::default(),
        }
    }

    /// The run it is in.
    pub(super) fn run(&self) -> Option<RunId> {
        match self.state {
            State::Starting { run, .. }
            | State::Ready { run, .. }
            | State::Unhealthy { run, .. }
            | State::Draining { run, .. }
            | State::Stopping { run, .. } => Some(run),
            State::Stopped | State::BackingOff { .. } | State::Failed => None,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { .. })
    }

    /// Nothing runs, and nothing will by itself.
    pub(super) fn is_at_rest(&self) -> bool {
        matches!(self.state, State::Stopped | State::Failed)
    }

    pub(super) fn begin(
        &mut self,
        now: Instant,
        run: RunId,
        generation: Generation,
        port: u16,
        limit: Duration,
    ) {
        self.state = State::Starting { run, give_up_at: now + limit, ready_at: None };
        self.generation = generation;
        self.port = port;
        self.launched = Some(now);
        self.pid = None;
        self.probe_error = None;
        self.unresponsive = None;
        self.over_memory = (0, 0);
    }

    /// Forgets earlier failures: somebody wants a fresh try.
    pub(super) fn forgive(&mut self) {
        self.failures = 0;
        self.failed_at.clear();
    }

    /// Notes that a run failed, and what follows: another try, or none.
    pub(super) fn fail(&mut self, now: Instant, run: RunId, failure: Failure) {
        if self.served_long(now) {
            self.forgive();
        }
        let stranger = matches!(failure.reason, FailReason::PortTaken { .. });
        self.failure = Some(failure);
        self.pid = None;
        self.launched = None;
        if stranger {
            // Not the program's fault, and not for it to mend: look again now and then.
            self.state = State::BackingOff { retry_at: now + settle::PORT_RETRY };
            return;
        }
        self.failures += 1;
        self.failed_at.push_back(now);
        while self
            .failed_at
            .front()
            .is_some_and(|at| now.duration_since(*at) > settle::CRASH_WINDOW)
        {
            self.failed_at.pop_front();
        }
        self.state = if self.failed_at.len() >= settle::CRASH_LIMIT {
            State::Failed
        } else {
            State::BackingOff { retry_at: now + settle::backoff(self.failures, run) }
        };
    }

    /// It has been ready long enough for earlier failures to be past.
    pub(super) fn served_long(&self, now: Instant) -> bool {
        let since = match &self.state {
            State::Ready { since, .. } | State::Unhealthy { since, .. } => *since,
            State::Draining { drain, .. } => drain.ready_since,
            _ => return false,
        };
        now.duration_since(since) >= settle::CRASH_FORGOTTEN
    }

    /// The state in the words of the wire.
    pub(super) fn shown(&self) -> InstanceState {
        match self.state {
            State::Stopped => InstanceState::Stopped,
            State::Starting { .. } => InstanceState::Starting,
            State::Ready { .. } => InstanceState::Ready,
            State::Unhealthy { .. } => InstanceState::Unhealthy,
            State::Draining { .. } => InstanceState::Draining,
            State::Stopping { .. } => InstanceState::Stopping,
            State::BackingOff { .. } => InstanceState::Backoff,
            State::Failed => InstanceState::Failed,
        }
    }

    /// When this instance next needs to be looked at.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Starting { give_up_at, ready_at, .. } => {
                Some(ready_at.map_or(*give_up_at, |at| at))
            }
            State::Draining { drain, .. } => {
                earliest(drain.told_at, earliest(drain.until, drain.tunnels_until))
            }
            State::Stopping { kill_at, .. } => *kill_at,
            State::BackingOff { retry_at } => Some(*retry_at),
            State::Stopped | State::Ready { .. } | State::Unhealthy { .. } | State::Failed => None,
        }
    }
}

/// The earlier of two deadlines that may not exist.
pub(super) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
