//! Rolling restarts that have ended, and the cursor among them.

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::{OperationId, ServiceName};
use smoothserve_protocol::snapshot::Receipt;

use super::find::occurrence;
use crate::effect::Ticket;
use crate::words;

/// What tells one receipt from all others: operations are counted anew by each daemon.
pub type Key = (u64, OperationId, ServiceName);

/// What is known of the past.
#[derive(Clone, Debug, Default)]
pub struct Past {
    receipts: Vec<Receipt>,
    /// The one that the cursor is on.
    selected: Option<Key>,
    /// It is shown in full, from this line on; none: the list is shown.
    pub open: Option<usize>,
    /// What is looked for.
    pub needle: String,
    /// What is known may no longer be all.
    pub is_stale: bool,
    /// The last question, and whether it was answered.
    pub asked: Option<(Ticket, bool)>,
}

impl Past {
    /// Begins with nothing, for another service.
    pub fn forget(&mut self) {
        *self = Self { is_stale: true, ..Self::default() };
    }

    /// Takes the place of what was known; newest first.
    pub fn set(&mut self, receipts: Vec<Receipt>) {
        self.receipts = receipts;
        if self.index().is_none() {
            // What was open is no longer known: nothing else is shown in its place.
            self.open = None;
            self.selected = self.receipts.first().map(key);
        }
    }

    /// Newest first.
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }

    /// The position of the cursor.
    pub fn index(&self) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.receipts.iter().position(|receipt| key(receipt) == *selected)
    }

    /// What the cursor is on.
    pub fn selected(&self) -> Option<&Receipt> {
        self.receipts.get(self.index()?)
    }

    /// Looks for the needle from the cursor on, then above it. Says whether it is anywhere.
    pub fn find(&mut self) -> bool {
        let from = self.index().unwrap_or(0);
        let found = self.search(from..self.receipts.len()).or_else(|| self.search(0..from));
        self.show(found)
    }

    /// Looks for it further down, or up. Says whether it is there.
    pub fn find_next(&mut self, down: bool) -> bool {
        let from = self.index().unwrap_or(0);
        let found = if down {
            self.search(from + 1..self.receipts.len())
        } else {
            self.search((0..from).rev())
        };
        self.show(found)
    }

    fn search(&self, mut rows: impl Iterator<Item = usize>) -> Option<usize> {
        rows.find(|&row| {
            let text = self.receipts.get(row).map(words_of);
            text.is_some_and(|text| occurrence(&text, &self.needle).is_some())
        })
    }

    /// One that is open makes room for the one that was found.
    fn show(&mut self, found: Option<usize>) -> bool {
        let Some(row) = found else { return false };
        self.open = self.open.map(|_| 0);
        self.go(row);
        true
    }

    /// Moves the cursor to a row, or to the last one.
    pub fn go(&mut self, row: usize) {
        let last = self.receipts.len().saturating_sub(1);
        self.selected = self.receipts.get(row.min(last)).map(key);
    }
}

/// What is searched: what is told of a restart, without its figures.
fn words_of(receipt: &Receipt) -> String {
    let Receipt { service, operation, from, to, .. } = receipt;
    let mut text = format!("{service} {operation} {from} to {to} {}", words::cause(&receipt.cause));
    if let Cause::FilesChanged(changed) | Cause::ConfigChanged(changed) = &receipt.cause {
        text = [&[text], &changed[..]].concat().join(" ");
    }
    let failure = receipt.failure.iter().map(|(_, failure)| words::failure_line(failure));
    let more = receipt.halted.iter().chain(&receipt.remarks).cloned().chain(failure);
    more.fold(text, |text, one| format!("{text} {one}"))
}

fn key(receipt: &Receipt) -> Key {
    (receipt.unix_ms, receipt.operation, receipt.service.clone())
}
