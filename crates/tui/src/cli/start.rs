//! `smoothtool start`: services of a running daemon, or the daemon itself.

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::{Done, Request};

use super::args::Start;
use super::daemon;
use super::exit::Exit;
use super::follow::{Command, follow};
use super::out::json::{self, Outcome};
use super::problem::Problem;
use super::session::{Link, Session, unexpected};
use super::values::Selection;
use crate::fmt::{plural, took};

pub(super) async fn run(session: &mut Session, args: &Start) -> Result<Exit, Problem> {
    let selection = Selection::new(&args.names, args.all);
    if selection == Selection::Unnamed {
        return daemon::start(session, args.json).await;
    }
    let mut link = session.connect().await?;
    for name in link.names(selection).await? {
        start(session, &mut link, args, name).await?;
    }
    Ok(Exit::Done)
}

async fn start(
    session: &mut Session,
    link: &mut Link,
    args: &Start,
    service: ServiceName,
) -> Result<(), Problem> {
    let request = Request::Start { service: service.clone(), wait: true };
    let (verb, json, name) = ("start", args.json, service.clone());
    let command = Command { verb, service, request, timeout: None, json };
    let (text, outcome) = match follow(session, link, command).await? {
        Done::AlreadySo => {
            let outcome = Outcome { result: "already_so", ..Outcome::default() };
            ("already running".to_owned(), outcome)
        }
        Done::Started { instances, took_ms } => {
            let text = format!("{} ready in {}", plural(instances, "instance"), took(took_ms));
            let (instances, took_ms) = (Some(instances), Some(took_ms));
            (text, Outcome { result: "started", instances, took_ms, ..Outcome::default() })
        }
        other => return Err(unexpected(&other)),
    };
    session.out.note(&format!("{name}  {text}"));
    session.out.object(json, || json::outcome(verb, Some(name.as_str()), outcome))
}
