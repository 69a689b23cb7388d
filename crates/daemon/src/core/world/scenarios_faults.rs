//! What befalls a service from outside: slow starts, crashes of all, commands that cross, a machine
//! that slept.

use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::id::Generation;
use smoothserve_protocol::message::{Done, Refusal, Steer};
use smoothserve_protocol::plan::ChangeKind;
use smoothserve_protocol::snapshot::{InstanceState, ServiceState};

use super::super::{Command, Input, Reconfigure, Ticket, WhenNone};
use super::{Build, GOOD, World, name, operator, service};
use crate::config::ServiceConfig;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn world_of(config: ServiceConfig) -> World {
    let mut world = World::new(vec![config], 1);
    world.settle_boot();
    world
}

fn pids(world: &World) -> Vec<Option<u32>> {
    world.view("shop").instances.iter().map(|instance| instance.pid).collect()
}

fn refusal(world: &mut World, ticket: Ticket) -> Refusal {
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    match world.answer(ticket) {
        Some(Err(refusal)) => refusal.clone(),
        answer => panic!("{answer:?}\n{}", world.history()),
    }
}

/// How long instance 0 waits for its next try.
fn retry(world: &World) -> Duration {
    let retry = world.view("shop").instances[0].retry_ms;
    Duration::from_millis(retry.expect("it is tried again"))
}

#[test]
fn a_slow_start_gets_no_request_before_it_is_ready_and_the_delay_comes_after_that() {
    let config = ServiceConfig { delay_running_time: seconds(3), ..service("shop", 1) };
    let mut world = World::new(vec![config], 1);
    world.build("shop", Build { boots_in: seconds(10), ..GOOD });
    // The first one began with the build before.
    world.crash("shop", 0);
    world.run_until("it is launched again", |w| {
        w.states("shop") == [InstanceState::Starting] && w.view("shop").instances[0].pid.is_some()
    });
    for _ in 0..12 {
        assert!(!world.request("shop", seconds(1)), "{}", world.history());
        world.run_for(seconds(1));
    }
    assert_eq!(world.states("shop"), [InstanceState::Starting]);
    world.run_for(seconds(2));
    assert!(world.request("shop", seconds(1)), "{}", world.history());
}

#[test]
fn a_minute_of_service_forgives_earlier_crashes_and_less_does_not() {
    let mut world = world_of(service("shop", 1));
    for _ in 0..6 {
        world.crash("shop", 0);
        world.run_until("it is back", |w| w.states("shop") == [InstanceState::Ready]);
    }
    assert_eq!(world.view("shop").instances[0].failures, 6);
    world.run_for(seconds(30));
    world.crash("shop", 0);
    assert!(retry(&world) > seconds(10), "{:?}", retry(&world));
    world.run_until("it is back", |w| w.states("shop") == [InstanceState::Ready]);
    world.run_for(seconds(61));
    world.crash("shop", 0);
    assert!(retry(&world) < seconds(1), "{:?}", retry(&world));
}

#[test]
fn when_all_are_down_requests_are_held_and_every_slot_is_tried_again() {
    let mut world = world_of(service("shop", 3));
    for slot in 0..3 {
        assert!(world.crash("shop", slot));
    }
    let (runs, when_none) = &world.routes[&name("shop")];
    assert!(runs.is_empty() && matches!(when_none, WhenNone::Hold(_)), "{when_none:?}");
    assert_eq!(world.states("shop"), [InstanceState::Backoff; 3]);
    world.run_for(seconds(5));
    assert_eq!(world.states("shop"), [InstanceState::Ready; 3]);
}

#[test]
fn a_machine_that_slept_restarts_nothing() {
    let mut world = world_of(service("shop", 3));
    world.run_for(seconds(100));
    let before = pids(&world);
    // Nothing happened for a day, and then the timer rings late.
    world.now += seconds(86_400);
    world.core.handle_timeout(world.now);
    world.perform_all();
    world.run_for(seconds(600));
    assert_eq!(pids(&world), before);
    assert_eq!(world.states("shop"), [InstanceState::Ready; 3]);
}

