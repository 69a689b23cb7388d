//! `smoothtool config check`: the daemon itself reads its configuration and says what it thinks.

use tokio::process::Command;

use super::daemon::{beside_or_in_path, exit_of};
use super::exit::Exit;
use super::problem::Problem;
use super::session::Session;
use crate::words::reason;

pub(super) async fn run(session: &mut Session) -> Result<Exit, Problem> {
    let program = beside_or_in_path()?;
    let mut command = Command::new(&program);
    command.arg("--check");
    // Not read here: what is wrong with it is for the daemon to say.
    if let Some(config) = session.place.config_path(&session.around) {
        command.arg("--config").arg(config);
    }
    let status = command.status().await.map_err(|error| {
        let program = program.display();
        Problem::new(Exit::Failed, format!("could not run {program}: {}", reason(&error)))
    })?;
    Ok(exit_of(status))
}
