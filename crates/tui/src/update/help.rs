//! The list of keys: the cursor in it, what is looked for, and the row that is done.

use super::nav::moved;
use super::ops::unavailable;
use crate::action::{Action, Step};
use crate::input::Key;
use crate::model::help::{Help, rows};
use crate::model::line::Line;
use crate::model::{Dirty, Front, Model};

/// Opens it for the present screen.
pub fn open(model: &mut Model) {
    model.front = Some(Front::Help(Help::default()));
    model.touch(Dirty::ByInput);
}

/// Moves the cursor.
pub fn travel(model: &mut Model, step: Step, half: isize) {
    let Some(Front::Help(help)) = &model.front else { return };
    let last = rows(model, help).len().saturating_sub(1);
    if let Some(Front::Help(help)) = &mut model.front {
        help.row = moved(help.row.min(last), step, half).min(last);
    }
}

/// Begins to look for something, or ends the typing of it.
pub fn search(model: &mut Model, action: Action) {
    if let Some(Front::Help(help)) = &mut model.front {
        help.is_typing = action == Action::Find;
    }
    model.touch(Dirty::ByInput);
}

/// A key of what is looked for. Says whether `key` was one.
pub fn edit(model: &mut Model, key: Key) -> bool {
    let Some(Front::Help(help)) = &mut model.front else { return false };
    if !help.needle.edit(key) {
        return false;
    }
    help.row = 0;
    model.touch(Dirty::ByInput);
    true
}

/// Text that was pasted goes where the cursor is.
pub fn insert(model: &mut Model, text: &str) {
    let Some(Front::Help(help)) = &mut model.front else { return };
    help.needle.insert(text);
    help.row = 0;
    model.touch(Dirty::ByInput);
}

/// Ends a search. Says whether there was one.
pub fn show_all(model: &mut Model) -> bool {
    let Some(Front::Help(help)) = &mut model.front else { return false };
    let was_searching = help.is_typing || !help.needle.text().is_empty();
    (help.needle, help.is_typing) = (Line::default(), false);
    was_searching
}

/// Closes the list, and says what the row under the cursor does. A row that is off stays, and says
/// why; none is done then.
pub fn chosen(model: &mut Model) -> Option<Action> {
    let Some(Front::Help(help)) = &model.front else { return None };
    let action = rows(model, help).get(help.row)?.action;
    if let Some(reason) = unavailable(model, action) {
        model.say(reason.to_string(), true);
        return None;
    }
    model.front = None;
    model.touch(Dirty::ByInput);
    Some(action)
}
