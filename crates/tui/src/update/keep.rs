//! Taking something away from the screen: a copy, a file, or the screen itself, held still.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::cli::{human, json};
use crate::effect::Effect;
use crate::export;
use crate::fmt::{self, count};
use crate::model::events::Line;
use crate::model::{Dirty, Front, Frozen, Model, Screen};
use crate::term::clip::LONGEST;
use crate::view;

/// Gives what the cursor is on to the clipboard; with `all`, more of it.
pub fn copy(model: &mut Model, all: bool) -> Vec<Effect> {
    let (what, mut text) = match copied(model, all) {
        Ok((_, text)) if text.is_empty() => {
            model.say("nothing to copy here".to_owned(), true);
            return Vec::new();
        }
        Ok(copied) => copied,
        Err(why) => {
            model.say(why.to_owned(), true);
            return Vec::new();
        }
    };
    let way = model.clipboard.name();
    let whole = text.len();
    if whole > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        let (kept, whole) = (count(text.len() as u64), count(whole as u64));
        model.say(format!("copied the first {kept} of {whole} bytes by {way}"), true);
    } else {
        model.say(format!("copied {what} by {way}"), false);
    }
    vec![Effect::Copy(text)]
}

/// What it is, and the text; or why there is none.
fn copied(model: &Model, all: bool) -> Result<(String, String), &'static str> {
    if let Some(frozen) = &model.frozen {
        return Ok(("the screen".to_owned(), export::text(&frozen.picture)));
    }
    if let Some(Front::Page(page)) = &model.front {
        let text = page.text().iter().map(|line| line.clone() + "\n").collect();
        return Ok((page.title.clone(), text));
    }
    match &model.screen {
        Screen::Overview | Screen::Service(_) => {
            let name = model.target().ok_or("no service selected")?;
            if !all {
                return Ok((name.to_string(), name.to_string()));
            }
            let detail = model.world.detail(name).ok_or("asking the daemon: press again")?;
            Ok((format!("{name} as JSON"), json::service(detail)))
        }
        Screen::Events => {
            let last = model.events.index();
            let range = if all { 0..model.events.shown() } else { last..last + 1 };
            let text = |line: &Line| {
                let time = model.clock.day_text(line.unix_ms);
                format!("{time}  {}  {}\n", line.subject, line.text)
            };
            let lines: Vec<String> =
                range.filter_map(|index| model.events.at(index)).map(text).collect();
            Ok((fmt::plural(lines.len() as u64, "line"), lines.concat()))
        }
        Screen::Logs(_) => {
            let rows = if all { usize::MAX } else { view::logs::rows(model) };
            let lines = model.logs.window(rows, view::logs::height(model));
            let text: String = lines.iter().map(|(_, line)| line.text.clone() + "\n").collect();
            Ok((fmt::plural(lines.len() as u64, "line"), text))
        }
        Screen::History(_) => {
            let receipt = model.past.selected().ok_or("no receipt selected")?;
            let what = format!("the receipt of {}", receipt.operation);
            let text = match (all, model.past.open) {
                (true, _) => json::receipt("history", receipt),
                (false, Some(_)) => human::whole_receipt(receipt, model.clock.zone()),
                (false, None) => human::receipt(receipt),
            };
            Ok((what, anstream::adapter::strip_str(&text).to_string()))
        }
    }
}

/// Holds the picture still, or lets it go on.
pub fn freeze(model: &mut Model) {
    if model.frozen.take().is_none() {
        let (width, height) = model.size;
        let area = Rect::new(0, 0, width, height);
        let mut picture = Buffer::empty(area);
        view::view(model, area, &mut picture);
        let unix_ms = model.clock.unix_ms();
        model.frozen = Some(Box::new(Frozen { picture, unix_ms }));
    }
    model.touch(Dirty::ByInput);
}

/// The screen was written to files, or could not be.
pub fn saved(model: &mut Model, result: Result<String, String>) {
    match result {
        Ok(stem) => model.say(format!("saved {stem}.txt and {stem}.ansi"), false),
        Err(why) => model.say(format!("could not save the screen: {why}"), true),
    }
}
