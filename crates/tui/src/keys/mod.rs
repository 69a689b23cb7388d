//! The keys in effect: those of the table, and the operator's own in their place.

mod file;
mod listing;

use crate::action::Action;
use crate::input::Key;
use crate::keymap::{Binding, Context, TABLE};

pub use file::{KeysError, read};
pub use listing::listing;

/// Keys that terminals take for something else, or that are not told from others.
pub const TAKEN: [Key; 8] = [
    Key::Ctrl('s'),
    Key::Ctrl('q'),
    Key::Ctrl('b'),
    Key::Ctrl('a'),
    Key::Ctrl('i'),
    Key::Ctrl('j'),
    Key::Ctrl('m'),
    Key::Ctrl('h'),
];

/// Keys that do the same whatever a file says: the way into things and out of them.
pub const FIXED: [Key; 4] = [Key::Enter, Key::Esc, Key::Ctrl('c'), Key::Ctrl('z')];

/// The keys in effect.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    own: Vec<Own>,
    /// The file they come from; none: they are those of the table.
    source: Option<String>,
}

/// A line of the table that has other keys in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Own {
    context: Context,
    action: Action,
    keys: Vec<Key>,
    /// The file names it; else it has only lost keys to those that it names.
    named: bool,
}

impl Keys {
    /// What `key` does in `context`.
    pub fn find(&self, context: Context, key: Key) -> Option<Action> {
        let mut bindings = self.bindings(context);
        bindings.find(|binding| binding.keys.contains(&key)).map(|binding| binding.action)
    }

    /// The lines of the table that hold in `context`, with the keys that they have.
    pub fn bindings(&self, context: Context) -> impl Iterator<Item = Binding<'_>> {
        let lines = TABLE.iter().filter(move |line| line.contexts.contains(&context));
        lines.map(move |line| {
            let is_it = |own: &&Own| (own.context, own.action) == (context, line.action);
            match self.own.iter().find(is_it) {
                Some(own) if context.takes_own_keys() => Binding { keys: &own.keys, ..*line },
                Some(_) | None => *line,
            }
        })
    }

    /// Where the keys come from, and how many the file gives: for the operator to read.
    pub fn origin(&self) -> String {
        match &self.source {
            Some(file) => {
                let named = self.own.iter().filter(|own| own.named).count();
                format!("keys from {file} ({named} changed)")
            }
            None => "keys built in".to_owned(),
        }
    }
}
