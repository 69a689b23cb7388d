//! Random worlds, sizes and keys: no panic, and never a command for another than the one seen.

use std::time::Duration;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use smoothserve_protocol::id::{Generation, OperationId, ServiceName};
use smoothserve_protocol::message::{Done, Push, Refusal};
use smoothserve_protocol::snapshot::{Overview, ServiceState};
use smoothtool::effect::{Effect, Ticket};
use smoothtool::input::Key;
use smoothtool::keymap::TABLE;
use smoothtool::model::question::Level;
use smoothtool::model::{Front, Screen};
use smoothtool::msg::{Msg, Paste, Report};
use smoothtool::view::view;

use crate::behaviour::acted;
use crate::stage::Stage;
use crate::support::world;

/// Reproducible random numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }
}

fn overview(random: &mut Random) -> Overview {
    let mut overview = world::overview();
    overview.services.retain(|_| !random.one_in(25));
    for row in &mut overview.services {
        let states = [ServiceState::Failed, ServiceState::Degraded, ServiceState::Ready, row.state];
        row.state = *random.pick(&states);
        row.generation = Generation(13 + random.below(2));
        row.traffic.in_flight = random.below(1_000_000);
        if random.one_in(3) {
            row.operation = None;
        } else if let Some(operation) = &mut row.operation {
            operation.id = OperationId(17 + random.below(2));
        }
    }
    overview
}

fn key(random: &mut Random, stage: &Stage) -> Key {
    // Now and then what the open question asks for, so that it is answered.
    if let Some(Front::Question(question)) = &stage.model.front
        && random.one_in(2)
    {
        let answer = match &question.level {
            Level::Key => return Key::Char('y'),
            Level::Name(typed) => (question.service.to_string(), typed.len()),
            Level::Count(typed) => (question.size().to_string(), typed.len()),
        };
        let (answer, typed) = answer;
        return answer.chars().nth(typed).map_or(Key::Enter, Key::Char);
    }
    if stage.model.context() != stage.model.screen_context() && random.one_in(3) {
        return Key::Esc;
    }
    let letters = ['1', 'g', 'r', 'u', 'j', 'k', 'x', 'X', '+', ' ', '*', 'o', '\u{1b}'];
    if random.one_in(2) {
        return Key::Char(*random.pick(&letters));
    }
    let binding = random.pick(TABLE);
    *random.pick(binding.keys)
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happened {
    /// A frame went out.
    Sent,
    /// It arrived.
    Painted,
    /// A frame went out, arrived, and was read.
    Drawn,
    /// A key was pressed.
    Key,
    /// The daemon answered a command about one of several services.
    Answer,
    /// Something else.
    Else,
}

fn something(random: &mut Random, stage: &mut Stage) -> (Happened, Vec<Effect>) {
    match random.below(14) {
        // Much may happen while a frame is on its way.
        4..=5 => {
            stage.pass(random.below(300));
            (Happened::Sent, stage.tell(Msg::Sent))
        }
        6 => (Happened::Painted, stage.tell(Msg::Painted)),
        11..=13 => {
            stage.paint();
            stage.pass(200);
            (Happened::Drawn, Vec::new())
        }
        8..=9 => {
            let key = key(random, stage);
            (Happened::Key, stage.key(key))
        }
        10 => match &stage.model.batch {
            Some(batch) => {
                let ticket = batch.ticket;
                (Happened::Answer, stage.net(answer(random, ticket)))
            }
            None => (Happened::Else, Vec::new()),
        },
        other => (Happened::Else, news(other, random, stage)),
    }
}

fn answer(random: &mut Random, ticket: Ticket) -> Report {
    let result = match random.below(12) {
        0 => return Report::Unanswered { ticket },
        1 => Err(Refusal::NotRunning),
        _ => Ok(Done::AlreadySo),
    };
    Report::Answered { ticket, result }
}

fn news(what: u64, random: &mut Random, stage: &mut Stage) -> Vec<Effect> {
    match what {
        0 => stage.overview(overview(random)),
        1 => {
            let name = *random.pick(&["api", "www", "billing"]);
            let detail = (!random.one_in(4)).then(|| Box::new(world::detail(name)));
            stage.net(Report::Push(Push::Service(detail)))
        }
        2 if random.one_in(25) => {
            let why = "gone".to_owned();
            stage.net(Report::Down { why, failures: 1, retry_in: Duration::from_millis(250) })
        }
        2 => {
            stage.tell_plan(world::plan("search"));
            Vec::new()
        }
        3 if random.one_in(3) => stage.net(Report::Connected),
        3 if random.one_in(3) => {
            let line = *random.pick(&["ruy", "api", "restart www", "商\u{200b}é"]);
            stage.tell(Msg::Paste(Paste { characters: 99, line: line.to_owned() }))
        }
        _ => print(random, stage),
    }
}

/// A service prints something, or the daemon answers what it printed.
fn print(random: &mut Random, stage: &mut Stage) -> Vec<Effect> {
    let mut batch = world::logs();
    batch.missed = random.below(2);
    batch.lines.truncate(usize::try_from(random.below(12)).unwrap());
    for line in &mut batch.lines {
        line.unix_ms += random.below(5_000);
        line.bytes
            .extend("商\u{1b}[2J wide ".repeat(usize::try_from(random.below(40)).unwrap()).bytes());
    }
    match stage.model.logs.asked {
        Some((ticket, false)) => stage.net(Report::Logs { ticket, result: Ok(batch) }),
        Some((_, true)) | None => stage.net(Report::Push(Push::Logs(batch))),
    }
}

/// Whom a command may be about, for somebody who sees a frame of the model as it is.
fn seen(stage: &Stage) -> Vec<ServiceName> {
    let model = &stage.model;
    match (&model.front, &model.screen) {
        (Some(Front::Page(_)), _) => Vec::new(),
        _ if model.frozen.is_some() => Vec::new(),
        (Some(Front::Question(question)), _) => {
            question.subjects().into_iter().map(|subject| subject.service).collect()
        }
        (_, Screen::Service(name)) => vec![name.clone()],
        (_, Screen::Overview) if model.list.marks() > 0 => model.list.marked().cloned().collect(),
        (_, Screen::Overview) => model.selection.name().cloned().into_iter().collect(),
        (_, Screen::Events | Screen::Logs(_) | Screen::History(_)) => Vec::new(),
    }
}

/// How many times something is tried, unless the environment asks for more.
fn times(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// The seeds to try: one that is asked for, or the first few.
fn seeds(usual: u64) -> std::ops::RangeInclusive<u64> {
    match times("SMOOTH_SEED", 0) {
        0 => 1..=times("SMOOTH_SEEDS", usual),
        seed => seed..=seed,
    }
}

/// Says on the way out of a panic how to see it again.
struct Replay(String);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: {}", self.0);
        }
    }
}

