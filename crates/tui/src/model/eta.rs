//! How the guess of the time still to go moves. It may rise by as much as it fell before; once it is
//! higher than it ever was, the console says why.

use smoothserve_protocol::id::{OperationId, Slot};
use smoothserve_protocol::snapshot::{OperationView, StepPhase, StepView};

/// The guesses of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eta {
    operation: OperationId,
    /// The first one that was shown, in milliseconds.
    first_ms: u64,
    rise: Option<Rise>,
}

/// A guess that is higher than the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rise {
    /// The first one, in milliseconds.
    pub from_ms: u64,
    /// The longest of the steps that are done, and its milliseconds; none: no step is done.
    pub longest: Option<(Slot, u64)>,
}

impl Eta {
    /// What is known after `was`, now that `operation` is told; none: there is no guess yet.
    pub fn next(was: Option<Self>, operation: &OperationView) -> Option<Self> {
        let id = operation.summary.id;
        let was = was.filter(|was| was.operation == id);
        let Some(now_ms) = operation.eta_ms else { return was };
        let first_ms = was.map_or(now_ms, |was| was.first_ms);
        // It is shown in whole seconds.
        let has_risen = now_ms / 1_000 > first_ms / 1_000;
        let rise = has_risen.then(|| Rise { from_ms: first_ms, longest: longest(operation) });
        Some(Self { operation: id, first_ms, rise })
    }

    /// Why the guess is higher than it ever was, while it is.
    pub const fn rise(&self) -> Option<Rise> {
        self.rise
    }
}

fn longest(operation: &OperationView) -> Option<(Slot, u64)> {
    let took = |step: &StepView| {
        [step.drain_ms, step.stop_ms, step.ready_ms].into_iter().flatten().sum::<u64>()
    };
    let done = operation.steps.iter().filter(|step| step.phase == StepPhase::Done);
    done.map(|step| (step.slot, took(step))).max_by_key(|(_, took)| *took)
}
