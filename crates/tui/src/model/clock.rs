//! Time as the console knows it: a monotonic count, and the daemon's wall clock carried on by it.

use jiff::tz::TimeZone;

use crate::fmt;

/// Milliseconds since the console began; never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

impl Moment {
    /// Milliseconds from `earlier` to this; 0 if it is not earlier.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// So many milliseconds later.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// Now, and what o'clock that is where the daemon runs.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The moment of the last message.
    pub now: Moment,
    zone: TimeZone,
    /// A moment, and what the wall clock said then.
    known: (Moment, u64),
}

impl Clock {
    /// A clock that shows times in `zone`, and says `unix_ms` until the daemon says otherwise.
    pub const fn new(zone: TimeZone, unix_ms: u64) -> Self {
        Self { now: Moment(0), zone, known: (Moment(0), unix_ms) }
    }

    /// The daemon's wall clock says `unix_ms` now.
    pub const fn set(&mut self, unix_ms: u64) {
        self.known = (self.now, unix_ms);
    }

    /// The daemon's wall clock, in milliseconds since 1970-01-01 UTC.
    pub const fn unix_ms(&self) -> u64 {
        self.known.1.saturating_add(self.now.since(self.known.0))
    }

    /// Where the operator is.
    pub const fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// `unix_ms` as people read it.
    pub fn text(&self, unix_ms: u64) -> String {
        fmt::clock(unix_ms, &self.zone)
    }

    /// The same with its day.
    pub fn day_text(&self, unix_ms: u64) -> String {
        fmt::day_and_clock(unix_ms, &self.zone)
    }

    /// `unix_ms` as a part of a file's name.
    pub fn stem(&self, unix_ms: u64) -> String {
        format!("smoothtool-{}", self.day_text(unix_ms).replace(' ', "T").replace(':', ""))
    }

    /// The same to the millisecond.
    pub fn fine_text(&self, unix_ms: u64) -> String {
        fmt::clock_and_millis(unix_ms, &self.zone)
    }
}
