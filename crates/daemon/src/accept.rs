//! What every loop that accepts connections needs: who makes room for whom, and how often it is said
//! that nobody can be let in. It knows neither ports nor what is spoken on them.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// When there are no descriptors left, waiting for one beats asking for one in a circle.
pub(crate) const BACK_OFF: Duration = Duration::from_millis(50);
const COMPLAIN_EVERY: Duration = Duration::from_secs(1);

/// Complaints about one port, of which one a second is enough.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Option<Instant>);

impl Complaints {
    /// Whether it is time for the next one, which then counts as made.
    pub(crate) fn are_due(&mut self) -> bool {
        let due = self.0.is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

/// Connections of which the oldest makes room for the newest.
#[derive(Debug)]
pub(crate) struct Newest {
    most: usize,
    open: VecDeque<AbortHandle>,
}

impl Newest {
    /// So many at once, and none yet.
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, open: VecDeque::new() }
    }

    /// One more; if there are too many now, the oldest ends.
    pub(crate) fn admit(&mut self, connection: AbortHandle) {
        self.open.retain(|task| !task.is_finished());
        if self.open.len() == self.most
            && let Some(oldest) = self.open.pop_front()
        {
            oldest.abort();
        }
        self.open.push_back(connection);
    }
}
