//! What an operator may do to a rollout, and the other ways to replace an instance.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::id::{Generation, Slot};
use smoothserve_protocol::message::{Done, Refusal, Steer};
use smoothserve_protocol::plan::{ChangeKind, RestartOrder};
use smoothserve_protocol::snapshot::{InstanceState, OnDrainTimeout, Receipt, ServiceState};

use super::super::{Command, Input, Reconfigure, Ticket};
use super::{Fate, World, broken, name, operator, service};
use crate::config::{Resources, ServiceConfig};

const LONG: Duration = Duration::from_secs(600);

fn world_of(config: ServiceConfig) -> World {
    let mut world = World::new(vec![config], 1);
    world.settle_boot();
    world
}

fn start_first(instances: u16) -> ServiceConfig {
    ServiceConfig {
        restart_order: RestartOrder::StartFirst,
        surge_port: 9000 + instances,
        ..service("shop", instances)
    }
}

fn steer(world: &mut World, steer: Steer) -> Ticket {
    let (service, cause) = (name("shop"), operator());
    world.ask(Command::Steer { service, cause, operation: None, steer })
}

fn receipt(world: &mut World, ticket: Ticket) -> Receipt {
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    match world.answer(ticket) {
        Some(Ok(Done::Restarted(receipt))) => (**receipt).clone(),
        answer => panic!("{answer:?}\n{}", world.history()),
    }
}

fn refusal(world: &mut World, ticket: Ticket) -> Refusal {
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    match world.answer(ticket) {
        Some(Err(refusal)) => refusal.clone(),
        answer => panic!("{answer:?}\n{}", world.history()),
    }
}

fn was_signalled(world: &World) -> bool {
    world.events.iter().any(|(_, kind)| *kind == EventKind::Stopping)
}

fn generations(world: &World) -> Vec<u64> {
    world.view("shop").instances.iter().map(|instance| instance.generation.0).collect()
}

fn pids(world: &World) -> Vec<Option<u32>> {
    world.view("shop").instances.iter().map(|instance| instance.pid).collect()
}

fn change(world: &mut World, kind: ChangeKind, change: impl FnOnce(&mut ServiceConfig)) {
    let mut config = ServiceConfig::clone(&world.core.services[&name("shop")].config);
    change(&mut config);
    let (config, what) = (Arc::new(config), vec!["a key changed".to_owned()]);
    world.input(Input::Configured(vec![Reconfigure::Change { config, kind, what }]));
}

fn instances(count: u16) -> impl FnOnce(&mut ServiceConfig) {
    move |config| config.instances = NonZeroU16::new(count).unwrap()
}

// ---- pause, resume, abort ---------------------------------------------------------------------

#[test]
fn a_paused_rollout_ends_its_turn_and_begins_no_other_until_it_is_resumed() {
    let mut world = world_of(service("shop", 3));
    let ticket = world.restart("shop");
    world.run_for(Duration::from_millis(100));
    let paused = steer(&mut world, Steer::Pause);
    assert!(matches!(world.answer(paused), Some(Ok(Done::Steered { .. }))));
    world.run_for(LONG);
    assert_eq!(generations(&world), [2, 1, 1]);
    let operation = world.view("shop").operation.unwrap();
    assert_eq!(operation.paused_by, Some(operator()));
    steer(&mut world, Steer::Resume);
    assert_eq!(receipt(&mut world, ticket).replaced, 3);
}

#[test]
fn a_new_configuration_waits_until_a_paused_rollout_is_resumed() {
    let mut world = world_of(service("shop", 3));
    let ticket = world.restart("shop");
    world.run_for(Duration::from_millis(100));
    steer(&mut world, Steer::Pause);
    change(&mut world, ChangeKind::Restart, |config| config.args = vec!["-new".into()]);
    world.run_for(LONG);
    assert_eq!(generations(&world), [2, 1, 1]);
    steer(&mut world, Steer::Resume);
    assert_eq!(receipt(&mut world, ticket).to, Generation(3));
    assert_eq!(generations(&world), [3, 3, 3]);
}

