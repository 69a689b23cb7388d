//! A daemon that proves, listens and pushes as the real one does, and whose world is made up.
//!
//! It pushes at the pace of the real sessions: the overview once a second, the focused service ten
//! times a second while it moves, events as they come.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use smoothserve_protocol::auth::Token;
use smoothserve_protocol::frame;
use smoothserve_protocol::id::{OperationId, ServiceName};
use smoothserve_protocol::io;
use smoothserve_protocol::message::{Done, FromDaemon, FromTool, Push, Refusal, Request};
use smoothserve_protocol::snapshot::{Overview, ServiceDetail};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use crate::world::{Mood, Tenth, World};

/// What can be changed while it runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    pub(crate) mood: Mood,
    /// New events a second.
    pub(crate) events: u64,
    /// Nothing is said, and the connections stay.
    pub(crate) is_silent: bool,
}

impl Course {
    pub(crate) const fn of(mood: Mood) -> Self {
        Self { mood, events: 0, is_silent: false }
    }
}

/// A daemon that is none.
pub(crate) struct Synthetic {
    addr: SocketAddr,
    shared: Shared,
    folder: TempDir,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone)]
struct Shared {
    world: World,
    token: Token,
    course: watch::Sender<Course>,
    counts: Arc<Counts>,
}

/// What was sent.
#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    newest_event: AtomicU64,
    /// The clock of the last overview.
    clock: AtomicU64,
}

impl Synthetic {
    /// Listens on a free port.
    pub(crate) async fn start(world: World, course: Course) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let token = Token::generate()?;
        std::fs::write(folder.path().join("token"), token.to_text())?;
        let (course, _) = watch::channel(course);
        let shared = Shared { world, token, course, counts: Arc::default() };
        let addr = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut daemon = Self { addr, shared, folder, task: Mutex::default() };
        daemon.addr = daemon.listen()?;
        Ok(daemon)
    }

    pub(crate) fn addr(&self) -> String {
        self.addr.to_string()
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.folder.path().join("token")
    }

    /// Another world from now on.
    pub(crate) fn set(&self, course: Course) {
        self.shared.course.send_replace(course);
    }

    /// Bytes sent so far, on all connections.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.counts.bytes.load(Ordering::Relaxed)
    }

    /// The number of the newest event.
    pub(crate) fn newest_event(&self) -> u64 {
        self.shared.counts.newest_event.load(Ordering::Relaxed)
    }

    /// The clock of the last overview, in milliseconds since 1970.
    pub(crate) fn clock(&self) -> u64 {
        self.shared.counts.clock.load(Ordering::Relaxed)
    }

    /// Goes away, and every connection with it.
    pub(crate) async fn leave(&self) {
        let task = self.task.lock().map(|mut task| task.take()).unwrap_or_default();
        if let Some(task) = task {
            task.abort();
            // Aborted, as it was just told.
            let _ = task.await;
        }
    }

    /// Comes back at the same address.
    pub(crate) fn come_back(&self) -> anyhow::Result<()> {
        self.listen().map(|_| ())
    }

    fn listen(&self) -> anyhow::Result<SocketAddr> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.addr)?;
        let listener = socket.listen(16)?;
        let addr = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, self.shared.clone()));
        if let Ok(mut held) = self.task.lock() {
            *held = Some(task);
        }
        Ok(addr)
    }
}

