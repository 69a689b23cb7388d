//! `smoothtool why`: the reasons behind a service's state.

use smoothserve_protocol::message::Refusal;

use super::args::Why;
use super::exit::Exit;
use super::out::human;
use super::problem::Problem;
use super::session::Session;

pub(super) async fn run(session: &mut Session, args: &Why) -> Result<Exit, Problem> {
    let services = session.connect().await?.status().await?.services;
    let Some(service) = services.iter().find(|service| service.row.name == args.name) else {
        let known = services.into_iter().map(|service| service.row.name).collect();
        let refusal = Refusal::UnknownService { name: args.name.clone(), known };
        return Err(Problem::refused(Some(&args.name), &refusal));
    };
    session.out.answer(&human::why(service))?;
    Ok(Exit::Done)
}
