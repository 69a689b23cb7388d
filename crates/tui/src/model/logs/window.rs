//! The window through which a log is read: what is in it, how it moves, what is found.
//!
//! Knows nothing of what lines are about; how many rows each takes is told by whoever draws it.

use unicode_width::UnicodeWidthStr;

use super::{Line, LogBook};
use crate::model::find::occurrence;

impl LogBook {
    /// Whether the newest line is always on the screen.
    pub const fn is_following(&self) -> bool {
        self.bottom.is_none()
    }

    /// How many lines are newer than those on the screen.
    pub fn newer(&self) -> usize {
        self.len().saturating_sub(self.bottom_index() + 1)
    }

    /// Shows the newest line from now on, or no longer.
    pub fn follow(&mut self, follow: bool) {
        self.bottom = if follow { None } else { self.shown.back().copied() };
    }

    /// The position, among those shown, of the last line on the screen.
    fn bottom_index(&self) -> usize {
        let last = self.len().saturating_sub(1);
        match self.bottom {
            None => last,
            Some(seq) => self.shown.partition_point(|&one| one < seq).min(last),
        }
    }

    /// Moves by so many lines, of which `height` says how many of the `rows` each takes. At the
    /// newest one it follows.
    pub fn scroll(&mut self, by: isize, rows: usize, height: impl Fn(&Line) -> usize) {
        let from = self.bottom_index().max(self.highest(rows, &height));
        self.go(from.saturating_add_signed(by), rows, height);
    }

    fn go(&mut self, index: usize, rows: usize, height: impl Fn(&Line) -> usize) {
        let index = index.max(self.highest(rows, height));
        self.bottom = if index + 1 >= self.len() { None } else { self.shown.get(index).copied() };
    }

    /// The position of the last line on a screen that shows the oldest one.
    fn highest(&self, rows: usize, height: impl Fn(&Line) -> usize) -> usize {
        let mut used = 0;
        for index in 0..self.len().min(rows) {
            used += self.at(index).map_or(1, &height);
            if used >= rows {
                return index;
            }
        }
        self.len().saturating_sub(1)
    }

    /// The lines that fill `rows`, oldest first, with their numbers; of the first there may be too
    /// many rows.
    pub fn window(&self, rows: usize, height: impl Fn(&Line) -> usize) -> Vec<(u64, &Line)> {
        let bottom = match self.bottom {
            None => self.bottom_index(),
            Some(_) => self.bottom_index().max(self.highest(rows, &height)),
        };
        let mut used = 0;
        let mut lines = Vec::new();
        for index in (0..=bottom).rev() {
            let Some(line) = self.at(index) else { break };
            if used >= rows {
                break;
            }
            used += height(line);
            lines.push((self.shown[index], line));
        }
        lines.reverse();
        lines
    }

    /// How many columns the longest of the lines takes that fill `rows`.
    pub fn longest(&self, rows: usize, height: impl Fn(&Line) -> usize) -> usize {
        let lines = self.window(rows, height);
        lines.iter().map(|(_, line)| line.text.width()).max().unwrap_or(0)
    }

    /// The last `rows` lines, oldest first, whatever is shown of them.
    pub fn newest(&self, rows: usize) -> impl Iterator<Item = &Line> {
        self.lines.iter().skip(self.lines.len().saturating_sub(rows))
    }

    /// Looks for the needle from the last line on the screen upwards, then below it. Says whether
    /// it is anywhere.
    pub fn find(&mut self, rows: usize, height: impl Fn(&Line) -> usize) -> bool {
        let from = self.bottom_index();
        let found = self.search((0..=from).rev()).or_else(|| self.search(from + 1..self.len()));
        self.show(found, rows, height)
    }

    /// Looks for it further down, or up. Says whether it is there.
    pub fn find_next(&mut self, down: bool, rows: usize, height: impl Fn(&Line) -> usize) -> bool {
        let from = match self.found {
            Some(seq) => self.shown.partition_point(|&one| one < seq),
            None => self.bottom_index(),
        };
        let found = if down {
            self.search(from.saturating_add(1)..self.len())
        } else {
            self.search((0..from.min(self.len())).rev())
        };
        self.show(found, rows, height)
    }

    fn search(&self, mut order: impl Iterator<Item = usize>) -> Option<usize> {
        order.find(|&index| {
            self.at(index).is_some_and(|line| occurrence(&line.text, &self.needle).is_some())
        })
    }

    fn show(&mut self, found: Option<usize>, rows: usize, height: impl Fn(&Line) -> usize) -> bool {
        let Some(index) = found else { return false };
        self.found = self.shown.get(index).copied();
        let on_screen = self.window(rows, &height).iter().any(|(seq, _)| Some(*seq) == self.found);
        if !on_screen {
            self.go(index.saturating_add(rows / 2), rows, height);
        } else if self.is_following() {
            // What was found stays on the screen.
            self.follow(false);
        }
        true
    }
}
