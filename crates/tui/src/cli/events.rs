//! `smoothtool events`.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use smoothserve_protocol::event::{Event, EventBatch};
use smoothserve_protocol::id::EventSeq;
use smoothserve_protocol::message::{Done, Push, Request};

use super::args::Events;
use super::exit::Exit;
use super::out::{human, json};
use super::problem::Problem;
use super::restart::milliseconds;
use super::session::{Link, Session, unexpected};
use crate::client::Said;
use crate::fmt::plural;

/// The daemon keeps no more.
const ALL: u32 = 5_000;
/// What fits on a screen.
const SOME: u32 = 50;

pub(super) async fn run(session: &mut Session, args: &Events) -> Result<Exit, Problem> {
    let mut link = session.connect().await?;
    let limit = args.number.unwrap_or(if args.since.is_some() { ALL } else { SOME });
    let events = match link.ask(None, Request::Events { after: None, limit }).await? {
        Done::Events(batch) => batch.events,
        other => return Err(unexpected(&other)),
    };
    let last = events.last().map_or(EventSeq(0), |event| event.seq);
    let since = args.since.map_or(0, |since| ago(Timestamp::now(), since));
    for event in events.iter().filter(|event| event.unix_ms >= since) {
        show(session, args, event)?;
    }
    if args.follow { follow(session, &mut link, args, last).await } else { Ok(Exit::Done) }
}

async fn follow(
    session: &mut Session,
    link: &mut Link,
    args: &Events,
    last: EventSeq,
) -> Result<Exit, Problem> {
    let request = Request::Subscribe { focus: None, events_after: Some(last) };
    link.ask(None, request).await?;
    loop {
        tokio::select! {
            biased;
            () = &mut session.interrupt => return Ok(Exit::Interrupted),
            said = link.client.next() => {
                let said = said.map_err(|error| Problem::disconnected(&link.target, &error))?;
                let Said::Push(Push::Events(EventBatch { missed, events })) = said else { continue };
                if missed > 0 {
                    let missed = plural(missed, "event");
                    session.out.note(&format!("{missed} are no longer kept and were not shown"));
                }
                for event in &events {
                    show(session, args, event)?;
                }
            }
        }
    }
}

fn show(session: &mut Session, args: &Events, event: &Event) -> Result<(), Problem> {
    let text = if args.json {
        json::event(event)
    } else {
        human::event(event, &TimeZone::system(), session.out.glyphs)
    };
    session.out.answer(&text)
}

/// The moment `since` before `now`, in milliseconds since 1970.
fn ago(now: Timestamp, since: Duration) -> u64 {
    u64::try_from(now.as_millisecond()).unwrap_or_default().saturating_sub(milliseconds(since))
}
