//! The palette: a line is typed, completed, recalled and done, by the rules that hold for keys.

use smoothserve_protocol::id::{OperationId, ServiceName};
use smoothserve_protocol::message::{Refusal, Steer};
use smoothserve_protocol::snapshot::ServiceState;

use super::{help, nav, ops, page};
use crate::action::Step;
use crate::cli::phrase::{self, Known, Phrase};
use crate::cli::{Awaited, Printer, Selection};
use crate::effect::Effect;
use crate::input::Key;
use crate::keys::listing;
use crate::model::find::Pattern;
use crate::model::logs::Filter;
use crate::model::page::{Asked, Page};
use crate::model::palette::{Palette, remember};
use crate::model::question::{Terms, Verb};
use crate::model::{Dirty, Front, Model};
use crate::words;

/// What comes of a line: what is to be done, or why nothing is.
type Outcome = Result<Vec<Effect>, String>;

/// Asks for a command.
pub fn open(model: &mut Model) {
    model.front = Some(Front::Palette(Palette::default()));
    look_up(model);
}

/// A key of the line. Says whether `key` was one.
pub fn edit(model: &mut Model, key: Key) -> bool {
    let Some(Front::Palette(palette)) = &mut model.front else { return false };
    if !palette.line.edit(key) {
        return false;
    }
    palette.problem = None;
    look_up(model);
    true
}

/// Text that was pasted goes where the cursor is.
pub fn insert(model: &mut Model, text: &str) {
    let Some(Front::Palette(palette)) = &mut model.front else { return };
    palette.line.insert(text);
    palette.problem = None;
    look_up(model);
}

/// To the next word that fits, or the one before.
pub fn complete(model: &mut Model, step: Step) {
    let Some(Front::Palette(palette)) = &mut model.front else { return };
    palette.complete(step != Step::Up);
    if palette.choices.words.len() == 1 {
        // The word is complete, and the next one is another.
        look_up(model);
    }
    model.touch(Dirty::ByInput);
}

/// To an older line, or a newer one.
pub fn recall(model: &mut Model, step: Step) {
    let Some(Front::Palette(palette)) = &mut model.front else { return };
    palette.recall(&model.typed_before, step == Step::Up);
    look_up(model);
}

/// Does what was typed; if that cannot be done, the line stays, with the reason.
pub fn run(model: &mut Model) -> Vec<Effect> {
    let Some(Front::Palette(mut palette)) = model.front.take() else { return Vec::new() };
    model.touch(Dirty::ByInput);
    let line = palette.line.text().trim().to_owned();
    if line.is_empty() {
        return Vec::new();
    }
    match phrase::parse(&line).and_then(|phrase| perform(model, &line, phrase)) {
        Ok(mut effects) => {
            remember(&mut model.typed_before, &line);
            effects.push(Effect::Remember(line));
            effects
        }
        Err(problem) => {
            palette.problem = Some(problem);
            model.front = Some(Front::Palette(palette));
            Vec::new()
        }
    }
}

fn perform(model: &mut Model, line: &str, phrase: Phrase) -> Outcome {
    match phrase {
        Phrase::Start(whom) => return command(model, Verb::Start, &whom, Terms::default()),
        Phrase::Stop(whom, terms) => return command(model, Verb::Stop, &whom, terms),
        Phrase::Kill(whom) => return command(model, Verb::Kill, &whom, Terms::default()),
        Phrase::Restart(whom, terms) => return command(model, Verb::Restart, &whom, terms),
        Phrase::Steer(what, guard, steer) => return steered(model, &what, guard, steer),
        Phrase::Plan(whom) => {
            let service = only(model, &whom)?;
            return page::ask(model, line, Asked::Plan(service));
        }
        Phrase::Ask(asked) => return ask(model, line, asked),
        Phrase::Events => nav::show_events(model),
        Phrase::History(service) => {
            service.iter().try_for_each(|name| known(model, name))?;
            nav::show_history_of(model, service);
        }
        Phrase::Logs(printer, pattern) => logs(model, printer, pattern)?,
        Phrase::Watch(what) => {
            let service = about(model, &what)?;
            nav::show_service(model, service);
        }
        Phrase::Say(text) => model.front = Some(Front::Page(Page::of_text(line, &text))),
        Phrase::Help => help::open(model),
        Phrase::Keys => model.front = Some(Front::Page(Page::of_text(line, &listing(&model.keys)))),
        Phrase::Theme(chosen) => super::choose_theme(model, chosen),
        Phrase::Stats => return Ok(vec![Effect::Count]),
        Phrase::Quit => return Ok(vec![Effect::Quit]),
    }
    Ok(Vec::new())
}

/// Questions about services that do not exist are not asked; those that change something need what
/// every command needs.
fn ask(model: &mut Model, line: &str, asked: Asked) -> Outcome {
    match &asked {
        Asked::Why(name) | Asked::Plan(name) => known(model, name)?,
        Asked::Status { names, .. } => names.iter().try_for_each(|name| known(model, name))?,
        Asked::Receipts { service, .. } => {
            service.iter().try_for_each(|name| known(model, name))?;
        }
        Asked::Reload { plan: false } => allowed(model)?,
        Asked::Reload { plan: true } => {}
    }
    page::ask(model, line, asked)
}