impl Drop for Synthetic {
    fn drop(&mut self) {
        if let Ok(Some(task)) = self.task.lock().map(|mut task| task.take()) {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Shared) {
    // Dropping the set ends every session: the daemon is gone.
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        sessions.spawn(session(stream, shared.clone()));
    }
}

/// One console, until it goes or takes nothing any more.
async fn session(mut stream: TcpStream, shared: Shared) {
    let ready = stream.set_nodelay(true).is_ok();
    if !ready || io::admit(&mut stream, &shared.token).await.is_err() {
        return;
    }
    let (mut receiver, mut sender) = io::split::<_, FromTool, FromDaemon>(stream);
    let mut told = Told::default();
    let mut ticks = interval(Duration::from_millis(100));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut at: Tenth = 0;
    loop {
        let said = tokio::select! {
            message = receiver.recv() => match message {
                Ok(Some(FromTool::Request { id, request })) => {
                    let result = shared.answer(&request, at);
                    let mut said = vec![FromDaemon::Response { id, result }];
                    if let Request::Subscribe { focus, events_after } = request {
                        let newest = shared.counts.newest_event.load(Ordering::Relaxed);
                        told.event = events_after.map_or(newest, |known| known.0);
                        (told.focus, told.service) = (Some(focus), None);
                        said.extend(shared.beat(&mut told, at, true));
                    }
                    said
                }
                Ok(Some(FromTool::Introduce { .. })) => Vec::new(),
                Ok(None) | Err(_) => return,
            },
            _ = ticks.tick() => {
                at += 1;
                shared.beat(&mut told, at, false)
            }
        };
        for message in said {
            let length = frame::encode(&message).map_or(0, |payload| payload.len() + 4);
            shared.counts.bytes.fetch_add(length as u64, Ordering::Relaxed);
            if sender.send(&message).await.is_err() {
                return;
            }
            let clock = match &message {
                FromDaemon::Push(Push::Overview(overview)) => overview.daemon.unix_ms,
                FromDaemon::Push(Push::OverviewMoved(moved)) => moved.daemon.unix_ms,
                _ => continue,
            };
            shared.counts.clock.store(clock, Ordering::Relaxed);
        }
    }
}

/// What a console was told.
#[derive(Default)]
struct Told {
    /// What it subscribed to; none: to nothing.
    focus: Option<Option<ServiceName>>,
    /// The last event.
    event: u64,
    overview: Option<Overview>,
    service: Option<Box<ServiceDetail>>,
}

impl Told {
    /// As the daemon tells it: of what it told already, what moved.
    fn moved(&mut self, push: Push) -> Push {
        match push {
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
        }
    }
}

impl Shared {
    fn answer(&self, request: &Request, at: Tenth) -> Result<Done, Refusal> {
        let mood = self.course.borrow().mood;
        let newest = self.counts.newest_event.load(Ordering::Relaxed);
        Ok(match request {
            Request::Subscribe { .. } => Done::Subscribed,
            Request::Status => Done::Status(Box::new(self.world.snapshot(mood, at))),
            Request::Events { after, .. } => {
                Done::Events(self.world.events(after.map_or(0, |known| known.0), newest))
            }
            Request::History { .. } => Done::History(Vec::new()),
            Request::Logs { .. } => Done::Logs(smoothserve_protocol::log::LogBatch::default()),
            _ => Done::Begun { operation: OperationId(18) },
        })
    }

    /// What is pushed at this moment; at once, to whom has just subscribed.
    fn beat(&self, told: &mut Told, at: Tenth, at_once: bool) -> Vec<FromDaemon> {
        let course = *self.course.borrow();
        let Some(focus) = &told.focus else { return Vec::new() };
        if course.is_silent {
            return Vec::new();
        }
        // The console's own clock goes on between two beats: where it must not be seen to, they
        // come twice a second.
        let beat = if course.mood == Mood::Frozen { 5 } else { 10 };
        let second = at_once || at.is_multiple_of(beat);
        let mut pushes = Vec::new();
        if course.events > 0 && (second || course.events > 1) {
            let each = if course.events > 1 { course.events.div_ceil(10) } else { 1 };
            self.counts.newest_event.fetch_add(each, Ordering::Relaxed);
        }
        let newest = self.counts.newest_event.load(Ordering::Relaxed);
        if newest > told.event {
            pushes.push(Push::Events(self.world.events(told.event, newest)));
            told.event = newest;
        }
        if second || course.mood == Mood::Everything {
            pushes.push(Push::Overview(self.world.overview(course.mood, at)));
        }
        if let Some(name) = focus {
            let fast = match course.mood {
                Mood::Frozen | Mood::Clock | Mood::Rates => false,
                Mood::Restart => name.as_str() == "service-000",
                Mood::Everything => true,
            };
            if second || fast {
                pushes.push(Push::Service(self.world.detail(name.as_str(), course.mood, at)));
            }
        }
        pushes.into_iter().map(|push| FromDaemon::Push(told.moved(push))).collect()
    }
}
