//! Whether new clients are welcome: what load balancers go by.

use std::sync::atomic::{AtomicU8, Ordering};

/// What the daemon is to those who send it clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its services start for the first time.
    Starting,
    /// Clients are welcome.
    Serving,
    /// It was told to stop: clients are served, and better sent elsewhere.
    Leaving,
}

/// The standing as it was announced last; it only moves on.
#[derive(Debug, Default)]
pub(crate) struct Announced(AtomicU8);

const SERVING: u8 = 1;
const LEAVING: u8 = 2;

impl Announced {
    /// Clients are welcome, unless it leaves already.
    pub(crate) fn serve(&self) {
        self.0.fetch_max(SERVING, Ordering::Relaxed);
    }

    /// Clients are no longer welcome, for good.
    pub(crate) fn leave(&self) {
        self.0.fetch_max(LEAVING, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Standing {
        match self.0.load(Ordering::Relaxed) {
            LEAVING => Standing::Leaving,
            SERVING => Standing::Serving,
            _ => Standing::Starting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_leaves_is_never_announced_again() {
        let announced = Announced::default();
        assert_eq!(announced.now(), Standing::Starting);
        announced.serve();
        assert_eq!(announced.now(), Standing::Serving);
        announced.leave();
        announced.serve();
        assert_eq!(announced.now(), Standing::Leaving);
    }
}