/// Another course for a restart; only what asks on a key asks here.
fn steered(model: &mut Model, what: &Awaited, guard: Option<OperationId>, steer: Steer) -> Outcome {
    allowed(model)?;
    let service = about(model, what)?;
    let running = model.world.restart(&service);
    let Some(operation) = running else {
        return Err(format!("{service}: {}", ops::Unavailable::NoRestart));
    };
    if let Some(guard) = guard.filter(|guard| *guard != operation) {
        return Err(format!("{service}: {operation} runs, not {guard}"));
    }
    if let Steer::Extend { by_ms } = steer {
        return Ok(vec![ops::extend_by(model, service, running, by_ms)]);
    }
    Ok(ops::ask(model, Verb::Steer(steer), &[service], Terms::default()))
}

/// What a service prints; a name that no service has may be the name of an instance.
fn logs(model: &mut Model, printer: Printer, grep: Option<String>) -> Result<(), String> {
    let pattern = grep.map(|typed| Pattern::new(&typed)).transpose();
    let pattern = pattern.map_err(|why| format!("`--grep`: {why}"))?;
    let names: Vec<_> = model.world.rows().iter().map(|row| row.name.clone()).collect();
    let Printer { service, slot } = match printer.slot {
        None if !names.contains(&printer.service) => {
            Printer::of_instance(printer.service.as_str(), &names).unwrap_or(printer)
        }
        _ => printer,
    };
    known(model, &service)?;
    nav::show_logs_of(model, service);
    model.logs.set_filter(Filter { slot, pattern, ..Filter::default() });
    Ok(())
}

/// A command about one service or several, as the keys give it: what asks there asks here.
fn command(model: &mut Model, verb: Verb, whom: &Selection, terms: Terms) -> Outcome {
    allowed(model)?;
    let mut services = named(model, whom)?;
    if verb == Verb::Restart && *whom == Selection::All {
        // As on the command line: those that are stopped stay so.
        services.retain(|name| {
            model.world.row(name).is_some_and(|row| row.state != ServiceState::Stopped)
        });
    }
    if let (Verb::Restart, [only]) = (verb, &services[..])
        && let Some(why) = ops::busy(model, only)
    {
        return Err(format!("{only}: {why}"));
    }
    match services.len() {
        0 => Err("there is no such service".to_owned()),
        1 => Ok(ops::ask(model, verb, &services, terms)),
        _ if verb == Verb::Kill => Err("one service at a time: name the one you mean".to_owned()),
        _ if model.batch.is_some() => Err(ops::Unavailable::BatchRuns.to_string()),
        _ => Ok(ops::ask(model, verb, &services, terms)),
    }
}

fn allowed(model: &Model) -> Result<(), String> {
    ops::off(model).map_or(Ok(()), |why| Err(why.to_string()))
}

/// The services that are meant, of which there must be one.
fn only(model: &Model, whom: &Selection) -> Result<ServiceName, String> {
    match named(model, whom)?.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err("one service at a time: name the one you mean".to_owned()),
    }
}

/// The services that are meant, all of them known.
fn named(model: &Model, whom: &Selection) -> Result<Vec<ServiceName>, String> {
    match whom {
        Selection::Named(names) => {
            names.iter().try_for_each(|name| known(model, name))?;
            Ok(names.clone())
        }
        Selection::All | Selection::Unnamed => {
            Ok(model.world.rows().iter().map(|row| row.name.clone()).collect())
        }
    }
}

/// The service that is meant by its name, or by what runs on it.
fn about(model: &Model, what: &Awaited) -> Result<ServiceName, String> {
    match what {
        Awaited::Service(name) => known(model, name).map(|()| name.clone()),
        Awaited::Operation(id) => {
            let mut rows = model.world.rows().iter();
            let row = rows.find(|row| row.operation.is_some_and(|one| one.id == *id));
            row.map(|row| row.name.clone()).ok_or_else(|| format!("no operation {id} runs"))
        }
    }
}

/// Refuses a name that no service has, as the daemon would.
fn known(model: &Model, name: &ServiceName) -> Result<(), String> {
    if model.world.row(name).is_some() {
        return Ok(());
    }
    let known = model.world.rows().iter().map(|row| row.name.clone()).collect();
    let refusal = Refusal::UnknownService { name: name.clone(), known };
    Err(words::refusal(Some(name), &refusal).what)
}

/// What fits at the cursor now.
fn look_up(model: &mut Model) {
    let rows = model.world.rows();
    let known = Known {
        services: rows.iter().map(|row| (row.name.clone(), row.pips.len())).collect(),
        operations: rows.iter().filter_map(|row| Some(row.operation?.id)).collect(),
    };
    if let Some(Front::Palette(palette)) = &mut model.front {
        palette.choices = phrase::complete(palette.line.before(), &known);
    }
    model.touch(Dirty::ByInput);
}
