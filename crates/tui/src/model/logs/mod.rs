//! What a service printed, as the console keeps it: bounded, filtered when it comes; read through a
//! window.
//!
//! Every line gets a number when it comes. What is on the screen is told by the number of its last
//! line, so that it stays where it is whatever comes or is dropped; a frame touches no more lines
//! than it has rows.

mod window;

use std::collections::{BTreeMap, VecDeque};

use smoothserve_protocol::id::{ServiceName, Slot};
use smoothserve_protocol::log::{LogBatch, LogLine, Stream};

use super::find::Pattern;
use crate::effect::Ticket;
use crate::fmt;
use crate::style::ink::{self, Run};
use crate::words::{self, Severity};

/// Lines kept; the daemon sends no more at once either.
const KEPT: usize = 5_000;
/// Bytes kept.
const KEPT_BYTES: usize = 8 << 20;
/// What a line costs beside its text.
const LINE: usize = 64;
/// Of a longer line only so many bytes are kept.
const LONGEST: usize = 8 << 10;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// Who printed it, and where to; none: a remark of the console's own.
    pub from: Option<(Slot, Stream)>,
    /// How bad it says it is.
    pub severity: Option<Severity>,
    /// Harmless to a terminal.
    pub text: String,
    /// The inks in which it was printed.
    pub inks: Vec<Run>,
}

impl Line {
    fn bytes(&self) -> usize {
        LINE + self.text.len() + self.inks.len() * size_of::<Run>()
    }
}

/// What is shown of what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this instance; none: of all.
    pub slot: Option<Slot>,
    /// At least this bad; none: everything.
    pub severity: Option<Severity>,
    /// What it must have.
    pub pattern: Option<Pattern>,
}

impl Filter {
    /// Whether everything is shown.
    pub const fn is_all(&self) -> bool {
        self.slot.is_none() && self.severity.is_none() && self.pattern.is_none()
    }

    /// A remark is never filtered away: silence is not calm.
    fn takes(&self, line: &Line) -> bool {
        let Some((slot, _)) = line.from else { return true };
        self.slot.is_none_or(|wanted| wanted == slot)
            && self.severity.is_none_or(|wanted| line.severity >= Some(wanted))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_in(&line.text))
    }
}

/// The output of one service.
#[derive(Clone, Debug, Default)]
pub struct LogBook {
    /// Whose it is.
    service: Option<ServiceName>,
    lines: VecDeque<Line>,
    /// The number of the first line that is kept.
    first: u64,
    bytes: usize,
    /// The numbers of those that pass the filter.
    shown: VecDeque<u64>,
    filter: Filter,
    /// The line at the bottom of the screen; none: always the newest.
    bottom: Option<u64>,
    /// Long lines take several rows.
    pub wrap: bool,
    /// Where they begin on the screen, when they are cut; a column.
    pub column: usize,
    /// What is looked for.
    pub needle: String,
    /// The line where it was last found.
    pub found: Option<u64>,
    /// The instances that printed something, and how bad their last line with a level was.
    slots: BTreeMap<Slot, Option<Severity>>,
    /// The last question, and whether it was answered: what is pushed before that is old.
    pub asked: Option<(Ticket, bool)>,
    /// What the daemon was last told to push.
    pub followed: Option<Followed>,
    /// Of the answers that are in it, the most lines that one was asked to have.
    asked_for: u32,
}

/// What the daemon pushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// What this service prints.
    pub service: ServiceName,
    /// How many of its last lines were asked for at the beginning.
    pub lines: u32,
}

impl LogBook {
    /// Makes it the book of `service`; what another service printed is forgotten.
    pub fn open(&mut self, service: &ServiceName) {
        self.bottom = None;
        if self.service.as_ref() == Some(service) {
            return;
        }
        let (wrap, asked, followed) = (self.wrap, self.asked, self.followed.take());
        *self = Self { service: Some(service.clone()), wrap, asked, followed, ..Self::default() };
    }

    /// Whether it is the book of `service`.
    pub fn is_of(&self, service: &ServiceName) -> bool {
        self.service.as_ref() == Some(service)
    }

    /// Takes in the answer to a question for so many lines. What is known already is left out; if
    /// none of it is, lines may be missing between.
    pub fn answer(&mut self, batch: LogBatch, lines: u32) {
        if lines > self.asked_for {
            // It has lines that are older than those which are known.
            self.asked_for = lines;
            self.clear();
        }
        let newest = self.lines.iter().rev().find(|line| line.from.is_some());
        let Some(newest) = newest.map(|line| line.unix_ms) else { return self.add(batch) };
        let before = batch.lines.len();
        let lines: Vec<_> =
            batch.lines.into_iter().filter(|line| !self.has(line, newest)).collect();
        if let (true, Some(first)) = (lines.len() == before, lines.first()) {
            let text = "lines may be missing here".to_owned();
            self.push(remark(first.unix_ms, text));
        }
        self.add(LogBatch { missed: 0, lines });
    }

