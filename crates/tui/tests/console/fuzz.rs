//! Random worlds, sizes and keys: no panic, and never a command for another than the one seen.

use std::time::Duration;

use smoothserve_protocol::id::{Generation, OperationId, ServiceName};
use smoothserve_protocol::message::Push;
use smoothserve_protocol::snapshot::{Overview, ServiceState};
use smoothtool::effect::Effect;
use smoothtool::input::Key;
use smoothtool::keymap::TABLE;
use smoothtool::model::{Front, Screen};
use smoothtool::msg::{Msg, Report};

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
    overview.services.retain(|_| !random.one_in(8));
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

fn key(random: &mut Random) -> Key {
    let letters = ['w', 'a', 'p', 'i', 'y', 'r', 'u', 'j', 'k', 'x', '+'];
    if random.one_in(2) {
        return Key::Char(*random.pick(&letters));
    }
    let binding = random.pick(TABLE);
    *random.pick(binding.keys)
}

fn something(random: &mut Random, stage: &mut Stage) -> Vec<Effect> {
    match random.below(10) {
        0 => stage.overview(overview(random)),
        1 => {
            let name = *random.pick(&["api", "www", "billing"]);
            let detail = (!random.one_in(4)).then(|| Box::new(world::detail(name)));
            stage.net(Report::Push(Push::Service(detail)))
        }
        2 if random.one_in(10) => {
            let why = "gone".to_owned();
            stage.net(Report::Down { why, failures: 1, retry_in: Duration::from_millis(250) })
        }
        3 if random.one_in(3) => stage.net(Report::Connected),
        // Much may happen while a frame is on its way.
        4..=5 => {
            stage.pass(random.below(300));
            stage.tell(Msg::Sent)
        }
        6 => stage.tell(Msg::Painted),
        7 => print(random, stage),
        _ => {
            let key = key(random);
            stage.key(key)
        }
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

/// What the last painted frame said a command would be about.
fn seen(stage: &Stage) -> Option<ServiceName> {
    match (&stage.model.front, &stage.model.screen) {
        (Some(Front::Question(question)), _) => Some(question.service.clone()),
        (_, Screen::Service(name)) => Some(name.clone()),
        (_, Screen::Overview) => stage.model.selection.name().cloned(),
        (_, Screen::Events { .. } | Screen::Logs(_) | Screen::History(_)) => None,
    }
}

/// Whether what is known is what is on the screen.
fn is_painted(stage: &Stage) -> bool {
    let question = match &stage.model.front {
        Some(Front::Question(question)) => question.painted.is_some(),
        Some(
            Front::Help { .. }
            | Front::Find(_)
            | Front::Filter { .. }
            | Front::Palette(_)
            | Front::Page(_),
        )
        | None => true,
    };
    question && stage.model.painted_target.as_ref() == stage.model.target()
}

#[test]
fn no_command_is_ever_about_another_than_the_one_seen() {
    let mut commands = 0;
    for seed in 1..=50 {
        let mut random = Random(seed);
        let mut stage = Stage::live();
        let mut painted = seen(&stage);
        for step in 0..2_000 {
            let was_painted = stage.model.painted_target.clone();
            let effects = something(&mut random, &mut stage);
            for service in acted(&effects) {
                commands += 1;
                assert_eq!(Some(service), painted.as_ref(), "seed {seed}, step {step}");
            }
            if stage.model.painted_target != was_painted || is_painted(&stage) {
                painted = seen(&stage);
            }
        }
    }
    assert!(commands > 100, "only {commands}: the test tests nothing");
}

#[test]
fn no_size_and_no_world_panics() {
    for seed in 1..=20 {
        let mut random = Random(seed);
        let mut stage = Stage::live();
        for _ in 0..150 {
            something(&mut random, &mut stage);
            let (width, height) = (random.below(301) as u16, random.below(101) as u16);
            stage.frame(width, height);
        }
    }
}

#[test]
fn every_small_size_is_drawn() {
    for keys in ["", "\r", "3", "?", "r", "x", "l", "lw/a", "h", "h\r"] {
        let mut stage = Stage::live();
        stage.press(keys);
        stage.answer_logs(world::logs());
        stage.answer_receipts(world::past());
        for width in 0..90 {
            for height in 0..30 {
                stage.frame(width, height);
            }
        }
    }
}
