//! What becomes of file changes, however they come.

use std::time::Duration;

use smoothserve_protocol::event::{Cause, EventKind};
use smoothserve_protocol::snapshot::{InstanceState, ServiceState};

use super::super::settle::OFTEN_PAUSE;
use super::{Fate, GOOD, World, broken, service};

/// Two instances that watch, ready.
fn watching() -> World {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    world
}

fn generation(world: &World) -> u64 {
    world.view("shop").row.generation.0
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn warnings(world: &World, word: &str) -> usize {
    let is_one =
        |kind: &EventKind| matches!(kind, EventKind::Warning { text } if text.contains(word));
    world.events.iter().filter(|(_, kind)| is_one(kind)).count()
}

#[test]
fn changed_files_bring_one_rollout_when_they_are_quiet() {
    let mut world = watching();
    for _ in 0..50 {
        world.change("shop");
        world.run_for(Duration::from_millis(100));
    }
    assert_eq!(generation(&world), 1);
    world.run_for(seconds(10));
    assert_eq!(generation(&world), 2);
    let is_rollout = |kind: &EventKind| {
        matches!(kind, EventKind::RolloutStarted { cause: Cause::FilesChanged(files), .. }
            if *files == ["/srv/app"])
    };
    assert_eq!(world.events.iter().filter(|(_, kind)| is_rollout(kind)).count(), 1);
}

#[test]
fn a_trickle_of_changes_brings_a_rollout_a_minute() {
    let mut world = watching();
    for _ in 0..185 {
        world.change("shop");
        world.run_for(seconds(1));
    }
    assert_eq!(generation(&world), 4, "{}", world.history());
    assert_eq!(world.states("shop"), [InstanceState::Ready; 2]);
}

#[test]
fn touched_files_change_nothing_and_that_is_said() {
    let mut world = watching();
    world.touch("shop");
    world.run_for(seconds(60));
    assert_eq!(generation(&world), 1);
    let said = EventKind::FilesUnchanged { files: vec!["/srv/app".into()] };
    assert_eq!(world.events.last().map(|(_, kind)| kind), Some(&said));
    world.change("shop");
    world.change_back("shop");
    world.run_for(seconds(60));
    assert_eq!(generation(&world), 1, "what was changed back is what runs");
}

#[test]
fn a_half_written_program_is_waited_for() {
    let mut world = watching();
    world.write_for("shop", seconds(90));
    world.run_for(seconds(89));
    assert_eq!(generation(&world), 1);
    world.run_for(seconds(15));
    assert_eq!(generation(&world), 2);
}

#[test]
fn changes_during_a_rollout_bring_one_more_and_the_latest_content() {
    let mut world = watching();
    for _ in 0..2 {
        assert!(world.request("shop", seconds(30)));
    }
    world.change("shop");
    world.run_until("the rollout", |w| w.view("shop").row.state == ServiceState::Restarting);
    for _ in 0..3 {
        world.change("shop");
        world.run_for(seconds(5));
    }
    world.run_for(seconds(120));
    assert_eq!(generation(&world), 3, "{}", world.history());
    assert_eq!(world.contents_run("shop"), [4].into());
}

#[test]
fn a_change_taken_back_during_a_rollout_is_rolled_out_too() {
    let mut world = watching();
    world.change("shop");
    world.run_until("the first new run", |w| w.contents_run("shop").contains(&1));
    world.change_back("shop");
    world.run_for(seconds(60));
    assert_eq!(world.contents_run("shop"), [0].into());
}

#[test]
fn a_good_build_that_a_retry_has_taken_already_reaches_the_others_too() {
    let mut world = watching();
    world.build("shop", broken(Fate::ExitsAtOnce(1)));
    world.change("shop");
    world.run_for(seconds(10));
    assert_eq!(world.states("shop"), [InstanceState::Backoff, InstanceState::Ready]);
    world.build("shop", GOOD);
    world.change("shop");
    world.run_for(seconds(60));
    assert_eq!(world.contents_run("shop"), [2].into(), "{}", world.history());
}

#[test]
fn a_restart_by_hand_takes_a_change_along() {
    let mut world = watching();
    world.change("shop");
    let ticket = world.restart("shop");
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    world.run_for(seconds(60));
    assert_eq!(generation(&world), 2, "nothing is left to be done");
}

#[test]
fn a_change_before_a_stop_is_forgotten_by_it() {
    let mut world = watching();
    world.change("shop");
    world.run_for(Duration::from_millis(2500));
    let stop = world.stop("shop", None);
    world.run_until("the answer", |w| w.answer(stop).is_some());
    let start = world.start("shop");
    world.run_until("the answer", |w| w.answer(start).is_some());
    world.run_for(seconds(60));
    assert_eq!(generation(&world), 1);
    assert_eq!(world.contents_run("shop"), [1].into());
}

#[test]
fn six_failed_rollouts_suspend_watching_until_somebody_restarts() {
    let mut world = watching();
    world.build("shop", broken(Fate::ExitsAtOnce(1)));
    for _ in 0..8 {
        world.change("shop");
        world.run_for(seconds(30));
    }
    assert_eq!(warnings(&world, "suspended: the last 6 failed"), 1, "{}", world.history());
    let begun = |world: &World| {
        let is_one = |kind: &EventKind| matches!(kind, EventKind::RolloutStarted { .. });
        world.events.iter().filter(|(_, kind)| is_one(kind)).count()
    };
    assert_eq!(begun(&world), 6);
    world.build("shop", GOOD);
    let ticket = world.restart("shop");
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    world.change("shop");
    world.run_for(seconds(30));
    assert_eq!(begun(&world), 8);
    assert_eq!(world.contents_run("shop"), [9].into());
}

#[test]
fn a_service_that_writes_what_it_watches_pauses_and_loses_no_change() {
    let mut world = watching();
    for _ in 0..6 {
        world.change("shop");
        world.run_for(seconds(8));
    }
    assert_eq!(generation(&world), 6, "{}", world.history());
    assert_eq!(warnings(&world, "pause for 5 minutes"), 1);
    world.run_for(OFTEN_PAUSE - seconds(30));
    assert_eq!(generation(&world), 6);
    world.run_for(seconds(60));
    assert_eq!(generation(&world), 7);
    assert_eq!(world.contents_run("shop"), [6].into());
}
