//! Every lost request has a reason, and the log says it: the first at once, many together.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::config::InstanceAddr;

/// Between two lines of one service. A service that is down loses thousands a second.
const QUIET: Duration = Duration::from_secs(1);

/// The losses of one service, on their way to the log.
#[derive(Debug, Default)]
pub(crate) struct Losses(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told: Option<Instant>,
    untold: u64,
}

impl Losses {
    /// Logs the reason, and the instance that had the request, unless another was logged a moment
    /// ago; then it is counted for the next.
    pub(crate) fn report(&self, service: &str, reason: &str, instance: Option<&InstanceAddr>) {
        if let Some(untold) = self.may_tell(Instant::now()) {
            let instance = instance.map(|addr| match addr {
                InstanceAddr::Port(addr) => format!(" (instance at {addr})"),
                InstanceAddr::Socket(path) => format!(" (instance at {})", path.display()),
            });
            let reason = format_args!("{reason}{}", instance.unwrap_or_default());
            match untold {
                0 => tracing::warn!("{service}: request lost: {reason}"),
                more => tracing::warn!("{service}: request lost: {reason}; {more} more before it"),
            }
        }
    }

    /// How many were not told since the last line; none: it is too soon for another.
    fn may_tell(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.told.is_some_and(|told| now.duration_since(told) < QUIET) {
            state.untold += 1;
            return None;
        }
        state.told = Some(now);
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_losses_is_one_line_a_second_that_counts_them() {
        let (losses, start) = (Losses::default(), Instant::now());
        assert_eq!(losses.may_tell(start), Some(0));
        for _ in 0..1000 {
            assert_eq!(losses.may_tell(start + QUIET / 2), None);
        }
        assert_eq!(losses.may_tell(start + QUIET), Some(1000));
        assert_eq!(losses.may_tell(start + QUIET * 2), Some(0));
    }
}
