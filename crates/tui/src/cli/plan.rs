//! `smoothtool restart --plan`: what a restart would do.

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::{Done, Request};

use super::exit::Exit;
use super::out::{human, json};
use super::problem::Problem;
use super::session::{Link, Session, unexpected};

/// Shows what a restart of each service would do; not so if something stands in the way of one.
pub(super) async fn show(
    session: &mut Session,
    link: &mut Link,
    names: &[ServiceName],
    as_json: bool,
) -> Result<Exit, Problem> {
    let mut exit = Exit::Done;
    for service in names {
        let request = Request::PlanRestart { service: service.clone() };
        let plan = match link.ask(Some(service), request).await? {
            Done::RestartPlan(plan) => plan,
            other => return Err(unexpected(&other)),
        };
        let text = if as_json { json::restart_plan(&plan) } else { human::restart_plan(&plan) };
        session.out.answer(&text)?;
        if plan.problem.is_some() {
            exit = Exit::NotSo;
        }
    }
    Ok(exit)
}
