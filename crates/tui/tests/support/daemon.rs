//! A daemon that proves, listens and pushes like the real one, and whose world is made up.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use smoothserve_protocol::auth::Token;
use smoothserve_protocol::event::{EventBatch, EventKind};
use smoothserve_protocol::id::{EventSeq, OperationId, ServiceName};
use smoothserve_protocol::io;
use smoothserve_protocol::message::{Done, FromDaemon, FromTool, Push, Refusal, Request};
use smoothserve_protocol::snapshot::{Overview, ServiceDetail};
use smoothtool::client::Target;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::world;

/// A running fake.
pub(crate) struct Fake {
    addr: SocketAddr,
    token: Token,
    /// Everything it was asked.
    requests: Arc<Mutex<Vec<Request>>>,
    story: Arc<Story>,
    folder: tempfile::TempDir,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Fake {
    /// Listens on a free port.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::generate().unwrap();
        std::fs::write(folder.path().join("token"), token.to_text()).unwrap();
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut fake = Self {
            addr,
            token,
            requests: Arc::default(),
            story: Arc::default(),
            folder,
            task: Mutex::default(),
        };
        fake.addr = fake.listen().await;
        fake
    }

    /// Goes away, and every connection with it.
    pub(crate) async fn pause(&self) {
        let task = self.task.lock().unwrap().take();
        if let Some(task) = task {
            task.abort();
            // Aborted, as it was just told.
            let _ = task.await;
        }
    }

    /// Comes back at the same address.
    pub(crate) async fn resume(&self) {
        self.listen().await;
    }

    async fn listen(&self) -> SocketAddr {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.addr).unwrap();
        let listener = socket.listen(16).unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(accept(
            listener,
            self.token.clone(),
            self.requests.clone(),
            self.story.clone(),
        ));
        *self.task.lock().unwrap() = Some(task);
        addr
    }

    /// Says nothing more by itself; every connection stays open.
    pub(crate) fn hush(&self) {
        self.story.is_silent.store(true, Ordering::SeqCst);
    }

    /// From now on something happens ten times a second.
    pub(crate) fn tell_events(&self) {
        self.story.goes_on.store(true, Ordering::SeqCst);
    }

    /// Nothing happens any more; returns how much did.
    pub(crate) fn stop_events(&self) -> u64 {
        self.story.goes_on.store(false, Ordering::SeqCst);
        self.story.told.load(Ordering::SeqCst)
    }

    /// How to reach it.
    pub(crate) fn target(&self) -> Target {
        Target {
            addr: self.addr.to_string(),
            token_file: self.folder.path().join("token"),
            actor: "test@here".into(),
            read_only: false,
        }
    }

    /// Whether it was asked to push what a service prints.
    pub(crate) fn is_followed(&self) -> bool {
        let requests = self.requests.lock().unwrap();
        requests.iter().any(|request| matches!(request, Request::Logs { follow: true, .. }))
    }

    /// The services that were started, stopped or restarted.
    pub(crate) fn commanded(&self) -> Vec<ServiceName> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter_map(|request| match request {
                Request::Start { service, .. }
                | Request::Stop { service, .. }
                | Request::Restart { service, .. } => Some(service.clone()),
                _ => None,
            })
            .collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().unwrap().take() {
            task.abort();
        }
    }
}

/// What a console was told last.
#[derive(Default)]
struct Told {
    overview: Option<Overview>,
    service: Option<Box<ServiceDetail>>,
}

impl Told {
    /// Of what was told already, what moved.
    fn moved(&mut self, push: Push) -> FromDaemon {
        FromDaemon::Push(match push {
            Push::Overview(now) => {
                let before = self.overview.replace(now.clone());
                let moved = before.and_then(|before| now.moved_since(&before));
                moved.map_or(Push::Overview(now), Push::OverviewMoved)
            }
            Push::Service(Some(now)) => {
                let before = self.service.replace(now.clone());
                let moved = before.and_then(|before| now.moved_since(&before)).map(Box::new);
                moved.map_or(Push::Service(Some(now)), Push::ServiceMoved)
            }
            other => other,
        })
    }
}

async fn accept(
    listener: TcpListener,
    token: Token,
    requests: Arc<Mutex<Vec<Request>>>,
    story: Arc<Story>,
) {
    // Dropping the set ends every session: the daemon is gone.
    let mut sessions = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        sessions.spawn(session(stream, token.clone(), requests.clone(), story.clone()));
    }
}

