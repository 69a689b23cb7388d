//! The pure core: one message in, the model changed, the wanted effects out.

pub mod batch;
pub mod entry;
pub mod events;
pub mod help;
pub mod keep;
pub mod list;
pub mod logs;
pub mod mouse;
pub mod nav;
pub mod net;
pub mod ops;
pub mod page;
pub mod palette;
pub mod past;
pub mod paste;
pub mod plan;
pub mod sight;

use crate::action::Action;
use crate::effect::{Effect, Order};
use crate::input::Key;
use crate::keymap::Context;
use crate::model::clock::Moment;
use crate::model::conn::Freshness;
use crate::model::entry::Purpose;
use crate::model::{Dirty, Front, Model, Screen};
use crate::msg::Msg;
use crate::style::Background;

/// Takes in `msg`, which came at `now`.
pub fn update(model: &mut Model, msg: Msg, now: Moment) -> Vec<Effect> {
    let was_live = model.is_live();
    model.clock.now = now.max(model.clock.now);
    model.expire_toast();
    note_age(model, was_live);
    let mut effects = match msg {
        Msg::Key(key) => answer_key(model, key),
        Msg::Net(report) => net::report(model, *report),
        Msg::Paste(pasted) => {
            paste::take(model, &pasted);
            Vec::new()
        }
        Msg::Resize { width, height } => {
            if model.size != (width, height) {
                // The picture that was held still is not of this size.
                model.frozen = None;
            }
            model.size = (width, height);
            model.touch(Dirty::ByInput);
            Vec::new()
        }
        Msg::Click { column: _, row } => {
            mouse::click(model, row);
            Vec::new()
        }
        Msg::Wheel(turn) => {
            mouse::wheel(model, turn);
            Vec::new()
        }
        Msg::Sent => {
            model.dirty = Dirty::No;
            sight::sent(model);
            Vec::new()
        }
        Msg::Painted => {
            sight::painted(model);
            Vec::new()
        }
        Msg::Saved(result) => {
            keep::saved(model, result);
            Vec::new()
        }
        Msg::Pace(slowed) => {
            if slowed != model.slowed {
                model.slowed = slowed;
                model.touch(Dirty::ByData);
            }
            Vec::new()
        }
        Msg::Background(found) => {
            model.look.theme.found = found;
            model.touch(Dirty::ByData);
            Vec::new()
        }
        Msg::Counted(stats) => {
            page::counted(model, &stats);
            Vec::new()
        }
        Msg::Tick => Vec::new(),
    };
    effects.extend(net::refocus(model));
    effects.extend(logs::ask(model));
    effects.extend(past::ask(model));
    effects.extend(plan::ask(model));
    effects
}

/// What `key` does. What it says is no longer true, or no longer of interest, with the next one.
fn answer_key(model: &mut Model, key: Key) -> Vec<Effect> {
    model.forget_last_key();
    let before = model.toast.clone();
    let effects = press(model, key);
    if model.toast != before {
        model.toast_answers_key();
    }
    effects
}

fn press(model: &mut Model, key: Key) -> Vec<Effect> {
    let context = model.context();
    let is_text = match context {
        Context::TypedName => ops::type_name(model, key),
        Context::Palette => palette::edit(model, key),
        Context::Find => entry::type_letter(model, key),
        Context::Filter => list::type_filter(model, key),
        Context::HelpFind => help::edit(model, key),
        _ => false,
    };
    if is_text {
        return Vec::new();
    }
    match model.keys.find(context, key) {
        Some(action) => perform(model, action),
        None => Vec::new(),
    }
}

