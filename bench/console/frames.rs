//! The core of the console without a terminal, in front of the largest world: row 11.

use std::io;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use smoothserve_protocol::message::Push;
use smoothserve_protocol::snapshot::Overview;
use smoothtool::client::Target;
use smoothtool::input::Key;
use smoothtool::model::Model;
use smoothtool::model::clock::Moment;
use smoothtool::msg::{Msg, Report};
use smoothtool::runtime;
use smoothtool::term::caps::{GlyphChoice, look};
use smoothtool::term::paint::Painter;
use smoothtool::update::update;
use smoothtool::view::view;

use crate::Extent;
use crate::table::{Table, Times, millis};
use crate::world::{LARGE, Mood, Tenth};

const FRAME_BAR: Duration = Duration::from_millis(4);
const APPLY_BAR: Duration = Duration::from_millis(2);
const FILTER_BAR: Duration = Duration::from_millis(16);

/// A console that has heard everything once.
struct Desk {
    model: Model,
    painter: Painter<io::Sink>,
    now: u64,
    /// The overview as it was last told.
    told: Option<Overview>,
}

impl Desk {
    fn new(width: u16, height: u16) -> anyhow::Result<Self> {
        let look = look(GlyphChoice::Unicode, |name| {
            (name == "TERM").then(|| "xterm-256color".to_owned())
        });
        let target = Target {
            addr: "127.0.0.1:8000".to_owned(),
            token_file: "token".into(),
            actor: "bench@here".to_owned(),
            read_only: false,
        };
        let model = runtime::new_model(&target, look);
        let mut desk = Self { model, painter: Painter::new(view, io::sink()), now: 0, told: None };
        desk.tell(Msg::Resize { width, height });
        desk.net(Report::Connected);
        for at in 0..60 {
            desk.hear(at * 10);
            desk.now += 1_000;
        }
        desk.net(Report::Push(Push::Events(LARGE.events(0, 500))));
        desk.paint()?;
        Ok(desk)
    }

    fn tell(&mut self, msg: Msg) {
        // What it asks of the daemon is not the matter here.
        drop(update(&mut self.model, msg, Moment(self.now)));
    }

    fn net(&mut self, report: Report) {
        self.tell(Msg::Net(Box::new(report)));
    }

    /// Takes in all that the daemon says at this moment, and says how long that took.
    fn hear(&mut self, at: Tenth) -> Duration {
        let overview = LARGE.overview(Mood::Everything, at);
        let moved = self.told.as_ref().and_then(|told| overview.moved_since(told));
        self.told = Some(overview.clone());
        let focus = self.model.focus.clone();
        let detail = focus.map(|name| LARGE.detail(name.as_str(), Mood::Everything, at));
        let began = thread_time();
        self.net(Report::Push(moved.map_or(Push::Overview(overview), Push::OverviewMoved)));
        if let Some(detail) = detail {
            self.net(Report::Push(Push::Service(detail)));
        }
        thread_time() - began
    }

    fn paint(&mut self) -> anyhow::Result<Duration> {
        let began = thread_time();
        self.painter.paint(&self.model)?;
        let took = thread_time() - began;
        self.tell(Msg::Sent);
        self.tell(Msg::Painted);
        Ok(took)
    }

    fn key(&mut self, key: Key) -> anyhow::Result<Duration> {
        let began = thread_time();
        self.tell(Msg::Key(key));
        let took = thread_time() - began;
        Ok(took + self.paint()?)
    }
}

/// Processor time of this thread: what other programs take of the machine is not in it.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

pub(crate) fn measure(extent: &Extent) -> anyhow::Result<Table> {
    let mut table = Table::default();
    let times = extent.times(2_000, 300);
    for (what, width, height) in
        [("500x16: build and diff, 120x40, 99th", 120, 40), ("the same, 200x60", 200, 60)]
    {
        let mut desk = Desk::new(width, height)?;
        let (mut frames, mut applied) = (Vec::new(), Vec::new());
        for at in 0..times as u64 {
            desk.now += 1_000;
            applied.push(desk.hear(600 + at));
            frames.push(desk.paint()?);
        }
        let (frames, applied) = (Times::of(frames), Times::of(applied));
        table.time((11, what), frames.percentile(99), FRAME_BAR);
        table.note((11, "the same, median"), &millis(frames.median()));
        if width == 120 {
            table.time((11, "500x16: apply a second, 99th"), applied.percentile(99), APPLY_BAR);
            table.note((11, "the same, median"), &millis(applied.median()));
        }
    }
    filter(&mut table, extent)?;
    Ok(table)
}

/// The slowest of the keys of a filter.
fn filter(table: &mut Table, extent: &Extent) -> anyhow::Result<()> {
    let mut desk = Desk::new(120, 40)?;
    let mut slowest = Duration::ZERO;
    for _ in 0..extent.times(50, 10) {
        desk.now += 1_000;
        for key in "/service-49".chars() {
            slowest = slowest.max(desk.key(Key::Char(key))?);
        }
        anyhow::ensure!(desk.model.list.shown().len() == 10, "nothing is filtered");
        desk.key(Key::Esc)?;
    }
    table.time((11, "500x16: a key of the filter, longest"), slowest, FILTER_BAR);
    Ok(())
}
