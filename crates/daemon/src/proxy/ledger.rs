//! Where every request of a service went.

use std::sync::atomic::{AtomicU64, Ordering};

use smoothserve_protocol::snapshot::Ledger;

/// The counts of one service. Each is added to in one step, and never taken from, but for the
/// three that say "now".
#[derive(Default)]
pub(crate) struct Counts {
    accepted: AtomicU64,
    completed: AtomicU64,
    client_aborted: AtomicU64,
    cut: AtomicU64,
    lost: AtomicU64,
    in_flight: AtomicU64,
    retried: AtomicU64,
    held: AtomicU64,
    tunnels_closed: AtomicU64,
    refused: AtomicU64,
    tunnels: AtomicU64,
}

/// How an exchange ended, or would end if it were dropped now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its last byte was handed over.
    Completed,
    /// The client went away.
    ClientAborted,
    /// By us, on purpose.
    Cut,
    /// By us or by an instance, not on purpose.
    Lost,
    /// It is counted already.
    Ended,
}

impl Outcome {
    /// In the words of the ledger.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::ClientAborted => "client_aborted",
            Self::Cut => "cut",
            Self::Lost => "lost",
            Self::Ended => "ended",
        }
    }
}

/// A reader that meets a writer between two of its steps looks again; more often than this only if
/// that writer's thread does not run at all.
const LOOKS: usize = 1000;

impl Counts {
    pub(crate) fn begin(&self) {
        add(&self.in_flight);
        add(&self.accepted);
    }

    pub(crate) fn end(&self, outcome: Outcome) {
        match outcome {
            Outcome::Completed => add(&self.completed),
            Outcome::ClientAborted => add(&self.client_aborted),
            Outcome::Cut => add(&self.cut),
            Outcome::Lost => add(&self.lost),
            Outcome::Ended => return,
        }
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn retried(&self) {
        add(&self.retried);
    }

    pub(crate) fn held(&self) {
        add(&self.held);
    }

    pub(crate) fn refused(&self) {
        add(&self.refused);
    }

    pub(crate) fn tunnel_opened(&self) {
        add(&self.tunnels);
    }

    pub(crate) fn tunnel_ended(&self) {
        self.tunnels.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn tunnel_closed_by_us(&self) {
        add(&self.tunnels_closed);
    }

    pub(crate) fn tunnels(&self) -> u64 {
        self.tunnels.load(Ordering::SeqCst)
    }

    /// All of them, as they were at one moment.
    ///
    /// A request is counted in two steps, so a single look may fall between them. Two looks that
    /// agree and add up were not disturbed. What does not add up after many looks is shown as it
    /// is: it would be our own error, and must not be hidden.
    pub(crate) fn read(&self) -> Ledger {
        let mut last = self.look();
        for _ in 0..LOOKS {
            let again = self.look();
            if again == last && again.unaccounted() == 0 {
                break;
            }
            last = again;
            std::thread::yield_now();
        }
        last
    }

    fn look(&self) -> Ledger {
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        Ledger {
            accepted: read(&self.accepted),
            completed: read(&self.completed),
            client_aborted: read(&self.client_aborted),
            cut: read(&self.cut),
            lost: read(&self.lost),
            in_flight: read(&self.in_flight),
            retried: read(&self.retried),
            held: read(&self.held),
            tunnels_closed: read(&self.tunnels_closed),
            refused: read(&self.refused),
        }
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ledger_read_while_others_write_adds_up() {
        let counts = Counts::default();
        let stop = std::sync::atomic::AtomicBool::new(false);
        let unaccounted = std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::SeqCst) {
                        counts.begin();
                        counts.end(Outcome::Completed);
                    }
                });
            }
            let unaccounted = [(); 100].map(|()| counts.read().unaccounted());
            stop.store(true, Ordering::SeqCst);
            unaccounted
        });
        // Not before: a panic inside would wait for those who write, and they would never stop.
        assert_eq!(unaccounted, [0; 100]);
        assert_eq!(counts.read().in_flight, 0);
    }
}
