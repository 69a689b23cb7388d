//! What an attached console is told without asking. How fast is for bench/ to say, not for a
//! test.

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::id::{EventSeq, Revision};
use smoothserve_protocol::message::{Done, Push, Request};
use smoothserve_protocol::snapshot::{Canary, InstanceState, ServiceDetail};
use smoothserve_tests::command::CommandConnection;
use smoothserve_tests::daemon::{TestDaemon, name};
use smoothserve_tests::look;
use smoothserve_tests::process::{self, Signal};
use smoothserve_tests::setup::{Service, Setup};

/// A console that looks at one service, and checks that what it is told has an order.
struct Console {
    connection: CommandConnection,
    revision: Revision,
    event: Option<EventSeq>,
}

impl Console {
    async fn attach(daemon: &TestDaemon) -> anyhow::Result<Self> {
        let mut connection = daemon.open().await?;
        let request = Request::Subscribe { focus: Some(name("shop")), events_after: None };
        let subscribed = connection.ask(request).await?;
        anyhow::ensure!(subscribed == Ok(Done::Subscribed), "{subscribed:?}");
        Ok(Self { connection, revision: Revision::default(), event: None })
    }

    async fn told(&mut self) -> Push {
        let push = self.connection.told().await.expect("a subscriber is told");
        match &push {
            Push::Overview(overview) => {
                assert!(overview.revision >= self.revision, "an older state follows a newer one");
                self.revision = overview.revision;
            }
            Push::Events(batch) => {
                assert_eq!(batch.missed, 0);
                for event in &batch.events {
                    assert!(self.event.is_none_or(|last| event.seq == last.next()), "{batch:?}");
                    self.event = Some(event.seq);
                }
            }
            Push::Service(_) | Push::Logs(_) => {}
            Push::OverviewMoved(_) | Push::ServiceMoved(_) => unreachable!("it is told the whole"),
            Push::Bye { reason } => panic!("sent away: {reason}"),
        }
        push
    }

    /// What it is told until the service is as it should be.
    async fn told_until(&mut self, condition: impl Fn(&ServiceDetail) -> bool) -> Vec<Push> {
        let mut heard = Vec::new();
        loop {
            let push = self.told().await;
            let is_it = matches!(&push, Push::Service(Some(service)) if condition(service));
            heard.push(push);
            if is_it {
                return heard;
            }
        }
    }
}

fn ready(service: &ServiceDetail) -> usize {
    service.instances.iter().filter(|instance| instance.state == InstanceState::Ready).count()
}

fn holds_event(heard: &[Push], condition: impl Fn(&EventKind) -> bool) -> bool {
    heard.iter().any(|push| match push {
        Push::Events(batch) => batch.events.iter().any(|event| condition(&event.kind)),
        _ => false,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_and_its_end_reach_an_attached_console() {
    let daemon = Setup::of(Service::new("shop")).start_ready().await.unwrap();
    let mut console = Console::attach(&daemon).await.unwrap();
    console.told_until(|service| ready(service) == 3).await;
    for victim in look::pids(&daemon.snapshot().await, "shop") {
        process::send(victim, Signal::KILL).unwrap();
        let heard = console.told_until(|service| ready(service) == 2).await;
        // Why comes before what.
        assert!(holds_event(&heard, |kind| matches!(kind, EventKind::BackingOff { .. })));
        let heard = console.told_until(|service| ready(service) == 3).await;
        assert!(holds_event(&heard, |kind| matches!(kind, EventKind::Ready { .. })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_restart_reaches_an_attached_console() {
    // Each lasts longer than a console may be without news; of shorter ones it may skip some.
    let service = Service::new("shop").key("min_ready_time", "600ms");
    let daemon = Setup::of(service).start_ready().await.unwrap();
    let mut console = Console::attach(&daemon).await.unwrap();
    console.told_until(|service| ready(service) == 3).await;
    let restart = daemon.restart("shop");
    let watch = console.told_until(|service| service.receipts.len() == 1);
    let (restarted, heard) = tokio::join!(restart, watch);
    assert!(restarted.is_ok());
    let seen = |done: u16| {
        heard.iter().any(|push| match push {
            Push::Service(Some(service)) => {
                service.operation.as_ref().is_some_and(|operation| operation.summary.done == done)
            }
            _ => false,
        })
    };
    assert!(seen(0) && seen(1) && seen(2), "{heard:#?}");
    // Old and new are compared for as long as both serve, and no longer.
    let operations = heard.iter().filter_map(|push| match push {
        Push::Service(Some(service)) => service.operation.as_ref(),
        _ => None,
    });
    for operation in operations.clone() {
        if let Some(Canary { old, new }) = operation.canary {
            assert_eq!((old.generation, new.generation), (operation.from, operation.to));
            assert!(old.ready > 0 && new.ready > 0, "{operation:#?}");
        }
    }
    assert!(operations.clone().any(|operation| operation.canary.is_some()), "{heard:#?}");
    assert!(operations.clone().any(|operation| operation.canary.is_none()), "{heard:#?}");
    let count = |test: fn(&EventKind) -> bool| {
        let batches = heard.iter().filter_map(|push| match push {
            Push::Events(batch) => Some(&batch.events),
            _ => None,
        });
        batches.flatten().filter(|event| test(&event.kind)).count()
    };
    assert_eq!(count(|kind| matches!(kind, EventKind::Draining { .. })), 3);
    assert_eq!(count(|kind| matches!(kind, EventKind::Ready { .. })), 3);
}
