//! One operator's connection: decode, ask, answer, stream.
//!
//! A slow console costs nothing but itself: nothing is made for it before it has taken the last
//! push, state is told as it is then, events are a ring with numbers, and a write that stalls ends
//! the session.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use smoothserve_protocol::event::Cause;
use smoothserve_protocol::frame::FrameError;
use smoothserve_protocol::id::{EventSeq, RequestId, ServiceName, Slot};
use smoothserve_protocol::io::{self as wire, ConnectionError};
use smoothserve_protocol::message::{Done, FromDaemon, FromTool, Push, Refusal, Request};
use smoothserve_protocol::snapshot::Snapshot;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::brief;
use super::feed::Feed;
use super::follow::{self, Follow};
use crate::config::Pattern;
use crate::core::{AnswerWhen, Command};
use crate::reload::Reloads;
use crate::supervisor::{Handle, Question, Watching};

/// How long a console has to say who it is.
const INTRODUCTION: Duration = Duration::from_secs(3);
/// A write that takes longer ends the session. A console on a bad link may take nothing for ten
/// seconds and then go on.
const STALLED: Duration = Duration::from_secs(30);
/// Events in one push.
const BATCH: usize = 500;
/// Questions under way at once.
const QUESTIONS: usize = 64;
/// Characters of an actor's name that are kept.
const ACTOR: usize = 100;

type Receiver<S> = wire::Receiver<S, FromTool>;
type Sender<S> = wire::Sender<S, FromDaemon>;
type Answer = (RequestId, Result<Done, Refusal>);

/// Serves one console until it goes or the daemon does.
pub(super) async fn run<S>(
    stream: S,
    (supervisor, reloads): (Handle, Reloads),
    closing: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Send,
{
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

struct Session<S> {
    sender: Sender<S>,
    supervisor: Handle,
    reloads: Reloads,
    actor: String,
    read_only: bool,
    subscription: Option<Subscription>,
    last_event: Option<EventSeq>,
    /// Whose output is pushed as it comes.
    follow: Option<Follow>,
}

/// What is pushed.
struct Subscription {
    feed: Feed,
    _watching: Watching,
}

impl<S: AsyncRead + AsyncWrite> Session<S> {
    async fn serve(
        mut self,
        mut receiver: Receiver<S>,
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
                        self.send(FromDaemon::Response { id, result }).await?;
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
                    self.send(FromDaemon::Response { id, result }).await?;
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
                    self.send(FromDaemon::Push(Push::Logs(batch))).await?;
                }
                () = closing.cancelled() => {
                    let reason = "the daemon has stopped".to_owned();
                    return self.send(FromDaemon::Push(Push::Bye { reason })).await;
                }
            }
        }
    }

    /// Sends a message, shortened if no frame could carry it.
    async fn send(&mut self, mut message: FromDaemon) -> Result<(), ConnectionError> {
        for brevity in brief::STEPS {
            match self.try_send(&message).await {
                Err(ConnectionError::Frame(FrameError::TooLong(_))) => {
                    brevity.shorten(&mut message)
                }
                sent => return sent,
            }
        }
        self.try_send(&message).await
    }

    async fn try_send(&mut self, message: &FromDaemon) -> Result<(), ConnectionError> {
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
        let subscription = self.subscription.get_or_insert_with(|| Subscription {
            feed: Feed::default(),
            _watching: self.supervisor.watch(),
        });
        subscription.feed.look_at(focus);
    }

    // ---- pushes ---------------------------------------------------------------------------

    /// Pushes what is due, and says when the next is.
    async fn push_due(&mut self, snapshot: &Snapshot) -> Result<Option<Instant>, ConnectionError> {
        let Some(subscription) = &mut self.subscription else { return Ok(None) };
        let now = Instant::now();
        let pushes = subscription.feed.next(snapshot, now);
        let next = subscription.feed.due(snapshot, now);
        if !pushes.is_empty() {
            // Why comes before what.
            self.push_events().await?;
        }
        for push in pushes {
            self.send(FromDaemon::Push(push)).await?;
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
        self.send(FromDaemon::Push(Push::Events(batch))).await
    }
}

async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests;
