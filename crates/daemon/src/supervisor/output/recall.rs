//! The answer to "what was printed last": from memory, and where that does not reach, from files.

use std::path::Path;

use smoothserve_protocol::id::Slot;
use smoothserve_protocol::log::LogBatch;

use super::Question;
use super::chain::{self, Wanted};
use super::line::{Line, Stamp};
use super::shelf::{self, Shelves};

/// Lines in an answer,
const LINES: usize = 5_000;
/// and bytes with what a line takes beside them: well below the longest frame.
const COST: usize = 7 * 512 * 1024;
/// Bytes of files that are read for an answer.
const BUDGET: u64 = 256 * 1024 * 1024;

/// A question, with what the memory held when it was asked.
#[derive(Clone, Debug)]
pub(super) struct Recall {
    pub question: Question,
    /// When it was asked: what is printed from then on is no part of the answer.
    pub asked: Stamp,
    pub memory: Vec<Remembered>,
}

/// What is in memory of a slot.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    pub slot: Slot,
    /// Oldest first.
    pub lines: Vec<Line>,
}

impl Recall {
    /// From memory alone.
    pub(super) fn remembered(self) -> LogBatch {
        let limit = self.limit();
        let mut newest = Newest::default();
        for slot in &self.memory {
            newest.add(self.matching(&slot.lines), limit);
        }
        newest.into_batch(limit)
    }

    /// From memory, and from the files in `folder` what is older. Takes its time.
    pub(super) fn read(self, folder: &Path, shelves: &Shelves) -> LogBatch {
        let (limit, mut budget) = (self.limit(), BUDGET);
        let mut newest = Newest::default();
        for slot in self.slots(folder) {
            let memory = self.memory.iter().find(|remembered| remembered.slot == slot);
            let memory = memory.map_or(&[][..], |remembered| remembered.lines.as_slice());
            let matching = self.matching(memory);
            let wanted = Wanted {
                slot,
                // Not the first: the clock may have been set back meanwhile.
                before: memory.iter().map(|line| line.stamp).min().unwrap_or(self.asked),
                pattern: self.question.pattern.clone(),
                lines: limit.saturating_sub(matching.len()),
                cost: COST,
            };
            newest.add(matching, limit);
            if wanted.lines > 0 {
                let older =
                    chain::read_back(folder, &self.question.service, shelves, &wanted, &mut budget);
                newest.cut += older.cut;
                newest.add(older.lines, limit);
            }
        }
        newest.into_batch(limit)
    }

    fn limit(&self) -> usize {
        self.question.lines.min(LINES)
    }

    /// Those that are asked for, and remembered or written.
    fn slots(&self, folder: &Path) -> Vec<Slot> {
        if let Some(slot) = self.question.slot {
            return vec![slot];
        }
        let mut slots = shelf::slots(folder, &self.question.service);
        slots.extend(self.memory.iter().map(|remembered| remembered.slot));
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    fn matching(&self, lines: &[Line]) -> Vec<Line> {
        let pattern = self.question.pattern.as_ref();
        let wanted = |line: &&Line| pattern.is_none_or(|pattern| pattern.matches(&line.bytes));
        lines.iter().filter(wanted).cloned().collect()
    }
}

/// The newest of the lines it was given, of all slots.
#[derive(Debug, Default)]
struct Newest {
    lines: Vec<Line>,
    /// Lines left out because all together were too large.
    cut: u64,
}

impl Newest {
    /// Merges by time; of one slot, lines keep their order.
    fn add(&mut self, lines: impl IntoIterator<Item = Line>, limit: usize) {
        self.lines.extend(lines);
        self.lines.sort_by_key(|line| line.stamp);
        let too_many = self.lines.len().saturating_sub(limit);
        self.lines.drain(..too_many);
        let mut cost = 0;
        let fits = self.lines.iter().rev().take_while(|line| {
            cost += line.cost();
            cost <= COST
        });
        let too_large = self.lines.len() - fits.count();
        self.lines.drain(..too_large);
        self.cut += too_large as u64;
    }

    fn into_batch(self, limit: usize) -> LogBatch {
        // Those that were too large at first may be among those that are too many in the end.
        let missed = self.cut.min((limit - self.lines.len()) as u64);
        LogBatch { missed, lines: self.lines.iter().map(Line::to_wire).collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use smoothserve_protocol::id::ServiceName;

    use super::super::line::{LONGEST, sample};
    use super::*;
    use crate::config::Pattern;

    fn recall(lines: usize, memory: Vec<Remembered>) -> Recall {
        let service = ServiceName::new("shop").unwrap();
        let question = Question { service, slot: None, lines, pattern: None };
        Recall { question, asked: Stamp(1_000_000), memory }
    }

    fn remembered(slot: u16, stamps: &[u64]) -> Remembered {
        let lines = stamps.iter().map(|ms| sample(ms * 1000, slot, "line")).collect();
        Remembered { slot: Slot(slot), lines }
    }

    fn write(folder: &Path, slot: u16, stamps: &[u64]) {
        let text: Vec<u8> =
            stamps.iter().flat_map(|ms| sample(ms * 1000, slot, "line").to_file()).collect();
        fs::write(folder.join(format!("shop-{}.log", slot + 1)), text).unwrap();
    }

    fn times(batch: &LogBatch) -> Vec<(u64, u16)> {
        batch.lines.iter().map(|line| (line.unix_ms, line.slot.0)).collect()
    }

    #[test]
    fn slots_are_merged_by_time() {
        let memory = vec![remembered(0, &[1, 4, 5]), remembered(1, &[2, 3, 6])];
        let batch = recall(4, memory.clone()).remembered();
        assert_eq!(times(&batch), [(3, 1), (4, 0), (5, 0), (6, 1)]);
        assert_eq!(batch.missed, 0);
        let mut asked = recall(4, memory);
        asked.question.pattern = Some(Pattern::new("nothing").unwrap());
        assert_eq!(asked.remembered().lines, []);
    }

    #[test]
    fn files_go_on_where_memory_ends_without_gap_or_duplicate() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 0, &[1, 3, 5, 7, 9]);
        // Of a slot that is no more; and of one that printed after the question.
        write(folder.path(), 1, &[2, 6]);
        write(folder.path(), 2, &[4, 2000]);
        let asked = recall(100, vec![remembered(0, &[7, 9])]);
        let batch = asked.read(folder.path(), &Shelves::default());
        let expected = [(1, 0), (2, 1), (3, 0), (4, 2), (5, 0), (6, 1), (7, 0), (9, 0)];
        assert_eq!(times(&batch), expected);
    }

    #[test]
    fn an_answer_fits_into_a_frame_and_counts_what_it_leaves_out() {
        let text = "x".repeat(LONGEST);
        let lines: Vec<_> = (0..100).map(|ms| sample(ms * 1000, 0, &text)).collect();
        let batch = recall(100, vec![Remembered { slot: Slot(0), lines }]).remembered();
        assert_eq!(batch.missed + batch.lines.len() as u64, 100);
        assert_eq!(batch.lines.last().unwrap().unix_ms, 99);
        let frame = smoothserve_protocol::frame::encode(&batch).unwrap();
        assert!(frame.len() > smoothserve_protocol::frame::MAX_FRAME / 2);
    }
}
