//! What must happen, one situation at a time.

use std::time::Duration;

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::id::{Generation, OperationId, Slot};
use smoothserve_protocol::message::{Done, Refusal};
use smoothserve_protocol::snapshot::{InstanceState, ServiceState};

use super::super::{AnswerWhen, Command, DrainId, Input, ShutdownTimes, WhenNone};
use super::{Build, Fate, GOOD, World, broken, name, operator, service};

#[test]
fn a_restart_replaces_every_instance_and_keeps_the_others_ready() {
    let mut world = World::new(vec![service("shop", 3)], 1);
    world.settle_boot();
    let ticket = world.restart("shop");
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    let Some(Ok(Done::Restarted(receipt))) = world.answer(ticket) else {
        panic!("{:?}", world.answer(ticket))
    };
    assert_eq!((receipt.replaced, receipt.of, receipt.min_ready), (3, 3, 2));
    assert!(receipt.done);
    assert_eq!(receipt.from.next(), receipt.to);
}

#[test]
fn no_instance_is_signalled_while_it_owes_a_byte() {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    assert!(world.request("shop", Duration::from_secs(20)));
    assert!(world.request("shop", Duration::from_secs(30)));
    let ticket = world.restart("shop");
    world.run_for(Duration::from_secs(19));
    assert!(!world.events.iter().any(|(_, kind)| *kind == EventKind::Stopping));
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    assert!(matches!(world.answer(ticket), Some(Ok(Done::Restarted(_)))));
}

#[test]
fn a_request_that_outlives_the_drain_deadline_ends_the_rollout_and_nothing_else() {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    for _ in 0..2 {
        assert!(world.request("shop", Duration::from_secs(600)));
    }
    let ticket = world.restart("shop");
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    let answer = world.answer(ticket);
    assert!(
        matches!(answer, Some(Err(Refusal::DrainTimedOut { slot: Slot(0), .. }))),
        "{answer:?}"
    );
    assert_eq!(world.states("shop"), [InstanceState::Ready; 2]);
    assert!(!world.events.iter().any(|(_, kind)| *kind == EventKind::Stopping));
}

#[test]
fn a_new_run_that_exits_at_once_halts_the_rollout() {
    let mut world = World::new(vec![service("shop", 3)], 1);
    world.settle_boot();
    world.build("shop", broken(Fate::ExitsAtOnce(3)));
    let ticket = world.restart("shop");
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    let Some(Err(Refusal::Halted { slot, failure, receipt })) = world.answer(ticket) else {
        panic!("{:?}", world.answer(ticket))
    };
    assert_eq!(*slot, Slot(0));
    assert_eq!(
        failure.to_string(),
        "exited with code 3 before it was ready; its last line: last words"
    );
    assert_eq!((receipt.replaced, receipt.min_ready), (0, 2));
    assert_eq!(world.view("shop").row.state, ServiceState::Degraded);
    assert_eq!(&world.states("shop")[1..], [InstanceState::Ready; 2]);
}

#[test]
fn a_run_that_never_becomes_ready_halts_the_rollout() {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    world.build("shop", broken(Fate::NeverAnswers));
    let ticket = world.restart("shop");
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    let answer = world.answer(ticket);
    let Some(Err(Refusal::Halted { failure, .. })) = answer else { panic!("{answer:?}") };
    assert!(failure.to_string().starts_with("was not ready after 30s"), "{failure}");
}

#[test]
fn a_run_that_dies_right_after_it_was_ready_halts_the_rollout() {
    let mut world = World::new(vec![service("shop", 3)], 1);
    world.settle_boot();
    world.build("shop", broken(Fate::DiesOnceReady(Duration::from_millis(500))));
    let ticket = world.restart("shop");
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    let answer = world.answer(ticket);
    let Some(Err(Refusal::Halted { failure, .. })) = answer else { panic!("{answer:?}") };
    assert!(failure.to_string().starts_with("exited with code 70 right after"), "{failure}");
}

