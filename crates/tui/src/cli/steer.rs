//! `smoothtool pause`, `resume`, `abort` and `drain`: another course for a rolling restart.

use smoothserve_protocol::id::{OperationId, ServiceName};
use smoothserve_protocol::message::{Done, Request, Steer};

use super::args::{self, Drain};
use super::exit::Exit;
use super::out::json::{self, Outcome};
use super::problem::Problem;
use super::restart::milliseconds;
use super::session::{Link, Session, unexpected};
use super::values::Awaited;
use crate::words;

pub(super) async fn drain(session: &mut Session, args: &Drain) -> Result<Exit, Problem> {
    let steer = match args.extend {
        Some(by) => Steer::Extend { by_ms: milliseconds(by) },
        None => Steer::Cut,
    };
    run(session, &args.steer, steer).await
}

pub(super) async fn run(
    session: &mut Session,
    args: &args::Steer,
    steer: Steer,
) -> Result<Exit, Problem> {
    let mut link = session.connect().await?;
    let (service, operation) = whom(&mut link, args).await?;
    let request = Request::Steer { service: service.clone(), operation, steer };
    let operation = match link.ask(Some(&service), request).await? {
        Done::Steered { operation } => operation,
        other => return Err(unexpected(&other)),
    };
    session.out.note(&format!("{service}  {}", words::course(operation, steer)));
    let (verb, result) = verb(steer);
    let outcome = Outcome { result, operation: Some(operation.to_string()), ..Outcome::default() };
    session.out.object(args.json, || json::outcome(verb, Some(service.as_str()), outcome))?;
    Ok(Exit::Done)
}

/// Which service, and which operation it must be at.
async fn whom(
    link: &mut Link,
    args: &args::Steer,
) -> Result<(ServiceName, Option<OperationId>), Problem> {
    let id = match (&args.what, args.operation) {
        (Awaited::Service(name), guard) => return Ok((name.clone(), guard)),
        (Awaited::Operation(id), None) => *id,
        (Awaited::Operation(id), Some(guard)) if *id == guard => *id,
        (Awaited::Operation(id), Some(guard)) => {
            return Err(Problem::new(Exit::Usage, format!("{id} is not {guard}")));
        }
    };
    let rows = link.status().await?.services.into_iter().map(|service| service.row);
    let at_it = |row: &smoothserve_protocol::snapshot::ServiceRow| {
        row.operation.is_some_and(|operation| operation.id == id)
    };
    match rows.into_iter().find(at_it) {
        Some(row) => Ok((row.name, Some(id))),
        None => Err(Problem::new(Exit::Unknown, format!("no operation {id} runs"))
            .next("smoothtool history")),
    }
}

/// The verb, and what it did, in JSON.
const fn verb(steer: Steer) -> (&'static str, &'static str) {
    match steer {
        Steer::Pause => ("pause", "paused"),
        Steer::Resume => ("resume", "resumed"),
        Steer::Abort => ("abort", "aborting"),
        Steer::Extend { .. } => ("drain", "extended"),
        Steer::Cut => ("drain", "cut"),
    }
}
