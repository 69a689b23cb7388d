//! What is told when, what it costs, and that it is enough.

use smoothserve_protocol::frame;
use smoothserve_protocol::id::Generation;
use smoothserve_protocol::message::FromDaemon;
use smoothserve_protocol::moved::OverviewMoved;

use super::super::stage::{name, world};
use super::*;

/// A daemon, and a console that takes over what it is told.
struct Console {
    feed: Feed,
    began: Instant,
    overview: Option<Overview>,
    service: Option<Box<ServiceDetail>>,
}

impl Console {
    fn looking_at(focus: Option<ServiceName>) -> Self {
        let mut feed = Feed::default();
        feed.look_at(focus);
        Self { feed, began: Instant::now(), overview: None, service: None }
    }

    /// What it is told `after` the beginning.
    fn told(&mut self, after: Duration, snapshot: &Snapshot) -> Vec<Push> {
        let pushes = self.feed.next(snapshot, self.began + after);
        for push in pushes.clone() {
            match push {
                Push::Overview(overview) => self.overview = Some(overview),
                Push::OverviewMoved(moved) => self.overview.as_mut().unwrap().take(moved),
                Push::Service(service) => self.service = service,
                Push::ServiceMoved(moved) => self.service.as_mut().unwrap().take(*moved),
                Push::Events(_) | Push::Logs(_) | Push::Bye { .. } => panic!("{push:?}"),
            }
        }
        pushes
    }

    /// Bytes a second, header included, over ten seconds; the first pushes not counted.
    fn bytes_a_second(&mut self, restarting: Option<u64>) -> usize {
        let mut bytes = 0;
        for look in 0..=100 {
            let after = Duration::from_millis(look * 100);
            let pushes = self.told(after, &world(after, restarting));
            let sizes = pushes.into_iter().map(|push| {
                frame::encode(&FromDaemon::Push(push)).unwrap().len() + size_of::<u32>()
            });
            let size: usize = sizes.sum();
            bytes += if look == 0 { 0 } else { size };
        }
        bytes / 10
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn moved(pushes: &[Push]) -> &OverviewMoved {
    match pushes {
        [Push::OverviewMoved(moved)] => moved,
        other => panic!("{other:?}"),
    }
}

#[test]
fn five_hundred_services_cost_little() {
    let overview = Console::looking_at(Some(name(3))).bytes_a_second(None);
    println!("500x16, overview, all figures moving: {overview} bytes a second");
    assert!(overview <= 20_000, "{overview} bytes a second");
    let restart = Console::looking_at(Some(name(7))).bytes_a_second(Some(7));
    println!("500x16, a restart open: {restart} bytes a second");
    assert!(restart <= 60_000, "{restart} bytes a second");
}

#[test]
fn a_console_that_takes_over_what_it_is_told_sees_what_is() {
    let mut console = Console::looking_at(Some(name(7)));
    for (look, restarting) in (0..40_u64).zip([None, Some(7), Some(8)].into_iter().cycle()) {
        let snapshot = world(millis(look * 1_000), restarting);
        console.told(millis(look * 1_000), &snapshot);
        assert!(console.overview == Some(overview_of(&snapshot)), "look {look}");
        assert!(console.service.as_deref() == Some(&snapshot.services[7]), "look {look}");
    }
}

#[test]
fn between_two_beats_only_what_changed_its_state_is_told() {
    let mut console = Console::looking_at(None);
    let mut snapshot = world(millis(0), None);
    assert!(matches!(console.told(millis(0), &snapshot)[..], [Push::Overview(_)]));
    // Figures alone wait for the beat, and so does a change that no overview shows.
    snapshot.services[1].row.traffic.milli_rps += 1;
    assert_eq!(console.told(millis(300), &snapshot), []);
    snapshot.revision = snapshot.revision.next();
    assert_eq!(console.told(millis(400), &snapshot), []);
    snapshot.revision = snapshot.revision.next();
    snapshot.services[2].row.generation = Generation(42);
    let pushes = console.told(millis(500), &snapshot);
    let moved_now = moved(&pushes);
    assert_eq!(moved_now.rows, [(2, snapshot.services[2].row.clone())]);
    assert_eq!(moved_now.figures, None);
    // The beat tells what was left out, though it moved no more.
    assert_eq!(console.told(millis(999), &snapshot), []);
    let pushes = console.told(millis(1_000), &snapshot);
    let figures = moved(&pushes).figures.clone();
    assert_eq!(figures, Some(vec![(1, snapshot.services[1].row.traffic)]));
    assert_eq!(
        console.feed.due(&snapshot, console.began + millis(1_000)) - console.began,
        BEAT * 2
    );
}

#[test]
fn another_focus_is_told_whole_and_the_overview_goes_on() {
    let mut console = Console::looking_at(Some(name(1)));
    let snapshot = world(millis(0), None);
    assert_eq!(console.told(millis(0), &snapshot).len(), 2);
    console.feed.look_at(Some(name(2)));
    // A key that is held down asks for no more than that.
    assert_eq!(console.told(millis(50), &snapshot), []);
    let pushes = console.told(millis(100), &snapshot);
    let [Push::Service(Some(service))] = &pushes[..] else { panic!("{pushes:?}") };
    assert!(**service == snapshot.services[2]);
    console.feed.look_at(Some(ServiceName::new("gone").unwrap()));
    assert_eq!(console.told(millis(300), &snapshot), [Push::Service(None)]);
}

#[test]
fn a_restart_is_told_ten_times_a_second_and_its_end_whole() {
    let mut console = Console::looking_at(Some(name(7)));
    let mut last = world(millis(0), Some(7));
    console.told(millis(0), &last);
    let at = console.began;
    assert_eq!(console.feed.due(&last, at) - at, FASTEST);
    for look in 1..=5 {
        last.services[7].ledger.accepted += 1;
        let pushes = console.told(millis(look * 100), &last);
        assert!(matches!(pushes[..], [Push::ServiceMoved(_)]), "{pushes:?}");
    }
    let mut ended = world(millis(0), None);
    ended.revision = last.revision.next();
    ended.services[7].receipts.remove(0);
    let pushes = console.told(millis(600), &ended);
    assert!(matches!(pushes[..], [Push::OverviewMoved(_), Push::Service(Some(_))]), "{pushes:?}");
}
