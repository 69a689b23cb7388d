//! The event log as the console keeps it: in order, without doubles, gaps shown as gaps; and what
//! the operator sees of it.
//!
//! The cursor is on an event, not on a row: it stays where it is whatever comes or is dropped. A
//! frame touches no more lines than it has rows.

mod cursor;

use std::collections::VecDeque;

use smoothserve_protocol::event::{Event, EventBatch};
use smoothserve_protocol::id::{EventSeq, ServiceName};

use super::find::Pattern;
use crate::fmt::{self, count};
use crate::words::{self, Mark, Severity};

/// Lines kept; the daemon keeps no more either.
const KEPT: usize = 5_000;

/// Where a line stands: which daemon, which event, and before (0), at (1) or after (2) it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u32, u64, u8);

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// Its number; none: a remark of the console's own.
    pub seq: Option<EventSeq>,
    /// What kind of news; none: a remark of the console's own.
    pub mark: Option<Mark>,
    /// The service it is about; none: the daemon, or a remark.
    pub service: Option<ServiceName>,
    /// What it is about.
    pub subject: String,
    /// What happened.
    pub text: String,
    /// The same without how long it took and who asked for it.
    pub what: String,
    /// How long it took, in milliseconds.
    pub took_ms: Option<u64>,
    /// Who asked for it.
    pub by: Option<String>,
}

impl Line {
    fn severity(&self) -> Severity {
        match self.mark {
            Some(Mark::Bad) => Severity::Error,
            Some(Mark::Warning | Mark::Retry) => Severity::Warning,
            Some(
                Mark::Note
                | Mark::Began
                | Mark::Good
                | Mark::Starting
                | Mark::Draining
                | Mark::Stopping,
            )
            | None => Severity::Info,
        }
    }

    /// What is searched.
    fn whole(&self) -> String {
        format!("{} {}", self.subject, self.text)
    }
}

/// What is shown of what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// At least this bad; none: everything.
    pub severity: Option<Severity>,
    /// About this service; none: about all, and the daemon.
    pub service: Option<ServiceName>,
    /// What it must have.
    pub pattern: Option<Pattern>,
}

impl Filter {
    /// A gap is never filtered away: silence is not calm.
    fn takes(&self, line: &Line) -> bool {
        line.mark.is_none()
            || self.severity.is_none_or(|wanted| line.severity() >= wanted)
                && self.service.as_ref().is_none_or(|name| line.service.as_ref() == Some(name))
                && self.pattern.as_ref().is_none_or(|pattern| pattern.is_in(&line.whole()))
    }
}

/// The log.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    /// By place, ascending.
    lines: VecDeque<(Place, Line)>,
    /// The places of those that pass the filter, ascending.
    shown: VecDeque<Place>,
    filter: Filter,
    /// The line under the cursor; none: always the newest.
    cursor: Option<Place>,
    /// The newest line that was shown when the cursor left it.
    seen: Option<Place>,
    /// What is looked for.
    pub needle: String,
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
        if let (1.., Some(last), Some(first)) = (batch.missed, self.last, batch.events.first()) {
            let (from, to) = (last.0.saturating_add(1), first.seq.0.saturating_sub(1));
            let missed = fmt::plural(batch.missed, "event");
            let text = format!("{missed} missed (seq {} to {})", count(from), count(to));
            self.insert(Place(self.daemon, first.seq.0, 0), remark(first.unix_ms, text));
        }
        for event in &batch.events {
            self.last = self.last.max(Some(event.seq));
            self.insert(Place(self.daemon, event.seq.0, 1), line(event));
        }
    }

    /// Adds a remark of the console's own after all else.
    pub fn remark(&mut self, unix_ms: u64, text: String) {
        let place = Place(self.daemon, self.last.map_or(0, |last| last.0), 2);
        self.insert(place, remark(unix_ms, text));
    }

    /// Another daemon speaks now: its events begin anew.
    pub fn new_daemon(&mut self, unix_ms: u64, text: String) {
        self.daemon += 1;
        self.last = None;
        self.insert(Place(self.daemon, 0, 0), remark(unix_ms, text));
    }

    /// Puts a line into its place; one that is there already stays, unless it was a remark.
    fn insert(&mut self, place: Place, line: Line) {
        match self.lines.binary_search_by_key(&place, |(place, _)| *place) {
            Ok(known) if line.mark.is_none() => self.lines[known].1 = line,
            Ok(_) => {}
            Err(at) => {
                if self.filter.takes(&line) {
                    let shown = self.shown.partition_point(|one| *one < place);
                    self.shown.insert(shown, place);
                }
                self.lines.insert(at, (place, line));
            }
        }
        if self.lines.len() > KEPT
            && let Some((dropped, _)) = self.lines.pop_front()
            && self.shown.front() == Some(&dropped)
        {
            self.shown.pop_front();
        }
    }

    /// How many lines are kept.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether nothing is known to have happened.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All lines, newest first, whatever is shown of them.
    pub fn newest(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().rev().map(|(_, line)| line)
    }

    /// What is shown of what is kept.
    pub const fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Shows something else. The cursor stays with its line, or goes to what comes after it.
    pub fn set_filter(&mut self, filter: Filter) {
        self.filter = filter;
        let taken = self.lines.iter().filter(|(_, line)| self.filter.takes(line));
        self.shown = taken.map(|(place, _)| *place).collect();
    }

    /// How many lines are shown, on the screen or beyond it.
    pub fn shown(&self) -> usize {
        self.shown.len()
    }

    /// A line that is shown, by its position.
    pub fn at(&self, index: usize) -> Option<&Line> {
        self.line(*self.shown.get(index)?)
    }

    /// The line at this place, shown or not.
    pub fn line(&self, place: Place) -> Option<&Line> {
        let index = self.lines.binary_search_by_key(&place, |(place, _)| *place).ok()?;
        self.lines.get(index).map(|(_, line)| line)
    }
}

