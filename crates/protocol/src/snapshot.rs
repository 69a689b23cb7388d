//! What a console may know, complete in itself. What moved since is in [`crate::moved`].
//!
//! Durations, not instants, cross the wire: the two ends need no common clock.

use bincode::{Decode, Encode};

use crate::event::Cause;
use crate::failure::Failure;
use crate::id::{Generation, OperationId, Revision, RunId, ServiceName, Slot};

/// Everything: the answer to a status question.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Snapshot {
    /// Version of the state described.
    pub revision: Revision,
    /// The daemon itself.
    pub daemon: DaemonView,
    /// By name.
    pub services: Vec<ServiceDetail>,
}

/// One row a service: what the overview shows.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Overview {
    /// Version of the state described.
    pub revision: Revision,
    /// The daemon itself.
    pub daemon: DaemonView,
    /// By name.
    pub services: Vec<ServiceRow>,
}

/// The daemon itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct DaemonView {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// The name of the machine it runs on.
    pub host: String,
    /// The configuration file it read, absolute.
    pub config: String,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Its wall clock, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// It was told to stop and finishes what it has.
    pub stopping: bool,
    /// Instances that take requests, in services that are wanted.
    pub ready: u32,
    /// Instances in services that are wanted (a stopped service is not missing).
    pub wanted: u32,
    /// All services together.
    pub traffic: Traffic,
    /// Requests that reached no service: no route, or refused as malformed.
    pub rejected: u64,
    /// What is wrong with the configuration as it is on disk; what runs is the former one.
    pub config_problem: Option<String>,
}

/// Figures that move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Traffic {
    /// Requests whose last byte is still owed, those held included, tunnels not.
    pub in_flight: u64,
    /// Requests waiting in the proxy for a ready instance.
    pub held: u64,
    /// Open tunnels (WebSocket and other upgraded connections).
    pub tunnels: u64,
    /// Requests ended per 1 000 seconds, mean over the last 10 s.
    pub milli_rps: u64,
    /// Median time to the last byte over the last 60 s, in microseconds; none without requests.
    pub p50_us: Option<u64>,
    /// 99th percentile of the same.
    pub p99_us: Option<u64>,
    /// Answers with status 500 and above, and lost requests, per million, over the last 60 s.
    pub errors_ppm: u32,
    /// Requests lost or cut since the daemon started.
    pub lost: u64,
}

/// Where every request went: `accepted = done + in flight + lost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ledger {
    /// Requests admitted to the service.
    pub accepted: u64,
    /// Answered in full, whatever the status the service chose; an upgrade counts when it is made.
    pub completed: u64,
    /// Ended because the client went away.
    pub client_aborted: u64,
    /// Cut by us at a deadline, or by force.
    pub cut: u64,
    /// The client got a 5xx made by us, or a reset or truncated answer caused by us or by an
    /// instance's death.
    pub lost: u64,
    /// Last byte still owed; counted by itself, not derived.
    pub in_flight: u64,
    /// Sent to a second instance after the first failed; the client saw one answer.
    pub retried: u64,
    /// Waited in the proxy for a ready instance.
    pub held: u64,
    /// Tunnels that a drain closed.
    pub tunnels_closed: u64,
    /// Turned away without being admitted, because the service is stopped.
    pub refused: u64,
}

impl Ledger {
    /// Ended as they should, or by the client's own wish.
    pub const fn done(&self) -> u64 {
        self.completed + self.client_aborted
    }

    /// Ended without a full answer because of us.
    pub const fn all_lost(&self) -> u64 {
        self.cut + self.lost
    }

    /// `accepted - done - in flight - lost`: 0 in every consistent ledger.
    pub const fn unaccounted(&self) -> i64 {
        self.accepted as i64 - self.done() as i64 - self.in_flight as i64 - self.all_lost() as i64
    }

    /// What came since `earlier`: differences of the counts. Everything inside at `earlier` is
    /// part of the later ledger too, as accepted, so that the sum still holds.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            accepted: self.accepted - earlier.accepted + earlier.in_flight,
            completed: self.completed - earlier.completed,
            client_aborted: self.client_aborted - earlier.client_aborted,
            cut: self.cut - earlier.cut,
            lost: self.lost - earlier.lost,
            in_flight: self.in_flight,
            retried: self.retried - earlier.retried,
            held: self.held - earlier.held,
            tunnels_closed: self.tunnels_closed - earlier.tunnels_closed,
            refused: self.refused - earlier.refused,
        }
    }
}

/// What one instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum InstanceState {
    /// Not running, and not meant to.
    Stopped,
    /// Launched, not ready yet.
    Starting,
    /// Takes requests.
    Ready,
    /// Closed to new requests; finishes what it has.
    Draining,
    /// Told to exit.
    Stopping,
    /// Failed; another try follows.
    Backoff,
    /// Failed; no further try.
    Failed,
    /// Runs, and does not answer its liveness probe, or failed too many requests in a row; takes no
    /// requests.
    Unhealthy,
}

