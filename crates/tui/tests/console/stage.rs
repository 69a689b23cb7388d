//! A model to act on, and the frames it gives.

use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use smoothserve_protocol::log::LogBatch;
use smoothserve_protocol::message::{Done, Push};
use smoothserve_protocol::plan::RestartPlan;
use smoothserve_protocol::snapshot::{Overview, Receipt};
use smoothtool::console::{GlyphChoice, text};
use smoothtool::effect::Effect;
use smoothtool::input::Key;
use smoothtool::model::clock::{Clock, Moment};
use smoothtool::model::page::{Content, Page};
use smoothtool::model::question::Plan;
use smoothtool::model::{Front, Model};
use smoothtool::msg::{Msg, Report};
use smoothtool::term::caps;
use smoothtool::update::update;
use smoothtool::view::view;

use crate::support::world;

/// A console in front of the fixed world.
pub(crate) struct Stage {
    pub(crate) model: Model,
    pub(crate) now: Moment,
}

impl Stage {
    /// Nothing heard yet.
    pub(crate) fn empty() -> Self {
        Self::with(&[("LANG", "C.UTF-8"), ("TERM", "xterm")], false)
    }

    /// Nothing heard yet, in this environment.
    pub(crate) fn with(env: &[(&str, &str)], read_only: bool) -> Self {
        let read = |name: &str| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        let look = caps::look(GlyphChoice::Auto, read);
        let clock = Clock::new(TimeZone::UTC, world::NOON);
        Self { model: Model::new("127.0.0.1:8000", read_only, look, clock), now: Moment(1_000) }
    }

    /// Connected, and everything heard and painted.
    pub(crate) fn live() -> Self {
        Self::empty().connected()
    }

    pub(crate) fn connected(mut self) -> Self {
        self.net(Report::Connected);
        self.overview(world::overview());
        self.net(Report::History(world::events()));
        self.detail();
        self.paint();
        self
    }

    pub(crate) fn tell(&mut self, msg: Msg) -> Vec<Effect> {
        update(&mut self.model, msg, self.now)
    }

    pub(crate) fn net(&mut self, report: Report) -> Vec<Effect> {
        self.tell(Msg::Net(Box::new(report)))
    }

    pub(crate) fn overview(&mut self, overview: Overview) -> Vec<Effect> {
        self.net(Report::Push(Push::Overview(overview)))
    }

    /// The detail of what is focused.
    pub(crate) fn detail(&mut self) {
        if let Some(focus) = self.model.focus.clone() {
            let detail = world::detail(focus.as_str());
            self.net(Report::Push(Push::Service(Some(Box::new(detail)))));
        }
    }

    /// The answer to the last question about what a service printed, if there is one.
    pub(crate) fn answer_logs(&mut self, batch: LogBatch) {
        if let Some((ticket, false)) = self.model.logs.asked {
            self.net(Report::Logs { ticket, result: Ok(batch) });
            self.paint();
        }
    }

    /// The answer to the question what a restart would do, if there is one; it is read.
    pub(crate) fn answer_plan(&mut self, plan: RestartPlan) {
        self.tell_plan(plan);
        self.paint();
        self.pass(200);
    }

    /// The same, before anything is painted.
    pub(crate) fn tell_plan(&mut self, plan: RestartPlan) {
        if let Some(Front::Question(question)) = &self.model.front
            && let Plan::Asked(ticket) = question.plan
        {
            self.net(Report::Plan { ticket, plan: Box::new(plan) });
        }
    }

    /// The answer to the last question about past restarts, if there is one.
    pub(crate) fn answer_receipts(&mut self, receipts: Vec<Receipt>) {
        if let Some((ticket, false)) = self.model.past.asked {
            self.net(Report::Receipts { ticket, result: Ok(receipts) });
            self.paint();
        }
    }

    /// What a service printed comes by itself.
    pub(crate) fn print(&mut self, batch: LogBatch) {
        self.net(Report::Push(Push::Logs(batch)));
    }

