//! What must happen when the configuration changes while something else is under way.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::id::Generation;
use smoothserve_protocol::message::Refusal;
use smoothserve_protocol::plan::ChangeKind;
use smoothserve_protocol::snapshot::InstanceState;

use super::super::{Effect, Input, Reconfigure, WhenNone};
use super::{World, name, service};

fn scale(world: &mut World, instances: u16) {
    let config = Arc::new(crate::config::ServiceConfig {
        instances: NonZeroU16::new(instances).unwrap(),
        ..service("shop", 2)
    });
    let (kind, what) = (ChangeKind::Scale, vec!["instance_count".to_owned()]);
    world.input(Input::Configured(vec![Reconfigure::Change { config, kind, what }]));
}

#[test]
fn a_change_during_a_drain_that_takes_too_long_is_applied_when_the_rollout_ends() {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    for _ in 0..2 {
        assert!(world.request("shop", Duration::from_secs(600)));
    }
    let ticket = world.restart("shop");
    world.run_for(Duration::from_secs(1));
    scale(&mut world, 3);
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    assert!(matches!(world.answer(ticket), Some(Err(Refusal::DrainTimedOut { .. }))));
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.states("shop"), [InstanceState::Ready; 3]);
}

#[test]
fn a_change_during_a_preflight_that_fails_is_applied_after_it() {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    world.preflight_problem = Some("/srv/shop does not exist".into());
    let ticket = world.restart("shop");
    assert!(world.answer(ticket).is_none(), "the preflight takes a moment");
    scale(&mut world, 3);
    world.run_until("the answer", |w| w.answer(ticket).is_some());
    assert!(matches!(world.answer(ticket), Some(Err(Refusal::Preflight { .. }))));
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.states("shop"), [InstanceState::Ready; 3]);
}

/// A service whose file goes while it has a request, and comes back with these arguments.
fn removed_and_back(args: &[&str]) -> World {
    let mut world = World::new(vec![service("shop", 2)], 1);
    world.settle_boot();
    assert!(world.request("shop", Duration::from_secs(30)));
    world.input(Input::Configured(vec![Reconfigure::Remove(name("shop"))]));
    world.run_for(Duration::from_millis(1));
    let args = args.iter().map(ToString::to_string).collect();
    let config = Arc::new(crate::config::ServiceConfig { args, ..service("shop", 2) });
    world.input(Input::Configured(vec![Reconfigure::Add(config)]));
    world.run_for(Duration::from_secs(120));
    assert_eq!(world.states("shop"), [InstanceState::Ready; 2]);
    world
}

#[test]
fn a_service_that_comes_back_before_it_has_gone_runs_with_what_its_file_says_now() {
    let world = removed_and_back(&["new"]);
    assert_eq!(world.view("shop").row.generation, Generation(2), "{}", world.history());
}

#[test]
fn a_service_that_comes_back_as_it_was_before_it_has_gone_is_not_restarted() {
    let same = service("shop", 2).args;
    let same: Vec<&str> = same.iter().map(String::as_str).collect();
    let world = removed_and_back(&same);
    assert_eq!(world.view("shop").row.generation, Generation(1), "{}", world.history());
}

#[test]
fn a_service_that_is_added_is_never_offered_as_stopped() {
    let mut world = World::new(vec![service("shop", 1)], 7);
    world.settle_boot();
    let added = Arc::new(service("store", 1));
    world.core.handle(world.now, Input::Configured(vec![Reconfigure::Add(added)]));
    let mut offers = Vec::new();
    while let Some(effect) = world.core.poll_effect() {
        if let Effect::Route { when_none, .. } = effect {
            offers.push(when_none);
        }
    }
    assert!(matches!(offers[..], [WhenNone::Hold(_)]), "{offers:?}");
}