fn line(event: &Event) -> Line {
    let told = words::told(event);
    Line {
        unix_ms: event.unix_ms,
        seq: Some(event.seq),
        mark: Some(told.mark),
        service: event.service.clone(),
        subject: words::subject(event),
        text: told.text,
        what: told.what,
        took_ms: told.took_ms,
        by: told.by,
    }
}

fn remark(unix_ms: u64, text: String) -> Line {
    Line {
        unix_ms,
        seq: None,
        mark: None,
        service: None,
        subject: String::new(),
        what: text.clone(),
        text,
        took_ms: None,
        by: None,
    }
}

#[cfg(test)]
mod tests {
    use smoothserve_protocol::event::EventKind;

    use super::*;

    fn batch(missed: u64, seqs: impl IntoIterator<Item = u64>) -> EventBatch {
        let event = |seq: u64| Event {
            seq: EventSeq(seq),
            unix_ms: seq * 1_000,
            service: None,
            slot: None,
            kind: EventKind::Warning { text: seq.to_string() },
        };
        EventBatch { missed, events: seqs.into_iter().map(event).collect() }
    }

    fn texts(log: &EventLog) -> Vec<&str> {
        log.newest().map(|line| line.text.as_str()).collect()
    }

    fn selected(log: &EventLog) -> Option<&str> {
        log.selected().map(|line| line.text.as_str())
    }

    #[test]
    fn history_that_comes_after_the_news_finds_its_place() {
        let mut log = EventLog::default();
        log.add(&batch(0, [4, 5]));
        log.add(&batch(0, [2, 3, 4]));
        assert_eq!(texts(&log), ["5", "4", "3", "2"]);
        assert_eq!(log.last(), Some(EventSeq(5)));
    }

    #[test]
    fn a_gap_is_a_line() {
        let mut log = EventLog::default();
        log.add(&batch(0, [1]));
        log.add(&batch(12, [14]));
        assert_eq!(texts(&log), ["14", "12 events missed (seq 2 to 13)", "1"]);
        let pattern = Pattern::new("nothing has this").ok();
        log.set_filter(Filter { pattern, ..Filter::default() });
        assert_eq!(selected(&log), Some("12 events missed (seq 2 to 13)"));
    }

    #[test]
    fn a_new_daemon_counts_anew() {
        let mut log = EventLog::default();
        log.add(&batch(0, [8, 9]));
        log.new_daemon(0, "new".into());
        log.add(&batch(0, [1]));
        assert_eq!(texts(&log), ["1", "new", "9", "8"]);
    }

    #[test]
    fn the_cursor_stays_on_its_event_whatever_comes_or_goes() {
        let mut log = EventLog::default();
        log.add(&batch(0, 10..20));
        log.go(4);
        assert_eq!((selected(&log), log.came()), (Some("14"), 0));
        log.add(&batch(0, 0..10));
        log.add(&batch(0, 20..23));
        assert_eq!((selected(&log), log.came()), (Some("14"), 3));
        let pattern = Pattern::new("[02468]$").ok();
        log.set_filter(Filter { pattern, ..Filter::default() });
        assert_eq!((selected(&log), log.came()), (Some("14"), 2));
        log.set_filter(Filter::default());
        assert_eq!(selected(&log), Some("14"));
        log.add(&batch(0, 23..5_100));
        assert_eq!((selected(&log), log.len()), (Some("100"), KEPT), "the oldest that is left");
        log.go(usize::MAX);
        assert!(log.is_following());
        assert_eq!(selected(&log), Some("5099"));
    }

    #[test]
    fn what_is_found_stays_under_the_cursor() {
        let mut log = EventLog::default();
        log.add(&batch(0, 0..100));
        log.needle = "9".into();
        assert!(log.find() && !log.is_following());
        assert_eq!(selected(&log), Some("99"));
        assert!(!log.find_next(true));
        assert!(log.find_next(false));
        assert_eq!(selected(&log), Some("98"));
        log.go_to_time(42_500);
        assert_eq!(selected(&log), Some("42"));
    }
}
