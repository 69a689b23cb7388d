//! The plain command line: one file a verb, and what they share.
//!
//! A verb asks the daemon, shows what it says, and ends with an exit code. It holds no truth: the
//! operation it watches goes on without it.

mod args;
mod completions;
mod config_check;
mod daemon;
mod events;
mod exit;
mod follow;
mod history;
mod keys;
mod legacy;
mod logs;
mod out;
pub(crate) mod phrase;
mod plan;
mod problem;
mod progress;
mod reload;
mod restart;
mod session;
mod start;
mod status;
mod steer;
mod stop;
mod target;
#[cfg(test)]
mod tests;
mod tui;
mod values;
mod wait;
mod why;

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches};

use smoothserve_protocol::message::Steer;

use args::{Args, Color, Config, Verb};
pub use exit::Exit;
use out::Out;

// What the demo shares with the verbs.
pub(crate) use args::Demo as DemoArgs;
pub(crate) use daemon::{beside_or_in_path, ready};
pub(crate) use follow::{Command, follow};
pub(crate) use out::{human, json};
pub(crate) use problem::Problem;
pub(crate) use session::{Link, Session, unexpected};
pub(crate) use tui::console;
pub(crate) use values::{Awaited, Printer, Selection};

/// Carries out one command line, the program's own name left out.
pub async fn run(arguments: Vec<OsString>) -> Exit {
    let legacy::Modern { arguments, respelled } = legacy::modernize(arguments);
    let respelled = respelled.then(|| {
        let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
        format!("note: an old spelling; it is now: smoothtool {}", words.join(" "))
    });
    let args = match parse(&arguments) {
        Ok(args) => args,
        Err(error) => {
            if let Some(note) = respelled {
                Out::of_this_process(Color::Auto, false, false).note(&note);
            }
            // Nobody can be told that the stream is gone.
            let _ = error.print();
            return Exit::Passed(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = args.verb.json();
    let mut out = Out::of_this_process(args.global.color, args.global.quiet, json);
    if let Some(note) = respelled {
        out.note(&note);
    }
    let mut session = Session::of_this_process(args.global.place(), out);
    perform(&mut session, args.verb).await
}

/// Carries out one verb, and shows what went wrong.
async fn perform(session: &mut Session, verb: Verb) -> Exit {
    let result = match verb {
        Verb::Start(args) => start::run(session, &args).await,
        Verb::Stop(args) => stop::run(session, &args).await,
        Verb::Restart(args) => restart::run(session, &args).await,
        Verb::Pause(args) => steer::run(session, &args, Steer::Pause).await,
        Verb::Resume(args) => steer::run(session, &args, Steer::Resume).await,
        Verb::Abort(args) => steer::run(session, &args, Steer::Abort).await,
        Verb::Drain(args) => steer::drain(session, &args).await,
        Verb::Status(args) => status::run(session, &args).await,
        Verb::Events(args) => events::run(session, &args).await,
        Verb::History(args) => history::run(session, &args).await,
        Verb::Logs(args) => logs::run(session, &args).await,
        Verb::Wait(args) => wait::run(session, &args).await,
        Verb::Why(args) => why::run(session, &args).await,
        Verb::Reload(args) => reload::run(session, &args).await,
        Verb::Config(Config::Check) => config_check::run(session).await,
        Verb::Completions(args) => completions::run(session, &args),
        Verb::Demo(args) => crate::demo::run(session, &args).await,
        Verb::Tui(args) => tui::run(session, &args).await,
        Verb::Keys => keys::run(session),
        Verb::DemoApp(args) => crate::demo::app::run(args.port).await,
    };
    session.out.end_line();
    result.unwrap_or_else(|problem| {
        session.out.error(&problem);
        problem.exit
    })
}

fn parse(arguments: &[OsString]) -> Result<Args, clap::Error> {
    let name = OsString::from("smoothtool");
    let mut command = Args::command();
    let matches = command.try_get_matches_from_mut(std::iter::once(&name).chain(arguments))?;
    let args = Args::from_arg_matches(&matches)?;
    let said = |option: &str| {
        let of_verb = matches.subcommand().and_then(|(_, verb)| verb.value_source(option));
        of_verb == Some(ValueSource::CommandLine)
    };
    // An option that would be read and not used is a misunderstanding.
    if let Some(option) = args.verb.unused().iter().find(|option| said(option)) {
        let option = option.replace('_', "-");
        let text = format!("`--{option}` has no use with this command\n");
        return Err(command.error(clap::error::ErrorKind::ArgumentConflict, text));
    }
    Ok(args)
}

impl Verb {
    /// Whether the answer, and any error, is JSON.
    fn json(&self) -> bool {
        match self {
            Self::Start(args) => args.json,
            Self::Stop(args) => args.json,
            Self::Restart(args) => args.json,
            Self::Pause(args) | Self::Resume(args) | Self::Abort(args) => args.json,
            Self::Drain(args) => args.steer.json,
            Self::Status(args) => args.json,
            Self::Events(args) => args.json,
            Self::History(args) => args.json,
            Self::Logs(args) => args.json,
            Self::Reload(args) => args.json,
            Self::Wait(_)
            | Self::Why(_)
            | Self::Config(_)
            | Self::Completions(_)
            | Self::Demo(_)
            | Self::Tui(_)
            | Self::Keys
            | Self::DemoApp(_) => false,
        }
    }

    /// The options that mean nothing to it. The environment may hold them all the same.
    fn unused(&self) -> &'static [&'static str] {
        match self {
            Self::Completions(_) | Self::Demo(_) | Self::DemoApp(_) | Self::Keys => {
                &["addr", "config", "token_file"]
            }
            Self::Config(_) => &["addr", "token_file"],
            Self::Restart(args) if args.no_wait || args.plan => &["timeout"],
            Self::Start(_)
            | Self::Stop(_)
            | Self::Restart(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Abort(_)
            | Self::Drain(_)
            | Self::Status(_)
            | Self::Events(_)
            | Self::Wait(_)
            | Self::History(_)
            | Self::Logs(_)
            | Self::Why(_)
            | Self::Reload(_)
            | Self::Tui(_) => &[],
        }
    }
}
