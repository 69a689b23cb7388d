//! The cursor of the list of services: a name, never a row.

use smoothserve_protocol::id::ServiceName;

/// Which service the cursor is on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    name: Option<ServiceName>,
    /// The row it was in when it was last seen; where the cursor goes on from if it vanishes.
    row: usize,
}

impl Selection {
    /// The service under the cursor; none: it vanished, or there is none.
    pub const fn name(&self) -> Option<&ServiceName> {
        self.name.as_ref()
    }

    /// The row the cursor is in, or was.
    pub const fn row(&self) -> usize {
        self.row
    }

    /// The rows are now these. The cursor stays with its service wherever that went; if it is gone
    /// the cursor is nowhere, for the operator to say where next: data never moves it to another.
    pub fn follow(&mut self, rows: &[ServiceName]) {
        let Some(name) = &self.name else { return };
        match rows.iter().position(|row| row == name) {
            Some(row) => self.row = row,
            None => self.name = None,
        }
    }

    /// Moves by `step` rows, stopping at the ends.
    pub fn step(&mut self, rows: &[ServiceName], step: isize) {
        // From nowhere, a step down goes to what took the vanished row's place.
        let step = if self.name.is_none() && step > 0 { step - 1 } else { step };
        self.go(rows, self.row.saturating_add_signed(step));
    }

    /// Moves to row `row`, or the last one.
    pub fn go(&mut self, rows: &[ServiceName], row: usize) {
        self.row = row.min(rows.len().saturating_sub(1));
        self.name = rows.get(self.row).cloned();
    }
}
