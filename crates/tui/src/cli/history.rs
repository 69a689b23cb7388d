//! `smoothtool history`: the rolling restarts that have ended.

use jiff::tz::TimeZone;
use smoothserve_protocol::message::{Done, Request};

use super::args::History;
use super::exit::Exit;
use super::out::{human, json};
use super::problem::Problem;
use super::session::{Session, unexpected};

pub(super) async fn run(session: &mut Session, args: &History) -> Result<Exit, Problem> {
    let mut link = session.connect().await?;
    let limit = if args.last { 1 } else { args.number };
    let request = Request::History { service: args.name.clone(), limit };
    let receipts = match link.ask(args.name.as_ref(), request).await? {
        Done::History(receipts) => receipts,
        other => return Err(unexpected(&other)),
    };
    if receipts.is_empty() {
        session.out.note("no rolling restart is on record");
        return Ok(Exit::Done);
    }
    let zone = TimeZone::system();
    if args.json {
        for receipt in &receipts {
            session.out.answer(&json::receipt("history", receipt))?;
        }
    } else if args.wide || args.last {
        let whole: Vec<_> = receipts.iter().map(|one| human::whole_receipt(one, &zone)).collect();
        session.out.answer(&whole.join("\n\n"))?;
    } else {
        session.out.answer(&human::history(&receipts, &zone))?;
    }
    Ok(Exit::Done)
}