/// What a service does, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ServiceState {
    /// Some instances are wanted, none is ready, and no further try is made.
    Failed,
    /// Fewer instances are ready than wanted, and nobody asked for that.
    Degraded,
    /// A rolling restart runs.
    Restarting,
    /// Instances start.
    Starting,
    /// Instances drain and stop for good.
    Stopping,
    /// Every instance is ready.
    Ready,
    /// Stopped on purpose.
    Stopped,
}

/// One instance in the smallest form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Pip {
    /// What it does.
    pub state: InstanceState,
    /// It belongs to the generation that a running rollout brings.
    pub new: bool,
}

/// One service in one row.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ServiceRow {
    /// Its name.
    pub name: ServiceName,
    /// What it does.
    pub state: ServiceState,
    /// The generation that serves, or that a running rollout brings.
    pub generation: Generation,
    /// By slot, ascending, without gaps.
    pub pips: Vec<Pip>,
    /// Its figures.
    pub traffic: Traffic,
    /// Milliseconds since `state` became what it is.
    pub since_ms: u64,
    /// The operation that runs.
    pub operation: Option<OperationSummary>,
    /// Its file is wrong, and it runs with its former configuration.
    pub stale_config: bool,
}

/// A running operation in one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OperationSummary {
    /// Its id.
    pub id: OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// Instances it is done with.
    pub done: u16,
    /// Instances it is about.
    pub of: u16,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum OperationKind {
    /// Replaces every instance, one at a time.
    Restart,
    /// Starts what is not running.
    Start,
    /// Drains and stops everything.
    Stop,
}

/// One service, whole.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ServiceDetail {
    /// What the overview shows of it.
    pub row: ServiceRow,
    /// Where its requests come in: `address:port`, and the names it answers to.
    pub listen: String,
    /// Host names with path prefixes; empty: whatever comes to `listen`.
    pub server_names: Vec<String>,
    /// Its file, absolute.
    pub source: String,
    /// What is wrong with that file; what runs is the former configuration.
    pub config_problem: Option<String>,
    /// The program it runs, absolute.
    pub executable: String,
    /// It restarts when watched files change.
    pub auto_restart: bool,
    /// Who stopped it, if it is stopped.
    pub stopped_by: Option<Cause>,
    /// Since the daemon started.
    pub ledger: Ledger,
    /// By slot, ascending, without gaps.
    pub instances: Vec<InstanceView>,
    /// The operation that runs.
    pub operation: Option<OperationView>,
    /// The last rolling restarts, newest first; at most 5.
    pub receipts: Vec<Receipt>,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct InstanceView {
    /// Its place.
    pub slot: Slot,
    /// What it does.
    pub state: InstanceState,
    /// The launch it is in; none while nothing runs.
    pub run: Option<RunId>,
    /// The generation of that launch, or of the last one.
    pub generation: Generation,
    /// Process id; none while nothing runs.
    pub pid: Option<u32>,
    /// Its port: fixed, unless new runs start before old ones stop; 0 if it listens on a path.
    pub port: u16,
    /// The path it listens on, in place of a port.
    pub socket: Option<String>,
    /// Requests whose last byte is still owed, tunnels not.
    pub in_flight: u32,
    /// Open tunnels.
    pub tunnels: u32,
    /// While draining: how it goes.
    pub drain: Option<DrainView>,
    /// Requests ended per 1 000 seconds, mean over the last 10 s.
    pub milli_rps: u64,
    /// Median time to the last byte over the last 60 s, in microseconds; none without requests.
    pub p50_us: Option<u64>,
    /// 99th percentile of the same.
    pub p99_us: Option<u64>,
    /// Answers with status 500 and above, and lost requests, per million, over the last 60 s.
    pub errors_ppm: u32,
    /// Milliseconds since it became ready; none while it is not.
    pub up_ms: Option<u64>,
    /// Runs that failed in a row.
    pub failures: u32,
    /// Milliseconds until the next try, while in backoff.
    pub retry_ms: Option<u64>,
    /// Why its last failed run failed; kept until it has been ready for a minute.
    pub failure: Option<Failure>,
    /// Processor time of its processes, in thousandths of one core, over the last seconds.
    pub cpu_permille: Option<u32>,
    /// Resident memory of its processes together.
    pub rss_bytes: Option<u64>,
}

/// What happens to requests that outlive the drain deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum OnDrainTimeout {
    /// The instance goes back to work and the restart ends: nothing is lost.
    #[default]
    Abort,
    /// They are waited for as long as they take.
    Wait,
    /// They are cut.
    Cut,
}

/// What a drain waits for: a request, or a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Blocker {
    /// The request's method.
    pub method: String,
    /// Its path, without the query, at most 128 bytes of it.
    pub path: String,
    /// Milliseconds since it was accepted.
    pub age_ms: u64,
    /// Where the client connects from: `address:port`.
    pub client: String,
    /// It is a tunnel.
    pub tunnel: bool,
}

