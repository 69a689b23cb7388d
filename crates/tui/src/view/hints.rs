//! The last row: the keys that work here and now; above it, the toast.

use ratatui::layout::Rect;

use super::Width;
use crate::action::Action;
use crate::keymap::Binding;
use crate::model::batch::Batch;
use crate::model::conn::Freshness;
use crate::model::entry::Purpose;
use crate::model::filter::GRAMMAR;
use crate::model::question::Verb;
use crate::model::{Front, Model, Screen};
use crate::style::Role;
use crate::update::ops::{Unavailable, is_paused, is_refused, unavailable};
use crate::widgets::rows::columns;
use crate::widgets::{Canvas, Pen};

/// Draws the hints and the toast.
pub fn draw(model: &Model, canvas: &mut Canvas<'_>, area: Rect, width: Width) {
    let last = area.height.saturating_sub(1);
    if let Some((typed, note, role)) = prompt(model) {
        let row = if width == Width::Narrow { last } else { last.saturating_sub(1) };
        let mut pen = canvas.pen(area, row);
        pen.to(1).say(&typed, Role::Strong).skip(2).say(note, role);
        if width == Width::Narrow {
            return;
        }
    } else if let Some(toast) = &model.toast {
        let role = if toast.bad { Role::Bad } else { Role::Strong };
        let row = if width == Width::Narrow { last } else { last.saturating_sub(1) };
        canvas.pen(area, row).to(1).say(&toast.text, role);
        if width == Width::Narrow {
            return;
        }
    } else if let Some(text) = progress(model, width) {
        let row = if width == Width::Narrow { last } else { last.saturating_sub(1) };
        let service = model.batch.as_ref().and_then(Batch::present);
        let name = service.map_or("", |subject| subject.service.as_str());
        canvas.pen(area, row).to(1).say_about(&text, name, Role::Moving);
        if width == Width::Narrow {
            return;
        }
    }
    keys(model, &mut canvas.pen(area, last), width);
}

/// Whether the row above the keys says something.
pub fn has_line(model: &Model, width: Width) -> bool {
    prompt(model).is_some() || model.toast.is_some() || progress(model, width).is_some()
}

/// How far a batch is: `restarting 2 of 5: api, 1 of 4`.
fn progress(model: &Model, width: Width) -> Option<String> {
    let batch = model.batch.as_ref()?;
    let service = &batch.present()?.service;
    let (at, of) = batch.position();
    let doing = match batch.verb {
        Verb::Start => "starting",
        Verb::Restart => "restarting",
        Verb::Stop | Verb::Kill => "stopping",
        Verb::Steer(_) => "steering",
    };
    let is_last = batch.rest().len() == 0;
    let then = match (batch.is_ending, width) {
        _ if is_last => "",
        (true, _) => "   then no more",
        (false, Width::Line | Width::Narrow) => "   E ends it",
        (false, Width::Normal | Width::Wide) => "   E ends it after this one",
    };
    let operation = model.world.row(service).and_then(|row| row.operation);
    let far = match (operation, width) {
        (Some(one), Width::Normal | Width::Wide) => format!(", {} of {}", one.done, one.of),
        _ => String::new(),
    };
    Some(format!("{doing} {at} of {of}: {service}{far}{then}"))
}

/// What is typed to look for, and what there is to say about it.
fn prompt(model: &Model) -> Option<(String, &str, Role)> {
    match &model.front {
        Some(Front::Find(entry)) => {
            let note = entry.wrong.as_deref().unwrap_or_default();
            Some((format!("{}{}_", entry.sign(), entry.typed), note, Role::Bad))
        }
        Some(Front::Filter { typed, .. }) => Some((format!("/{typed}_"), GRAMMAR, Role::Quiet)),
        Some(Front::Help { .. } | Front::Question(_) | Front::Palette(_) | Front::Page(_))
        | None => None,
    }
}

fn keys(model: &Model, pen: &mut Pen<'_>, width: Width) {
    // What a key was answered is not said twice.
    let said = model.toast.as_ref().map(|toast| toast.text.as_str());
    let reason = reason(model, width).filter(|reason| said != Some(reason));
    let why = held(model).or(reason);
    pen.to(1);
    let room = pen.room();
    // Why something does not work comes before what else does, and keeps two columns clear.
    let taken = why.as_ref().map_or(0, |why| columns(why) + 3);
    if let Some(why) = why {
        pen.ending(1, &why, Role::Moving).to(1);
    }
    for (keys, label) in fitting(model, room.saturating_sub(taken)) {
        pen.say(&keys, Role::Plain).say(" ", Role::Plain).say(label, Role::Quiet).skip(2);
    }
}

