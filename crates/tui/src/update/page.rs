//! A page of text: the question it comes from, the answer in the words of the command line, and how
//! it is scrolled.

use anstream::adapter::strip_str;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::{Done, Refusal, Request};
use smoothserve_protocol::snapshot::{Receipt, Snapshot};

use super::nav::moved;
use crate::action::Step;
use crate::cli::human;
use crate::effect::{Effect, Order, Ticket};
use crate::fmt;
use crate::model::page::{Asked, Content, Page, Stats};
use crate::model::{Dirty, Front, Model};
use crate::view;
use crate::words::{self, Explained};

/// Opens a page for what the daemon says to `asked`.
///
/// # Errors
/// When it cannot be asked now; says why.
pub fn ask(model: &mut Model, title: &str, asked: Asked) -> Result<Vec<Effect>, String> {
    if !model.connection.is_open() {
        return Err("not connected: nobody can be asked".to_owned());
    }
    let ticket = model.last_ticket.next();
    let request = match &asked {
        Asked::Why(_) | Asked::Status { .. } => Request::Status,
        Asked::Plan(service) => Request::PlanRestart { service: service.clone() },
        Asked::Reload { plan } => Request::Reload { plan: *plan },
        Asked::Receipts { service, limit, .. } => {
            Request::History { service: service.clone(), limit: *limit }
        }
    };
    let content = Content::Awaited(ticket, asked);
    model.front = Some(Front::Page(Page { title: title.to_owned(), down: 0, content }));
    Ok(vec![Order::Act { ticket, request }.into()])
}

/// The daemon answered a question; perhaps the one of the open page.
pub fn answered(model: &mut Model, ticket: Ticket, result: Result<Done, Refusal>) {
    let Some(asked) = awaited(model, ticket) else { return };
    let text = match result {
        Ok(done) => text(model, asked, done),
        Err(refusal) => explained(&words::refusal(service(asked), &refusal)),
    };
    fill(model, &text);
}

/// The connection ended before the answer.
pub fn unanswered(model: &mut Model, ticket: Ticket) {
    if awaited(model, ticket).is_some() {
        fill(model, "no answer: the connection ended");
    }
}

/// What the console itself did was counted.
pub fn counted(model: &mut Model, stats: &Stats) {
    let Stats { running_ms, draws, frames, bytes, writes, events, reports } = stats;
    let number = |number: &u64| fmt::count(*number);
    let text = [
        format!("running   {}", fmt::duration(*running_ms)),
        format!("size      {} columns, {} rows", model.size.0, model.size.1),
        format!("draws     {}", number(draws)),
        format!("frames    {}  (the other draws changed nothing)", number(frames)),
        format!("bytes     {}", number(bytes)),
        format!("writes    {}", number(writes)),
        format!("events    {}  of the terminal: keys, sizes", number(events)),
        format!("reports   {}  of the connection", number(reports)),
    ];
    model.front = Some(Front::Page(Page::of_text("stats", &text.join("\n"))));
    model.touch(Dirty::ByInput);
}

/// Scrolls.
pub fn travel(model: &mut Model, step: Step, half: isize) {
    let most = view::page::beyond(model);
    if let Some(Front::Page(page)) = &mut model.front {
        page.down = moved(page.down.min(most), step, half).min(most);
    }
}

/// What the open page waits for, if it is this.
fn awaited(model: &Model, ticket: Ticket) -> Option<&Asked> {
    match &model.front {
        Some(Front::Page(Page { content: Content::Awaited(asked, what), .. })) => {
            (*asked == ticket).then_some(what)
        }
        _ => None,
    }
}

fn fill(model: &mut Model, text: &str) {
    if let Some(Front::Page(page)) = &mut model.front {
        let title = std::mem::take(&mut page.title);
        *page = Page::of_text(&title, &strip_str(text).to_string());
    }
    model.touch(Dirty::ByInput);
}

fn text(model: &Model, asked: &Asked, done: Done) -> String {
    match (asked, done) {
        (Asked::Why(name), Done::Status(snapshot)) => {
            let service = snapshot.services.iter().find(|service| service.row.name == *name);
            service.map_or_else(|| format!("{name} is gone"), human::why)
        }
        (Asked::Status { names, wide }, Done::Status(mut snapshot)) => {
            let Snapshot { services, .. } = &mut *snapshot;
            services.retain(|service| names.is_empty() || names.contains(&service.row.name));
            let width = if *wide { human::Width::Wide } else { human::Width::Usual };
            human::status(&snapshot, width, model.look.glyphs)
        }
        (Asked::Plan(_), Done::RestartPlan(plan)) => human::restart_plan(&plan),
        (Asked::Reload { plan }, Done::Reloaded(report)) => {
            let done = human::reload(&report, *plan);
            let problems = report.problems.iter().flat_map(|problem| problem.lines());
            problems.fold(done, |text, line| format!("{text}\n{}", words::escape(line)))
        }
        (Asked::Receipts { whole, .. }, Done::History(receipts)) => past(model, &receipts, *whole),
        _ => "the daemon gave an answer that does not fit".to_owned(),
    }
}

fn past(model: &Model, receipts: &[Receipt], whole: bool) -> String {
    let zone = model.clock.zone();
    match receipts {
        [] => "no rolling restart is on record".to_owned(),
        receipts if whole => {
            let all = receipts.iter().map(|one| human::whole_receipt(one, zone));
            all.collect::<Vec<_>>().join("\n\n")
        }
        receipts => human::history(receipts, zone),
    }
}

fn explained(explained: &Explained) -> String {
    let Explained { what, details, next } = explained;
    let details = details.iter().map(|line| format!("  {line}"));
    let next = next.iter().map(|line| format!("  next: {line}"));
    let lines: Vec<_> = std::iter::once(what.clone()).chain(details).chain(next).collect();
    lines.join("\n")
}

const fn service(asked: &Asked) -> Option<&ServiceName> {
    match asked {
        Asked::Why(name) | Asked::Plan(name) => Some(name),
        Asked::Receipts { service, .. } => service.as_ref(),
        Asked::Status { .. } | Asked::Reload { .. } => None,
    }
}