fn perform(model: &mut Model, action: Action) -> Vec<Effect> {
    match action {
        Action::Move(step) => nav::travel(model, step),
        Action::Open if matches!(model.screen, Screen::History(_)) => past::open(model),
        Action::Open if model.screen == Screen::Events => events::open(model),
        Action::Open | Action::ShowService => nav::open(model),
        Action::ShowHistory => nav::show_history(model),
        Action::ShowLogs => nav::show_logs(model),
        Action::Back => nav::back(model),
        Action::ShowOverview => nav::show_overview(model),
        Action::ShowEvents => nav::show_events(model),
        Action::ShowEventsOf => events::show_of(model),
        Action::Help => help::open(model),
        Action::Find | Action::Search if matches!(model.front, Some(Front::Help(_))) => {
            help::search(model, action);
        }
        Action::Find => entry::ask(model, Purpose::Find),
        Action::Match => entry::ask(model, Purpose::Match),
        Action::Search => entry::take(model),
        Action::Command => palette::open(model),
        Action::Complete(step) => palette::complete(model, step),
        Action::Recall(step) => palette::recall(model, step),
        Action::Run if matches!(model.front, Some(Front::Help(_))) => {
            let chosen = help::chosen(model);
            return chosen.map(|action| perform(model, action)).unwrap_or_default();
        }
        Action::Run => return palette::run(model),
        Action::Follow
        | Action::Level
        | Action::Instance
        | Action::OfService
        | Action::Wrap
        | Action::ScrollLeft
        | Action::ScrollRight
        | Action::FindNext
        | Action::FindPrevious => read(model, action),
        Action::Filter
        | Action::KeepFilter
        | Action::Sort
        | Action::ReverseSort
        | Action::Mark
        | Action::MarkAll => list::perform(model, action),
        Action::EndBatch => batch::end_after_this(model),
        Action::LongerLimit | Action::ShorterLimit => ops::change_limit(model, action),
        Action::Restart
        | Action::Stop
        | Action::Start
        | Action::Pause
        | Action::Cut
        | Action::Kill => return ops::command(model, action),
        Action::Copy => return keep::copy(model, false),
        Action::CopyAll => return keep::copy(model, true),
        Action::Save => return vec![Effect::Save],
        Action::Freeze => keep::freeze(model),
        Action::Extend => return ops::extend(model),
        Action::Confirm => return ops::confirm(model),
        Action::RetryNow => return retry(model),
        Action::Mouse => return mouse::toggle(model),
        Action::Redraw => return vec![Effect::Redraw],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Quit if batch::warns_of_quit(model) => {}
        Action::Quit => return vec![Effect::Quit],
        Action::Theme => choose_theme(model, model.look.theme.next().chosen),
        Action::AcknowledgeLost => {
            model.lost_noted = model.world.lost();
            model.touch(Dirty::ByInput);
        }
    }
    Vec::new()
}

/// What is done to the lines that are on the screen.
fn read(model: &mut Model, action: Action) {
    match model.screen {
        Screen::Events => events::perform(model, action),
        Screen::History(_) => past::perform(model, action),
        Screen::Logs(_) => logs::perform(model, action),
        Screen::Overview | Screen::Service(_) => {}
    }
    model.touch(Dirty::ByInput);
}

fn retry(model: &Model) -> Vec<Effect> {
    match model.freshness() {
        Freshness::Down { .. } => vec![Order::RetryNow.into()],
        Freshness::Connecting | Freshness::Live | Freshness::Silent { .. } => Vec::new(),
    }
}

/// Colours for this background; none: for the one that the terminal has.
fn choose_theme(model: &mut Model, chosen: Option<Background>) {
    model.look.theme.chosen = chosen;
    let theme = model.look.theme;
    let background = theme.background().name();
    let text = match theme.chosen {
        _ if !theme.colour => "theme: without colours, there is none to choose".to_owned(),
        Some(_) => format!("theme: {background}"),
        None => format!("theme: auto ({background})"),
    };
    model.say(text, false);
}

/// What is shown about the age of the data changes by itself, a second at a time.
fn note_age(model: &mut Model, was_live: bool) {
    if was_live && !model.is_live() {
        model.touch(Dirty::ByInput);
    } else if !was_live && model.connection.next_change(model.clock.now).is_some() {
        model.touch(Dirty::ByData);
    }
}
