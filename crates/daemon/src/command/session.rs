//! One operator's connection: decode, ask, answer, stream.
//!
//! A slow console costs nothing but itself: state is newest-wins, events are a ring with numbers,
//! and a write that stalls ends the session.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::{EventSeq, RequestId, Revision, ServiceName, Slot};
use smoothserve_protocol::io::{self as wire, ConnectionError};
use smoothserve_protocol::message::{Done, FromDaemon, FromTool, Push, Refusal, Request};
use smoothserve_protocol::snapshot::{Overview, Snapshot};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::follow::{self, Follow};
use crate::config::Pattern;
use crate::core::{AnswerWhen, Command};
use crate::reload::Reloads;
use crate::supervisor::{Handle, Question, Watching};

/// How long a console has to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(3);
/// A write that takes longer ends the session.
const STALLED: Duration = Duration::from_secs(10);
/// Two pushes of one kind are at least so far apart,
const FASTEST: Duration = Duration::from_millis(100);
/// and at most so far.
const SLOWEST: Duration = Duration::from_secs(1);
/// Events in one push.
const BATCH: usize = 500;
/// Questions under way at once.
const QUESTIONS: usize = 64;
/// Characters of an actor's name that are kept.
const ACTOR: usize = 100;

type Receiver = wire::Receiver<TcpStream, FromTool>;
type Sender = wire::Sender<TcpStream, FromDaemon>;
type Answer = (RequestId, Result<Done, Refusal>);

/// Serves one console until it goes or the daemon does.
pub(super) async fn run(
    stream: TcpStream,
    (supervisor, reloads): (Handle, Reloads),
    closing: CancellationToken,
) {
    let (mut receiver, sender) = wire::split(stream);
    let Ok(Ok(Some(FromTool::Introduce { actor, read_only }))) =
        timeout(INTRODUCTION, receiver.recv()).await
    else {
        return;
    };
    let actor: String = actor.chars().filter(|c| !c.is_control()).take(ACTOR).collect();
    tracing::debug!("command port: {actor} is here");
    let session = Session {
        sender,
        supervisor,
        reloads,
        actor,
        read_only,
        subscription: None,
        last_event: None,
        follow: None,
    };
    if let Err(error) = session.serve(receiver, closing).await {
        tracing::debug!("command port: session ended: {error}");
    }
}

struct Session {
    sender: Sender,
    supervisor: Handle,
    reloads: Reloads,
    actor: String,
    read_only: bool,
    subscription: Option<Subscription>,
    last_event: Option<EventSeq>,
    /// Whose output is pushed as it comes.
    follow: Option<Follow>,
}

/// What is pushed, and when it was last.
struct Subscription {
    focus: Option<ServiceName>,
    overview: Sent,
    service: Sent,
    _watching: Watching,
}

/// The last push of one kind.
#[derive(Clone, Copy, Default)]
struct Sent {
    at: Option<Instant>,
    revision: Option<Revision>,
}

impl Sent {
    /// When the next one is due: soon if something changed, else in its time.
    fn due(self, revision: Revision, moving: bool) -> Instant {
        let Some(at) = self.at else { return Instant::now() };
        let news = moving || self.revision != Some(revision);
        at + if news { FASTEST } else { SLOWEST }
    }

    fn now(revision: Revision) -> Self {
        Self { at: Some(Instant::now()), revision: Some(revision) }
    }
}