/// How a drain goes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DrainView {
    /// Requests and tunnels inside when it began.
    pub began_with: u32,
    /// Milliseconds since it began.
    pub since_ms: u64,
    /// Milliseconds it may take; none: as long as it needs.
    pub limit_ms: Option<u64>,
    /// What happens at that limit.
    pub on_timeout: OnDrainTimeout,
    /// What it waits for, the oldest first; at most 10.
    pub blockers: Vec<Blocker>,
}

/// A running operation.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OperationView {
    /// Its id, kind and how far it is.
    pub summary: OperationSummary,
    /// Who began it.
    pub cause: Cause,
    /// From this generation
    pub from: Generation,
    /// to this one.
    pub to: Generation,
    /// Milliseconds since it began.
    pub elapsed_ms: u64,
    /// A sensible guess of the milliseconds still to go; none before one step is done.
    pub eta_ms: Option<u64>,
    /// It waits for an instance that crashed meanwhile.
    pub waiting: bool,
    /// Who paused it; none: it is not paused.
    pub paused_by: Option<Cause>,
    /// It was told to end at the nearest safe point.
    pub aborting: bool,
    /// In the order they are taken.
    pub steps: Vec<StepView>,
    /// Since it began.
    pub ledger: Ledger,
    /// The least instances that were ready at any moment so far.
    pub min_ready: u16,
    /// How the old and the new generation do; none unless both serve.
    pub canary: Option<Canary>,
}

/// The two generations of a rolling restart, side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Canary {
    /// The one that goes.
    pub old: GenerationView,
    /// The one that comes.
    pub new: GenerationView,
}

/// How the instances of one generation do, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct GenerationView {
    /// Which.
    pub generation: Generation,
    /// Its instances that take requests.
    pub ready: u16,
    /// Requests ended per 1 000 seconds, mean over the last 10 s.
    pub milli_rps: u64,
    /// Requests that ended in the last 60 s: what the figures below rest on.
    pub ended: u64,
    /// Of these, answers with status 500 and above, and lost requests.
    pub failed: u64,
    /// 99th percentile of the time to the last byte, of all its requests together, in
    /// microseconds; none without requests.
    pub p99_us: Option<u64>,
}

impl GenerationView {
    /// Failed requests per million.
    pub const fn errors_ppm(&self) -> u32 {
        match self.ended {
            0 => 0,
            ended => (self.failed.saturating_mul(1_000_000) / ended) as u32,
        }
    }
}

/// One instance's turn in an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct StepView {
    /// Whose turn.
    pub slot: Slot,
    /// How far it is.
    pub phase: StepPhase,
    /// Milliseconds from closing its door to its last byte.
    pub drain_ms: Option<u64>,
    /// Milliseconds from the stop signal to its exit.
    pub stop_ms: Option<u64>,
    /// It ignored the stop signal and was killed.
    pub killed: bool,
    /// Milliseconds from its launch to its first good answer to the probe.
    pub boot_ms: Option<u64>,
    /// Milliseconds from its launch to its first request.
    pub ready_ms: Option<u64>,
}

impl StepView {
    /// A step of which nothing was measured yet.
    #[must_use]
    pub const fn new(slot: Slot, phase: StepPhase) -> Self {
        Self {
            slot,
            phase,
            drain_ms: None,
            stop_ms: None,
            killed: false,
            boot_ms: None,
            ready_ms: None,
        }
    }
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
pub enum StepPhase {
    /// Not begun.
    Waiting,
    /// Under way.
    Running,
    /// Replaced.
    Done,
    /// Did not succeed.
    Failed,
}

/// What a rolling restart did: the proof.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Receipt {
    /// Its id.
    pub operation: OperationId,
    /// The service.
    pub service: ServiceName,
    /// Who began it.
    pub cause: Cause,
    /// From this generation
    pub from: Generation,
    /// to this one.
    pub to: Generation,
    /// Every instance was replaced.
    pub done: bool,
    /// Why not, in one line.
    pub halted: Option<String>,
    /// Instances replaced.
    pub replaced: u16,
    /// Instances in all.
    pub of: u16,
    /// Milliseconds it took.
    pub took_ms: u64,
    /// In the order they were taken.
    pub steps: Vec<StepView>,
    /// While it ran.
    pub ledger: Ledger,
    /// The least instances that were ready at any moment.
    pub min_ready: u16,
    /// The longest that a request waited for a ready instance meanwhile, in microseconds; none if
    /// none did.
    pub slowest_held_us: Option<u64>,
    /// The instance that ended it, and why.
    pub failure: Option<(Slot, Failure)>,
    /// What the application does that makes restarts harder, a line each.
    pub remarks: Vec<String>,
    /// When it ended, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_of_a_stretch_of_time_still_adds_up() {
        let before = Ledger { accepted: 100, completed: 80, in_flight: 20, ..Ledger::default() };
        let after = Ledger {
            accepted: 150,
            completed: 138,
            client_aborted: 2,
            lost: 1,
            in_flight: 9,
            ..Ledger::default()
        };
        assert_eq!(before.unaccounted(), 0);
        assert_eq!(after.unaccounted(), 0);
        let during = after.since(&before);
        assert_eq!(during.accepted, 70);
        assert_eq!(during.unaccounted(), 0);
    }
}