#[test]
fn after_a_bad_build_a_good_one_takes_the_failed_slot_first() {
    let mut world = World::new(vec![service("shop", 3)], 1);
    world.settle_boot();
    world.build("shop", broken(Fate::ExitsAtOnce(1)));
    let bad = world.restart("shop");
    world.run_until("the refusal", |w| w.answer(bad).is_some());
    // What failed does not serve, and does not count as serving.
    assert_eq!(world.view("shop").row.generation, Generation(1));
    world.build("shop", GOOD);
    let good = world.restart("shop");
    world.run_until("the answer", |w| w.answer(good).is_some());
    let Some(Ok(Done::Restarted(receipt))) = world.answer(good) else {
        panic!("{:?}", world.answer(good))
    };
    assert_eq!((receipt.from, receipt.to), (Generation(1), Generation(3)));
    assert_eq!(receipt.replaced, 3);
    assert_eq!(receipt.steps[0].slot, Slot(0));
    assert_eq!(receipt.min_ready, 2);
}

#[test]
fn a_failed_preflight_changes_nothing() {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    world.preflight_problem = Some("/srv/shop does not exist".into());
    let ticket = world.restart("shop");
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    assert!(matches!(world.answer(ticket), Some(Err(Refusal::Preflight { .. }))));
    assert_eq!(world.view("shop").row.state, ServiceState::Ready);
    assert_eq!(world.view("shop").row.generation.0, 1);
}

#[test]
fn the_same_restart_is_joined() {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    let (first, second) = (world.restart("shop"), world.restart("shop"));
    world.run_until("both answers", |w| w.answer(first).is_some() && w.answer(second).is_some());
    assert_eq!(world.answer(first), world.answer(second));
    assert_eq!(world.view("shop").row.generation.0, 2);
}

#[test]
fn stop_outranks_restart() {
    let mut world = World::new(vec![service("shop", 3)], 1);
    world.settle_boot();
    let restart = world.restart("shop");
    world.run_for(Duration::from_millis(100));
    let stop = world.stop("shop", None);
    world.run_until("both answers", |w| w.answer(restart).is_some() && w.answer(stop).is_some());
    assert!(matches!(world.answer(restart), Some(Err(Refusal::Superseded { .. }))));
    assert!(matches!(world.answer(stop), Some(Ok(Done::Stopped { .. }))));
    assert_eq!(world.view("shop").row.state, ServiceState::Stopped);
    world.run_for(Duration::from_secs(600));
    assert_eq!(world.states("shop"), [InstanceState::Stopped; 3]);
}

#[test]
fn a_stop_waits_for_requests_without_a_deadline() {
    let mut world = World::new(vec![service("shop", 1)], 1);
    world.settle_boot();
    assert!(world.request("shop", Duration::from_secs(1000)));
    let stop = world.stop("shop", None);
    world.run_for(Duration::from_secs(999));
    assert!(world.answer(stop).is_none());
    assert_eq!(world.routes[&name("shop")].1, WhenNone::Stopped);
    world.run_until("the answer", |w| w.answer(stop).is_some());
}

#[test]
fn a_second_stop_with_a_limit_hastens_the_first() {
    let mut world = World::new(vec![service("shop", 1)], 1);
    world.settle_boot();
    assert!(world.request("shop", Duration::from_secs(1000)));
    let first = world.stop("shop", None);
    let second = world.stop("shop", Some(Duration::ZERO));
    world.run_for(Duration::from_secs(1));
    assert!(world.answer(first).is_some() && world.answer(second).is_some());
}

#[test]
fn a_start_during_a_stop_takes_the_instances_back() {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    assert!(world.request("shop", Duration::from_secs(1000)));
    let stop = world.stop("shop", None);
    world.run_for(Duration::from_secs(1));
    let start = world.start("shop");
    world.run_until("the answer", |w| w.answer(start).is_some());
    assert!(matches!(world.answer(stop), Some(Err(Refusal::Superseded { .. }))));
    assert_eq!(world.states("shop"), [InstanceState::Ready; 2]);
}

