//! `smoothtool stop`: services, or everything and then the daemon.

use std::time::Duration;

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::{Done, Push, Request};
use smoothserve_protocol::snapshot::{InstanceState, Overview, ServiceDetail, Snapshot};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::args::Stop;
use super::exit::Exit;
use super::follow::{self, Command, at, follow};
use super::out::json::{self, Outcome};
use super::problem::Problem;
use super::progress::{Progress, Seen};
use super::restart::milliseconds;
use super::session::{Link, Session, unexpected};
use super::values::Selection;
use crate::client::{Client, ClientError, Said};
use crate::fmt::{count, plural, rate, took};
use crate::words::ready;

pub(super) async fn run(session: &mut Session, args: &Stop) -> Result<Exit, Problem> {
    let selection = Selection::new(&args.names, args.all);
    if selection == Selection::Unnamed {
        return stop_daemon(session, args).await;
    }
    let mut link = session.connect().await?;
    let asks = session.out.terminals.stdin && !args.yes;
    for name in link.names(selection).await? {
        let expected = match asks {
            true => match allowed(session, &link.status().await?, &name) {
                Answer::Yes(generation) => generation,
                Answer::No => return Ok(declined(session)),
            },
            false => None,
        };
        let request = Request::Stop {
            service: name.clone(),
            force: args.force,
            timeout_ms: args.timeout.map(milliseconds),
            expected,
            wait: true,
        };
        stop(session, &mut link, name, request, args.json).await?;
    }
    Ok(Exit::Done)
}

enum Answer {
    /// Go on, if this generation is still the one that serves.
    Yes(Option<smoothserve_protocol::id::Generation>),
    No,
}

/// Asks, when the stop would take away the last ready instance.
fn allowed(session: &mut Session, snapshot: &Snapshot, name: &ServiceName) -> Answer {
    let service = snapshot.services.iter().find(|service| service.row.name == *name);
    // The daemon says better than we that it knows no such service.
    let Some(ServiceDetail { row, .. }) = service else { return Answer::Yes(None) };
    let ready = ready(row);
    if ready == 0 {
        return Answer::Yes(None);
    }
    let question = format!(
        "stop {name}? {} ready, {} in flight will end as they should, {} requests a second will be refused",
        plural(ready as u64, "instance"),
        count(row.traffic.in_flight),
        rate(row.traffic.milli_rps),
    );
    if session.out.confirm(&question) { Answer::Yes(Some(row.generation)) } else { Answer::No }
}

fn declined(session: &mut Session) -> Exit {
    session.out.note("nothing was stopped");
    Exit::Interrupted
}

async fn stop(
    session: &mut Session,
    link: &mut Link,
    service: ServiceName,
    request: Request,
    json: bool,
) -> Result<(), Problem> {
    let (verb, name) = ("stop", service.clone());
    let command = Command { verb, service, request, timeout: None, json };
    let (text, outcome) = match follow(session, link, command).await? {
        Done::AlreadySo => {
            let outcome = Outcome { result: "already_so", ..Outcome::default() };
            ("already stopped".to_owned(), outcome)
        }
        Done::Stopped { instances, cut, took_ms } => {
            let stopped = plural(instances, "instance");
            let text = format!("{stopped} stopped in {}, {} cut", took(took_ms), count(cut));
            let (instances, cut, took_ms) = (Some(instances), Some(cut), Some(took_ms));
            (text, Outcome { result: "stopped", instances, cut, took_ms, ..Outcome::default() })
        }
        other => return Err(unexpected(&other)),
    };
    session.out.note(&format!("{name}  {text}"));
    session.out.object(json, || json::outcome(verb, Some(name.as_str()), outcome))
}

async fn stop_daemon(session: &mut Session, args: &Stop) -> Result<Exit, Problem> {
    let target = session.target(false)?;
    let mut link = match Client::connect(&target).await {
        Ok(client) => Link { client, target },
        Err(ClientError::Unreachable(error))
            if error.kind() == std::io::ErrorKind::ConnectionRefused =>
        {
            let outcome = Outcome { result: "already_so", ..Outcome::default() };
            session.out.note(&format!("smoothserve does not run at {}", target.addr));
            session.out.object(args.json, || json::outcome("stop", None, outcome))?;
            return Ok(Exit::Done);
        }
        Err(error) => return Err(Problem::disconnected(&target, &error)),
    };
    if session.out.terminals.stdin && !args.yes {
        let daemon = link.status().await?.daemon;
        let question = format!(
            "stop smoothserve and every service? {} ready, {} in flight will end as they should",
            plural(daemon.ready, "instance"),
            count(daemon.traffic.in_flight),
        );
        if !session.out.confirm(&question) {
            return Ok(declined(session));
        }
    }
    let began = Instant::now();
    link.watch(None).await?;
    match link.ask(None, Request::Shutdown { force: args.force }).await? {
        Done::ShuttingDown | Done::AlreadySo => {}
        other => return Err(unexpected(&other)),
    }
    until_gone(session, &mut link, args).await?;
    let took_ms = milliseconds(began.elapsed());
    session.out.note(&format!("smoothserve stopped in {}", took(took_ms)));
    let outcome = Outcome { result: "stopped", took_ms: Some(took_ms), ..Outcome::default() };
    session.out.object(args.json, || json::outcome("stop", None, outcome))?;
    Ok(Exit::Done)
}

/// Until the connection has ended and nobody listens on its port any more.
async fn until_gone(session: &mut Session, link: &mut Link, args: &Stop) -> Result<(), Problem> {
    let mode = follow::mode(&session.out, false);
    let mut progress = Progress::new(mode);
    let mut cut_at = args.timeout.map(|timeout| Instant::now() + timeout);
    let mut known: Option<Overview> = None;
    loop {
        if let (false, Some(seen)) = (args.json, progress.poll(Instant::now())) {
            follow::tell(&mut session.out, mode, seen);
        }
        let due = progress.due(Instant::now());
        tokio::select! {
            biased;
            () = &mut session.interrupt => return Err(left()),
            said = link.client.next() => match said {
                Ok(Said::Push(Push::Overview(overview))) => {
                    progress.see(stopping(&overview));
                    known = Some(overview);
                }
                Ok(Said::Push(Push::OverviewMoved(moved))) => {
                    if let Some(overview) = &mut known {
                        overview.take(moved);
                        progress.see(stopping(overview));
                    }
                }
                Ok(_) => {}
                Err(_) => break,
            },
            () = at(cut_at) => {
                cut_at = None;
                link.ask(None, Request::Shutdown { force: true }).await?;
            }
            () = at(due) => {}
        }
    }
    while TcpStream::connect(&link.target.addr).await.is_ok() {
        tokio::select! {
            () = &mut session.interrupt => return Err(left()),
            () = sleep(Duration::from_millis(50)) => {}
        }
    }
    Ok(())
}

fn stopping(overview: &Overview) -> Seen {
    let left = overview.services.iter().flat_map(|row| &row.pips);
    let left = left.filter(|pip| pip.state != InstanceState::Stopped).count();
    let doing = format!("stopping, {} left", plural(left as u64, "instance"));
    let in_flight = count(overview.daemon.traffic.in_flight);
    let line = format!("smoothserve  {doing}   in flight {in_flight}");
    Seen { doing, line }
}

fn left() -> Problem {
    Problem::new(Exit::Interrupted, "no longer waiting; smoothserve goes on stopping")
        .next("smoothtool status")
}