#[test]
fn an_abort_ends_a_paused_rollout_that_has_a_new_configuration_to_come() {
    let mut world = world_of(service("shop", 3));
    let ticket = world.restart("shop");
    world.run_for(Duration::from_millis(100));
    steer(&mut world, Steer::Pause);
    change(&mut world, ChangeKind::Scale, instances(4));
    steer(&mut world, Steer::Abort);
    let Refusal::Aborted { receipt, .. } = refusal(&mut world, ticket) else { panic!() };
    assert_eq!(receipt.replaced, 1);
    world.settle_boot();
    assert_eq!(generations(&world)[..3], [2, 1, 1]);
    assert_eq!(world.states("shop"), [InstanceState::Ready; 4]);
}

#[test]
fn an_abort_gives_a_draining_instance_back_and_signals_nobody() {
    let mut world = world_of(service("shop", 2));
    world.request("shop", LONG);
    world.request("shop", LONG);
    let ticket = world.restart("shop");
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.states("shop")[0], InstanceState::Draining);
    steer(&mut world, Steer::Abort);
    let Refusal::Aborted { by, receipt } = refusal(&mut world, ticket) else { panic!() };
    assert_eq!((by.as_str(), receipt.replaced), ("ops@test", 0));
    assert_eq!(world.states("shop"), [InstanceState::Ready; 2]);
    assert!(!was_signalled(&world));
}

#[test]
fn an_abort_brings_back_what_was_signalled_and_touches_no_other() {
    let mut world = world_of(service("shop", 3));
    let ticket = world.restart("shop");
    world.run_for(Duration::from_millis(100));
    assert!(was_signalled(&world));
    steer(&mut world, Steer::Abort);
    let Refusal::Aborted { receipt, .. } = refusal(&mut world, ticket) else { panic!() };
    assert_eq!(receipt.replaced, 1);
    assert_eq!(world.states("shop"), [InstanceState::Ready; 3]);
    assert_eq!(generations(&world), [2, 1, 1]);
}

#[test]
fn there_is_nothing_to_steer_without_a_rollout_or_in_another_one() {
    let mut world = world_of(service("shop", 2));
    let ticket = steer(&mut world, Steer::Pause);
    assert!(matches!(world.answer(ticket), Some(Err(Refusal::NothingToSteer { .. }))));
    let restart = world.restart("shop");
    world.run_for(Duration::from_millis(100));
    let operation = Some(smoothserve_protocol::id::OperationId(99));
    let (service, cause) = (name("shop"), operator());
    let other = Command::Steer { service, cause, operation, steer: Steer::Abort };
    let ticket = world.ask(other);
    assert!(matches!(world.answer(ticket), Some(Err(Refusal::NothingToSteer { .. }))));
    assert!(receipt(&mut world, restart).done);
}

#[test]
fn a_daemon_that_goes_takes_no_further_instance_away() {
    let mut world = world_of(service("shop", 3));
    let before = pids(&world);
    let ticket = world.restart("shop");
    world.run_for(Duration::from_millis(100));
    world.ask(Command::Shutdown { cause: Cause::Daemon, force: false });
    let Refusal::Aborted { receipt, .. } = refusal(&mut world, ticket) else { panic!() };
    assert!(receipt.replaced <= 1);
    assert!(!world.halted, "it serves until its clients have gone");
    assert_eq!(pids(&world)[1..], before[1..]);
    world.run_until("the halt", |w| w.halted);
}

// ---- the drain --------------------------------------------------------------------------------

#[test]
fn a_drain_that_is_given_more_time_ends_well_after_its_first_deadline() {
    let mut world = world_of(service("shop", 1));
    world.request("shop", Duration::from_secs(80));
    let ticket = world.restart("shop");
    world.run_for(Duration::from_secs(50));
    steer(&mut world, Steer::Extend { by_ms: 60_000 });
    let receipt = receipt(&mut world, ticket);
    assert!(receipt.steps[0].drain_ms.is_some_and(|ms| ms >= 79_000), "{receipt:?}");
}

