//! The public contract: what scripts may rely on, field by field.

use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Status {
    pub(super) schema: &'static str,
    pub(super) time: String,
    pub(super) daemon: Daemon,
    pub(super) services: Vec<Service>,
}

#[derive(Serialize)]
pub(super) struct Progress {
    pub(super) schema: String,
    pub(super) time: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) service: String,
    pub(super) doing: String,
    pub(super) operation: Operation,
}

#[derive(Serialize)]
pub(super) struct Ended<Name, Body> {
    pub(super) schema: String,
    pub(super) time: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) service: Name,
    #[serde(flatten)]
    pub(super) outcome: Body,
}

#[derive(Serialize)]
pub(super) struct Error<'a> {
    pub(super) schema: &'static str,
    pub(super) time: String,
    pub(super) exit: u8,
    pub(super) error: &'static str,
    pub(super) message: &'a str,
    pub(super) details: &'a [String],
    pub(super) next: &'a [String],
    pub(super) receipt: Option<Receipt>,
}

#[derive(Serialize)]
pub(super) struct Daemon {
    pub(super) version: String,
    pub(super) pid: u32,
    pub(super) host: String,
    pub(super) config: String,
    pub(super) config_problem: Option<String>,
    pub(super) uptime_ms: u64,
    pub(super) stopping: bool,
    pub(super) ready: u32,
    pub(super) wanted: u32,
    pub(super) rejected_total: u64,
    #[serde(flatten)]
    pub(super) traffic: Traffic,
}

#[derive(Serialize)]
pub(super) struct Traffic {
    pub(super) in_flight: u64,
    pub(super) held: u64,
    pub(super) tunnels: u64,
    pub(super) requests_per_second: f64,
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) errors_percent: f64,
    pub(super) lost_total: u64,
}

#[derive(Serialize)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) generation: u64,
    pub(super) since_ms: u64,
    pub(super) listen: String,
    pub(super) server_names: Vec<String>,
    pub(super) config: String,
    pub(super) config_problem: Option<String>,
    pub(super) executable: String,
    pub(super) auto_restart: bool,
    pub(super) stopped_by: Option<String>,
    #[serde(flatten)]
    pub(super) traffic: Traffic,
    pub(super) ledger: Ledger,
    pub(super) instances: Vec<Instance>,
    pub(super) operation: Option<Operation>,
    pub(super) receipts: Vec<Receipt>,
}

#[derive(Serialize)]
pub(super) struct Ledger {
    pub(super) accepted: u64,
    pub(super) done: u64,
    pub(super) client_aborted: u64,
    pub(super) cut: u64,
    pub(super) lost: u64,
    pub(super) in_flight: u64,
    pub(super) retried: u64,
    pub(super) held: u64,
    pub(super) tunnels_closed: u64,
    pub(super) refused: u64,
}

#[derive(Serialize)]
pub(super) struct Instance {
    pub(super) instance: u32,
    pub(super) state: &'static str,
    pub(super) generation: u64,
    pub(super) pid: Option<u32>,
    /// 0: it listens on `socket`.
    pub(super) port: u16,
    pub(super) socket: Option<String>,
    pub(super) in_flight: u32,
    pub(super) tunnels: u32,
    pub(super) drain: Option<Drain>,
    pub(super) requests_per_second: f64,
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) errors_percent: f64,
    pub(super) up_ms: Option<u64>,
    pub(super) failures: u32,
    pub(super) retry_ms: Option<u64>,
    pub(super) failure: Option<Failure>,
    pub(super) cpu_percent: Option<f64>,
    pub(super) rss_bytes: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct Drain {
    pub(super) began_with: u32,
    pub(super) since_ms: u64,
    pub(super) limit_ms: Option<u64>,
    pub(super) on_timeout: &'static str,
    pub(super) blockers: Vec<Blocker>,
}

#[derive(Serialize)]
pub(super) struct Blocker {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) age_ms: u64,
    pub(super) client: String,
    pub(super) tunnel: bool,
}

