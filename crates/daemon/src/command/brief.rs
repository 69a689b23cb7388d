//! Makes what is too long for a frame short enough: first what failed runs said goes, line by line,
//! then whom drains wait for, and then receipts.

use smoothserve_protocol::failure::Failure;
use smoothserve_protocol::message::{Done, FromDaemon, Push};
use smoothserve_protocol::snapshot::ServiceDetail;

/// How much is told of each service.
#[derive(Clone, Copy, Debug)]
pub(super) struct Brevity {
    /// Of what a failed run said, the last lines,
    lines: usize,
    /// and of each the first so many characters.
    chars: usize,
    /// Of what a drain waits for, the oldest.
    blockers: usize,
    /// The newest.
    receipts: usize,
}

/// One after the other, until it fits. The last leaves what a service is, and no more.
pub(super) const STEPS: [Brevity; 5] = [
    Brevity { lines: 10, chars: 512, blockers: 10, receipts: 5 },
    Brevity { lines: 3, chars: 160, blockers: 10, receipts: 5 },
    Brevity { lines: 1, chars: 80, blockers: 3, receipts: 5 },
    Brevity { lines: 0, chars: 0, blockers: 1, receipts: 1 },
    Brevity { lines: 0, chars: 0, blockers: 0, receipts: 0 },
];

impl Brevity {
    /// Shortens what `message` says of services.
    pub(super) fn shorten(self, message: &mut FromDaemon) {
        match message {
            FromDaemon::Response { result: Ok(Done::Status(snapshot)), .. } => {
                snapshot.services.iter_mut().for_each(|service| self.shorten_service(service));
            }
            FromDaemon::Push(Push::Service(Some(service))) => self.shorten_service(service),
            // The others have bounds of their own.
            FromDaemon::Response { .. } | FromDaemon::Push(_) => {}
        }
    }

    fn shorten_service(self, service: &mut ServiceDetail) {
        for instance in &mut service.instances {
            if let Some(failure) = &mut instance.failure {
                self.shorten_failure(failure);
            }
            if let Some(drain) = &mut instance.drain {
                drain.blockers.truncate(self.blockers);
            }
        }
        service.receipts.truncate(self.receipts);
        for receipt in &mut service.receipts {
            if let Some((_, failure)) = &mut receipt.failure {
                self.shorten_failure(failure);
            }
        }
    }

    fn shorten_failure(self, failure: &mut Failure) {
        let said = &mut failure.last_output;
        said.drain(..said.len().saturating_sub(self.lines));
        for line in said {
            if let Some((end, _)) = line.char_indices().nth(self.chars) {
                line.truncate(end);
            }
        }
    }
}
