//! `smoothtool reload`: the configuration read again.

use smoothserve_protocol::message::{Done, Request};
use smoothserve_protocol::plan::ReloadReport;

use super::args::Reload;
use super::exit::Exit;
use super::out::{human, json};
use super::problem::Problem;
use super::session::{Session, unexpected};
use crate::fmt::plural;
use crate::words::escape;

pub(super) async fn run(session: &mut Session, args: &Reload) -> Result<Exit, Problem> {
    let mut link = session.connect().await?;
    let report = match link.ask(None, Request::Reload { plan: args.plan }).await? {
        Done::Reloaded(report) => report,
        other => return Err(unexpected(&other)),
    };
    let text = if args.json { json::reload(&report) } else { human::reload(&report, args.plan) };
    session.out.answer(&text)?;
    if report.problems.is_empty() { Ok(Exit::Done) } else { Err(rejected(&report)) }
}

/// Everything that is wrong, whether or not the rest was applied.
fn rejected(report: &ReloadReport) -> Problem {
    let problems = plural(report.problems.len() as u64, "problem");
    let what = format!("the configuration has {problems}; what is wrong stays as it was before");
    let lines = report.problems.iter().flat_map(|problem| problem.lines());
    lines.fold(Problem::new(Exit::Usage, what), |problem, line| problem.detail(escape(line)))
}
