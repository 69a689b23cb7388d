//! The question before a command: a box in the middle, and the keys that answer it. What it says is
//! [`super::consequences`].

use ratatui::layout::Rect;

use super::consequences::{lines, title};
use crate::model::Model;
use crate::model::limit;
use crate::model::question::{Level, Question, Verb};
use crate::style::Role;
use crate::update::ops::is_refused;
use crate::widgets::rows::columns;
use crate::widgets::{Canvas, Pen};

/// The width of the box, its sides included.
const WIDTH: u16 = 60;
/// Blank columns inside either side.
const MARGIN: u16 = 2;

/// One row inside the box.
pub enum Line {
    /// Nothing.
    Blank,
    /// Something to know.
    Text(String),
    /// Something to think of first.
    Warning(String),
    /// The command that does the same.
    Command(String),
    /// The name or the number, as far as it is typed.
    Typed(String),
    /// What can be answered.
    Buttons,
}

/// Draws the box in the middle of `area`, never beyond it.
pub fn draw(model: &Model, question: &Question, canvas: &mut Canvas<'_>, area: Rect) {
    // The hints stay in sight.
    let room = area.height.saturating_sub(1);
    let width = WIDTH.min(area.width);
    let lines = wrapped(lines(model, question), width.saturating_sub(2 * (1 + MARGIN)));
    let lines = fitting(lines, usize::from(room.saturating_sub(2)));
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let height = rows.min(room);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + ((area.height - height) / 2).min(10),
        width,
        height,
    };
    let refused = is_refused(model, question);
    canvas.clear(place);
    let (title, name) = (title(model, question), question.service.as_str());
    canvas.pen(place, 0).to(1).say_about(&title, name, Role::Strong);
    for (row, line) in (1..height.saturating_sub(1)).zip(&lines) {
        let mut pen = canvas.pen(place, row);
        let side = pen.look().glyphs.side;
        pen.say(side, Role::Quiet);
        draw_line(question, line, refused, &mut pen);
        let mut pen = canvas.pen(place, row);
        pen.to(width.saturating_sub(1)).say(side, Role::Quiet);
    }
    let mut pen = canvas.pen(place, height.saturating_sub(1));
    let rule = pen.look().glyphs.rule.repeat(usize::from(width));
    pen.say(&rule, Role::Quiet);
}

/// The lines that are worth it when there is room for `room` only.
fn fitting(mut lines: Vec<Line>, room: usize) -> Vec<Line> {
    if lines.len() > room {
        lines.retain(|line| !matches!(line, Line::Blank));
    }
    // It teaches; and half a command is another command.
    if lines.len() > room {
        lines.retain(|line| !matches!(line, Line::Command(_)));
    }
    // The first lines are the consequences, and the answer must be in sight.
    while lines.len() > room.max(3) {
        let Some(last) = lines.iter().rposition(|line| matches!(line, Line::Text(_))) else {
            break;
        };
        lines.remove(last);
    }
    lines
}

/// `lines`, with those of text that are too long for `width` columns in several.
fn wrapped(lines: Vec<Line>, width: u16) -> Vec<Line> {
    let wrap = |line| match line {
        Line::Text(text) => in_lines(&text, width).into_iter().map(Line::Text).collect(),
        Line::Command(text) => {
            let lines = in_lines(&text, width);
            let fits = lines.iter().all(|line| columns(line) <= width);
            if fits { lines.into_iter().map(Line::Command).collect() } else { Vec::new() }
        }
        Line::Warning(text) => in_lines(&text, width).into_iter().map(Line::Warning).collect(),
        other => vec![other],
    };
    lines.into_iter().flat_map(wrap).collect()
}

/// `text` in lines, as many words in each as fit.
fn in_lines(text: &str, width: u16) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(last) if columns(last) + 1 + columns(word) <= width => {
                last.push(' ');
                last.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
}

fn draw_line(question: &Question, line: &Line, refused: bool, pen: &mut Pen<'_>) {
    pen.skip(MARGIN);
    let room = pen.room().saturating_sub(1 + MARGIN);
    match line {
        Line::Blank => {}
        Line::Text(text) | Line::Command(text) => {
            pen.left(room, text, Role::Plain);
        }
        Line::Warning(text) => {
            pen.left(room, text, Role::Moving);
        }
        Line::Typed(typed) => {
            let asks = match question.level {
                Level::Key | Level::Name(_) => "type the name to confirm  ",
                Level::Count(_) => "type how many to confirm  ",
            };
            pen.say(asks, Role::Plain);
            let room = room.saturating_sub(columns(asks));
            pen.left(room, &format!("{typed}_"), Role::Strong);
        }
        Line::Buttons if refused => {
            pen.say("[ Cancel ]", Role::Button).skip(MARGIN);
            pen.say(&format!("{}  (would be refused)", question.verb.word()), Role::Quiet);
        }
        Line::Buttons => buttons(question, pen),
    }
}

fn buttons(question: &Question, pen: &mut Pen<'_>) {
    let is_wide = pen.room() > WIDTH / 2 + 12;
    let (margin, gap) = if is_wide { (2, 6) } else { (0, 2) };
    pen.skip(margin);
    let verb = question.verb.word();
    let what = match &question.level {
        Level::Key => {
            pen.say("[ Cancel ]", Role::Button).skip(gap);
            pen.say(&format!("y {verb}"), Role::Plain).skip(gap);
            if question.verb == Verb::Restart {
                drain_limit(question, is_wide, pen);
            }
            return;
        }
        Level::Name(_) => "name",
        Level::Count(_) => "number",
    };
    if question.is_matched() {
        pen.say("  Cancel  ", Role::Plain).skip(gap);
        pen.say(&format!("[ {verb} ]"), Role::Button);
    } else {
        let what =
            if is_wide { format!("{what} does not match yet") } else { "not yet".to_owned() };
        pen.say("[ Cancel ]", Role::Button).skip(gap);
        pen.say(&format!("{verb}  ({what})"), Role::Quiet);
    }
}

/// The drain limit between the keys that change it.
fn drain_limit(question: &Question, is_wide: bool, pen: &mut Pen<'_>) {
    let role = if question.limit.wanted().is_some() { Role::Strong } else { Role::Plain };
    let limit = question.limit.effective().map(limit::text);
    let limit = limit.unwrap_or_else(|| "its own".to_owned());
    let word = if is_wide { " limit" } else { "" };
    pen.say("- ", Role::Plain).say(&format!("{limit}{word}"), role).say(" +", Role::Plain);
}
