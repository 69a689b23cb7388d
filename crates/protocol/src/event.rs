//! What happened, one line each: the event log that consoles and `smoothtool events` show.

use bincode::{Decode, Encode};

use crate::failure::{Exit, Failure};
use crate::id::{EventSeq, Generation, OperationId, ServiceName, Slot};
use crate::snapshot::Blocker;

/// One line of the event log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Event {
    /// Position in the log.
    pub seq: EventSeq,
    /// When, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// The service it is about; none: the daemon itself.
    pub service: Option<ServiceName>,
    /// The instance it is about; none: the whole service.
    pub slot: Option<Slot>,
    /// What happened.
    pub kind: EventKind,
}

/// Who or what began an operation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum Cause {
    /// The daemon itself, when it starts or stops.
    Daemon,
    /// A person or a script, through the command port: `user@host`, as the tool said.
    Operator(String),
    /// Watched files changed; at most the first ten paths.
    FilesChanged(Vec<String>),
    /// The configuration changed; what differs, a line each.
    ConfigChanged(Vec<String>),
    /// An instance used more memory than it may.
    MemoryLimit {
        /// Which.
        slot: Slot,
        /// What it used, in bytes.
        rss_bytes: u64,
        /// What it may use.
        limit_bytes: u64,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum EventKind {
    /// The daemon serves.
    DaemonStarted {
        /// Its version.
        version: String,
        /// How many services it has.
        services: u32,
        /// How many instances they have together.
        instances: u32,
    },
    /// The daemon was told to stop.
    DaemonStopping {
        /// By whom.
        cause: Cause,
    },
    /// A rolling restart began.
    RolloutStarted {
        /// Its id.
        operation: OperationId,
        /// From this generation
        from: Generation,
        /// to this one.
        to: Generation,
        /// How many instances it will replace.
        instances: u16,
        /// Who began it.
        cause: Cause,
    },
    /// Every instance was replaced.
    RolloutDone {
        /// Its id.
        operation: OperationId,
        /// Milliseconds it took.
        took_ms: u64,
        /// How many instances it replaced.
        instances: u16,
        /// Requests lost or cut meanwhile.
        lost: u64,
    },
    /// The rollout stopped before its end; instances it had not touched serve on.
    RolloutHalted {
        /// Its id.
        operation: OperationId,
        /// Why, in one line.
        why: String,
    },
    /// The rollout waits for another instance that crashed meanwhile.
    RolloutWaits {
        /// Its id.
        operation: OperationId,
    },
    /// A start was asked for.
    StartAsked {
        /// Its id.
        operation: OperationId,
        /// By whom.
        cause: Cause,
    },
    /// A stop was asked for.
    StopAsked {
        /// Its id.
        operation: OperationId,
        /// By whom.
        cause: Cause,
    },
    /// Every instance is stopped.
    ServiceStopped {
        /// Milliseconds from the question to the last exit.
        took_ms: u64,
    },
    /// Closed to new requests; finishes what it has.
    Draining {
        /// Requests and tunnels inside when the door closed.
        in_flight: u32,
    },
    /// Its last byte is sent.
    Drained {
        /// Milliseconds it took.
        took_ms: u64,
    },
    /// The drain deadline passed; its door is open again and its process was not signalled.
    Reopened {
        /// Requests still inside.
        in_flight: u32,
        /// Some of them, the oldest first.
        blockers: Vec<Blocker>,
    },
    /// Told to exit.
    Stopping,
    /// Ignored the stop signal and was killed.
    Killed {
        /// Milliseconds it was given.
        after_ms: u64,
    },
    /// Exited after it was told to.
    Exited {
        /// How.
        exit: Exit,
    },
    /// Launched.
    Launched {
        /// Its process id.
        pid: u32,
        /// The generation it belongs to.
        generation: Generation,
    },
    /// Takes requests.
    Ready {
        /// Milliseconds since its launch.
        took_ms: u64,
        /// The generation it belongs to.
        generation: Generation,
    },
    /// A run failed; another try follows.
    BackingOff {
        /// Why it failed.
        failure: Failure,
        /// Milliseconds until the next try.
        retry_ms: u64,
        /// How many runs failed in a row, this one included.
        failures: u32,
    },
    /// Too many runs failed; no more tries until a start, a restart or a file change.
    GaveUp {
        /// Why the last one failed.
        failure: Failure,
        /// How many failed.
        failures: u32,
    },
    /// Watched files changed; a restart follows when they are quiet.
    FilesChanged {
        /// At most the first ten paths.
        files: Vec<String>,
    },
    /// Something an operator should know.
    Warning {
        /// What.
        text: String,
    },
    /// Watched files were touched, and hold what they held before: nothing follows.
    FilesUnchanged {
        /// At most the first ten paths.
        files: Vec<String>,
    },
    /// The rollout begins no further turn.
    RolloutPaused {
        /// Its id.
        operation: OperationId,
        /// By whom.
        by: Cause,
    },
    /// The rollout goes on.
    RolloutResumed {
        /// Its id.
        operation: OperationId,
        /// By whom.
        by: Cause,
    },
    /// The rollout ends at the nearest safe point.
    AbortAsked {
        /// Its id.
        operation: OperationId,
        /// By whom.
        by: Cause,
    },
    /// The drain was given more time.
    DrainExtended {
        /// Milliseconds it was given.
        by_ms: u64,
        /// By whom.
        by: Cause,
    },
    /// What the drain waited for was cut.
    DrainCut {
        /// Requests and tunnels that were inside.
        in_flight: u32,
        /// By whom; the daemon itself at the deadline of a drain that is to be cut.
        by: Cause,
    },
    /// The drain takes long; or its deadline has passed, and it waits on.
    DrainWaits {
        /// The deadline has passed.
        overdue: bool,
        /// Requests still inside.
        in_flight: u32,
        /// Some of them, the oldest first.
        blockers: Vec<Blocker>,
    },
    /// It does not answer its liveness probe.
    Unhealthy {
        /// What the last probe found.
        error: String,
    },
    /// It answers its liveness probe again.
    Healthy,
    /// A new configuration is in force.
    ConfigApplied {
        /// What differs, a line each.
        what: Vec<String>,
    },
    /// A configuration file is wrong; the former configuration stays.
    ConfigRejected {
        /// What is wrong, rendered with file and line.
        problem: String,
    },
}

/// A piece of the event log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct EventBatch {
    /// Events that were asked for and are no longer kept.
    pub missed: u64,
    /// The rest, oldest first.
    pub events: Vec<Event>,
}
