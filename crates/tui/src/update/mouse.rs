//! The mouse: a click selects, a second one opens, the wheel scrolls. It never commands anything.

use super::nav;
use crate::action::Step;
use crate::effect::Effect;
use crate::model::{Dirty, Front, Model, Screen};
use crate::msg::Turn;

/// Rows that one notch of the wheel scrolls; the cursor of a list goes one row.
const NOTCH: usize = 3;

/// Turns the mouse on or off.
pub(super) fn toggle(model: &mut Model) -> Vec<Effect> {
    model.mouse = !model.mouse;
    let text = match model.mouse {
        true => "mouse on: click selects and opens, wheel scrolls; m for the terminal's own",
        false => "mouse off: the terminal's own selection works again",
    };
    model.say(text.to_owned(), false);
    vec![Effect::Mouse(model.mouse)]
}

/// Selects the service that was painted in `row`, wherever it is now; opens it if it was selected.
pub(super) fn click(model: &mut Model, row: u16) {
    let is_still = model.front.is_some() || model.frozen.is_some();
    if !model.mouse || is_still || model.screen != Screen::Overview {
        return;
    }
    let Some(name) = model.painted.service_at(row).cloned() else { return };
    if model.selection.name() == Some(&name) {
        nav::open(model);
        return;
    }
    let listed = model.list.shown();
    // It may be gone since.
    let Some(row) = listed.iter().position(|service| *service == name) else { return };
    model.selection.go(listed, row);
    model.touch(Dirty::ByInput);
}

/// Scrolls what scrolls.
pub(super) fn wheel(model: &mut Model, turn: Turn) {
    let notch = match (&model.front, &model.screen) {
        _ if !model.mouse || model.frozen.is_some() => return,
        (
            Some(Front::Question(_) | Front::Find(_) | Front::Filter { .. } | Front::Palette(_)),
            _,
        ) => return,
        (None, Screen::Overview | Screen::History(_)) => 1,
        (Some(Front::Help { .. } | Front::Page(_)), _)
        | (None, Screen::Events | Screen::Logs(_) | Screen::Service(_)) => NOTCH,
    };
    let step = match turn {
        Turn::Up => Step::Up,
        Turn::Down => Step::Down,
    };
    for _ in 0..notch {
        nav::travel(model, step);
    }
}
