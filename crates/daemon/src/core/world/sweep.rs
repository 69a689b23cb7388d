//! Random commands, crashes, slow boots, broken builds and late messages, for many seeds.
//!
//! `SMOOTH_SEED=17 cargo test -p smoothserve sweep` replays one of them.

use std::time::Duration;

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::RunId;

use super::super::{Command, DrainId, Input};
use super::{Build, Fate, World, name, service};

/// Trouble; then peace, a shutdown, and the books: every ticket answered, nothing left.
fn storm(seed: u64) {
    let mut world = World::new(vec![service("a", 1), service("b", 2), service("c", 4)], seed);
    for _ in 0..120 {
        let target = ["a", "b", "c"][world.roll(3) as usize];
        match world.roll(14) {
            0..=2 => drop(world.restart(target)),
            3 => {
                let limit = [None, Some(Duration::ZERO), Some(Duration::from_secs(3))];
                let limit = limit[world.roll(3) as usize];
                world.stop(target, limit);
            }
            4 | 5 => drop(world.start(target)),
            6 => {
                let slot = world.roll(4) as u16;
                world.crash(target, slot);
            }
            7 => {
                let build = random_build(&mut world);
                world.build(target, build);
            }
            8 => world.input(Input::FilesChanged { service: name(target), file: "x".into() }),
            9 => {
                let run = RunId(world.roll(60));
                let drain = DrainId(world.roll(5) as u16);
                // Late by definition: it names a run that is not draining with this number now.
                let draining = world.processes.get(&run).is_some_and(|p| p.closed == Some(drain));
                if !draining {
                    world.input(Input::Idle { run, drain });
                }
            }
            _ => {
                let takes = Duration::from_millis(world.roll(90_000));
                world.request(target, takes);
            }
        }
        let wait = Duration::from_millis(world.roll(4000));
        world.run_for(wait);
    }
    let ticket = world.ask(Command::Shutdown { cause: Cause::Daemon, force: false });
    world.run_until("the halt", |w| w.halted);
    world.run_for(Duration::from_secs(1));
    assert!(world.answer(ticket).is_some());
    let open: Vec<_> = world.answers.iter().filter(|(_, a)| a.is_none()).collect();
    assert!(open.is_empty(), "never answered: {open:?}");
    assert!(world.processes.is_empty(), "left behind");
    assert!(world.core.runs.is_empty(), "runs remembered after their end");
}

fn random_build(world: &mut World) -> Build {
    let fate = match world.roll(8) {
        0 => Fate::ExitsAtOnce(1),
        1 => Fate::NeverAnswers,
        2 => Fate::DiesOnceReady(Duration::from_millis(world.roll(3000))),
        3 => Fate::CannotBeLaunched,
        _ => Fate::Serves,
    };
    let stops_in = (world.roll(6) > 0).then(|| Duration::from_millis(world.roll(12_000)));
    Build { boots_in: Duration::from_millis(world.roll(40_000)), fate, stops_in }
}

#[test]
fn sweep() {
    if let Ok(seed) = std::env::var("SMOOTH_SEED") {
        return storm(seed.parse().unwrap());
    }
    for seed in 0..256 {
        let result = std::panic::catch_unwind(|| storm(seed));
        assert!(result.is_ok(), "seed {seed}: replay with SMOOTH_SEED={seed}");
    }
}