    fn clear(&mut self) {
        self.first += self.lines.len() as u64;
        self.lines.clear();
        self.shown.clear();
        (self.bytes, self.bottom, self.found) = (0, None, None);
    }

    fn has(&self, line: &LogLine, newest: u64) -> bool {
        if line.unix_ms != newest {
            return line.unix_ms < newest;
        }
        let (text, _) = clean(&line.bytes);
        let at_that_time = self.lines.iter().rev().take_while(|known| known.unix_ms >= newest);
        let mut same = at_that_time.filter(|known| known.from == Some((line.slot, line.stream)));
        same.any(|known| known.text == text)
    }

    /// Takes in what came; what does not fit any more is dropped, oldest first.
    pub fn add(&mut self, batch: LogBatch) {
        if let (1.., Some(first)) = (batch.missed, batch.lines.first()) {
            let text = format!("{} missed", fmt::plural(batch.missed, "line"));
            self.push(remark(first.unix_ms, text));
        }
        for line in batch.lines {
            let line = self.line(&line);
            self.push(line);
        }
    }

    fn line(&mut self, line: &LogLine) -> Line {
        let (text, inks) = clean(&line.bytes);
        let last = self.slots.entry(line.slot).or_default();
        // The rest of a message that takes several lines is as bad as its first one.
        let severity = match words::severity(&text) {
            None if text.starts_with([' ', '\t']) => *last,
            severity => severity,
        };
        *last = severity;
        Line { unix_ms: line.unix_ms, from: Some((line.slot, line.stream)), severity, text, inks }
    }

    fn push(&mut self, line: Line) {
        self.bytes += line.bytes();
        if self.filter.takes(&line) {
            self.shown.push_back(self.first + self.lines.len() as u64);
        }
        self.lines.push_back(line);
        while self.lines.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(dropped) = self.lines.pop_front() else { return };
            self.bytes -= dropped.bytes();
            if self.shown.front() == Some(&self.first) {
                self.shown.pop_front();
            }
            self.first += 1;
        }
    }

    /// What is shown of what is kept.
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Shows something else.
    pub fn set_filter(&mut self, filter: Filter) {
        self.filter = filter;
        let numbered = (self.first..).zip(&self.lines);
        let taken = numbered.filter(|(_, line)| self.filter.takes(line));
        self.shown = taken.map(|(seq, _)| seq).collect();
    }

    /// The instances that printed something.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.slots.keys().copied()
    }

    /// How many lines are shown, on the screen or beyond it.
    pub fn len(&self) -> usize {
        self.shown.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }

    fn at(&self, index: usize) -> Option<&Line> {
        let seq = self.shown.get(index)?;
        self.lines.get(usize::try_from(seq - self.first).ok()?)
    }

    /// How many bytes are kept.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

const fn remark(unix_ms: u64, text: String) -> Line {
    Line { unix_ms, from: None, severity: None, text, inks: Vec::new() }
}