#[test]
fn a_drain_that_the_machine_slept_through_signals_nobody() {
    let mut world = world_of(service("shop", 2));
    for _ in 0..2 {
        assert!(world.request("shop", seconds(100_000)));
    }
    let before = pids(&world);
    let ticket = world.restart("shop");
    world.run_for(seconds(1));
    world.now += seconds(86_400);
    world.core.handle_timeout(world.now);
    world.perform_all();
    assert!(matches!(refusal(&mut world, ticket), Refusal::DrainTimedOut { .. }));
    world.run_for(seconds(5));
    assert_eq!(pids(&world), before);
    assert_eq!(world.states("shop"), [InstanceState::Ready; 2]);
}

// ---- commands that cross ----------------------------------------------------------------------

#[test]
fn a_restart_during_a_start_is_refused_with_who_and_since_when() {
    let mut world = world_of(service("shop", 2));
    let stop = world.stop("shop", None);
    world.run_until("it is down", |w| w.answer(stop).is_some());
    world.build("shop", Build { boots_in: seconds(8), ..GOOD });
    let start = world.start("shop");
    world.run_for(seconds(5));
    let restart = world.restart("shop");
    let Refusal::Conflict { what, .. } = refusal(&mut world, restart) else { panic!() };
    assert_eq!(what, "a start by ops@test, begun 5s ago");
    world.run_until("it is up", |w| w.answer(start).is_some());
    assert_eq!(world.states("shop"), [InstanceState::Ready; 2]);
    assert_eq!(world.view("shop").operation, None);
}

#[test]
fn a_restart_during_a_stop_is_refused_with_who_and_since_when() {
    let mut world = world_of(service("shop", 1));
    assert!(world.request("shop", seconds(60)));
    let stop = world.stop("shop", None);
    world.run_for(seconds(7));
    let restart = world.restart("shop");
    let Refusal::Conflict { what, .. } = refusal(&mut world, restart) else { panic!() };
    assert_eq!(what, "a stop by ops@test, begun 7s ago");
    world.run_until("it is down", |w| w.answer(stop).is_some());
    assert_eq!(world.states("shop"), [InstanceState::Stopped]);
}

#[test]
fn whoever_is_overruled_is_told_by_whom() {
    let mut world = world_of(service("shop", 2));
    for _ in 0..2 {
        assert!(world.request("shop", seconds(60)));
    }
    let restart = world.restart("shop");
    world.run_for(seconds(1));
    let stop = world.stop("shop", None);
    let by = "the service was stopped by ops@test".to_owned();
    assert_eq!(refusal(&mut world, restart), Refusal::Superseded { by });
    world.run_for(seconds(1));
    world.start("shop");
    let by = "it was started again by ops@test".to_owned();
    assert_eq!(refusal(&mut world, stop), Refusal::Superseded { by });
}

#[test]
fn a_restart_that_will_not_join_is_refused_and_changes_nothing() {
    let mut world = world_of(service("shop", 2));
    let first = world.restart("shop");
    world.run_for(Duration::from_millis(100));
    let second = world.ask(Command::Restart {
        service: name("shop"),
        cause: operator(),
        expected: None,
        join: false,
        drain_timeout: None,
        on_drain_timeout: None,
        answer: super::AnswerWhen::Ended,
    });
    assert!(matches!(refusal(&mut world, second), Refusal::Conflict { .. }));
    world.run_until("the first", |w| w.answer(first).is_some());
    assert_eq!(world.view("shop").row.generation, Generation(2));
}