async fn session(
    mut stream: TcpStream,
    token: Token,
    requests: Arc<Mutex<Vec<Request>>>,
    story: Arc<Story>,
) {
    if io::admit(&mut stream, &token).await.is_err() {
        return;
    }
    let (mut receiver, mut sender) = io::split::<_, FromTool, FromDaemon>(stream);
    let mut focus: Option<Option<ServiceName>> = None;
    let mut ticks = interval(Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut told, mut age) = (Told::default(), 0_u64);
    loop {
        let said = tokio::select! {
            message = receiver.recv() => match message {
                Ok(Some(FromTool::Request { id, request })) => {
                    requests.lock().unwrap().push(request.clone());
                    if let Request::Subscribe { focus: wanted, .. } = &request {
                        focus = Some(wanted.clone());
                        age = age.div_ceil(10) * 10;
                        told.service = None;
                    }
                    vec![FromDaemon::Response { id, result: answer(&request) }]
                }
                Ok(Some(FromTool::Introduce { .. })) => Vec::new(),
                Ok(None) | Err(_) => return,
            },
            _ = ticks.tick() => {
                if story.is_silent.load(Ordering::SeqCst) {
                    continue;
                }
                age += 1;
                let mut pushes: Vec<_> =
                    pushes(focus.as_ref(), age - 1).into_iter().map(|push| told.moved(push)).collect();
                pushes.extend(story.next());
                pushes
            }
        };
        for message in said {
            if sender.send(&message).await.is_err() {
                return;
            }
        }
    }
}

/// What happens after the events of the fixed world.
#[derive(Default)]
struct Story {
    is_silent: AtomicBool,
    goes_on: AtomicBool,
    told: AtomicU64,
}

impl Story {
    fn next(&self) -> Option<FromDaemon> {
        if !self.goes_on.load(Ordering::SeqCst) {
            return None;
        }
        let number = self.told.fetch_add(1, Ordering::SeqCst) + 1;
        let mut event = world::events().events.pop()?;
        event.seq = EventSeq(event.seq.0 + number);
        event.kind = EventKind::Draining { in_flight: u32::try_from(number).ok()? };
        let batch = EventBatch { missed: 0, events: vec![event] };
        Some(FromDaemon::Push(Push::Events(batch)))
    }
}

fn answer(request: &Request) -> Result<Done, Refusal> {
    match request {
        Request::Subscribe { .. } => Ok(Done::Subscribed),
        Request::Logs { .. } => Ok(Done::Logs(world::logs())),
        Request::History { .. } => Ok(Done::History(world::past())),
        Request::Events { .. } => Ok(Done::Events(world::events())),
        Request::PlanRestart { service } => {
            Ok(Done::RestartPlan(Box::new(world::plan(service.as_str()))))
        }
        Request::Start { service, .. } if service.as_str() == "worker-ui" => {
            Ok(Done::Begun { operation: OperationId(18) })
        }
        Request::Start { .. } => Ok(Done::AlreadySo),
        Request::Restart { service, .. } if service.as_str() == "api" => Err(Refusal::Conflict {
            operation: OperationId(17),
            what: "rolling restart by ops@bastion".into(),
        }),
        Request::Restart { .. } | Request::Stop { .. } => {
            Ok(Done::Begun { operation: OperationId(19) })
        }
        Request::Status => Ok(world::status()),
        _ => Err(Refusal::NotPermitted),
    }
}

/// The overview once a second, the focused service ten times while it moves.
fn pushes(focus: Option<&Option<ServiceName>>, age: u64) -> Vec<Push> {
    let Some(focus) = focus else { return Vec::new() };
    let mut pushes = Vec::new();
    if age.is_multiple_of(10) {
        let mut overview = world::overview();
        overview.daemon.unix_ms += age * 100;
        overview.daemon.uptime_ms += age * 100;
        for (i, row) in (0..).zip(&mut overview.services) {
            row.traffic.milli_rps += row.traffic.milli_rps * ((age + 7 * i) % 30) / 30;
        }
        pushes.push(Push::Overview(overview));
    }
    let Some(name) = focus else { return pushes };
    let known = world::overview().services.iter().any(|row| row.name == *name);
    let moves = name.as_str() == "api";
    if known && (moves || age.is_multiple_of(10)) {
        let mut detail = world::detail(name.as_str());
        if moves {
            move_on(&mut detail, age);
        }
        pushes.push(Push::Service(Some(Box::new(detail))));
    }
    pushes
}

/// Requests come and go.
fn move_on(detail: &mut smoothserve_protocol::snapshot::ServiceDetail, age: u64) {
    let Some(operation) = &mut detail.operation else { return };
    operation.elapsed_ms += age * 100;
    operation.ledger.accepted += age * 120;
    operation.ledger.completed += age * 120;
    for (i, instance) in (0..).zip(&mut detail.instances) {
        if instance.drain.is_none() {
            instance.in_flight = 8 + u32::try_from((age + i * 3) % 7).unwrap_or(0);
        }
    }
}