#[test]
fn a_crash_is_followed_by_a_restart_with_backoff_and_ten_by_none() {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    assert!(world.crash("shop", 0));
    assert_eq!(world.states("shop"), [InstanceState::Backoff, InstanceState::Ready]);
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.states("shop"), [InstanceState::Ready; 2]);
    world.build("shop", broken(Fate::ExitsAtOnce(1)));
    assert!(world.crash("shop", 0));
    world.run_for(Duration::from_secs(299));
    assert_eq!(world.states("shop"), [InstanceState::Failed, InstanceState::Ready]);
    world.build("shop", GOOD);
    world.run_for(Duration::from_secs(600));
    assert_eq!(world.states("shop"), [InstanceState::Failed, InstanceState::Ready]);
    let start = world.start("shop");
    world.run_until("the answer", |w| w.answer(start).is_some());
    assert_eq!(world.states("shop"), [InstanceState::Ready; 2]);
}

#[test]
fn when_the_others_fall_the_draining_one_is_given_back() {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    for _ in 0..2 {
        assert!(world.request("shop", Duration::from_secs(10)));
    }
    let ticket = world.restart("shop");
    world.run_for(Duration::from_secs(1));
    assert_eq!(world.states("shop"), [InstanceState::Draining, InstanceState::Ready]);
    assert!(world.crash("shop", 1));
    assert_eq!(world.states("shop")[0], InstanceState::Ready);
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    assert!(matches!(world.answer(ticket), Some(Ok(Done::Restarted(_)))), "{}", world.history());
}

#[test]
fn a_rollout_waits_for_another_instance_that_crashed() {
    let mut world = World::new(vec![service("shop", 3)], 1);
    world.settle_boot();
    let ticket = world.restart("shop");
    world.run_until("the first turn", |w| {
        w.view("shop").operation.is_some_and(|operation| operation.summary.done == 1)
    });
    world.build("shop", Build { boots_in: Duration::from_secs(5), ..GOOD });
    world.run_for(Duration::from_secs(3));
    assert!(world.crash("shop", 0));
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    let Some(Ok(Done::Restarted(receipt))) = world.answer(ticket) else { panic!() };
    assert!(receipt.min_ready >= 1);
    assert!(world.events.iter().any(|(_, kind)| matches!(kind, EventKind::RolloutWaits { .. })));
}

#[test]
fn an_instance_that_crashes_while_it_drains_is_not_signalled_but_replaced() {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    for _ in 0..2 {
        assert!(world.request("shop", Duration::from_secs(30)));
    }
    let ticket = world.restart("shop");
    world.run_for(Duration::from_secs(1));
    assert!(world.crash("shop", 0));
    assert_eq!(world.states("shop")[0], InstanceState::Starting);
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    assert!(matches!(world.answer(ticket), Some(Ok(_))));
}

#[test]
fn an_app_that_ignores_the_stop_signal_is_killed() {
    let mut world = World::new(vec![service("shop", 1)], 1);
    world.settle_boot();
    for process in world.processes.values_mut() {
        process.build.stops_in = None;
    }
    let stop = world.stop("shop", None);
    world.run_until("the answer", |w| w.answer(stop).is_some());
    assert!(world.events.iter().any(|(_, kind)| matches!(kind, EventKind::Killed { .. })));
}

#[test]
fn a_stopped_service_never_comes_back_by_itself() {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    let stop = world.stop("shop", None);
    world.run_until("the answer", |w| w.answer(stop).is_some());
    world.change("shop");
    world.run_for(Duration::from_secs(600));
    assert_eq!(world.states("shop"), [InstanceState::Stopped; 2]);
    let ticket = world.restart("shop");
    assert_eq!(world.answer(ticket), Some(&Err(Refusal::NotRunning)));
}

#[test]
fn a_late_end_of_an_earlier_drain_is_not_taken_for_the_end_of_this_one() {
    let mut world = World::new(vec![service("shop", 1)], 1);
    world.settle_boot();
    assert!(world.request("shop", Duration::from_secs(1000)));
    world.stop("shop", None);
    world.run_for(Duration::from_secs(1));
    world.start("shop");
    world.stop("shop", None);
    let run = world.view("shop").instances[0].run.expect("it runs");
    world.input(Input::Idle { run, drain: DrainId(1) });
    assert_eq!(world.states("shop"), [InstanceState::Draining]);
}

