//! What must happen when the configuration changes while something else is under way.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::message::Refusal;
use smoothserve_protocol::plan::ChangeKind;
use smoothserve_protocol::snapshot::InstanceState;

use super::super::{Input, Reconfigure};
use super::{World, service};

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