impl Session {
    async fn serve(
        mut self,
        mut receiver: Receiver,
        closing: CancellationToken,
    ) -> Result<(), ConnectionError> {
        let mut answers: FuturesUnordered<BoxFuture<'static, Answer>> = FuturesUnordered::new();
        let mut snapshots = self.supervisor.snapshots();
        let mut events = self.supervisor.event_numbers();
        loop {
            let snapshot = Arc::clone(&snapshots.borrow_and_update());
            let due = self.push_due(&snapshot).await?;
            tokio::select! {
                biased;
                message = receiver.recv(), if answers.len() < QUESTIONS => match message? {
                    Some(FromTool::Request {
                        id,
                        request: Request::Subscribe { focus, events_after },
                    }) => {
                        self.subscribe(focus, events_after);
                        // Before the first push: whoever asked may listen for nothing else yet.
                        let result = Ok(Done::Subscribed);
                        self.send(&FromDaemon::Response { id, result }).await?;
                    }
                    Some(FromTool::Request { id, request }) => {
                        answers.push(self.ask(id, request));
                    }
                    // Twice introduced is no one we know.
                    Some(FromTool::Introduce { .. }) | None => return Ok(()),
                },
                Some((id, result)) = answers.next() => {
                    // Events that led to the answer come before it.
                    self.push_events().await?;
                    self.send(&FromDaemon::Response { id, result }).await?;
                    if let Some(follow) = &mut self.follow {
                        follow.answered(id);
                    }
                }
                Ok(()) = events.changed(), if self.subscription.is_some() => {
                    self.push_events().await?;
                }
                Ok(()) = snapshots.changed(), if self.subscription.is_some() => {}
                () = until(due), if due.is_some() => {}
                batch = follow::next(&mut self.follow) => {
                    self.send(&FromDaemon::Push(Push::Logs(batch))).await?;
                }
                () = closing.cancelled() => {
                    let reason = "the daemon has stopped".to_owned();
                    return self.send(&FromDaemon::Push(Push::Bye { reason })).await;
                }
            }
        }
    }

    async fn send(&mut self, message: &FromDaemon) -> Result<(), ConnectionError> {
        timeout(STALLED, self.sender.send(message))
            .await
            .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?
    }

    // ---- questions ------------------------------------------------------------------------