#[test]
fn a_drain_that_outlives_the_time_it_was_given_too_says_how_long_that_was() {
    let mut world = world_of(service("shop", 1));
    world.request("shop", LONG);
    let ticket = world.restart("shop");
    world.run_for(Duration::from_secs(50));
    steer(&mut world, Steer::Extend { by_ms: 60_500 });
    let Refusal::DrainTimedOut { limit_ms, receipt, .. } = refusal(&mut world, ticket) else {
        panic!()
    };
    assert_eq!(limit_ms, 120_500);
    let why = "shop-1 still had requests after 120.5s; it serves on";
    assert_eq!(receipt.halted.as_deref(), Some(why));
}

#[test]
fn cutting_what_a_drain_waits_for_lets_it_go_on_at_once() {
    let mut world = world_of(service("shop", 1));
    world.request("shop", LONG);
    let ticket = world.restart("shop");
    world.run_for(Duration::from_secs(5));
    steer(&mut world, Steer::Cut);
    let receipt = receipt(&mut world, ticket);
    assert!(receipt.steps[0].drain_ms.is_some_and(|ms| ms < 6_000), "{receipt:?}");
    assert!(world.events.iter().any(|(_, kind)| matches!(kind, EventKind::DrainCut { .. })));
}

#[test]
fn at_its_deadline_a_drain_waits_or_cuts_as_the_service_says() {
    for (policy, least_ms, most_ms) in
        [(OnDrainTimeout::Wait, 599_000, 601_000), (OnDrainTimeout::Cut, 59_000, 61_000)]
    {
        let mut config = service("shop", 1);
        config.limits.on_drain_timeout = policy;
        let mut world = world_of(config);
        world.request("shop", LONG);
        let ticket = world.restart("shop");
        let drain_ms = receipt(&mut world, ticket).steps[0].drain_ms.unwrap();
        assert!((least_ms..=most_ms).contains(&drain_ms), "{policy:?}: {drain_ms}");
    }
}

#[test]
fn a_drain_that_takes_long_says_once_what_it_waits_for() {
    let mut world = world_of(service("shop", 1));
    world.request("shop", Duration::from_secs(50));
    let ticket = world.restart("shop");
    world.run_for(Duration::from_secs(9));
    let told = |world: &World| {
        let waits = |kind: &EventKind| matches!(kind, EventKind::DrainWaits { overdue: false, .. });
        world.events.iter().filter(|(_, kind)| waits(kind)).count()
    };
    assert_eq!(told(&world), 0);
    assert!(receipt(&mut world, ticket).done);
    assert_eq!(told(&world), 1);
}

// ---- start-first, and several at once ---------------------------------------------------------

#[test]
fn start_first_never_has_an_instance_less_and_its_ports_wander() {
    for count in [1, 3] {
        let mut world = world_of(start_first(count));
        let ticket = world.restart("shop");
        let receipt = receipt(&mut world, ticket);
        assert_eq!((receipt.replaced, receipt.min_ready), (count, count));
        let ports: Vec<u16> = world.view("shop").instances.iter().map(|i| i.port).collect();
        let moved: Vec<u16> =
            (0..count).map(|slot| [9000 + count, 8999 + slot][usize::from(slot > 0)]).collect();
        assert_eq!(ports, moved);
        assert_eq!(world.view("shop").instances.len(), usize::from(count));
    }
}

#[test]
fn a_bad_build_beside_the_old_one_leaves_every_instance_as_it_was() {
    let mut world = world_of(start_first(2));
    let before = pids(&world);
    world.build("shop", broken(Fate::ExitsAtOnce(3)));
    let ticket = world.restart("shop");
    let Refusal::Halted { slot, failure, receipt } = refusal(&mut world, ticket) else { panic!() };
    assert_eq!((slot, receipt.min_ready), (Slot(0), 2));
    assert!(failure.to_string().starts_with("exited with code 3 before it was ready"), "{failure}");
    world.run_for(LONG);
    assert_eq!(pids(&world), before);
    assert_eq!(world.view("shop").row.state, ServiceState::Ready);
}