#[derive(Serialize)]
pub(super) struct Failure {
    pub(super) reason: &'static str,
    pub(super) text: String,
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<i32>,
    pub(super) uptime_ms: u64,
    pub(super) last_output: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Operation {
    pub(super) operation: String,
    pub(super) kind: &'static str,
    pub(super) cause: String,
    pub(super) from_generation: u64,
    pub(super) to_generation: u64,
    pub(super) done: u16,
    pub(super) of: u16,
    pub(super) elapsed_ms: u64,
    pub(super) eta_ms: Option<u64>,
    pub(super) waiting: bool,
    pub(super) paused_by: Option<String>,
    pub(super) aborting: bool,
    pub(super) min_ready: u16,
    pub(super) steps: Vec<Step>,
    pub(super) ledger: Ledger,
    pub(super) canary: Option<Canary>,
}

#[derive(Serialize)]
pub(super) struct Canary {
    pub(super) old: Generation,
    pub(super) new: Generation,
    pub(super) slower: bool,
    pub(super) failing: bool,
}

#[derive(Serialize)]
pub(super) struct Generation {
    pub(super) generation: u64,
    pub(super) ready: u16,
    pub(super) requests_per_second: f64,
    pub(super) requests: u64,
    pub(super) p99_ms: Option<f64>,
    pub(super) errors_percent: f64,
}

#[derive(Serialize)]
pub(super) struct Step {
    pub(super) instance: u32,
    pub(super) phase: &'static str,
    pub(super) drain_ms: Option<u64>,
    pub(super) stop_ms: Option<u64>,
    pub(super) killed: bool,
    pub(super) boot_ms: Option<u64>,
    pub(super) ready_ms: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct Receipt {
    pub(super) operation: String,
    pub(super) cause: String,
    pub(super) from_generation: u64,
    pub(super) to_generation: u64,
    pub(super) done: bool,
    pub(super) halted: Option<String>,
    pub(super) replaced: u16,
    pub(super) of: u16,
    pub(super) took_ms: u64,
    pub(super) min_ready: u16,
    pub(super) slowest_held_ms: Option<f64>,
    pub(super) ended: String,
    pub(super) steps: Vec<Step>,
    pub(super) ledger: Ledger,
    pub(super) failure: Option<FailedInstance>,
    pub(super) remarks: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct FailedInstance {
    pub(super) instance: u32,
    #[serde(flatten)]
    pub(super) failure: Failure,
}

#[derive(Serialize)]
pub(super) struct Event {
    pub(super) schema: &'static str,
    pub(super) seq: u64,
    pub(super) time: String,
    pub(super) service: Option<String>,
    pub(super) instance: Option<u32>,
    pub(super) text: String,
    #[serde(flatten)]
    pub(super) kind: Kind,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Kind {
    DaemonStarted {
        version: String,
        services: u32,
        instances: u32,
    },
    DaemonStopping {
        cause: String,
    },
    RestartStarted {
        operation: String,
        from_generation: u64,
        to_generation: u64,
        instances: u16,
        cause: String,
    },
    RestartDone {
        operation: String,
        took_ms: u64,
        instances: u16,
        lost: u64,
    },
    RestartHalted {
        operation: String,
        why: String,
    },
    RestartWaits {
        operation: String,
    },
    StartAsked {
        operation: String,
        cause: String,
    },
    StopAsked {
        operation: String,
        cause: String,
    },
    ServiceStopped {
        took_ms: u64,
    },
    Draining {
        in_flight: u32,
    },
    Drained {
        took_ms: u64,
    },
    Reopened {
        in_flight: u32,
        blockers: Vec<Blocker>,
    },
    Stopping,
    Killed {
        after_ms: u64,
    },
    Exited {
        exit_code: Option<i32>,
        signal: Option<i32>,
    },
    Launched {
        pid: u32,
        generation: u64,
    },
    Ready {
        took_ms: u64,
        generation: u64,
    },
    BackingOff {
        failure: Failure,
        retry_ms: u64,
        failures: u32,
    },
    GaveUp {
        failure: Failure,
        failures: u32,
    },
    FilesChanged {
        files: Vec<String>,
    },
    Warning,
    FilesUnchanged {
        files: Vec<String>,
    },
    RestartPaused {
        operation: String,
        cause: String,
    },
    RestartResumed {
        operation: String,
        cause: String,
    },
    AbortAsked {
        operation: String,
        cause: String,
    },
    DrainExtended {
        extended_ms: u64,
        cause: String,
    },
    DrainCut {
        in_flight: u32,
        cause: String,
    },
    DrainWaits {
        overdue: bool,
        in_flight: u32,
        blockers: Vec<Blocker>,
    },
    Unhealthy {
        error: String,
    },
    Healthy,
    ConfigApplied {
        what: Vec<String>,
    },
    ConfigRejected {
        problem: String,
    },
}
