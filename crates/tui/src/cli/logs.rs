//! `smoothtool logs`: what instances print.

use jiff::tz::TimeZone;
use smoothserve_protocol::log::LogBatch;
use smoothserve_protocol::message::{Done, Push, Refusal, Request};

use super::args::Logs;
use super::exit::Exit;
use super::out::{human, json};
use super::problem::Problem;
use super::session::{Link, Session, unexpected};
use super::values::Printer;
use crate::client::Said;
use crate::fmt::plural;

pub(super) async fn run(session: &mut Session, args: &Logs) -> Result<Exit, Problem> {
    let mut link = session.connect().await?;
    let (printer, batch) = ask(&mut link, args).await?;
    show(session, args, &printer, &batch)?;
    if args.follow { follow(session, &mut link, args, &printer).await } else { Ok(Exit::Done) }
}

/// Asks for the last lines, and says whose they are. A name that no service has may be the name of
/// an instance.
async fn ask(link: &mut Link, args: &Logs) -> Result<(Printer, LogBatch), Problem> {
    let mut printer = args.whose.clone();
    loop {
        let answer = link.client.ask(request(args, &printer)).await;
        match answer.map_err(|error| Problem::disconnected(&link.target, &error))? {
            Ok(Done::Logs(batch)) => return Ok((printer, batch)),
            Ok(other) => return Err(unexpected(&other)),
            Err(refusal) => match instance_meant(&printer, &refusal) {
                Some(instance) => printer = instance,
                None => return Err(Problem::refused(Some(&printer.service), &refusal)),
            },
        }
    }
}

fn request(args: &Logs, printer: &Printer) -> Request {
    Request::Logs {
        service: printer.service.clone(),
        slot: printer.slot,
        lines: args.number,
        grep: args.grep.clone(),
        follow: args.follow,
    }
}

fn instance_meant(asked: &Printer, refusal: &Refusal) -> Option<Printer> {
    match (asked.slot, refusal) {
        (None, Refusal::UnknownService { name, known }) => {
            Printer::of_instance(name.as_str(), known)
        }
        _ => None,
    }
}

async fn follow(
    session: &mut Session,
    link: &mut Link,
    args: &Logs,
    printer: &Printer,
) -> Result<Exit, Problem> {
    loop {
        tokio::select! {
            biased;
            () = &mut session.interrupt => return Ok(Exit::Interrupted),
            said = link.client.next() => {
                let said = said.map_err(|error| Problem::disconnected(&link.target, &error))?;
                if let Said::Push(Push::Logs(batch)) = said {
                    show(session, args, printer, &batch)?;
                }
            }
        }
    }
}

fn show(
    session: &mut Session,
    args: &Logs,
    printer: &Printer,
    batch: &LogBatch,
) -> Result<(), Problem> {
    let (service, out) = (&printer.service, &mut session.out);
    if batch.missed > 0 {
        let missed = plural(batch.missed, "line");
        out.note(&format!("{missed} could not be kept and are not shown"));
    }
    if args.json {
        return batch.lines.iter().try_for_each(|line| out.answer(&json::log_line(service, line)));
    }
    if out.terminals.stdout && !args.raw {
        let zone = TimeZone::system();
        return batch
            .lines
            .iter()
            .try_for_each(|line| out.answer(&human::log_line(service, line, &zone)));
    }
    let bytes: Vec<u8> =
        batch.lines.iter().flat_map(|line| [&line.bytes, &b"\n"[..]].concat()).collect();
    out.bytes(&bytes)
}
