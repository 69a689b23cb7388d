//! How many frames a connection may send that carry nothing.
//!
//! Each is cheap, but whoever sends nothing else keeps a whole core busy: resets, pings, settings,
//! priorities, empty data. So each has a price. A connection begins with a stock, gets some more as
//! time passes, and some for what it is sent, which it has to acknowledge.

use std::time::{Duration, Instant};

use super::frames::{
    ACK, DATA, END_STREAM, Frame, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
};

const STOCK: u32 = 10_000;
/// In a second.
const INCOME: u32 = 1000;
/// Bytes sent to the client that are worth one more.
const WORTH: usize = 16;

/// What is left to one connection.
pub(super) struct Budget {
    left: u32,
    /// Up to when `INCOME` was added.
    paid: Instant,
    /// Bytes that were sent and are not worth one yet.
    sent: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { left: STOCK, paid: Instant::now(), sent: 0 }
    }

    /// So much was sent to the client.
    pub(super) fn earn(&mut self, bytes: usize) {
        let sent = self.sent + bytes;
        self.sent = sent % WORTH;
        let worth = u32::try_from(sent / WORTH).unwrap_or(STOCK);
        self.left = self.left.saturating_add(worth).min(STOCK);
    }

    /// Pays for a frame, if that is possible.
    pub(super) fn pay(&mut self, frame: Frame) -> bool {
        let price = price(frame);
        if self.left < price {
            let now = Instant::now();
            self.left = self.left.saturating_add(income(now - self.paid)).min(STOCK);
            self.paid = now;
        }
        let left = self.left.checked_sub(price);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

fn income(time: Duration) -> u32 {
    let income = time.as_millis() * u128::from(INCOME) / 1000;
    u32::try_from(income).unwrap_or(STOCK)
}

fn price(Frame { length, kind, flags }: Frame) -> u32 {
    match kind {
        // They ask for something, or carry it.
        HEADERS => 0,
        DATA if length > 0 || flags & END_STREAM != 0 => 0,
        // It answers ours.
        SETTINGS | PING if flags & ACK != 0 => 1,
        // Some send one for each piece of an answer.
        WINDOW_UPDATE => 1,
        // We have to answer.
        PING => 8,
        // A request was sent to an instance in vain.
        RST_STREAM => 30,
        // All streams may have to be looked at.
        SETTINGS => 40,
        // Priorities, further pieces of a header list, what nobody knows.
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: usize) -> Frame {
        Frame { length, kind, flags: 0 }
    }

    /// How many in a row are let through; the clock may run on meanwhile.
    fn most(frame: Frame) -> usize {
        let mut budget = Budget::new();
        (0..100_000).take_while(|_| budget.pay(frame)).count()
    }

    #[test]
    fn what_carries_nothing_is_bounded_and_what_carries_something_is_not() {
        for (kind, price) in [(PING, 8), (RST_STREAM, 30), (SETTINGS, 40), (2, 4), (DATA, 4)] {
            let most = most(frame(kind, 0));
            let stock = STOCK as usize / price;
            assert!((stock..stock * 2).contains(&most), "{most} of kind {kind}");
        }
        assert_eq!(most(frame(HEADERS, 0)), 100_000);
        assert_eq!(most(frame(DATA, 1)), 100_000);
        assert_eq!(most(Frame { length: 0, kind: DATA, flags: END_STREAM }), 100_000);
    }

    #[test]
    fn whoever_is_sent_much_may_acknowledge_much() {
        let mut budget = Budget::new();
        for _ in 0..100_000 {
            budget.earn(32);
            assert!(budget.pay(frame(WINDOW_UPDATE, 4)) && budget.pay(frame(WINDOW_UPDATE, 4)));
        }
    }

    #[test]
    fn time_fills_up_what_was_spent() {
        let mut budget = Budget::new();
        while budget.pay(frame(SETTINGS, 0)) {}
        budget.paid -= Duration::from_secs(3600);
        assert!(budget.pay(frame(SETTINGS, 0)));
        assert_eq!(budget.left, STOCK - 40, "and no more than that");
    }
}
