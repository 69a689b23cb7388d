//! `smoothtool completions`: a script that completes its verbs and options.

use clap::CommandFactory;
use clap_complete::{generate, shells};

use super::args::{Args, Completions, Shell};
use super::exit::Exit;
use super::problem::Problem;
use super::session::Session;

pub(super) fn run(session: &mut Session, args: &Completions) -> Result<Exit, Problem> {
    let (mut command, mut script) = (Args::command(), Vec::new());
    let name = "smoothtool";
    match args.shell {
        Shell::Bash => generate(shells::Bash, &mut command, name, &mut script),
        Shell::Zsh => generate(shells::Zsh, &mut command, name, &mut script),
        Shell::Fish => generate(shells::Fish, &mut command, name, &mut script),
    }
    session.out.bytes(&script)?;
    Ok(Exit::Done)
}
