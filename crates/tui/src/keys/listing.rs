//! The keys in effect, as a file of keys says them: what it prints can be such a file.

use super::{FIXED, Keys};
use crate::input::Key;
use crate::keymap::Context;

/// Every place with its keys. Those that cannot be changed are remarks.
pub fn listing(keys: &Keys) -> String {
    let mut text = format!("# {}\n", keys.origin());
    for context in Context::ALL.into_iter().filter(|context| context.takes_own_keys()) {
        text += &format!("\n{}:\n", context.name());
        for binding in keys.bindings(context) {
            for key in binding.keys {
                let line = format!("{}: {}", word(*key), binding.action.name());
                let mark = if FIXED.contains(key) { "# " } else { "" };
                text += &format!("  {mark}{line:24} # {}\n", binding.help);
            }
        }
    }
    text
}

/// A key as YAML reads it back: signs, digits, and letters that stand for yes and no are in quotes.
fn word(key: Key) -> String {
    let word = key.to_string();
    let plain = word.chars().all(|c| c.is_ascii_alphabetic()) && !"yYnN".contains(&word);
    if plain { word } else { format!("'{}'", word.replace('\'', "''")) }
}