    /// The answer to the question that the open page waits for, if it waits for one.
    pub(crate) fn answer_page(&mut self, done: Done) {
        if let Some(Front::Page(Page { content: Content::Awaited(ticket, _), .. })) =
            self.model.front
        {
            self.net(Report::Answered { ticket, result: Ok(done) });
            self.paint();
        }
    }

    pub(crate) fn key(&mut self, key: Key) -> Vec<Effect> {
        self.tell(Msg::Key(key))
    }

    pub(crate) fn paint(&mut self) {
        self.tell(Msg::Sent);
        self.tell(Msg::Painted);
    }

    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = self.now.plus(millis);
        self.tell(Msg::Tick);
    }

    /// Presses keys as a person does: each after the frame before it was painted and read.
    pub(crate) fn press(&mut self, keys: &str) -> Vec<Effect> {
        let mut effects = Vec::new();
        for c in keys.chars() {
            let key = match c {
                '\r' => Key::Enter,
                '\u{1b}' => Key::Esc,
                '\t' => Key::Tab,
                c => Key::Char(c),
            };
            effects.extend(self.key(key));
            self.paint();
            self.pass(200);
        }
        effects
    }

    /// Puts the cursor on `name`, as a person does.
    pub(crate) fn select(&mut self, name: &str) {
        self.press("g");
        for _ in 0..self.model.world.rows().len() {
            if self.model.selection.name().is_some_and(|n| n.as_str() == name) {
                self.detail();
                return;
            }
            self.press("j");
        }
        panic!("{name} is not in the list");
    }

    /// Types a command into the palette, and gives it.
    pub(crate) fn give(&mut self, line: &str) -> Vec<Effect> {
        self.write(&format!(":{line}"));
        self.press("\r")
    }

    /// Types faster than the daemon speaks.
    pub(crate) fn write(&mut self, text: &str) {
        for c in text.chars() {
            self.key(Key::Char(c));
        }
        self.paint();
    }

    pub(crate) fn frame(&mut self, width: u16, height: u16) -> Buffer {
        self.tell(Msg::Resize { width, height });
        let area = Rect::new(0, 0, width, height);
        let mut buffer = Buffer::empty(area);
        view(&self.model, area, &mut buffer);
        buffer
    }

    pub(crate) fn text(&mut self, width: u16, height: u16) -> String {
        text(&self.frame(width, height))
    }
}

/// The frame as text, and below it one letter of style a cell, where that is not plain.
pub(crate) fn both(buffer: &Buffer) -> String {
    format!("{}{}\n{}", text(buffer), "=".repeat(usize::from(buffer.area.width)), styles(buffer))
}

fn styles(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width).max(1);
    let mut grid = String::new();
    for row in buffer.content.chunks(width) {
        let line: String = row
            .iter()
            .map(|cell| match (cell.fg, cell.modifier) {
                (Color::Red, _) => 'R',
                (Color::Green, _) => 'G',
                (Color::Yellow, _) => 'Y',
                (Color::Magenta, _) => 'M',
                (Color::Cyan, _) => 'C',
                (Color::Blue, _) => 'B',
                // Of what a service printed in the brighter colours.
                (Color::LightRed, _) => 'r',
                (Color::LightGreen, _) => 'g',
                (Color::LightYellow, _) => 'y',
                (Color::LightCyan, _) => 'c',
                (Color::LightBlue, _) => 'l',
                (Color::LightMagenta, _) => 'm',
                (_, modifier) if modifier.contains(Modifier::REVERSED) => 'v',
                (_, modifier) if modifier.contains(Modifier::BOLD) => 'b',
                (_, modifier) if modifier.contains(Modifier::DIM) => 'd',
                _ => ' ',
            })
            .collect();
        grid.push_str(line.trim_end());
        grid.push('\n');
    }
    grid
}