    fn ask(&mut self, id: RequestId, request: Request) -> BoxFuture<'static, Answer> {
        let supervisor = self.supervisor.clone();
        match request {
            Request::Events { after, limit } => {
                let batch = supervisor.events(after, limit as usize);
                Box::pin(std::future::ready((id, Ok(Done::Events(batch)))))
            }
            Request::History { service, limit } => {
                Box::pin(async move { (id, supervisor.history(service, limit).await) })
            }
            Request::Status => Box::pin(async move {
                let snapshot = supervisor.look().await.ok_or(Refusal::ShuttingDown);
                (id, snapshot.map(|snapshot| Done::Status(Box::new((*snapshot).clone()))))
            }),
            Request::Logs { service, slot, lines, grep, follow } => {
                match self.question(service, slot, lines, grep) {
                    Ok(question) => self.logs(id, question, follow),
                    Err(refusal) => Box::pin(std::future::ready((id, Err(refusal)))),
                }
            }
            Request::Reload { plan } => self.reload(id, plan),
            Request::PlanRestart { service } => {
                let command = Command::PlanRestart { service };
                Box::pin(async move { (id, supervisor.request(command).await) })
            }
            command => match self.command(command) {
                Err(refusal) => Box::pin(std::future::ready((id, Err(refusal)))),
                Ok(command) => Box::pin(async move { (id, supervisor.request(command).await) }),
            },
        }
    }

    fn reload(&self, id: RequestId, plan: bool) -> BoxFuture<'static, Answer> {
        if self.read_only && !plan {
            return Box::pin(std::future::ready((id, Err(Refusal::NotPermitted))));
        }
        if !plan {
            tracing::info!(target: "audit", "{}: Reload", self.actor);
        }
        let reloads = self.reloads.clone();
        Box::pin(async move {
            let report = reloads.reload(plan).await.ok_or(Refusal::ShuttingDown);
            (id, report.map(|report| Done::Reloaded(Box::new(report))))
        })
    }

    /// The core's word for a command, with who asks; and the line in the log that says so.
    fn command(&self, request: Request) -> Result<Command, Refusal> {
        if self.read_only {
            return Err(Refusal::NotPermitted);
        }
        tracing::info!(target: "audit", "{}: {request:?}", self.actor);
        let cause = Cause::Operator(self.actor.clone());
        let when = |wait| if wait { AnswerWhen::Ended } else { AnswerWhen::Begun };
        Ok(match request {
            Request::Start { service, wait } => {
                Command::Start { service, cause, answer: when(wait) }
            }
            Request::Stop { service, force, timeout_ms, expected, wait } => {
                let limit = if force { Some(0) } else { timeout_ms };
                let limit = limit.map(Duration::from_millis);
                Command::Stop { service, cause, expected, limit, answer: when(wait) }
            }
            Request::Restart {
                service,
                drain_timeout_ms,
                on_drain_timeout,
                expected,
                join,
                wait,
            } => {
                let drain_timeout = drain_timeout_ms.map(Duration::from_millis);
                let answer = when(wait);
                Command::Restart {
                    service,
                    cause,
                    expected,
                    join,
                    drain_timeout,
                    on_drain_timeout,
                    answer,
                }
            }
            Request::Steer { service, operation, steer } => {
                Command::Steer { service, cause, operation, steer }
            }
            Request::Shutdown { force } => Command::Shutdown { cause, force },
            Request::Status
            | Request::Events { .. }
            | Request::Subscribe { .. }
            | Request::Reload { .. }
            | Request::PlanRestart { .. }
            | Request::History { .. }
            | Request::Logs { .. } => {
                return Err(Refusal::NotPermitted);
            }
        })
    }

    fn question(
        &self,
        service: ServiceName,
        slot: Option<Slot>,
        lines: u32,
        grep: Option<String>,
    ) -> Result<Question, Refusal> {
        let known = self.supervisor.services();
        if !known.contains(&service) {
            return Err(Refusal::UnknownService { name: service, known });
        }
        let pattern = grep.map(|text| Pattern::new(&text)).transpose();
        let pattern = pattern.map_err(|error| Refusal::BadPattern { error: error.to_string() })?;
        Ok(Question { service, slot, lines: lines as usize, pattern })
    }

    /// One question takes the place of the other: what was followed is followed no longer.
    fn logs(
        &mut self,
        id: RequestId,
        question: Question,
        follow: bool,
    ) -> BoxFuture<'static, Answer> {
        self.follow = None;
        if !follow {
            let answer = self.supervisor.printed(question);
            return Box::pin(async move { (id, Ok(Done::Logs(answer.await))) });
        }
        let (answer, subscription) = self.supervisor.follow(question);
        self.follow = Some(Follow::begin(id, subscription));
        Box::pin(async move { (id, Ok(Done::Logs(answer.await))) })
    }

    fn subscribe(&mut self, focus: Option<ServiceName>, events_after: Option<EventSeq>) {
        let newest = || *self.supervisor.event_numbers().borrow();
        self.last_event = Some(events_after.unwrap_or_else(newest));
        self.subscription = Some(Subscription {
            focus,
            overview: Sent::default(),
            service: Sent::default(),
            _watching: self.supervisor.watch(),
        });
    }

    // ---- pushes ---------------------------------------------------------------------------

    /// Pushes what is due, and says when the next is.
    async fn push_due(&mut self, snapshot: &Snapshot) -> Result<Option<Instant>, ConnectionError> {
        let Some(subscription) = &mut self.subscription else { return Ok(None) };
        let revision = snapshot.revision;
        let (mut overview, mut service) = (None, None);
        if subscription.overview.due(revision, false) <= Instant::now() {
            subscription.overview = Sent::now(revision);
            overview = Some(Push::Overview(overview_of(snapshot)));
        }
        let focus = subscription.focus.as_ref();
        let detail = focus.and_then(|name| snapshot.services.iter().find(|s| s.row.name == *name));
        let moving = detail.is_some_and(|detail| detail.operation.is_some());
        if focus.is_some() && subscription.service.due(revision, moving) <= Instant::now() {
            subscription.service = Sent::now(revision);
            service = Some(Push::Service(detail.cloned().map(Box::new)));
        }
        let next = subscription.overview.due(revision, false);
        let next = match focus {
            Some(_) => next.min(subscription.service.due(revision, moving)),
            None => next,
        };
        if overview.is_some() || service.is_some() {
            self.push_events().await?;
        }
        for push in overview.into_iter().chain(service) {
            self.send(&FromDaemon::Push(push)).await?;
        }
        Ok(Some(next))
    }

    /// Pushes the events that are new, if somebody subscribed.
    async fn push_events(&mut self) -> Result<(), ConnectionError> {
        if self.subscription.is_none() {
            return Ok(());
        }
        let batch = self.supervisor.events(self.last_event, BATCH);
        let Some(newest) = batch.events.last() else { return Ok(()) };
        self.last_event = Some(newest.seq);
        self.send(&FromDaemon::Push(Push::Events(batch))).await
    }
}

fn overview_of(snapshot: &Snapshot) -> Overview {
    Overview {
        revision: snapshot.revision,
        daemon: snapshot.daemon.clone(),
        services: snapshot.services.iter().map(|service| service.row.clone()).collect(),
    }
}

async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        sleep_until(at).await;
    }
}
