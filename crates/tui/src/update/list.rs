//! The list of services: which are shown, in what order, and which are marked.

use crate::action::Action;
use crate::input::Key;
use crate::model::filter::Filter;
use crate::model::{Dirty, Front, Model};

/// Nobody types a longer filter.
const LONGEST: usize = 200;

/// The services, or what is wanted of them, are others now.
pub fn arrange(model: &mut Model) {
    // Whoever reads a question finds the list behind it as it was.
    let is_held = matches!(model.front, Some(Front::Question(_)));
    model.list.arrange(model.world.rows(), model.clock.now, is_held);
    model.selection.follow(model.list.shown());
}

/// Does what a key of the list asks for.
pub fn perform(model: &mut Model, action: Action) {
    match action {
        Action::Filter => {
            let typed = model.list.filter().text().to_owned();
            model.front = Some(Front::Filter { typed, from: model.selection.clone() });
        }
        Action::KeepFilter => model.front = None,
        Action::Sort => model.list.sort_by_next(),
        Action::ReverseSort => model.list.reverse(),
        Action::Mark => {
            if let Some(name) = model.selection.name() {
                model.list.toggle_mark(name);
                model.selection.step(model.list.shown(), 1);
            }
        }
        Action::MarkAll => model.list.mark_all_or_none(),
        _ => {}
    }
    arrange(model);
    model.touch(Dirty::ByInput);
}

/// A letter of the filter, which works as it is typed. Says whether `key` was one.
pub fn type_filter(model: &mut Model, key: Key) -> bool {
    let Some(Front::Filter { typed, .. }) = &mut model.front else { return false };
    match key {
        Key::Char(c) if typed.chars().count() < LONGEST => typed.push(c),
        Key::Char(_) => {}
        Key::Backspace => {
            typed.pop();
        }
        _ => return false,
    }
    apply_typed(model);
    true
}

/// Text that was pasted, behind what was typed.
pub fn insert(model: &mut Model, text: &str) {
    let Some(Front::Filter { typed, .. }) = &mut model.front else { return };
    let room = LONGEST.saturating_sub(typed.chars().count());
    typed.extend(text.chars().take(room));
    apply_typed(model);
}

fn apply_typed(model: &mut Model) {
    let Some(Front::Filter { typed, from }) = &model.front else { return };
    model.list.set_filter(Filter::new(typed));
    model.selection = from.clone();
    arrange(model);
    // The operator, not the data, hid the row of the cursor: it waits at what was looked for.
    if model.selection.name().is_none() {
        model.selection.go(model.list.shown(), 0);
    }
    model.touch(Dirty::ByInput);
}

/// Shows all services again, with the cursor where it was before the filter was typed.
pub fn show_all(model: &mut Model) {
    if let Some(Front::Filter { from, .. }) = model.front.take() {
        model.selection = from;
    }
    model.list.set_filter(Filter::default());
    arrange(model);
    model.touch(Dirty::ByInput);
}

/// Shows all services again; if all are shown, takes their marks away.
pub fn clear(model: &mut Model) {
    if model.list.filter().is_empty() {
        model.list.unmark_all();
    } else {
        model.list.set_filter(Filter::default());
    }
    arrange(model);
    model.touch(Dirty::ByInput);
}
