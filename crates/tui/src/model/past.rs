//! Rolling restarts that have ended, and the cursor among them.

use smoothserve_protocol::id::{OperationId, ServiceName};
use smoothserve_protocol::snapshot::Receipt;

use crate::effect::Ticket;

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

    /// Moves the cursor to a row, or to the last one.
    pub fn go(&mut self, row: usize) {
        let last = self.receipts.len().saturating_sub(1);
        self.selected = self.receipts.get(row.min(last)).map(key);
    }
}

fn key(receipt: &Receipt) -> Key {
    (receipt.unix_ms, receipt.operation, receipt.service.clone())
}
