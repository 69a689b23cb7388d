//! The client's count beside the daemon's: two independent witnesses.

use smoothserve_protocol::snapshot::Ledger;

use super::load::Tally;
use crate::fmt::count;
use crate::words::escape;

/// What both counted over the same requests.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    /// The clients.
    pub(super) client: Tally,
    /// The daemon.
    pub(super) daemon: Ledger,
}

impl Counts {
    /// Whether both saw the same, and neither saw a loss.
    pub(super) fn agree(&self) -> bool {
        let Self { client, daemon } = self;
        client.failed == 0
            && client.answered == client.sent
            && daemon.accepted == client.sent
            && daemon.completed == client.answered
            && daemon.in_flight == 0
            && daemon.all_lost() == 0
            && daemon.unaccounted() == 0
    }

    /// The daemon's half, and the verdict.
    pub(super) fn daemon_line(&self) -> String {
        let Ledger { accepted, in_flight, .. } = self.daemon;
        format!(
            "daemon: accepted {} = done {} + in flight {} + lost {}: {}",
            count(accepted),
            count(self.daemon.done()),
            count(in_flight),
            count(self.daemon.all_lost()),
            if self.agree() { "they agree" } else { "they do not agree" },
        )
    }
}

/// The clients' half.
pub(super) fn client_line(client: &Tally) -> String {
    let why = client.first_failure.as_deref().map(|why| format!(" (the first: {})", escape(why)));
    format!(
        "client: sent {}, answered {}, failed {}{}",
        count(client.sent),
        count(client.answered),
        count(client.failed),
        why.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        let client = Tally { sent: 4_211, answered: 4_211, ..Tally::default() };
        let daemon = Ledger { accepted: 4_211, completed: 4_211, ..Ledger::default() };
        Counts { client, daemon }
    }

    #[test]
    fn equal_counts_without_a_loss_agree() {
        let counts = counts();
        assert!(counts.agree());
        assert_eq!(client_line(&counts.client), "client: sent 4 211, answered 4 211, failed 0");
        assert_eq!(
            counts.daemon_line(),
            "daemon: accepted 4 211 = done 4 211 + in flight 0 + lost 0: they agree"
        );
    }

    #[test]
    fn one_request_that_only_one_side_saw_is_told() {
        let mut unseen = counts();
        unseen.daemon.accepted -= 1;
        unseen.daemon.completed -= 1;
        let mut lost = counts();
        lost.daemon.completed -= 1;
        lost.daemon.lost += 1;
        let mut failed = counts();
        failed.client.answered -= 1;
        failed.client.failed += 1;
        for counts in [unseen, lost, failed] {
            assert!(!counts.agree(), "{counts:?}");
            assert!(counts.daemon_line().ends_with("they do not agree"));
        }
    }
}