/// A line as it is shown.
fn clean(bytes: &[u8]) -> (String, Vec<Run>) {
    let (kept, rest) = bytes.split_at(bytes.len().min(LONGEST));
    let (mut text, inks) = ink::read(kept);
    if !rest.is_empty() {
        text.push_str(&format!(" (+{})", fmt::bytes(rest.len() as u64)));
    }
    (text, inks)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use smoothserve_protocol::id::Generation;

    use super::*;

    fn line(unix_ms: u64, slot: u16, text: &str) -> LogLine {
        LogLine {
            unix_ms,
            slot: Slot(slot),
            generation: Generation(1),
            stream: Stream::Out,
            bytes: text.into(),
        }
    }

    fn batch(lines: Vec<LogLine>) -> LogBatch {
        LogBatch { missed: 0, lines }
    }

    /// Lines `from` to `to`, which say their number.
    fn numbers(from: u64, to: u64) -> LogBatch {
        batch((from..to).map(|n| line(n, 0, &n.to_string())).collect())
    }

    fn texts(book: &LogBook, rows: usize) -> Vec<&str> {
        book.window(rows, |_| 1).into_iter().map(|(_, line)| line.text.as_str()).collect()
    }

    #[test]
    fn it_follows_until_it_is_scrolled_and_then_stays() {
        let mut book = LogBook::default();
        book.add(numbers(0, 10));
        assert_eq!(texts(&book, 3), ["7", "8", "9"]);
        book.scroll(-2, 3, |_| 1);
        book.add(numbers(10, 12));
        assert_eq!(texts(&book, 3), ["5", "6", "7"]);
        assert_eq!(book.newer(), 4);
        book.scroll(isize::MIN, 3, |_| 1);
        assert_eq!(texts(&book, 3), ["0", "1", "2"]);
        book.scroll(isize::MAX, 3, |_| 1);
        assert!(book.is_following());
    }

    #[test]
    fn a_filter_keeps_what_is_on_the_screen_near() {
        let mut book = LogBook::default();
        book.add(batch(vec![
            line(1, 0, "info fine"),
            line(2, 1, "2026 ERROR broken"),
            line(3, 1, "    at main"),
            line(4, 0, "warning: soon"),
            line(5, 0, "no level"),
        ]));
        book.set_filter(Filter { severity: Some(Severity::Warning), ..Filter::default() });
        assert_eq!(texts(&book, 9), ["2026 ERROR broken", "    at main", "warning: soon"]);
        book.set_filter(Filter { slot: Some(Slot(1)), ..Filter::default() });
        assert_eq!(texts(&book, 9), ["2026 ERROR broken", "    at main"]);
        assert_eq!(book.slots().collect::<Vec<_>>(), [Slot(0), Slot(1)]);
    }

    #[test]
    fn what_is_known_is_not_shown_twice_and_a_hole_is_named() {
        let mut book = LogBook::default();
        book.answer(numbers(0, 4), 10);
        book.answer(numbers(2, 6), 10);
        assert_eq!(texts(&book, 9), ["0", "1", "2", "3", "4", "5"]);
        book.answer(numbers(8, 9), 10);
        assert_eq!(texts(&book, 2), ["lines may be missing here", "8"]);
        book.add(LogBatch { missed: 12, lines: vec![line(9, 0, "9")] });
        assert_eq!(texts(&book, 2), ["12 lines missed", "9"]);
    }

    #[test]
    fn the_answer_to_a_larger_question_takes_the_place_of_a_smaller_one() {
        let mut book = LogBook::default();
        book.answer(numbers(8, 10), 2);
        book.answer(numbers(0, 10), 10);
        book.answer(numbers(9, 11), 2);
        assert_eq!(texts(&book, 99), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
        assert_eq!(book.newest(2).map(|line| line.text.as_str()).collect::<Vec<_>>(), ["9", "10"]);
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let mut book = LogBook::default();
        book.scroll(-1, 3, |_| 1);
        for n in 0..300 {
            book.add(batch(vec![line(n, 0, &"x".repeat(64 << 10))]));
        }
        assert!(book.at(0).is_some_and(|line| line.text.ends_with(" (+56.0KiB)")));
        for n in 300..20_000 {
            book.add(numbers(n, n + 1));
        }
        assert!(book.bytes() <= KEPT_BYTES && book.len() <= KEPT, "{}", book.len());
        for n in 0..2_000 {
            book.add(batch(vec![line(n, 0, &"x".repeat(64 << 10))]));
        }
        assert!(book.bytes() <= KEPT_BYTES, "{}", book.bytes());
    }

    #[test]
    fn a_frame_touches_no_more_lines_than_it_has_rows() {
        let mut book = LogBook::default();
        let mut came = 0;
        while came < 1 << 20 {
            let text = format!("{came} info something that a service says ten times a second");
            came += text.len();
            book.add(batch(vec![line(came as u64, 0, &text)]));
        }
        assert!(book.len() == KEPT, "{}", book.len());
        for scrolled in [0, -1, -2_000, isize::MIN] {
            book.scroll(scrolled, 40, |_| 1);
            let touched = Cell::new(0);
            let lines = book.window(40, |_| {
                touched.set(touched.get() + 1);
                1
            });
            assert_eq!(lines.len(), 40);
            assert!(touched.get() <= 80, "{} after {scrolled}", touched.get());
        }
    }

    #[test]
    fn what_is_found_is_shown() {
        let mut book = LogBook::default();
        book.add(numbers(0, 100));
        book.needle = "42".into();
        assert!(book.find(5, |_| 1));
        assert!(texts(&book, 5).contains(&"42"), "{:?}", texts(&book, 5));
        assert!(!book.find_next(true, 5, |_| 1));
        book.needle = "7".into();
        assert!(book.find_next(true, 5, |_| 1));
        assert!(texts(&book, 5).contains(&"47"), "{:?}", texts(&book, 5));
        assert!(book.find_next(false, 5, |_| 1));
        assert!(texts(&book, 5).contains(&"37"), "{:?}", texts(&book, 5));
    }

    #[test]
    fn a_wrapped_line_does_not_hide_the_oldest() {
        let mut book = LogBook::default();
        book.add(numbers(0, 10));
        book.scroll(isize::MIN, 4, |_| 3);
        assert_eq!(texts(&book, 9)[0], "0");
        let lines = book.window(4, |_| 3);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].1.text, "0");
    }
}
