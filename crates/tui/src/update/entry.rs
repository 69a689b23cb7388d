//! The line in which one types what to look for: opened, typed into, and handed to the screen.

use super::{events, logs, past};
use crate::input::Key;
use crate::model::entry::{Entry, Purpose};
use crate::model::find::Pattern;
use crate::model::{Dirty, Front, Model, Screen};

/// Opens it.
pub fn ask(model: &mut Model, purpose: Purpose) {
    model.front = Some(Front::Find(Entry::new(purpose)));
    model.touch(Dirty::ByInput);
}

/// A letter of what is typed. Says whether `key` was one.
pub fn type_letter(model: &mut Model, key: Key) -> bool {
    let Some(Front::Find(entry)) = &mut model.front else { return false };
    match key {
        Key::Char(c) => entry.push(c),
        Key::Backspace => entry.pop(),
        _ => return false,
    }
    model.touch(Dirty::ByInput);
    true
}

/// Text that was pasted, behind what was typed.
pub fn insert(model: &mut Model, text: &str) {
    let Some(Front::Find(entry)) = &mut model.front else { return };
    text.chars().for_each(|c| entry.push(c));
    model.touch(Dirty::ByInput);
}

/// Takes what was typed. A pattern that is none stays, for the operator to mend it.
pub fn take(model: &mut Model) {
    let Some(Front::Find(mut entry)) = model.front.take() else { return };
    model.touch(Dirty::ByInput);
    match entry.purpose {
        Purpose::Find => find(model, entry.typed),
        Purpose::Match if entry.typed.is_empty() => only(model, None),
        Purpose::Match => match Pattern::new(&entry.typed) {
            Ok(pattern) => only(model, Some(pattern)),
            Err(why) => {
                entry.wrong = Some(why);
                model.front = Some(Front::Find(entry));
            }
        },
    }
}

/// Says that what was looked for is nowhere on the screen or beyond it; nothing, if that is nothing.
pub fn nothing_has(model: &mut Model, needle: &str) {
    if !needle.is_empty() {
        model.say(format!("nothing has {needle}"), true);
    }
}

/// Says that it is no further down, or up; or that nothing was asked for yet.
pub fn no_further(model: &mut Model, needle: &str, down: bool) {
    if needle.is_empty() {
        model.say("nothing to look for yet: / asks".to_owned(), false);
    } else {
        let way = if down { "below" } else { "above" };
        model.say(format!("nothing {way} has {needle}"), true);
    }
}

fn find(model: &mut Model, needle: String) {
    match model.screen {
        Screen::Events => events::find(model, needle),
        Screen::Logs(_) => logs::find(model, needle),
        Screen::History(_) => past::find(model, needle),
        Screen::Overview | Screen::Service(_) => {}
    }
}

fn only(model: &mut Model, pattern: Option<Pattern>) {
    match model.screen {
        Screen::Events => events::only(model, pattern),
        Screen::Logs(_) => logs::only(model, pattern),
        Screen::Overview | Screen::Service(_) | Screen::History(_) => {}
    }
}