#[test]
fn a_shutdown_drains_everything_and_halts() {
    let mut world = World::new(vec![service("api", 2), service("shop", 3)], 7);
    world.settle_boot();
    assert!(world.request("shop", Duration::from_secs(20)));
    let ticket = world.ask(Command::Shutdown { cause: Cause::Daemon, force: false });
    assert_eq!(world.answer(ticket), Some(&Ok(Done::ShuttingDown)));
    let late = world.restart("shop");
    assert_eq!(world.answer(late), Some(&Err(Refusal::ShuttingDown)));
    world.run_until("the halt", |w| w.halted);
    assert!(world.processes.is_empty());
}

#[test]
fn balancers_are_told_before_the_doors_close_and_a_second_request_waits_no_longer() {
    for asked in [1, 2] {
        let mut world = World::new(vec![service("shop", 2)], 7);
        let (delay, timeout) = (Duration::from_secs(30), Duration::from_secs(60));
        world.core.set_shutdown_times(ShutdownTimes { delay, timeout });
        world.settle_boot();
        world.ask(Command::Shutdown { cause: Cause::Daemon, force: false });
        world.run_for(Duration::from_secs(29));
        assert!(!world.welcome && !world.doors_closed);
        assert_eq!(world.states("shop"), [InstanceState::Ready; 2]);
        assert!(world.request("shop", Duration::from_secs(1)));
        if asked == 2 {
            world.ask(Command::Shutdown { cause: Cause::Daemon, force: false });
            assert!(world.doors_closed);
        }
        world.run_for(Duration::from_secs(1));
        assert!(world.doors_closed);
        world.run_until("the halt", |w| w.halted);
    }
}

#[test]
fn the_third_request_to_shut_down_kills() {
    let mut world = World::new(vec![service("shop", 3)], 7);
    world.settle_boot();
    assert!(world.request("shop", Duration::from_secs(1000)));
    for _ in 0..3 {
        world.ask(Command::Shutdown { cause: Cause::Daemon, force: false });
    }
    world.run_for(Duration::from_millis(1));
    assert!(world.halted && world.processes.is_empty());
}

#[test]
fn an_unknown_service_is_named_with_those_that_exist() {
    let mut world = World::new(vec![service("shop", 1)], 1);
    let ticket = world.restart("shoop");
    let Some(Err(Refusal::UnknownService { known, .. })) = world.answer(ticket) else { panic!() };
    assert_eq!(known, &[name("shop")]);
}

#[test]
fn a_command_for_another_generation_is_refused() {
    let mut world = World::new(vec![service("shop", 1)], 1);
    world.settle_boot();
    let expected = Some(Generation(7));
    let ticket = world.ask(Command::Restart {
        service: name("shop"),
        cause: operator(),
        expected,
        join: true,
        drain_timeout: None,
        on_drain_timeout: None,
        answer: AnswerWhen::Ended,
    });
    assert!(matches!(world.answer(ticket), Some(Err(Refusal::GenerationMoved { .. }))));
}

#[test]
fn what_earlier_daemons_knew_is_gone_on_from() {
    let mut world = World::new(vec![service("shop", 2)], 7);
    world.core.recall(OperationId(17), [(name("shop"), Duration::from_secs(5))]);
    world.settle_boot();
    world.restart("shop");
    world.run_until("it began", |w| w.view("shop").operation.is_some());
    let operation = world.view("shop").operation.expect("it has begun");
    assert_eq!(operation.summary.id, OperationId(18));
    let eta = operation.eta_ms.expect("a turn took 5 s in another life");
    assert!((9_000..=10_000).contains(&eta), "{eta}");
}

#[test]
fn a_turn_that_takes_longer_than_the_last_ones_is_expected_of_the_next_ones_too() {
    let mut world = World::new(vec![service("shop", 2)], 7);
    world.core.recall(OperationId(17), [(name("shop"), Duration::from_secs(5))]);
    world.settle_boot();
    for _ in 0..2 {
        assert!(world.request("shop", Duration::from_secs(30)));
    }
    world.restart("shop");
    world.run_for(Duration::from_secs(20));
    let operation = world.view("shop").operation.expect("it drains still");
    let eta = operation.eta_ms.expect("a turn took 5 s in another life");
    assert!((19_000..=20_000).contains(&eta), "{eta}");
}
