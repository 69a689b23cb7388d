//! `smoothtool keys`: the keys of the console that are in effect.

use std::path::PathBuf;

use super::exit::Exit;
use super::problem::Problem;
use super::session::Session;
use crate::keys::{self, Keys, KeysError, listing};

pub(super) fn run(session: &mut Session) -> Result<Exit, Problem> {
    session.out.answer(listing(&in_effect()?).trim_end())?;
    Ok(Exit::Done)
}

/// Those of the table, with the operator's own.
///
/// # Errors
/// When the operator's file cannot be used.
pub(super) fn in_effect() -> Result<Keys, Problem> {
    keys::read(|name| std::env::var_os(name).map(PathBuf::from)).map_err(|error| unusable(&error))
}

fn unusable(error: &KeysError) -> Problem {
    let problem = Problem::new(Exit::Usage, error.to_string()).next("smoothtool keys");
    error.problems.iter().fold(problem, |problem, line| problem.detail(line.as_str()))
}
