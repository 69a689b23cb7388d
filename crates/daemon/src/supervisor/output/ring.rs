//! What is kept in memory: the newest lines of a slot, and those of its present run.

use std::collections::VecDeque;

use super::line::{Line, Stamp};

/// Kept of a slot, in bytes with what a line takes beside them; taken as it fills.
const RING: usize = 64 * 1024;
/// Lines kept of a run, for the report of its failure,
const TAIL: usize = 50;
/// and bytes of each.
const SHOWN: usize = 512;

/// The newest lines of a slot, whatever run they are of.
#[derive(Debug, Default)]
pub(super) struct Ring {
    lines: VecDeque<Line>,
    cost: usize,
    last: Stamp,
}

impl Ring {
    /// A stamp for what is read now: no other line of this slot has it.
    pub(super) fn stamp(&mut self, now: Stamp) -> Stamp {
        self.last = now.after(self.last);
        self.last
    }

    /// Adds the newest line. One line is kept, however long.
    pub(super) fn push(&mut self, line: Line) {
        self.cost += line.cost();
        self.lines.push_back(line);
        while self.cost > RING && self.lines.len() > 1 {
            self.cost -= self.lines.pop_front().map_or(0, |oldest| oldest.cost());
        }
    }

    /// The lines, oldest first. They share their bytes with the ring.
    pub(super) fn lines(&self) -> Vec<Line> {
        self.lines.iter().cloned().collect()
    }
}

/// The last lines of one run, as text, shortened.
#[derive(Debug, Default)]
pub(super) struct Tail(VecDeque<String>);

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        // A byte is at most three as text, when it is no text.
        let bytes = &bytes[..bytes.len().min(SHOWN)];
        let mut shown = String::from_utf8_lossy(bytes).into_owned();
        shown.truncate(shown.floor_char_boundary(SHOWN));
        shown.truncate(shown.trim_end_matches('\r').len());
        if self.0.len() == TAIL {
            self.0.pop_front();
        }
        self.0.push_back(shown);
    }

    /// Oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::{LONGEST, sample};
    use super::*;

    #[test]
    fn a_ring_is_bounded_by_bytes_and_keeps_the_newest() {
        let mut ring = Ring::default();
        let text = "x".repeat(1000);
        for stamp in 0..200 {
            ring.push(sample(stamp, 0, &text));
        }
        let lines = ring.lines();
        assert_eq!(lines.last().unwrap().stamp, Stamp(199));
        let cost: usize = lines.iter().map(Line::cost).sum();
        assert!(cost <= RING && cost > RING - 2 * lines[0].cost(), "{cost}");
        ring.push(sample(200, 0, &"y".repeat(LONGEST)));
        assert_eq!(ring.lines().len(), 1);
    }

    #[test]
    fn stamps_of_a_slot_grow() {
        let mut ring = Ring::default();
        let stamps: Vec<_> = [5, 5, 5, 9, 8].map(|now| ring.stamp(Stamp(now)).0).into();
        assert_eq!(stamps, [5, 6, 7, 9, 10]);
    }

    #[test]
    fn a_tail_keeps_the_last_lines_shortened() {
        let mut tail = Tail::default();
        for n in 0..200 {
            tail.push(format!("{n}\r").as_bytes());
        }
        tail.push(&vec![0xff; 1000]);
        let lines = tail.lines();
        assert_eq!((lines.len(), lines[0].as_str()), (TAIL, "151"));
        assert_eq!(lines[48], "199");
        assert!(lines[49].len() <= SHOWN && lines[49].len() > SHOWN - 3);
    }
}
