//! What the operator can have seen: a command is about nothing else.

use crate::model::sight::Sight;
use crate::model::{Front, Model, Screen};
use crate::view;

/// A frame with everything said so far is on its way.
pub fn sent(model: &mut Model) {
    model.sent = sight(model);
    if view::shows_question(model)
        && let Some(Front::Question(question)) = &mut model.front
    {
        question.sent();
    }
}

/// It has arrived. What was said meanwhile cannot be seen, and comes with the next one.
pub fn painted(model: &mut Model) {
    model.painted = std::mem::take(&mut model.sent);
    if let Some(Front::Question(question)) = &mut model.front {
        question.painted(model.clock.now);
    }
}

/// What a frame of the model as it is lets one see.
fn sight(model: &Model) -> Sight {
    let is_hidden = matches!(model.front, Some(Front::Page(_)));
    // What is held still says nothing of what is.
    if is_hidden || model.frozen.is_some() {
        return Sight::default();
    }
    if model.screen == Screen::Events {
        return Sight { line: model.events.place(), ..Sight::default() };
    }
    if !view::shows_target(model) {
        return Sight::default();
    }
    let target = model.target().cloned();
    let restart = target.as_ref().and_then(|name| model.world.restart(name));
    let (marked, marks) = (model.marked(), model.marks());
    let clickable = if model.mouse { view::services_on_screen(model) } else { Vec::new() };
    Sight { target, restart, marked, marks, line: None, clickable }
}
