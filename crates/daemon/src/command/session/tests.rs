//! A console that does not read, and one that could not be told so much.

use smoothserve_protocol::frame;
use smoothserve_protocol::snapshot::Overview;
use tokio::io::DuplexStream;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::super::stage::{failing, name, world};
use super::*;
use crate::supervisor::Staged;

/// A console at the other end of a session; between them, the network keeps so many bytes.
struct Console {
    receiver: wire::Receiver<DuplexStream, FromDaemon>,
    sender: wire::Sender<DuplexStream, FromTool>,
    daemon: Staged,
    _folder: tempfile::TempDir,
    session: AbortOnDropHandle<()>,
}

impl Console {
    async fn open(network: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let daemon = Staged::new(folder.path());
        let (ours, theirs) = tokio::io::duplex(network);
        let reach = (daemon.handle.clone(), Reloads::new().0);
        let session = run(theirs, reach, CancellationToken::new());
        let session = AbortOnDropHandle::new(tokio::spawn(session));
        let (receiver, mut sender) = wire::split(ours);
        let hello = FromTool::Introduce { actor: "ops@bastion".into(), read_only: true };
        sender.send(&hello).await.unwrap();
        Self { receiver, sender, daemon, _folder: folder, session }
    }

    async fn ask(&mut self, request: Request) {
        self.sender.send(&FromTool::Request { id: RequestId(1), request }).await.unwrap();
    }

    async fn told(&mut self) -> FromDaemon {
        self.receiver.recv().await.unwrap().unwrap()
    }
}

/// A console stops reading, as on a link that hangs; the daemon makes nothing for it meanwhile, and
/// then tells it how things are, not how they were.
#[tokio::test(start_paused = true)]
async fn a_console_that_stops_reading_costs_nothing_and_misses_no_event() {
    const NETWORK: usize = 64 * 1024;
    let mut console = Console::open(NETWORK).await;
    console.daemon.show(world(Duration::ZERO, Some(7)));
    console.ask(Request::Subscribe { focus: Some(name(7)), events_after: None }).await;
    let subscribed = console.told().await;
    assert!(matches!(subscribed, FromDaemon::Response { .. }), "{subscribed:?}");

    let mut at = Duration::ZERO;
    for look in 0..100 {
        at += Duration::from_millis(100);
        console.daemon.show(world(at, Some(7)));
        if look % 10 == 0 {
            console.daemon.note("something happened");
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert!(!console.session.is_finished());

    let newest = world(at, Some(7));
    let (mut overview, mut service) = (None::<Overview>, None);
    let (mut bytes, mut events) = (0, Vec::new());
    let is_newest = |overview: &Option<Overview>| {
        overview.as_ref().is_some_and(|overview| overview.revision == newest.revision)
    };
    while !is_newest(&overview) || service.as_deref() != Some(&newest.services[7]) {
        let message = console.told().await;
        bytes += frame::encode(&message).unwrap().len();
        match message {
            FromDaemon::Push(Push::Overview(whole)) => overview = Some(whole),
            FromDaemon::Push(Push::OverviewMoved(moved)) => overview.as_mut().unwrap().take(moved),
            FromDaemon::Push(Push::Service(whole)) => service = whole,
            FromDaemon::Push(Push::ServiceMoved(moved)) => service.as_mut().unwrap().take(*moved),
            FromDaemon::Push(Push::Events(batch)) => {
                assert_eq!(batch.missed, 0);
                events.extend(batch.events);
            }
            other => panic!("{other:?}"),
        }
    }
    // What lay in the network, what the session waited to hand over, and then the newest.
    assert!(bytes < NETWORK * 3, "{bytes} bytes were made for a console that did not read");
    assert!(
        overview.unwrap().services
            == newest.services.iter().map(|s| s.row.clone()).collect::<Vec<_>>()
    );
    let numbers: Vec<u64> = events.iter().map(|event| event.seq.0).collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_console_that_takes_nothing_for_long_is_sent_away() {
    let mut console = Console::open(1024).await;
    console.daemon.show(world(Duration::ZERO, None));
    console.ask(Request::Subscribe { focus: None, events_after: None }).await;
    sleep(STALLED * 2).await;
    assert!(console.session.is_finished());
}

/// 8 000 instances that failed have 200 MB to say.
#[test]
fn what_is_too_long_for_a_frame_is_shortened_until_it_fits() {
    let snapshot = failing();
    let service = Box::new(snapshot.services[0].clone());
    let mut answer = FromDaemon::Response {
        id: RequestId(1),
        result: Ok(Done::Status(Box::new(snapshot.clone()))),
    };
    let mut steps = brief::STEPS.into_iter();
    let payload = loop {
        match frame::encode(&answer) {
            Ok(payload) => break payload,
            Err(FrameError::TooLong(_)) => steps.next().unwrap().shorten(&mut answer),
            Err(other) => panic!("{other}"),
        }
    };
    let FromDaemon::Response { result: Ok(Done::Status(heard)), .. } =
        frame::decode(&payload).unwrap()
    else {
        panic!("another message came back");
    };
    assert_eq!(heard.services.len(), snapshot.services.len());
    let failure = heard.services[499].instances[15].failure.as_ref().unwrap();
    assert_eq!(failure.last_output, [format!("49 {}", "ä".repeat(77))]);
    // What fits is left as it is.
    let push = FromDaemon::Push(Push::Service(Some(service)));
    assert!(frame::encode(&push).is_ok());
}

/// One service may have more to say than a frame carries, too.
#[tokio::test(start_paused = true)]
async fn a_service_that_says_too_much_is_told_in_brief() {
    let mut console = Console::open(1024).await;
    let mut snapshot = failing();
    let every = snapshot.services.iter().flat_map(|service| service.instances.clone()).collect();
    snapshot.services[0].instances = every;
    console.daemon.show(snapshot);
    console.ask(Request::Subscribe { focus: Some(name(0)), events_after: None }).await;
    loop {
        if let FromDaemon::Push(Push::Service(Some(service))) = console.told().await {
            assert_eq!(service.instances.len(), 8_000);
            break;
        }
    }
}
