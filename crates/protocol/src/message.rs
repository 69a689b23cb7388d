//! Everything that can be asked, answered and told: the whole vocabulary on one page.

use bincode::{Decode, Encode};

use crate::event::EventBatch;
use crate::failure::Failure;
use crate::id::{EventSeq, Generation, OperationId, RequestId, ServiceName, Slot};
use crate::log::LogBatch;
use crate::moved::{OverviewMoved, ServiceMoved};
use crate::plan::{ReloadReport, RestartPlan};
use crate::snapshot::{Blocker, OnDrainTimeout, Overview, Receipt, ServiceDetail, Snapshot};

/// What the tool sends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FromTool {
    /// The first message: who asks.
    Introduce {
        /// `user@host`, for the audit line of each command.
        actor: String,
        /// This connection will only look; the daemon refuses it every command.
        read_only: bool,
    },
    /// A question; exactly one [`FromDaemon::Response`] with the same id follows.
    Request {
        /// Chosen by the tool.
        id: RequestId,
        /// The question.
        request: Request,
    },
}

/// What the daemon sends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FromDaemon {
    /// The answer to a question.
    Response {
        /// The question's id.
        id: RequestId,
        /// What was done, or why not.
        result: Result<Done, Refusal>,
    },
    /// Told without a question, to those who subscribed.
    Push(Push),
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Starts the instances of a service that do not run.
    Start {
        /// Which.
        service: ServiceName,
        /// Answer when all are ready, rather than when the work has begun.
        wait: bool,
    },
    /// Drains and stops a service.
    Stop {
        /// Which.
        service: ServiceName,
        /// Cut what is inside at once.
        force: bool,
        /// Cut what is inside after so many milliseconds; none: never.
        timeout_ms: Option<u64>,
        /// Refuse unless this is the generation that serves.
        expected: Option<Generation>,
        /// Answer when all are stopped, rather than when the work has begun.
        wait: bool,
    },
    /// Replaces the instances of a service, one at a time.
    Restart {
        /// Which.
        service: ServiceName,
        /// Instead of the service's `drain_timeout`, in milliseconds.
        drain_timeout_ms: Option<u64>,
        /// Instead of the service's `on_drain_timeout`.
        on_drain_timeout: Option<OnDrainTimeout>,
        /// Refuse unless this is the generation that serves.
        expected: Option<Generation>,
        /// Join a restart that runs already, rather than be refused.
        join: bool,
        /// Answer when it has ended, rather than when it has begun.
        wait: bool,
    },
    /// Drains and stops everything; then the daemon exits.
    Shutdown {
        /// Cut what is inside at once.
        force: bool,
    },
    /// Everything, once.
    Status,
    /// Events after `after` (none: the oldest that are kept), at most `limit`, the newest of them.
    Events {
        /// The last event already known.
        after: Option<EventSeq>,
        /// How many at most; the daemon keeps no more than 5 000.
        limit: u32,
    },
    /// From now on, push the overview, events, and the detail of one service. Replaces what was
    /// subscribed before; the overview goes on where it was, so that a console that looks at one
    /// service after the other is not told of all of them each time.
    Subscribe {
        /// The service to push in detail; an unknown one is no error, it may appear.
        focus: Option<ServiceName>,
        /// Events after this one (none: only what comes from now on).
        events_after: Option<EventSeq>,
    },
    /// What a restart would do, without doing it.
    PlanRestart {
        /// Which.
        service: ServiceName,
    },
    /// Changes the course of the rolling restart of a service.
    Steer {
        /// Which.
        service: ServiceName,
        /// Refuse unless this is the one that runs.
        operation: Option<OperationId>,
        /// What to do.
        steer: Steer,
    },
    /// Reads the configuration again, and makes it so.
    Reload {
        /// Say what would be done, and do nothing.
        plan: bool,
    },
    /// Receipts of rolling restarts that have ended, newest first, those of earlier daemons
    /// included.
    History {
        /// Of one service; none: of all.
        service: Option<ServiceName>,
        /// How many at most; the daemon sends no more than 500.
        limit: u32,
    },
    /// What the instances of a service printed last.
    Logs {
        /// Which.
        service: ServiceName,
        /// Of one instance; none: of all.
        slot: Option<Slot>,
        /// How many lines at most, the newest; the daemon sends no more than 5 000.
        lines: u32,
        /// Only lines that match this regular expression.
        grep: Option<String>,
        /// From then on, push what comes; until the next such question, or the end of the
        /// connection.
        follow: bool,
    },
}