#[test]
fn a_request_that_outlives_the_drain_gives_the_old_run_its_slot_back() {
    let mut world = world_of(start_first(1));
    let before = pids(&world);
    world.request("shop", LONG);
    let ticket = world.restart("shop");
    let Refusal::DrainTimedOut { slot, .. } = refusal(&mut world, ticket) else { panic!() };
    assert_eq!(slot, Slot(0));
    world.run_for(Duration::from_secs(5));
    assert_eq!(pids(&world), before);
    assert_eq!(generations(&world), [1]);
}

#[test]
fn a_new_run_that_falls_while_the_old_one_drains_gives_the_slot_back() {
    let mut world = world_of(start_first(1));
    let before = pids(&world);
    world.request("shop", Duration::from_secs(30));
    let ticket = world.restart("shop");
    world.run_until("the old one drains", |w| w.states("shop").contains(&InstanceState::Draining));
    assert!(world.crash_newest("shop", 0));
    assert!(matches!(refusal(&mut world, ticket), Refusal::Halted { slot: Slot(0), .. }));
    assert_eq!((world.states("shop"), pids(&world)), (vec![InstanceState::Ready], before));
    assert_eq!(world.routes[&name("shop")].0.len(), 1);
}

#[test]
fn a_new_run_that_falls_when_the_old_one_was_signalled_is_tried_again() {
    let mut world = World::new(vec![start_first(1)], 1);
    world.build("shop", super::Build { stops_in: Some(Duration::from_secs(5)), ..super::GOOD });
    world.settle_boot();
    let ticket = world.restart("shop");
    world.run_until("the old one is told", |w| w.states("shop").contains(&InstanceState::Stopping));
    assert!(world.crash_newest("shop", 0));
    assert!(matches!(refusal(&mut world, ticket), Refusal::Halted { slot: Slot(0), .. }));
    world.run_until("it is back", |w| w.states("shop") == [InstanceState::Ready]);
    assert_eq!(generations(&world), [2]);
}

#[test]
fn an_old_run_that_falls_while_the_new_one_starts_is_not_started_again() {
    let mut world = world_of(start_first(2));
    let ticket = world.restart("shop");
    world.run_for(Duration::from_millis(100));
    assert!(world.crash("shop", 0));
    let receipt = receipt(&mut world, ticket);
    assert_eq!(receipt.replaced, 2);
    assert_eq!(generations(&world), [2, 2]);
}

#[test]
fn as_many_are_out_as_may_be_and_never_the_last_one() {
    for (count, width, least) in [(4, 2, 2), (3, 3, 1), (2, 8, 1)] {
        let max_unavailable = NonZeroU16::new(width).unwrap();
        let mut world = world_of(ServiceConfig { max_unavailable, ..service("shop", count) });
        let ticket = world.restart("shop");
        let receipt = receipt(&mut world, ticket);
        assert_eq!((receipt.replaced, receipt.min_ready), (count, least), "{count} {width}");
    }
}

// ---- a new configuration ----------------------------------------------------------------------

#[test]
fn a_change_that_needs_no_instance_touches_none() {
    let mut world = world_of(service("shop", 2));
    let before = pids(&world);
    change(&mut world, ChangeKind::Live, |config| config.limits.drain_timeout = LONG);
    world.run_for(LONG);
    assert_eq!(pids(&world), before);
    assert_eq!(world.core.services[&name("shop")].config.limits.drain_timeout, LONG);
}

#[test]
fn more_instances_are_started_beside_those_that_serve() {
    let mut world = world_of(service("shop", 2));
    let before = pids(&world);
    change(&mut world, ChangeKind::Scale, instances(4));
    world.settle_boot();
    assert_eq!(world.states("shop"), [InstanceState::Ready; 4]);
    assert_eq!(pids(&world)[..2], before);
}

