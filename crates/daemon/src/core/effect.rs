//! Everything the supervisor can ask for.

use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::id::{Generation, OperationId, RunId, ServiceName, Slot};
use smoothserve_protocol::message::{Done, Refusal};
use smoothserve_protocol::snapshot::Receipt;

use super::input::{DrainId, InspectionId, Ticket};
use crate::config::ServiceConfig;

/// Something to be done by the shell around the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start a process; answered by `Launched` or `LaunchFailed`, and after `Launched` by `Exited`.
    Launch {
        /// The run it begins.
        run: RunId,
        /// The service, as it is to run.
        config: Arc<ServiceConfig>,
        /// The place.
        slot: Slot,
        /// Where it is to listen.
        port: u16,
        /// The generation it belongs to.
        generation: Generation,
    },
    /// Ask a run until it answers; answered by `Answering`. Ends by itself when the run ends.
    Probe {
        /// The run.
        run: RunId,
    },
    /// The complete new list of runs that may be chosen.
    Route {
        /// The service.
        service: ServiceName,
        /// By slot.
        runs: Vec<RunId>,
        /// What to do with a request while the list is empty.
        when_none: WhenNone,
    },
    /// Close a run's door; answered by `Idle` with the same number, unless it is reopened before.
    Drain {
        /// The run.
        run: RunId,
        /// Which closing.
        drain: DrainId,
    },
    /// Open a run's door again.
    Undrain {
        /// The run.
        run: RunId,
    },
    /// Close the tunnels of a run.
    EndTunnels {
        /// The run.
        run: RunId,
    },
    /// Cut everything inside a run.
    Cut {
        /// The run.
        run: RunId,
    },
    /// Signal a run's process group.
    Signal {
        /// The run.
        run: RunId,
        /// Which signal.
        signal: Signal,
    },
    /// Look whether a rollout can begin; answered by `Preflighted`.
    Preflight {
        /// The service, as it would run.
        config: Arc<ServiceConfig>,
        /// The rollout, or the question what one would do.
        operation: OperationId,
    },
    /// Look what watched files hold, now that they are quiet; answered by `Inspected`.
    Inspect {
        /// The service.
        config: Arc<ServiceConfig>,
        /// Which look.
        inspection: InspectionId,
        /// At most the first ten of those that changed, as far as was heard.
        files: Vec<String>,
    },
    /// Begin the ledger of an operation: note the counts as they are now.
    OpenLedger {
        /// The service.
        service: ServiceName,
        /// The operation.
        operation: OperationId,
    },
    /// End the ledger of a rollout and keep the receipt, whose ledger is still empty.
    CloseLedger(Box<Receipt>),
    /// Answer a command; exactly one per ticket. Receipts in it have an empty ledger, and counts
    /// of requests are 0: the core does not know them.
    Answer {
        /// The command.
        ticket: Ticket,
        /// The answer.
        result: Result<Done, Refusal>,
    },
    /// Note what happened.
    Note {
        /// The service it is about; none: the daemon.
        service: Option<ServiceName>,
        /// The instance it is about; none: the whole service.
        slot: Option<Slot>,
        /// What happened.
        kind: EventKind,
    },
    /// The service has ended and is gone.
    Forget {
        /// Which.
        service: ServiceName,
    },
    /// Have load balancers told that clients are no longer welcome; those that come are served.
    Unwelcome,
    /// Take no new connections and end the ones there are, politely; answered by `DoorsClosed`.
    CloseDoors,
    /// End every client connection at once.
    CutDoors,
    /// Everything is down; the daemon may exit.
    Halt,
}

/// Which signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The service's `stop_signal`.
    Stop,
    /// SIGKILL.
    Kill,
}

/// What to do with a request while no instance may be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WhenNone {
    /// Let it wait, at most so long.
    Hold(Duration),
    /// Turn it away: nobody wants the service to run.
    Stopped,
    /// Turn it away: every instance has failed for good.
    Failed,
}