/// The hints that fit into `room`; the ways to the help and out are the last ones to go. Where there
/// is no help, as in a question, that is the way back.
fn fitting(model: &Model, room: u16) -> Vec<(String, &'static str)> {
    let mut hints: Vec<_> = hinted(model)
        .map(|binding| (binding.action, hinted_key(&binding), label(model, &binding)))
        .collect();
    let width = |(_, key, label): &(Action, String, &str)| columns(key) + columns(label) + 3;
    while hints.iter().map(width).sum::<u16>() > room + 2 {
        let has_help = hints.iter().any(|(action, ..)| *action == Action::Help);
        let back = hints.iter().rposition(|(action, ..)| *action == Action::Back);
        let back = back.filter(|_| !has_help);
        let may_go = |(index, (action, ..)): (usize, &(Action, String, &str))| {
            !matches!(action, Action::Help | Action::Quit) && back != Some(index)
        };
        let last = hints.iter().enumerate().rev().find(|(index, hint)| may_go((*index, *hint)));
        hints.remove(last.map_or(0, |(index, _)| index));
    }
    hints.into_iter().map(|(_, key, label)| (key, label)).collect()
}

/// Why commands are not among the hints, if they are not.
fn reason(model: &Model, width: Width) -> Option<String> {
    let context = model.context();
    let command = model.keys.bindings(context).find(|binding| binding.action.is_command())?;
    match unavailable(model, command.action)? {
        // How to get it back matters more than the whole sentence.
        Unavailable::NotLive if width == Width::Narrow => Some("actions off".to_owned()),
        why @ (Unavailable::ReadOnly | Unavailable::NotLive) => Some(why.to_string()),
        // The screen says so itself.
        _ => None,
    }
}

/// Since when the picture is held still, if it is.
fn held(model: &Model) -> Option<String> {
    let frozen = model.frozen.as_ref()?;
    Some(format!("frozen at {}", model.clock.text(frozen.unix_ms)))
}

/// What the hint says that the key does now.
fn label(model: &Model, binding: &Binding<'_>) -> &'static str {
    if let (Action::Search, Some(Front::Find(entry))) = (binding.action, &model.front) {
        return match entry.purpose {
            Purpose::Find => "find",
            Purpose::Match => "only this",
        };
    }
    let paused = model.target().is_some_and(|name| is_paused(model, name));
    if binding.action == Action::Pause && paused {
        return "resume";
    }
    let kills = model.target().is_some_and(|name| model.world.restart(name).is_none());
    let marked = model.marks() > 0;
    match binding.action {
        Action::Cut if kills => "kill",
        Action::Restart if marked => "restart marked",
        Action::Stop if marked => "stop marked",
        Action::Start if marked => "start marked",
        Action::Stop if !kills && model.front.is_none() => "abort",
        _ => binding.hint.unwrap_or_default(),
    }
}

fn hinted_key(binding: &Binding<'_>) -> String {
    binding.keys.first().map(ToString::to_string).unwrap_or_default()
}

/// The bindings that the hint bar shows now, in its order.
pub fn hinted(model: &Model) -> impl Iterator<Item = Binding<'_>> {
    let bindings = model.keys.bindings(model.context());
    bindings.filter(|binding| binding.hint.is_some() && is_useful(model, binding.action))
}

fn is_useful(model: &Model, action: Action) -> bool {
    match action {
        Action::RetryNow => is_down(model),
        // What was is still read; there is little to do with it but to see how it came to that.
        Action::ShowEvents => is_down(model),
        Action::Filter | Action::Mark | Action::Command => !is_down(model),
        Action::Open if matches!(model.screen, Screen::History(_)) => {
            model.past.open.is_none() && model.past.selected().is_some()
        }
        Action::EndBatch => {
            model.batch.as_ref().is_some_and(|batch| !batch.is_ending && batch.rest().len() > 0)
        }
        Action::FindNext => !needle(model).is_empty(),
        Action::Open if model.screen == Screen::Events => {
            model.events.selected().is_some_and(|line| line.service.is_some())
        }
        Action::Open => model.is_live() && model.target().is_some(),
        Action::Extend | Action::Cut => {
            let drains = |name| !model.world.draining(name).is_empty();
            unavailable(model, action).is_none() && model.target().is_some_and(drains)
        }
        // It would be refused until what runs has ended.
        Action::Start if model.marks() == 0 && is_operated_on(model) => false,
        Action::LongerLimit | Action::ShorterLimit => {
            !matches!(&model.front, Some(Front::Question(one)) if is_refused(model, one))
        }
        _ => unavailable(model, action).is_none(),
    }
}

fn is_down(model: &Model) -> bool {
    matches!(model.freshness(), Freshness::Down { .. })
}

/// Whether an operation runs on the service that a command would be about.
fn is_operated_on(model: &Model) -> bool {
    model.target().and_then(|name| model.world.row(name)).is_some_and(|row| row.operation.is_some())
}

/// What is looked for on the screen.
fn needle(model: &Model) -> &str {
    match &model.screen {
        Screen::Events => &model.events.needle,
        Screen::Logs(_) => &model.logs.needle,
        Screen::History(_) => &model.past.needle,
        Screen::Overview | Screen::Service(_) => "",
    }
}