#[test]
fn of_fewer_instances_the_highest_finish_what_they_have_and_go() {
    let mut world = world_of(service("shop", 4));
    let before = pids(&world);
    for _ in 0..4 {
        world.request("shop", Duration::from_secs(20));
    }
    change(&mut world, ChangeKind::Scale, instances(2));
    world.run_for(Duration::from_secs(19));
    assert!(!was_signalled(&world));
    world.run_for(Duration::from_secs(5));
    assert_eq!(pids(&world), before[..2]);
    assert_eq!(world.view("shop").row.state, ServiceState::Ready);
}

#[test]
fn a_count_taken_back_in_time_keeps_the_instances() {
    let mut world = world_of(service("shop", 2));
    let before = pids(&world);
    for _ in 0..2 {
        world.request("shop", Duration::from_secs(60));
    }
    change(&mut world, ChangeKind::Scale, instances(1));
    world.run_for(Duration::from_secs(1));
    change(&mut world, ChangeKind::Scale, instances(2));
    world.settle_boot();
    assert_eq!(pids(&world), before);
}

#[test]
fn a_new_program_comes_by_a_rollout_of_its_own() {
    let mut world = world_of(service("shop", 2));
    change(&mut world, ChangeKind::Restart, |config| config.args = vec!["-new".into()]);
    world.run_until("the rollout", |w| generations(w) == [2, 2]);
    let cause = Cause::ConfigChanged(vec!["a key changed".into()]);
    let began = |kind: &EventKind| matches!(kind, EventKind::RolloutStarted { cause: c, .. } if *c == cause);
    assert!(world.events.iter().any(|(_, kind)| began(kind)));
}

#[test]
fn a_change_during_a_rollout_waits_for_the_turn_and_whoever_waits_hears_of_the_next_rollout() {
    let mut world = world_of(service("shop", 2));
    let ticket = world.restart("shop");
    world.run_for(Duration::from_millis(100));
    change(&mut world, ChangeKind::Scale, instances(3));
    assert_eq!(world.core.services[&name("shop")].config.instances.get(), 2);
    let receipt = receipt(&mut world, ticket);
    assert_eq!((receipt.of, receipt.to), (3, Generation(3)));
    assert_eq!(world.states("shop"), [InstanceState::Ready; 3]);
}

#[test]
fn a_service_whose_file_is_gone_finishes_stops_and_is_forgotten() {
    let mut world = world_of(service("shop", 2));
    world.request("shop", Duration::from_secs(30));
    world.input(Input::Configured(vec![Reconfigure::Remove(name("shop"))]));
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.views().len(), 1);
    let ticket = world.start("shop");
    assert!(matches!(world.answer(ticket), Some(Err(Refusal::UnknownService { .. }))));
    world.run_for(Duration::from_secs(15));
    assert!(world.views().is_empty() && world.processes.is_empty());
    let config = Arc::new(service("shop", 1));
    world.input(Input::Configured(vec![Reconfigure::Add(config)]));
    world.settle_boot();
}

// ---- health -----------------------------------------------------------------------------------

fn runs(world: &World) -> Vec<smoothserve_protocol::id::RunId> {
    world.view("shop").instances.iter().filter_map(|instance| instance.run).collect()
}

#[test]
fn an_instance_that_does_not_answer_is_replaced_while_others_serve() {
    let mut world = world_of(service("shop", 3));
    let sick = runs(&world)[1];
    world.input(Input::Unresponsive { run: sick, error: "timed out".into() });
    assert!(!world.routes[&name("shop")].0.contains(&sick));
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.states("shop"), [InstanceState::Ready; 3]);
    assert!(!runs(&world).contains(&sick));
}

