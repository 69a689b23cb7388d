//! The event log as the console keeps it: in order, without doubles, gaps shown as gaps.

use std::collections::BTreeMap;

use smoothserve_protocol::event::{Event, EventBatch};
use smoothserve_protocol::id::EventSeq;

use crate::fmt;
use crate::words::{self, Mark};

/// Lines kept; the daemon keeps no more either.
const KEPT: usize = 5_000;

/// Where a line stands: which daemon, which event, and before (0), at (1) or after (2) it.
type Place = (u32, u64, u8);

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// What kind of news; none: a remark of the console's own.
    pub mark: Option<Mark>,
    /// What it is about.
    pub subject: String,
    /// What happened.
    pub text: String,
}

/// The log.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    lines: BTreeMap<Place, Line>,
    /// Counts daemons: each begins its events anew.
    daemon: u32,
    last: Option<EventSeq>,
}

impl EventLog {
    /// The last event known of the present daemon.
    pub const fn last(&self) -> Option<EventSeq> {
        self.last
    }

    /// Adds what is new in `batch`; older events find their place.
    pub fn add(&mut self, batch: &EventBatch) {
        let is_gap = batch.missed > 0 && self.last.is_some();
        if let (true, Some(first)) = (is_gap, batch.events.first()) {
            let text = format!("{} missed", fmt::plural(batch.missed, "event"));
            self.lines.insert((self.daemon, first.seq.0, 0), remark(first.unix_ms, text));
        }
        for event in &batch.events {
            self.last = self.last.max(Some(event.seq));
            self.lines.entry((self.daemon, event.seq.0, 1)).or_insert_with(|| line(event));
        }
        while self.lines.len() > KEPT {
            self.lines.pop_first();
        }
    }

    /// Adds a remark of the console's own after all else.
    pub fn remark(&mut self, unix_ms: u64, text: String) {
        let place = (self.daemon, self.last.map_or(0, |last| last.0), 2);
        self.lines.insert(place, remark(unix_ms, text));
    }

    /// Another daemon speaks now: its events begin anew.
    pub fn new_daemon(&mut self, unix_ms: u64, text: String) {
        self.daemon += 1;
        self.last = None;
        self.lines.insert((self.daemon, 0, 0), remark(unix_ms, text));
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nothing is known to have happened.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines, newest first.
    pub fn newest(&self) -> impl Iterator<Item = &Line> {
        self.lines.values().rev()
    }
}

fn line(event: &Event) -> Line {
    let (mark, text) = words::event_line(event);
    Line { unix_ms: event.unix_ms, mark: Some(mark), subject: words::subject(event), text }
}

const fn remark(unix_ms: u64, text: String) -> Line {
    Line { unix_ms, mark: None, subject: String::new(), text }
}

#[cfg(test)]
mod tests {
    use smoothserve_protocol::event::EventKind;

    use super::*;

    fn batch(missed: u64, seqs: &[u64]) -> EventBatch {
        let event = |&seq: &u64| Event {
            seq: EventSeq(seq),
            unix_ms: seq * 1_000,
            service: None,
            slot: None,
            kind: EventKind::Warning { text: seq.to_string() },
        };
        EventBatch { missed, events: seqs.iter().map(event).collect() }
    }

    fn texts(log: &EventLog) -> Vec<&str> {
        log.newest().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn history_that_comes_after_the_news_finds_its_place() {
        let mut log = EventLog::default();
        log.add(&batch(0, &[4, 5]));
        log.add(&batch(0, &[2, 3, 4]));
        assert_eq!(texts(&log), ["5", "4", "3", "2"]);
        assert_eq!(log.last(), Some(EventSeq(5)));
    }

    #[test]
    fn a_gap_is_a_line() {
        let mut log = EventLog::default();
        log.add(&batch(0, &[1]));
        log.add(&batch(12, &[14]));
        assert_eq!(texts(&log), ["14", "12 events missed", "1"]);
    }

    #[test]
    fn a_new_daemon_counts_anew() {
        let mut log = EventLog::default();
        log.add(&batch(0, &[8, 9]));
        log.new_daemon(0, "new".into());
        log.add(&batch(0, &[1]));
        assert_eq!(texts(&log), ["1", "new", "9", "8"]);
    }
}
