//! What leaves the driver, completed with what only the proxy knows: counts of requests, and who
//! they are.

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::id::{ServiceName, Slot};
use smoothserve_protocol::message::{Done, Refusal};
use smoothserve_protocol::snapshot::Receipt;

use super::super::drain::WaitedFor;
use super::{Driver, Waiting};
use crate::core::Ticket;

impl Driver {
    pub(super) fn close_ledger(&mut self, receipt: Receipt) {
        let receipt = self.publisher.close(receipt);
        self.history.keep(receipt);
    }

    pub(super) fn answer(&mut self, ticket: Ticket, result: Result<Done, Refusal>) {
        let Some(Waiting { service, answer }) = self.waiting.remove(&ticket) else { return };
        // Whoever asked may have gone; the work goes on without.
        let _ = answer.send(self.complete(service.as_ref(), result));
    }

    /// Adds what only the proxy knows: counts of requests.
    pub(super) fn complete(
        &self,
        service: Option<&ServiceName>,
        result: Result<Done, Refusal>,
    ) -> Result<Done, Refusal> {
        match result {
            Ok(Done::Stopped { instances, took_ms, .. }) => {
                let cut = service.map_or(0, |service| self.publisher.ledger_of(service).cut);
                Ok(Done::Stopped { instances, cut, took_ms })
            }
            Ok(Done::Restarted(receipt)) => {
                Ok(Done::Restarted(Box::new(self.publisher.receipt(&receipt))))
            }
            Err(Refusal::Halted { slot, failure, receipt }) => {
                let receipt = Box::new(self.publisher.receipt(&receipt));
                Err(Refusal::Halted { slot, failure, receipt })
            }
            Err(Refusal::DrainTimedOut { slot, limit_ms, receipt, .. }) => {
                let WaitedFor { requests, blockers, .. } = self.waited_for(&receipt.service, slot);
                let receipt = Box::new(self.publisher.receipt(&receipt));
                let in_flight = requests;
                Err(Refusal::DrainTimedOut { slot, in_flight, limit_ms, blockers, receipt })
            }
            other => other,
        }
    }

    /// The same for events.
    pub(super) fn counted(
        &self,
        service: Option<&ServiceName>,
        slot: Option<Slot>,
        kind: EventKind,
    ) -> EventKind {
        match (kind, service, slot) {
            (
                kind @ (EventKind::Reopened { .. }
                | EventKind::DrainWaits { .. }
                | EventKind::DrainCut { .. }),
                Some(service),
                Some(slot),
            ) => self.waited_for(service, slot).complete(kind),
            (EventKind::RolloutDone { operation, took_ms, instances, .. }, Some(service), _) => {
                let lost = self.publisher.lost_in(service, operation);
                EventKind::RolloutDone { operation, took_ms, instances, lost }
            }
            (kind, _, _) => kind,
        }
    }

    /// Whom the drain in this place waits for, or waited for. Of an old run and a new one beside
    /// it, that is the old one: when it serves on after all, the new one drains as well.
    pub(super) fn waited_for(&self, service: &ServiceName, slot: Slot) -> WaitedFor {
        let here = self.runs.iter().filter(|(_, run)| run.service == *service && run.slot == slot);
        let waited = here.filter_map(|(id, run)| Some((id, run.door.waited_for(&run.endpoint)?)));
        waited.min_by_key(|(id, _)| *id).map(|(_, waited_for)| waited_for).unwrap_or_default()
    }
}