#[test]
fn no_command_is_ever_about_another_than_the_one_seen() {
    let (mut commands, mut batches) = (0, 0);
    for seed in seeds(100) {
        let mut random = Random(seed);
        let mut stage = Stage::live();
        // As the operator sees it: what the last frame that arrived said.
        let _replay = Replay(format!("SMOOTH_SEED={seed}"));
        let (mut on_its_way, mut painted) = (None, seen(&stage));
        let mut agreed = Vec::new();
        for step in 0..2_000 {
            let had_batch = stage.model.batch.is_some();
            let (what, effects) = something(&mut random, &mut stage);
            if !had_batch && stage.model.batch.is_some() {
                agreed.clone_from(&painted);
                batches += 1;
            }
            // The next one of several is the daemon's answer's doing.
            let expected = if what == Happened::Answer { &agreed } else { &painted };
            for service in acted(&effects) {
                commands += 1;
                let place = format!("step {step}");
                assert_ne!(what, Happened::Else, "{place}: {service}, and nobody asked");
                assert!(expected.contains(service), "{place}: {service} not in {expected:?}");
            }
            match what {
                Happened::Sent => on_its_way = Some(seen(&stage)),
                Happened::Painted => painted = on_its_way.take().unwrap_or(painted),
                Happened::Drawn => (on_its_way, painted) = (None, seen(&stage)),
                Happened::Key | Happened::Answer | Happened::Else => {}
            }
        }
    }
    assert!(commands > 500, "only {commands}: the test tests nothing");
    assert!(batches > 20, "only {batches} batches");
}

#[test]
fn no_size_and_no_world_panics() {
    let frames = times("SMOOTH_FRAMES", 3_000);
    for seed in seeds(20) {
        let _replay = Replay(format!("SMOOTH_SEED={seed} SMOOTH_FRAMES={frames}"));
        let mut random = Random(seed);
        let mut stage = Stage::live();
        for frame in 0..frames / 20 {
            something(&mut random, &mut stage);
            let (width, height) = (random.below(301) as u16, random.below(101) as u16);
            let place = format!("frame {frame}, {width}x{height}");
            stage.tell(Msg::Resize { width, height });
            check_bounds(&stage, Rect::new(2, 1, width, height), &place);
        }
    }
}

/// Draws into a part of a larger buffer, and looks whether the rest of it is as it was.
fn check_bounds(stage: &Stage, area: Rect, place: &str) {
    let whole = Rect::new(0, 0, area.width + 4, area.height + 2);
    let mut buffer = Buffer::filled(whole, Cell::new("@"));
    for position in area.positions() {
        buffer[position].reset();
    }
    view(&stage.model, area, &mut buffer);
    for position in whole.positions().filter(|position| !area.contains(*position)) {
        assert_eq!(buffer[position], Cell::new("@"), "{place}: {position:?}");
    }
}

#[test]
fn every_small_size_is_drawn() {
    let ways = [
        "",
        "\r",
        "3",
        "3&a",
        "?",
        "?/re",
        "r",
        "x",
        "l",
        "lw/a",
        "h",
        "h\r",
        ":",
        ":re\t",
        ":why x\r",
        ":status\r",
    ];
    for keys in ways {
        let mut stage = Stage::live();
        stage.press(keys);
        stage.answer_page(world::status());
        stage.answer_logs(world::logs());
        stage.answer_receipts(world::past());
        for width in 0..90 {
            for height in 0..30 {
                stage.frame(width, height);
            }
        }
    }
}
