//! `smoothtool wait`: for a state of a service, or the end of an operation.

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::id::{OperationId, ServiceName};
use smoothserve_protocol::message::{Done, Push, Refusal, Request};
use smoothserve_protocol::snapshot::{OperationKind, ServiceDetail, ServiceState};
use tokio::time::Instant;

use super::args::Wait;
use super::exit::Exit;
use super::follow::{self, at};
use super::out::human;
use super::problem::Problem;
use super::progress::{self, Progress};
use super::session::{Link, Session, unexpected};
use super::values::{Awaited, Until};
use crate::client::Said;
use crate::words::{escape, operation_kind, service_state};

pub(super) async fn run(session: &mut Session, args: &Wait) -> Result<Exit, Problem> {
    let mut link = session.connect().await?;
    let (service, goal) = match (&args.what, args.until) {
        (Awaited::Service(name), until) => {
            known(&mut link, name).await?;
            (name.clone(), Goal::State(until.unwrap_or(Until::Ready)))
        }
        (Awaited::Operation(id), None | Some(Until::Done)) => {
            let (service, kind) = find(&mut link, *id).await?;
            (service, Goal::End(*id, kind))
        }
        (Awaited::Operation(id), Some(until)) => {
            let (service, _) = find(&mut link, *id).await?;
            (service, Goal::State(until))
        }
    };
    link.watch(Some(&service)).await?;
    follow_until(session, &mut link, args, &service, goal).await
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// A state of a service.
    State(Until),
    /// The end of an operation of this kind.
    End(OperationId, OperationKind),
}

/// What a moment says about a goal.
#[derive(Debug)]
enum Verdict {
    /// Not yet.
    Wait,
    /// Reached, in a line.
    Reached(String),
    /// It will not be reached.
    Missed(Problem),
}

async fn follow_until(
    session: &mut Session,
    link: &mut Link,
    args: &Wait,
    service: &ServiceName,
    goal: Goal,
) -> Result<Exit, Problem> {
    let mode = follow::mode(&session.out, false);
    let mut progress = Progress::new(mode);
    let until = args.timeout.map(|timeout| Instant::now() + timeout);
    let mut known: Option<Box<ServiceDetail>> = None;
    loop {
        if let Some(seen) = progress.poll(Instant::now()) {
            follow::tell(&mut session.out, mode, seen);
        }
        let due = progress.due(Instant::now());
        tokio::select! {
            biased;
            () = &mut session.interrupt => return Err(left(Exit::Interrupted, service, goal)),
            said = link.client.next() => {
                let said = said.map_err(|error| Problem::disconnected(&link.target, &error))?;
                match said {
                    Said::Push(Push::Service(None)) => {
                        return Err(Problem::new(Exit::Unknown, format!("{service} is gone")));
                    }
                    Said::Push(Push::Service(detail)) => known = detail,
                    Said::Push(Push::ServiceMoved(moved)) => {
                        if let Some(detail) = &mut known {
                            detail.take(*moved);
                        }
                    }
                    Said::Answer(..) | Said::Push(_) => continue,
                }
                let Some(detail) = &known else { continue };
                match judge(detail, goal) {
                    Verdict::Wait => {}
                    Verdict::Reached(text) => {
                        session.out.note(&text);
                        return Ok(Exit::Done);
                    }
                    Verdict::Missed(problem) => return Err(problem),
                }
                if let Some(seen) = progress::seen(detail, session.out.glyphs) {
                    progress.see(seen);
                }
            }
            () = at(until) => return Err(left(Exit::TimedOut, service, goal)),
            () = at(due) => {}
        }
    }
}

fn left(exit: Exit, service: &ServiceName, goal: Goal) -> Problem {
    let why = if exit == Exit::TimedOut { "the wait ran out" } else { "no longer waiting" };
    let what = match goal {
        Goal::State(_) => service.to_string(),
        Goal::End(id, _) => id.to_string(),
    };
    Problem::new(exit, format!("{why} for {what}; nothing else was changed"))
}

