//! Random commands, crashes, slow boots, broken builds and late messages, for many seeds.
//!
//! `SMOOTH_SEED=17 cargo test -p smoothserve sweep` replays one of them; `SMOOTH_SEEDS=20000` tries
//! more than the few of every day.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::RunId;
use smoothserve_protocol::message::Steer;
use smoothserve_protocol::plan::{ChangeKind, RestartOrder};
use smoothserve_protocol::snapshot::OnDrainTimeout;

use super::super::{Command, DrainId, Input, Reconfigure, Ticket};
use super::{Build, Fate, GOOD, World, name, operator, service};
use crate::config::ServiceConfig;

/// Trouble; then peace, a shutdown, and the books: every ticket answered, nothing left.
fn storm(seed: u64) {
    let start_first = |name, instances| ServiceConfig {
        restart_order: RestartOrder::StartFirst,
        surge_port: 9100,
        ..service(name, instances)
    };
    let wide = ServiceConfig { max_unavailable: NonZeroU16::new(2).unwrap(), ..service("c", 4) };
    let mut world =
        World::new(vec![start_first("a", 1), service("b", 2), wide, start_first("d", 3)], seed);
    for _ in 0..120 {
        let target = ["a", "b", "c", "d"][world.roll(4) as usize];
        match world.roll(18) {
            0..=2 => drop(world.restart(target)),
            3 => {
                let limit = [None, Some(Duration::ZERO), Some(Duration::from_secs(3))];
                let limit = limit[world.roll(3) as usize];
                world.stop(target, limit);
            }
            4 | 5 => drop(world.start(target)),
            6 => {
                let slot = world.roll(4) as u16;
                if world.roll(2) == 0 {
                    world.crash(target, slot);
                } else {
                    world.crash_newest(target, slot);
                }
            }
            7 => {
                let build = random_build(&mut world);
                world.build(target, build);
            }
            8 => match world.roll(4) {
                0 => world.touch(target),
                1 => {
                    let time = Duration::from_millis(world.roll(10_000));
                    world.write_for(target, time);
                }
                _ => world.change(target),
            },
            9 => {
                let run = RunId(world.roll(60));
                let drain = DrainId(world.roll(5) as u16);
                // Late by definition: it names a run that is not draining with this number now.
                let draining = world.processes.get(&run).is_some_and(|p| p.closed == Some(drain));
                if !draining {
                    world.input(Input::Idle { run, drain });
                }
            }
            10 => drop(steer(&mut world, target)),
            11 => reconfigure(&mut world, target),
            12 => probe(&mut world),
            _ => {
                let takes = Duration::from_millis(world.roll(90_000));
                world.request(target, takes);
            }
        }
        let wait = Duration::from_millis(world.roll(4000));
        world.run_for(wait);
    }
    peace(&mut world);
    let ticket = world.ask(Command::Shutdown { cause: Cause::Daemon, force: false });
    world.run_until("the halt", |w| w.halted);
    world.run_for(Duration::from_secs(1));
    assert!(world.answer(ticket).is_some());
    let open: Vec<_> = world.answers.iter().filter(|(_, a)| a.is_none()).collect();
    assert!(open.is_empty(), "never answered: {open:?}\n{}", world.history());
    assert!(world.processes.is_empty(), "left behind");
    assert!(world.core.runs.is_empty(), "runs remembered after their end");
}

/// Whatever was begun comes to its end when nothing disturbs it any more.
fn peace(world: &mut World) {
    for target in ["a", "b", "c", "d"] {
        world.build(target, GOOD);
        let (service, cause) = (name(target), operator());
        let resume = Command::Steer { service, cause, operation: None, steer: Steer::Resume };
        world.ask(resume);
    }
    world.run_for(Duration::from_secs(3600));
    for view in world.views() {
        let name = &view.row.name;
        assert!(view.operation.is_none(), "{name} never ends what it does:\n{}", world.history());
    }
}

fn steer(world: &mut World, target: &str) -> Ticket {
    let steers =
        [Steer::Pause, Steer::Resume, Steer::Abort, Steer::Extend { by_ms: 20_000 }, Steer::Cut];
    let steer = steers[world.roll(5) as usize];
    let (service, cause) = (name(target), operator());
    world.ask(Command::Steer { service, cause, operation: None, steer })
}

/// Another count of instances, another policy, or a new program; sometimes it goes, or comes back.
fn reconfigure(world: &mut World, target: &str) {
    let Some(running) = world.core.services.get(&name(target)) else {
        let config = Arc::new(service(target, 2));
        return world.input(Input::Configured(vec![Reconfigure::Add(config)]));
    };
    let mut config = ServiceConfig::clone(&running.config);
    let kind = match world.roll(5) {
        0 | 1 => {
            config.instances = NonZeroU16::new(1 + world.roll(5) as u16).unwrap();
            ChangeKind::Scale
        }
        2 => {
            config.limits.on_drain_timeout = OnDrainTimeout::Wait;
            ChangeKind::Live
        }
        3 => {
            config.args = vec![world.roll(9).to_string()];
            ChangeKind::Restart
        }
        _ => {
            return world.input(Input::Configured(vec![Reconfigure::Remove(name(target))]));
        }
    };
    let (config, what) = (Arc::new(config), vec!["x".into()]);
    world.input(Input::Configured(vec![Reconfigure::Change { config, kind, what }]));
}

/// What the probes of a run say.
fn probe(world: &mut World) {
    let runs: Vec<RunId> = world.processes.keys().copied().collect();
    if runs.is_empty() {
        return;
    }
    let run = runs[world.roll(runs.len() as u64) as usize];
    if world.roll(2) == 0 {
        world.input(Input::Unresponsive { run, error: "no answer".into() });
    } else {
        world.input(Input::Responsive { run });
    }
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
    let seeds = std::env::var("SMOOTH_SEEDS").map_or(256, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        let result = std::panic::catch_unwind(|| storm(seed));
        assert!(result.is_ok(), "seed {seed}: replay with SMOOTH_SEED={seed}");
    }
}
