//! Everything that can happen to the supervisor.

use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::failure::{Exit, FailReason};
use smoothserve_protocol::id::{Generation, OperationId, RunId, ServiceName};
use smoothserve_protocol::message::Steer;
use smoothserve_protocol::plan::ChangeKind;
use smoothserve_protocol::snapshot::OnDrainTimeout;

use crate::config::ServiceConfig;

/// Pairs an [`Effect::Answer`](super::Effect::Answer) with the command that asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// One closing of an instance's door. Given back by [`Input::Idle`], so that the late end of an
/// earlier drain is not taken for the end of this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DrainId(pub(crate) u16);

/// One look at what watched files hold. Given back by [`Input::Inspected`], so that the end of a
/// look that was given up is not taken for the end of this one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InspectionId(pub(crate) u32);

/// What watched files hold, compared to what they held when the present runs began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Something else; at most the first ten paths that differ.
    Changed(Vec<String>),
    /// The same; at most the first ten paths that were touched.
    Unchanged(Vec<String>),
    /// The executable is still being written.
    Unstable,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// Somebody asks for something.
    Command {
        /// For the answer.
        ticket: Ticket,
        /// What is asked.
        command: Command,
    },
    /// The process of a run exists.
    Launched {
        /// The run.
        run: RunId,
        /// Its process id.
        pid: u32,
    },
    /// There is no process for a run, and there will be none.
    LaunchFailed {
        /// The run.
        run: RunId,
        /// Why.
        reason: FailReason,
    },
    /// The readiness probe of a run succeeded.
    Answering {
        /// The run.
        run: RunId,
    },
    /// The readiness probe of a run failed; it goes on.
    ProbeFailed {
        /// The run.
        run: RunId,
        /// What it found.
        error: String,
    },
    /// The process of a run is gone and reaped.
    Exited {
        /// The run.
        run: RunId,
        /// How it ended.
        exit: Exit,
        /// The last lines it wrote, oldest first.
        last_output: Vec<String>,
    },
    /// Nobody is inside any more, and the door is closed.
    Idle {
        /// The run.
        run: RunId,
        /// Which closing.
        drain: DrainId,
    },
    /// The check before a rollout has ended.
    Preflighted {
        /// The service.
        service: ServiceName,
        /// The rollout that waits for it.
        operation: OperationId,
        /// What stands in the way.
        problem: Option<String>,
    },
    /// A watched file changed.
    FilesChanged {
        /// The service that watches it.
        service: ServiceName,
        /// Its path.
        file: String,
    },
    /// A run does not answer its liveness probe any more.
    Unresponsive {
        /// The run.
        run: RunId,
        /// What the last probe found.
        error: String,
    },
    /// A run answers its liveness probe again.
    Responsive {
        /// The run.
        run: RunId,
    },
    /// What the processes of a run use together.
    MemoryUsed {
        /// The run.
        run: RunId,
        /// Resident memory, in bytes.
        rss_bytes: u64,
    },
    /// A new configuration was read.
    Configured(Vec<Reconfigure>),
    /// What watched files hold has been looked at.
    Inspected {
        /// The service that watches them.
        service: ServiceName,
        /// Which look.
        inspection: InspectionId,
        /// What it found.
        verdict: Verdict,
    },
    /// The proxy took its last connection and answered its last request.
    DoorsClosed,
}

/// What a new configuration means for one service.
#[derive(Clone, Debug)]
pub(crate) enum Reconfigure {
    /// It is new.
    Add(Arc<ServiceConfig>),
    /// It is different.
    Change {
        /// As it is to be.
        config: Arc<ServiceConfig>,
        /// What that needs.
        kind: ChangeKind,
        /// What differs, a line each.
        what: Vec<String>,
    },
    /// It is gone.
    Remove(ServiceName),
}

/// When a command is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerWhen {
    /// When the work has begun.
    Begun,
    /// When the work has ended.
    Ended,
}

/// Something asked for.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Start what does not run.
    Start {
        /// The service.
        service: ServiceName,
        /// Who asks.
        cause: Cause,
        /// When to answer.
        answer: AnswerWhen,
    },
    /// Drain and stop.
    Stop {
        /// The service.
        service: ServiceName,
        /// Who asks.
        cause: Cause,
        /// Refuse unless this is the service's generation.
        expected: Option<Generation>,
        /// Cut what is still inside after so long; none: never.
        limit: Option<Duration>,
        /// When to answer.
        answer: AnswerWhen,
    },
    /// Replace the instances one at a time.
    Restart {
        /// The service.
        service: ServiceName,
        /// Who asks.
        cause: Cause,
        /// Refuse unless this is the service's generation.
        expected: Option<Generation>,
        /// Join a restart that runs already, rather than be refused.
        join: bool,
        /// Instead of the service's own.
        drain_timeout: Option<Duration>,
        /// Instead of the service's own.
        on_drain_timeout: Option<OnDrainTimeout>,
        /// When to answer.
        answer: AnswerWhen,
    },
    /// Say what a restart would do.
    PlanRestart {
        /// The service.
        service: ServiceName,
    },
    /// Change the course of a rolling restart.
    Steer {
        /// The service.
        service: ServiceName,
        /// Who asks.
        cause: Cause,
        /// Refuse unless this is the one that runs.
        operation: Option<OperationId>,
        /// What to do.
        steer: Steer,
    },
    /// Stop everything, then halt. Asked a second time: within 5 s; a third time: at once.
    Shutdown {
        /// Who asks.
        cause: Cause,
        /// Cut what is inside at once.
        force: bool,
    },
}

impl Command {
    /// The service it is about; none: the daemon.
    pub(crate) fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Start { service, .. }
            | Self::Stop { service, .. }
            | Self::PlanRestart { service }
            | Self::Steer { service, .. }
            | Self::Restart { service, .. } => Some(service),
            Self::Shutdown { .. } => None,
        }
    }
}
