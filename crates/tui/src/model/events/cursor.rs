//! The cursor in the event log: on which event it is, how it moves, what it finds.

use super::{EventLog, Line, Place};
use crate::model::find::occurrence;

impl EventLog {
    /// The position of the cursor among those shown.
    pub fn index(&self) -> usize {
        let last = self.shown.len().saturating_sub(1);
        self.cursor.map_or(last, |cursor| self.shown.partition_point(|one| *one < cursor).min(last))
    }

    /// The line under the cursor.
    pub fn selected(&self) -> Option<&Line> {
        self.at(self.index())
    }

    /// Where the cursor is.
    pub fn place(&self) -> Option<Place> {
        self.shown.get(self.index()).copied()
    }

    /// Whether the cursor is always on the newest line.
    pub const fn is_following(&self) -> bool {
        self.cursor.is_none()
    }

    /// How many lines came since the cursor left the newest one.
    pub fn came(&self) -> usize {
        let (Some(_), Some(seen)) = (self.cursor, self.seen) else { return 0 };
        self.shown.len() - self.shown.partition_point(|one| *one <= seen)
    }

    /// Keeps the cursor on the newest line from now on, or no longer.
    pub fn follow(&mut self, follow: bool) {
        if !follow && self.is_following() {
            self.seen = self.shown.back().copied();
        }
        self.cursor = if follow { None } else { self.shown.get(self.index()).copied() };
    }

    /// Moves the cursor to a position; on the last line it follows.
    pub fn go(&mut self, index: usize) {
        if index.saturating_add(1) >= self.shown.len() {
            self.follow(true);
        } else {
            self.follow(false);
            self.cursor = self.shown.get(index).copied();
        }
    }

    /// Moves the cursor to the last line that is no newer than this.
    pub fn go_to_time(&mut self, unix_ms: u64) {
        let older = |place: &Place| self.line(*place).is_some_and(|line| line.unix_ms <= unix_ms);
        let after = self.shown.iter().rposition(older).unwrap_or(0);
        self.go(after);
    }

    /// Looks for the needle from the cursor upwards, then below it. Says whether it is anywhere.
    pub fn find(&mut self) -> bool {
        let from = self.index();
        let found = self.search((0..=from).rev()).or_else(|| self.search(from + 1..self.shown()));
        self.stay_at(found)
    }

    /// Looks for it further down, or up. Says whether it is there.
    pub fn find_next(&mut self, down: bool) -> bool {
        let from = self.index();
        let found =
            if down { self.search(from + 1..self.shown()) } else { self.search((0..from).rev()) };
        self.stay_at(found)
    }

    fn search(&self, mut indices: impl Iterator<Item = usize>) -> Option<usize> {
        let has = |line: &Line| occurrence(&line.whole(), &self.needle).is_some();
        indices.find(|&index| self.at(index).is_some_and(has))
    }

    /// What was found stays under the cursor, even if it is the newest line.
    fn stay_at(&mut self, found: Option<usize>) -> bool {
        let Some(index) = found else { return false };
        self.follow(false);
        self.cursor = self.shown.get(index).copied();
        true
    }
}
