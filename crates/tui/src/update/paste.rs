//! Text that was pasted: where text is typed, its first line is taken as if it had been typed; anywhere
//! else it does nothing, and says so. It never ends a line, so it never runs, or answers, anything.

use super::{entry, help, list, ops, palette};
use crate::input::Key;
use crate::keymap::Context;
use crate::model::Model;
use crate::msg::Paste;

/// Takes it in.
pub fn take(model: &mut Model, paste: &Paste) {
    let line = paste.line.as_str();
    match model.context() {
        Context::Palette => palette::insert(model, line),
        Context::Find => entry::insert(model, line),
        Context::Filter => list::insert(model, line),
        Context::HelpFind => help::insert(model, line),
        Context::TypedName => {
            for c in line.chars() {
                ops::type_name(model, Key::Char(c));
            }
        }
        Context::Overview
        | Context::Service
        | Context::Events
        | Context::Logs
        | Context::History
        | Context::Page
        | Context::Help
        | Context::Frozen
        | Context::Question
        | Context::Offer
        | Context::Limit => {
            model.say(format!("{} pasted characters ignored", paste.characters), false);
        }
    }
}