#[test]
fn a_shutdown_during_rollouts_ends_them_and_leaves_nothing() {
    let mut world = World::new(vec![service("api", 2), service("shop", 3)], 3);
    world.settle_boot();
    assert!(world.request("shop", seconds(20)));
    let restarts = [world.restart("api"), world.restart("shop")];
    world.run_for(Duration::from_millis(100));
    world.ask(Command::Shutdown { cause: Cause::Daemon, force: false });
    world.run_until("the halt", |w| w.halted);
    assert!(world.processes.is_empty());
    for restart in restarts {
        let answer = world.answer(restart);
        assert!(matches!(answer, Some(Err(Refusal::Aborted { .. }))), "{answer:?}");
    }
}

#[test]
fn a_stop_while_a_crashed_instance_waits_for_its_next_try_ends_the_tries() {
    let mut world = world_of(service("shop", 2));
    world.build("shop", super::broken(super::Fate::ExitsAtOnce(1)));
    world.crash("shop", 0);
    world.run_for(seconds(3));
    let stop = world.stop("shop", None);
    world.run_until("it is down", |w| w.answer(stop).is_some());
    world.run_for(seconds(600));
    assert_eq!(world.states("shop"), [InstanceState::Stopped; 2]);
    assert!(world.processes.is_empty());
}

#[test]
fn a_configuration_that_came_during_a_rollout_is_in_force_after_its_abort() {
    let mut world = world_of(service("shop", 3));
    for _ in 0..3 {
        assert!(world.request("shop", seconds(300)));
    }
    let ticket = world.restart("shop");
    world.run_for(seconds(1));
    let mut config = ServiceConfig::clone(&world.core.services[&name("shop")].config);
    config.instances = std::num::NonZeroU16::new(2).expect("two is not zero");
    let (config, what) = (Arc::new(config), vec!["instance_count 3 -> 2".to_owned()]);
    world.input(Input::Configured(vec![Reconfigure::Change {
        config,
        kind: ChangeKind::Scale,
        what,
    }]));
    let (service, cause) = (name("shop"), operator());
    world.ask(Command::Steer { service, cause, operation: None, steer: Steer::Abort });
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    assert!(!matches!(world.answer(ticket), Some(Ok(Done::Restarted(_)))));
    world.run_for(seconds(400));
    assert_eq!(world.states("shop"), [InstanceState::Ready; 2], "{}", world.history());
    assert_eq!(world.view("shop").operation, None);
}

#[test]
fn a_file_change_during_a_rollout_that_is_aborted_waits_for_a_restart_and_that_is_said() {
    let mut world = world_of(service("shop", 2));
    for _ in 0..2 {
        assert!(world.request("shop", seconds(20)));
    }
    world.restart("shop");
    world.run_for(seconds(1));
    world.change("shop");
    world.run_for(seconds(6));
    let (service, cause) = (name("shop"), operator());
    world.ask(Command::Steer { service, cause, operation: None, steer: Steer::Abort });
    world.run_for(seconds(120));
    assert_eq!(world.view("shop").row.state, ServiceState::Ready);
    assert_eq!(world.contents_run("shop"), [0].into(), "{}", world.history());
    let told = |kind: &EventKind| matches!(kind, EventKind::Warning { text } if text.contains("the next restart takes them"));
    assert_eq!(world.events.iter().filter(|(_, kind)| told(kind)).count(), 1);
    let ticket = world.restart("shop");
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    assert_eq!(world.contents_run("shop"), [1].into());
}

#[test]
fn an_instance_that_dies_of_its_stop_signal_late_is_not_taken_for_a_crash() {
    let mut world = world_of(service("shop", 1));
    world.build("shop", Build { stops_in: Some(seconds(9)), ..GOOD });
    let crashed = |world: &World| {
        world.events.iter().filter(|(_, kind)| matches!(kind, EventKind::BackingOff { .. })).count()
    };
    world.crash("shop", 0);
    world.run_until("it is back", |w| w.states("shop") == [InstanceState::Ready]);
    let before = crashed(&world);
    let ticket = world.restart("shop");
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    assert!(matches!(world.answer(ticket), Some(Ok(_))));
    assert_eq!(crashed(&world), before);
}
