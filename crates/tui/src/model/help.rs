//! The list of keys: its rows, the cursor among them, and what is looked for.

use super::Model;
use super::line::Line;
use crate::keymap::{Binding, Group};

/// The open list of keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Help {
    /// The row that the cursor is on. The rows do not change while the list is open, but for what is
    /// looked for, and then the cursor begins anew.
    pub row: usize,
    /// Only rows that have this are shown.
    pub needle: Line,
    /// It is being typed.
    pub is_typing: bool,
}

/// The rows of the list for the screen behind it, in the order in which they are shown.
pub fn rows<'a>(model: &'a Model, help: &Help) -> Vec<Binding<'a>> {
    let needle = help.needle.text().to_lowercase();
    let has = |text: &str| text.to_lowercase().contains(&needle);
    let mut rows: Vec<Binding<'a>> = model
        .keys
        .bindings(model.screen_context())
        .filter(|row| {
            has(row.help)
                || has(row.action.name())
                || row.keys.iter().any(|key| key.to_string() == help.needle.text())
        })
        .collect();
    rows.sort_by_key(|row| match row.group {
        Group::Move => 0,
        Group::List => 1,
        Group::Act => 2,
        Group::Other => 3,
    });
    rows
}