/// A change of course of a rolling restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Steer {
    /// Finish the turn under way, and begin no other.
    Pause,
    /// Go on.
    Resume,
    /// End at the nearest safe point: what drains is reopened, what was signalled is brought back,
    /// and no other instance is touched.
    Abort,
    /// Give the drain under way so many more milliseconds.
    Extend {
        /// Added to its deadline; or, if it has none, ignored.
        by_ms: u64,
    },
    /// Cut the requests that the drain under way waits for.
    Cut,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Done {
    /// It was so already.
    AlreadySo,
    /// The work has begun (or a piece of work that runs was joined), and nobody waits for it.
    Begun {
        /// Its id.
        operation: OperationId,
    },
    /// Every instance is ready.
    Started {
        /// How many were started.
        instances: u16,
        /// Milliseconds it took.
        took_ms: u64,
    },
    /// Every instance is stopped.
    Stopped {
        /// How many were stopped.
        instances: u16,
        /// Requests cut on the way.
        cut: u64,
        /// Milliseconds it took.
        took_ms: u64,
    },
    /// Every instance was replaced.
    Restarted(Box<Receipt>),
    /// The daemon stops; the connection ends when it has.
    ShuttingDown,
    /// Everything.
    Status(Box<Snapshot>),
    /// What was asked for.
    Events(EventBatch),
    /// Pushes follow.
    Subscribed,
    /// What a restart would do.
    RestartPlan(Box<RestartPlan>),
    /// The course was changed, or was so already.
    Steered {
        /// Of this operation.
        operation: OperationId,
    },
    /// What the reload did, or would do.
    Reloaded(Box<ReloadReport>),
    /// What was asked for.
    History(Vec<Receipt>),
    /// What was asked for.
    Logs(LogBatch),
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Refusal {
    /// No service has that name.
    UnknownService {
        /// The name asked for.
        name: ServiceName,
        /// Those that exist.
        known: Vec<ServiceName>,
    },
    /// The restart was not begun; nothing was changed.
    Preflight {
        /// What was found.
        problem: String,
    },
    /// A new run failed; instances not touched yet serve on.
    Halted {
        /// The instance that failed.
        slot: Slot,
        /// Why.
        failure: Failure,
        /// What was done until then.
        receipt: Box<Receipt>,
    },
    /// Requests outlived the drain deadline; the door is open again, and no process was signalled.
    DrainTimedOut {
        /// The instance.
        slot: Slot,
        /// Requests still inside.
        in_flight: u32,
        /// The deadline, in milliseconds.
        limit_ms: u64,
        /// Some of them, the oldest first.
        blockers: Vec<Blocker>,
        /// What was done until then.
        receipt: Box<Receipt>,
    },
    /// Some instances did not become ready.
    StartFailed {
        /// Which, and why.
        failures: Vec<(Slot, Failure)>,
    },
    /// Another operation runs.
    Conflict {
        /// Its id.
        operation: OperationId,
        /// What it is, who began it and when, in one line.
        what: String,
    },
    /// A later command took the place of this one.
    Superseded {
        /// What it was, in one line.
        by: String,
    },
    /// The service is not what the operator saw.
    GenerationMoved {
        /// What the command expected.
        expected: Generation,
        /// What serves.
        found: Generation,
    },
    /// The service is stopped; it can only be started.
    NotRunning,
    /// This connection may only look.
    NotPermitted,
    /// The daemon is on its way out.
    ShuttingDown,
    /// An operator ended the restart before its end.
    Aborted {
        /// Who.
        by: String,
        /// What was done until then.
        receipt: Box<Receipt>,
    },
    /// There is no course to change.
    NothingToSteer {
        /// What is missing, in one line.
        why: String,
    },
    /// The pattern is no regular expression.
    BadPattern {
        /// What is wrong with it.
        error: String,
    },
}

/// Told without a question.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Push {
    /// The overview, whole: the first on a connection, and whenever [`Self::OverviewMoved`] cannot
    /// tell what changed.
    Overview(Overview),
    /// The focused service, whole: the first after each [`Request::Subscribe`], and whenever
    /// [`Self::ServiceMoved`] cannot tell what changed; none: it does not exist.
    Service(Option<Box<ServiceDetail>>),
    /// As they happen.
    Events(EventBatch),
    /// What the instances print that are followed.
    Logs(LogBatch),
    /// The daemon ends this connection.
    Bye {
        /// Why, in one line.
        reason: String,
    },
    /// What moved in the overview since it was last pushed: once a second; and at each change of
    /// state, at most 10 a second, then without figures.
    OverviewMoved(OverviewMoved),
    /// What moved in the service pushed last: at most 10 a second while anything moves, else once a
    /// second.
    ServiceMoved(Box<ServiceMoved>),
}
