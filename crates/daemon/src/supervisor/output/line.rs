//! One line that an instance printed, and how it stands in a file:
//! `2026-11-22T10:11:12.345678Z g2 out | text`.
//!
//! What follows the bar is as it was printed, byte by byte; only the end of a line is ours. A piece
//! of a line that goes on in the next one is marked `out+`.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use smoothserve_protocol::id::{Generation, Slot};
use smoothserve_protocol::log::{LogLine, Stream};

/// A line without an end is cut here, in bytes.
pub(super) const LONGEST: usize = 64 * 1024;
/// What a line takes beside its bytes, in memory and on the wire; no less than it really is.
const BESIDE: usize = 96;
/// Between what is ours and what was printed.
const BAR: &[u8] = b" | ";

/// When a line was read, in microseconds since 1970-01-01 UTC.
///
/// No two lines of a slot have the same one, so that it says which line of a file is which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(pub u64);

impl Stamp {
    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self(since.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0)))
    }

    /// This one, or the next that is free after `last`. When the clock was set back by more than
    /// a moment, the new time is the true one, and used.
    pub(super) fn after(self, last: Self) -> Self {
        const MOMENT: Duration = Duration::from_secs(1);
        let behind = Duration::from_micros(last.0.saturating_sub(self.0));
        if self <= last && behind < MOMENT { Self(last.0 + 1) } else { self }
    }
}

/// One line, or a piece of one that is longer than [`LONGEST`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub stamp: Stamp,
    pub slot: Slot,
    pub generation: Generation,
    pub stream: Stream,
    /// The line goes on in the next one.
    pub is_cut: bool,
    /// Without the end of the line.
    pub bytes: Arc<[u8]>,
}

impl Line {
    /// What it counts for where memory is bounded.
    pub(super) fn cost(&self) -> usize {
        self.bytes.len() + BESIDE
    }

    /// As it stands in a file, with the end of the line.
    pub(super) fn to_file(&self) -> Vec<u8> {
        let mut head = String::with_capacity(48);
        // A stamp that no calendar has, after the year 9999, is the clock's mistake.
        let micros = i64::try_from(self.stamp.0).unwrap_or_default();
        let when = Timestamp::from_microsecond(micros).unwrap_or_default();
        let stream = match self.stream {
            Stream::Out => "out",
            Stream::Err => "err",
        };
        let cut = if self.is_cut { "+" } else { "" };
        // Writing to a string does not fail.
        let _ = write!(head, "{when:.6} {} {stream}{cut} | ", self.generation);
        [head.as_bytes(), &self.bytes, b"\n"].concat()
    }

    /// Reads what [`Self::to_file`] wrote, without the end of the line; none for anything else.
    pub(super) fn from_file(slot: Slot, line: &[u8]) -> Option<Self> {
        let (head, bytes) = parts(line)?;
        let head = std::str::from_utf8(head).ok()?;
        let mut words = head.split(' ');
        let when: Timestamp = words.next()?.parse().ok()?;
        let generation = words.next()?.strip_prefix('g')?.parse().ok()?;
        let word = words.next()?;
        let stream = match word.trim_end_matches('+') {
            "out" => Stream::Out,
            "err" => Stream::Err,
            _ => return None,
        };
        Some(Self {
            stamp: Stamp(u64::try_from(when.as_microsecond()).ok()?),
            slot,
            generation: Generation(generation),
            stream,
            is_cut: word.ends_with('+'),
            bytes: bytes.into(),
        })
    }

    /// As the tool is told of it.
    pub(super) fn to_wire(&self) -> LogLine {
        LogLine {
            unix_ms: self.stamp.0 / 1000,
            slot: self.slot,
            generation: self.generation,
            stream: self.stream,
            bytes: self.bytes.to_vec(),
        }
    }
}

/// What stands before the bar, and what was printed; none if this is no line of ours.
pub(super) fn parts(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let bar = line.windows(BAR.len()).take(64).position(|at| at == BAR)?;
    Some((&line[..bar], &line[bar + BAR.len()..]))
}

#[cfg(test)]
pub(super) fn sample(stamp: u64, slot: u16, text: &str) -> Line {
    Line {
        stamp: Stamp(stamp),
        slot: Slot(slot),
        generation: Generation(2),
        stream: Stream::Out,
        is_cut: false,
        bytes: text.as_bytes().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_a_file_is_readable_and_can_be_read_back() {
        let line = sample(1_795_342_272_345_678, 0, "hello | world");
        let written = line.to_file();
        assert_eq!(
            String::from_utf8_lossy(&written),
            "2026-11-22T10:11:12.345678Z g2 out | hello | world\n"
        );
        assert_eq!(Line::from_file(Slot(0), &written[..written.len() - 1]), Some(line));
    }

    #[test]
    fn every_byte_survives() {
        let bytes: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
        for (stream, is_cut) in [(Stream::Out, false), (Stream::Err, true)] {
            let line = Line { stream, is_cut, bytes: bytes.clone().into(), ..sample(0, 3, "") };
            let written = line.to_file();
            assert_eq!(Line::from_file(Slot(3), &written[..written.len() - 1]), Some(line));
        }
    }

    #[test]
    fn what_is_no_line_of_ours_is_none() {
        for foreign in
            ["", "no bar", "x | y", "2026-11-22T10:11:12Z g1 | x", "gibberish g1 out | x"]
        {
            assert_eq!(Line::from_file(Slot(0), foreign.as_bytes()), None, "{foreign}");
        }
    }

    #[test]
    fn no_two_lines_have_one_stamp_and_a_clock_that_is_set_back_is_believed() {
        assert_eq!(Stamp(5).after(Stamp(4)), Stamp(5));
        assert_eq!(Stamp(5).after(Stamp(5)), Stamp(6));
        assert_eq!(Stamp(5).after(Stamp(9)), Stamp(10));
        let hour = 3_600_000_000;
        assert_eq!(Stamp(5).after(Stamp(hour)), Stamp(5));
    }
}