fn judge(service: &ServiceDetail, goal: Goal) -> Verdict {
    let row = &service.row;
    let state = format!("{}  {}", row.name, service_state(row.state));
    let reached = match goal {
        Goal::End(id, kind) => return judge_end(service, id, kind),
        Goal::State(Until::Done) => service.operation.is_none(),
        Goal::State(Until::Ready) => row.state == ServiceState::Ready,
        Goal::State(Until::Stopped) => row.state == ServiceState::Stopped,
    };
    // Without an operation, nothing leads from a state of rest to another.
    let at_rest = service.operation.is_none()
        && match goal {
            Goal::State(Until::Ready) => {
                matches!(row.state, ServiceState::Stopped | ServiceState::Failed)
            }
            Goal::State(Until::Stopped) => row.state != ServiceState::Stopping,
            Goal::State(Until::Done) | Goal::End(..) => false,
        };
    match (reached, at_rest) {
        (true, _) => Verdict::Reached(state),
        (false, false) => Verdict::Wait,
        (false, true) => {
            let what =
                format!("{} is {}, and nothing changes that", row.name, service_state(row.state));
            let next = format!("smoothtool why {}", row.name);
            Verdict::Missed(Problem::new(Exit::NotSo, what).next(next))
        }
    }
}

/// What came of an operation; of a restart its receipt says it, of others the state they led to.
fn judge_end(service: &ServiceDetail, id: OperationId, kind: OperationKind) -> Verdict {
    let row = &service.row;
    if row.operation.is_some_and(|operation| operation.id == id) {
        return Verdict::Wait;
    }
    if let Some(receipt) = service.receipts.iter().find(|receipt| receipt.operation == id) {
        let line = human::receipt(receipt);
        return match &receipt.halted {
            None if receipt.done => Verdict::Reached(line),
            why => {
                let why = why.as_deref().map(escape).unwrap_or_default();
                let problem = Problem::new(Exit::Failed, format!("{id} halted: {why}"));
                Verdict::Missed(problem.detail(line).next(format!("smoothtool why {}", row.name)))
            }
        };
    }
    let led_to = match kind {
        OperationKind::Start | OperationKind::Restart => ServiceState::Ready,
        OperationKind::Stop => ServiceState::Stopped,
    };
    let state = service_state(row.state);
    let (kind, name) = (operation_kind(kind), &row.name);
    if row.state == led_to {
        return Verdict::Reached(format!("{name}  {state}, {id} is done"));
    }
    let what = format!("{id}, the {kind} of {name}, has ended, and {name} is {state}");
    Verdict::Missed(Problem::new(Exit::Failed, what).next(format!("smoothtool why {name}")))
}

async fn known(link: &mut Link, name: &ServiceName) -> Result<(), Problem> {
    let services = link.status().await?.services;
    let known: Vec<_> = services.into_iter().map(|service| service.row.name).collect();
    if known.contains(name) {
        return Ok(());
    }
    Err(Problem::refused(Some(name), &Refusal::UnknownService { name: name.clone(), known }))
}

/// What an operation is about, whether it runs or has ended.
async fn find(link: &mut Link, id: OperationId) -> Result<(ServiceName, OperationKind), Problem> {
    for service in link.status().await?.services {
        if let Some(operation) = service.row.operation.filter(|operation| operation.id == id) {
            return Ok((service.row.name, operation.kind));
        }
        if service.receipts.iter().any(|receipt| receipt.operation == id) {
            return Ok((service.row.name, OperationKind::Restart));
        }
    }
    let events = match link.ask(None, Request::Events { after: None, limit: 5_000 }).await? {
        Done::Events(batch) => batch.events,
        other => return Err(unexpected(&other)),
    };
    let found =
        events.into_iter().find_map(|event| Some((event.service?, began(&event.kind, id)?)));
    found.ok_or_else(|| {
        Problem::new(Exit::Unknown, format!("no operation {id} is known")).next("smoothtool events")
    })
}

/// The kind of the operation, if this event tells of its beginning or its end.
fn began(kind: &EventKind, id: OperationId) -> Option<OperationKind> {
    let (operation, kind) = match kind {
        EventKind::RolloutStarted { operation, .. }
        | EventKind::RolloutDone { operation, .. }
        | EventKind::RolloutHalted { operation, .. }
        | EventKind::RolloutWaits { operation }
        | EventKind::RolloutPaused { operation, .. }
        | EventKind::RolloutResumed { operation, .. }
        | EventKind::AbortAsked { operation, .. } => (operation, OperationKind::Restart),
        EventKind::StartAsked { operation, .. } => (operation, OperationKind::Start),
        EventKind::StopAsked { operation, .. } => (operation, OperationKind::Stop),
        // The others belong to no operation.
        _ => return None,
    };
    (*operation == id).then_some(kind)
}
