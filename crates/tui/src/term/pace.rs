//! How many frames a second the link to the terminal carries. Pure: it is told what each frame took.
//!
//! A link that is too slow for its frames fills up, and what is seen falls behind what is. Then frames
//! become half as many, down to one a second, and step by step as many as before when there is room
//! again.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::clock::Moment;

/// More bytes a second than this are too many.
const CROWDED: usize = 64_000;
/// A frame that takes longer to write waits for the link.
const BLOCKED: Duration = Duration::from_millis(50);
/// So long after a change, or after trouble, more frames are tried.
const CALM: u64 = 2_000;
const SECOND: u64 = 1_000;

/// What the terminal took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// How much.
    pub bytes: usize,
    /// How long that took.
    pub took: Duration,
}

/// The number of frames a second.
#[derive(Clone, Debug)]
pub struct Pace {
    full: u8,
    /// How often that is halved.
    halvings: u32,
    /// The frames of the last second: when they were written, and their bytes.
    recent: VecDeque<(Moment, usize)>,
    /// When the number last changed.
    changed: Moment,
    /// When there was last too much for the link.
    trouble: Moment,
}

impl Pace {
    /// `full` frames a second, unless the link is too slow for them.
    pub const fn new(full: u8) -> Self {
        let (changed, trouble) = (Moment(0), Moment(0));
        Self { full, halvings: 0, recent: VecDeque::new(), changed, trouble }
    }

    /// Frames a second now; at least 1.
    pub fn fps(&self) -> u8 {
        self.full.checked_shr(self.halvings).unwrap_or(0).max(1)
    }

    /// The same, if that is fewer than there should be.
    pub fn slowed(&self) -> Option<u8> {
        (self.fps() < self.full).then(|| self.fps())
    }

    /// A frame was written at `now`.
    pub fn written(&mut self, frame: Taken, now: Moment) {
        self.recent.push_back((now, frame.bytes));
        while self.recent.front().is_some_and(|(at, _)| now.since(*at) >= SECOND) {
            self.recent.pop_front();
        }
        let rate: usize = self.recent.iter().map(|(_, bytes)| bytes).sum();
        let blocked = frame.took > BLOCKED;
        if blocked || rate > CROWDED {
            self.trouble = now;
        }
        // The bytes of the last second tell of the present pace only when it lasted that long.
        if blocked || rate > CROWDED && now.since(self.changed) >= SECOND {
            self.halve(now);
        } else if self.is_calm(now) && rate * 2 <= CROWDED {
            self.double(now);
        }
    }

    fn is_calm(&self, now: Moment) -> bool {
        now.since(self.changed.max(self.trouble)) >= CALM
    }

    fn halve(&mut self, now: Moment) {
        if self.fps() > 1 {
            self.halvings += 1;
            self.changed = now;
        }
    }

    fn double(&mut self, now: Moment) {
        if self.halvings > 0 {
            self.halvings -= 1;
            self.changed = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(1);
    const SLOW: Duration = Duration::from_millis(51);

    /// Paints for `millis` as often as the pace allows, and says how often that was at each change.
    fn paint(pace: &mut Pace, from: u64, millis: u64, bytes: usize, took: Duration) -> Vec<u8> {
        let mut now = from;
        let mut seen = vec![pace.fps()];
        while now < from + millis {
            now += 1_000 / u64::from(pace.fps());
            pace.written(Taken { bytes, took }, Moment(now));
            if seen.last() != Some(&pace.fps()) {
                seen.push(pace.fps());
            }
        }
        seen
    }

    #[test]
    fn a_link_that_keeps_up_has_all_frames() {
        let mut pace = Pace::new(10);
        assert_eq!(paint(&mut pace, 0, 60_000, 6_000, QUICK), [10]);
        assert_eq!(pace.slowed(), None);
    }

    #[test]
    fn frames_halve_down_to_one_while_writes_block() {
        let mut pace = Pace::new(10);
        assert_eq!(paint(&mut pace, 0, 10_000, 500, SLOW), [10, 5, 2, 1]);
        assert_eq!(pace.slowed(), Some(1));
    }

    #[test]
    fn frames_come_back_step_by_step() {
        let mut pace = Pace::new(10);
        paint(&mut pace, 0, 3_000, 500, SLOW);
        assert_eq!(paint(&mut pace, 3_000, 1_000, 500, QUICK), [1], "not at once");
        assert_eq!(paint(&mut pace, 4_000, 20_000, 500, QUICK), [1, 2, 5, 10]);
        assert_eq!(pace.slowed(), None);
    }

    #[test]
    fn too_many_bytes_halve_them_until_there_are_not() {
        let mut pace = Pace::new(10);
        assert_eq!(paint(&mut pace, 0, 5_000, 8_000, QUICK), [10, 5], "40 kB a second are carried");
        // Twice that would be too much again: it stays.
        assert_eq!(paint(&mut pace, 5_000, 60_000, 8_000, QUICK), [5]);
        assert_eq!(paint(&mut pace, 65_000, 10_000, 500, QUICK), [5, 10]);
    }

    #[test]
    fn one_frame_a_second_is_never_fewer() {
        let mut pace = Pace::new(1);
        assert_eq!(paint(&mut pace, 0, 60_000, 1_000_000, SLOW), [1]);
        assert_eq!(pace.slowed(), None, "as many as were asked for");
    }
}