#[test]
fn those_that_do_not_answer_are_replaced_one_at_a_time() {
    let mut world = world_of(service("shop", 4));
    for run in runs(&world).into_iter().take(3) {
        world.input(Input::Unresponsive { run, error: "timed out".into() });
    }
    let out = |state: &InstanceState| {
        matches!(state, InstanceState::Draining | InstanceState::Stopping | InstanceState::Starting)
    };
    while world.states("shop") != [InstanceState::Ready; 4] {
        assert!(world.states("shop").iter().filter(|state| out(state)).count() <= 1);
        assert!(world.step(world.now + LONG));
    }
}

#[test]
fn when_nobody_answers_they_are_left_to_serve_and_that_is_said_once() {
    let mut world = world_of(service("shop", 2));
    let before = runs(&world);
    for run in before.clone() {
        world.input(Input::Unresponsive { run, error: "timed out".into() });
        world.input(Input::Unresponsive { run, error: "timed out".into() });
    }
    // The first one is on its way out by then, unless it owes nothing.
    assert!(!world.routes[&name("shop")].0.is_empty());
    let told = |kind: &EventKind| matches!(kind, EventKind::Warning { text } if text.contains("left to serve"));
    assert_eq!(world.events.iter().filter(|(_, kind)| told(kind)).count(), 1);
}

#[test]
fn an_instance_that_answers_again_in_time_stays() {
    let mut world = world_of(service("shop", 2));
    for _ in 0..2 {
        world.request("shop", Duration::from_secs(20));
    }
    let restart = world.restart("shop");
    world.run_for(Duration::from_secs(1));
    let waiting = runs(&world)[1];
    world.input(Input::Unresponsive { run: waiting, error: "timed out".into() });
    world.input(Input::Responsive { run: waiting });
    assert_eq!(world.states("shop")[1], InstanceState::Ready);
    assert!(receipt(&mut world, restart).done);
}

#[test]
fn three_samples_above_the_limit_replace_that_instance_alone() {
    let resources = Resources { memory: Some(1 << 20), ..Resources::default() };
    let mut world = world_of(ServiceConfig { resources, ..service("shop", 3) });
    let before = pids(&world);
    let greedy = runs(&world)[1];
    for rss_bytes in [3 << 20, 1, 3 << 20, 3 << 20] {
        world.input(Input::MemoryUsed { run: greedy, rss_bytes });
    }
    world.run_for(Duration::from_secs(5));
    assert_eq!(pids(&world), before);
    world.input(Input::MemoryUsed { run: greedy, rss_bytes: 3 << 20 });
    world.run_until("the end", |w| w.view("shop").operation.is_none());
    let after = pids(&world);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    assert_ne!(after[1], before[1]);
}

#[test]
fn a_limit_that_no_restart_helps_is_given_up() {
    let resources = Resources { memory: Some(1 << 20), ..Resources::default() };
    let mut world = world_of(ServiceConfig { resources, ..service("shop", 1) });
    for _ in 0..60 {
        for run in runs(&world) {
            world.input(Input::MemoryUsed { run, rss_bytes: 3 << 20 });
        }
        world.run_for(Duration::from_secs(5));
    }
    let rollouts = |kind: &EventKind| matches!(kind, EventKind::RolloutStarted { .. });
    assert_eq!(world.events.iter().filter(|(_, kind)| rollouts(kind)).count(), 5);
}

// ---- the plan ---------------------------------------------------------------------------------

#[test]
fn a_plan_says_what_stands_in_the_way_and_changes_nothing() {
    let mut world = world_of(service("shop", 2));
    let before = pids(&world);
    world.preflight_problem = Some("no such file".into());
    let ticket = world.ask(Command::PlanRestart { service: name("shop") });
    world.run_until("the plan", |w| w.answer(ticket).is_some());
    let Some(Ok(Done::RestartPlan(plan))) = world.answer(ticket) else { panic!() };
    assert_eq!(plan.problem.as_deref(), Some("no such file"));
    assert_eq!((plan.from, plan.to, plan.steps.len()), (Generation(1), Generation(2), 2));
    assert_eq!(pids(&world), before);
    assert_eq!(world.view("shop").row.generation, Generation(1));
}
