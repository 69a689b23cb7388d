//! `smoothtool restart`: one service after the other, each one instance after the other.

use std::time::Duration;

use smoothserve_protocol::event::Cause;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::{Done, Request};
use smoothserve_protocol::snapshot::{OnDrainTimeout, Receipt, ServiceState};

use super::args::{DrainTimeout, Restart};
use super::exit::Exit;
use super::follow::{Command, follow};
use super::out::human;
use super::out::json::{self, Outcome};
use super::plan;
use super::problem::Problem;
use super::session::{Link, Session, unexpected};
use super::values::Selection;

pub(super) async fn run(session: &mut Session, args: &Restart) -> Result<Exit, Problem> {
    let mut link = session.connect().await?;
    let names = match Selection::new(&args.names, args.all) {
        Selection::Named(names) => names,
        Selection::All | Selection::Unnamed => running(session, &mut link).await?,
    };
    let mut worst = Exit::Done;
    if args.plan {
        return plan::show(session, &mut link, &names, args.json).await;
    }
    for name in names {
        let Err(problem) = restart(session, &mut link, args, name).await else { continue };
        let of_the_service = matches!(problem.exit, Exit::Failed | Exit::Unknown | Exit::Conflict);
        if !args.keep_going || !of_the_service {
            return Err(problem);
        }
        session.out.error(&problem);
        worst = worst.worse(problem.exit);
    }
    Ok(worst)
}

/// Every service that runs; a stopped one stays stopped.
async fn running(session: &mut Session, link: &mut Link) -> Result<Vec<ServiceName>, Problem> {
    let rows = link.status().await?.services.into_iter().map(|service| service.row);
    let (stopped, running): (Vec<_>, Vec<_>) =
        rows.partition(|row| row.state == ServiceState::Stopped);
    for row in stopped {
        session.out.note(&format!("{}  stopped, not restarted", row.name));
    }
    Ok(running.into_iter().map(|row| row.name).collect())
}

async fn restart(
    session: &mut Session,
    link: &mut Link,
    args: &Restart,
    service: ServiceName,
) -> Result<(), Problem> {
    let request = Request::Restart {
        service: service.clone(),
        drain_timeout_ms: args.drain_timeout.map(milliseconds),
        on_drain_timeout: args.on_drain_timeout.map(OnDrainTimeout::from),
        expected: None,
        join: !args.no_join,
        wait: !args.no_wait,
    };
    if args.no_wait {
        return match link.ask(Some(&service), request).await? {
            Done::Begun { operation } => {
                let operation = operation.to_string();
                session.out.note(&format!("{service}  restart begun, {operation}"));
                let operation = Some(operation);
                let outcome = Outcome { result: "begun", operation, ..Outcome::default() };
                session
                    .out
                    .object(args.json, || json::outcome("restart", Some(service.as_str()), outcome))
            }
            other => Err(unexpected(&other)),
        };
    }
    let (verb, timeout, json) = ("restart", args.timeout, args.json);
    match follow(session, link, Command { verb, service, request, timeout, json }).await? {
        Done::Restarted(receipt) => show(session, link, &receipt, json),
        other => Err(unexpected(&other)),
    }
}

fn show(session: &mut Session, link: &Link, receipt: &Receipt, json: bool) -> Result<(), Problem> {
    if json {
        return session.out.answer(&json::receipt("restart", receipt));
    }
    match &receipt.cause {
        Cause::Operator(actor) if *actor == link.target.actor => {}
        other => {
            let (operation, cause) = (receipt.operation, crate::words::cause(other));
            session.out.note(&format!("{}  joined {operation}, begun {cause}", receipt.service));
        }
    }
    session.out.note(&human::receipt(receipt));
    // On a terminal the steps were seen as they went by.
    if !session.out.terminals.stderr {
        for line in human::receipt_steps(receipt) {
            session.out.note(&line);
        }
    }
    Ok(())
}

impl From<DrainTimeout> for OnDrainTimeout {
    fn from(asked: DrainTimeout) -> Self {
        match asked {
            DrainTimeout::Abort => Self::Abort,
            DrainTimeout::Wait => Self::Wait,
            DrainTimeout::Cut => Self::Cut,
        }
    }
}

/// As the wire has it.
pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
