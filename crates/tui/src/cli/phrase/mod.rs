//! The words of the command line as the console takes them: what a line asks for, and why it cannot.
//!
//! The verbs and options are those of [`super::args`], read by clap; a few words are the console's
//! own. What has no use inside the console is named, never ignored.

mod complaint;
mod complete;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches};
use smoothserve_protocol::id::{OperationId, ServiceName};
use smoothserve_protocol::message::Steer;

use super::args::{self, Args, Verb};
use super::restart::milliseconds;
use super::values::{Awaited, Printer, Selection};
use crate::model::page::Asked;
use crate::model::question::Terms;
use crate::style::Background;

pub(crate) use complete::{Known, complete};

/// Verbs that begin, or leave, what the console is a part of.
const ELSEWHERE: [&str; 5] = ["completions", "config", "demo", "demo-app", "tui"];

/// Options that say how a program should wait and write, by verb; an empty verb stands for all.
const UNUSED: [(&str, &[&str]); 6] = [
    ("", &["addr", "config", "token_file", "quiet", "color", "json", "plain", "raw"]),
    ("restart", &["no_wait", "no_join", "timeout", "keep_going"]),
    ("status", &["check", "watch"]),
    ("events", &["since", "number"]),
    ("logs", &["number"]),
    ("wait", &["until", "timeout"]),
];

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phrase {
    /// Start services.
    Start(Selection),
    /// Stop them.
    Stop(Selection, Terms),
    /// Stop services, and cut what is inside at once.
    Kill(Selection),
    /// Restart them.
    Restart(Selection, Terms),
    /// Change the course of a restart, if it is this one.
    Steer(Awaited, Option<OperationId>, Steer),
    /// What a restart of these would do.
    Plan(Selection),
    /// Show what the daemon says to this.
    Ask(Asked),
    /// What happened.
    Events,
    /// Past restarts.
    History(Option<ServiceName>),
    /// What a service or one of its instances prints, of which only what matches this.
    Logs(Printer, Option<String>),
    /// How it goes.
    Watch(Awaited),
    /// This text.
    Say(String),
    /// The keys that work here.
    Help,
    /// The keys in effect everywhere.
    Keys,
    /// Colours for this background; none: as the terminal says.
    Theme(Option<Background>),
    /// What the console itself does.
    Stats,
    /// Leave.
    Quit,
}

/// Reads `line`.
///
/// # Errors
/// When it asks for nothing that the console can do; says why, in one line.
pub(crate) fn parse(line: &str) -> Result<Phrase, String> {
    let words = shlex::split(line).ok_or("a quote is not closed")?;
    // As the questions and the manual write it.
    let words = words.strip_prefix(&["smoothtool".to_owned()]).unwrap_or(&words);
    if let Some(verb) = words.first().filter(|word| ELSEWHERE.contains(&word.as_str())) {
        return Err(format!("`{verb}` is for the command line, not for the console"));
    }
    let mut command = command();
    let name = "smoothtool".to_owned();
    let matches = match command.try_get_matches_from_mut(std::iter::once(&name).chain(words)) {
        Ok(matches) => matches,
        Err(error) => return complaint::of(&error),
    };
    match matches.subcommand_name() {
        Some("help") => return Ok(Phrase::Help),
        Some("theme") => return Ok(Phrase::Theme(theme(&matches))),
        Some("stats") => return Ok(Phrase::Stats),
        Some("quit") => return Ok(Phrase::Quit),
        _ => {}
    }
    if let Some(option) = unused(&command, &matches) {
        return Err(format!("`--{option}` has no use in the console"));
    }
    match Args::from_arg_matches(&matches) {
        Ok(args) => of_verb(args.verb),
        Err(error) => complaint::of(&error),
    }
}

/// The words of the command line and of the console. The environment adds nothing to them, and what
/// has no use here is not in their help.
fn command() -> Command {
    fn own(name: &'static str, about: &'static str) -> Command {
        Command::new(name).about(about)
    }
    let verbs = here(Args::command()).mut_subcommands(here).after_help(None::<&str>);
    verbs.term_width(76).subcommands([
        own("help", "List the keys that work here"),
        own("theme", "Choose colours for the background of the terminal")
            .arg(Arg::new("background").required(true).value_parser(["auto", "dark", "light"])),
        own("stats", "Show what the console itself sends and takes"),
        own("quit", "Leave the console; the daemon runs on"),
    ])
}

/// The background that is named; none: the one that the terminal has.
fn theme(matches: &ArgMatches) -> Option<Background> {
    let (_, given) = matches.subcommand()?;
    let named = given.get_one::<String>("background")?;
    [Background::Dark, Background::Light].into_iter().find(|one| one.name() == named)
}

/// A verb, or all of them, as the console takes it.
fn here(verb: Command) -> Command {
    let name = verb.get_name().to_owned();
    let is_hidden = ELSEWHERE.contains(&name.as_str());
    let verb = verb.mut_args(|arg| {
        let is_hidden = arg.is_hide_set() || is_unused(&name, arg.get_id().as_str());
        arg.env(None::<&str>).hide(is_hidden)
    });
    verb.hide(is_hidden)
}

/// An option that was given and has no use here.
fn unused<'a>(command: &'a Command, matches: &ArgMatches) -> Option<&'a str> {
    let (name, given) = matches.subcommand()?;
    let verb = command.find_subcommand(name)?;
    let said = |arg: &&clap::Arg| {
        let id = arg.get_id().as_str();
        is_unused(name, id) && given.value_source(id) == Some(ValueSource::CommandLine)
    };
    verb.get_arguments().find(said)?.get_long()
}

/// Whether option `id` of `verb` has no use here.
fn is_unused(verb: &str, id: &str) -> bool {
    UNUSED.iter().any(|(of, ids)| (of.is_empty() || *of == verb) && ids.contains(&id))
}

fn of_verb(verb: Verb) -> Result<Phrase, String> {
    Ok(match verb {
        Verb::Start(args) => Phrase::Start(named(Selection::new(&args.names, args.all), "start")?),
        Verb::Stop(args) => return stop(&args),
        Verb::Restart(args) if args.plan => Phrase::Plan(Selection::new(&args.names, args.all)),
        Verb::Restart(args) => {
            let terms = Terms {
                drain_timeout_ms: args.drain_timeout.map(milliseconds),
                on_drain_timeout: args.on_drain_timeout.map(Into::into),
                ..Terms::default()
            };
            Phrase::Restart(Selection::new(&args.names, args.all), terms)
        }
        Verb::Pause(args) => Phrase::Steer(args.what, args.operation, Steer::Pause),
        Verb::Resume(args) => Phrase::Steer(args.what, args.operation, Steer::Resume),
        Verb::Abort(args) => Phrase::Steer(args.what, args.operation, Steer::Abort),
        Verb::Drain(args) => {
            let steer = match args.extend {
                Some(by) => Steer::Extend { by_ms: milliseconds(by) },
                None => Steer::Cut,
            };
            Phrase::Steer(args.steer.what, args.steer.operation, steer)
        }
        Verb::Status(args) => {
            let names = match Selection::new(&args.names, false) {
                Selection::Named(names) => names,
                Selection::Unnamed | Selection::All => Vec::new(),
            };
            Phrase::Ask(Asked::Status { names, wide: args.wide })
        }
        Verb::Events(_) => Phrase::Events,
        Verb::History(args) => history(args),
        Verb::Logs(args) => Phrase::Logs(args.whose, args.grep),
        Verb::Wait(args) => Phrase::Watch(args.what),
        Verb::Why(args) => Phrase::Ask(Asked::Why(args.name)),
        Verb::Reload(args) => Phrase::Ask(Asked::Reload { plan: args.plan }),
        Verb::Keys => Phrase::Keys,
        Verb::Config(_)
        | Verb::Completions(_)
        | Verb::Demo(_)
        | Verb::Tui(_)
        | Verb::DemoApp(_) => return Err("that is for the command line".to_owned()),
    })
}

fn stop(args: &args::Stop) -> Result<Phrase, String> {
    let selection = named(Selection::new(&args.names, args.all), "stop")?;
    if args.yes && !args.force {
        return Err("`--yes` has no use in the console: it asks before it stops".to_owned());
    }
    let timeout_ms = args.timeout.map(milliseconds);
    if args.force {
        return Ok(Phrase::Kill(selection));
    }
    Ok(Phrase::Stop(selection, Terms { timeout_ms, ..Terms::default() }))
}

/// A screen, unless a form was asked for that the screen does not have.
fn history(args: args::History) -> Phrase {
    let args::History { name: service, number, last, wide, .. } = args;
    if !last && !wide && number == args::History::USUAL {
        return Phrase::History(service);
    }
    let limit = if last { 1 } else { number };
    Phrase::Ask(Asked::Receipts { service, limit, whole: last || wide })
}

/// Without a name, the command line means the daemon, which the console is no place to end.
fn named(selection: Selection, verb: &str) -> Result<Selection, String> {
    match selection {
        Selection::Unnamed => Err(format!(
            "{verb} what? the daemon itself is for the command line: smoothtool {verb}"
        )),
        Selection::All | Selection::Named(_) => Ok(selection),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str) -> ServiceName {
        ServiceName::new(name).unwrap()
    }

    #[test]
    fn the_words_are_those_of_the_command_line() {
        let api = || Selection::Named(vec![service("api")]);
        let on_api = |steer| Phrase::Steer(Awaited::Service(service("api")), None, steer);
        let terms = Terms { drain_timeout_ms: Some(60_000), ..Terms::default() };
        for (line, phrase) in [
            ("start --all", Phrase::Start(Selection::All)),
            ("stop api", Phrase::Stop(api(), Terms::default())),
            ("smoothtool restart api", Phrase::Restart(api(), Terms::default())),
            ("restart api --drain-timeout 60s", Phrase::Restart(api(), terms)),
            ("restart api --plan", Phrase::Plan(api())),
            ("pause api", on_api(Steer::Pause)),
            ("drain api --extend 60s", on_api(Steer::Extend { by_ms: 60_000 })),
            ("drain api --cut --yes", on_api(Steer::Cut)),
            ("abort op-17", Phrase::Steer(Awaited::Operation(OperationId(17)), None, Steer::Abort)),
            ("reload --plan", Phrase::Ask(Asked::Reload { plan: true })),
            ("why api", Phrase::Ask(Asked::Why(service("api")))),
            ("events -f", Phrase::Events),
            ("history api", Phrase::History(Some(service("api")))),
            ("wait api", Phrase::Watch(Awaited::Service(service("api")))),
            ("theme light", Phrase::Theme(Some(Background::Light))),
            ("theme auto", Phrase::Theme(None)),
            ("quit", Phrase::Quit),
            ("  stats ", Phrase::Stats),
        ] {
            assert_eq!(parse(line), Ok(phrase), "{line}");
        }
        let Ok(Phrase::Logs(printer, Some(pattern))) = parse("logs api/2 --grep 'a b'") else {
            panic!("logs")
        };
        assert_eq!((printer, pattern.as_str()), ("api/2".parse().unwrap(), "a b"));
    }

    #[test]
    fn every_refusal_is_one_clear_line() {
        let lines = [
            "restrat api",
            "restart",
            "restart api --no-wait",
            "restart api --drian-timeout 60s",
            "restart api --drain-timeout soon",
            "restart api --on-drain-timeout kill",
            "restart api --all",
            "restart a/b",
            "status --json",
            "status --addr 127.0.0.1:1",
            "--quiet status",
            "events --since 1h",
            "logs api -n 5",
            "wait api --timeout 5s",
            "stop",
            "stop api --yes",
            "stop api --force",
            "drain api",
            "drain api --cut",
            "completions bash",
            "tui",
            "config",
            "demo-app -port=1",
            "why 'api",
            "--version",
            "reload now",
            "theme",
            "theme blue",
        ];
        let told = lines.map(|line| format!("{line:36} {}\n", parse(line).unwrap_err()));
        insta::assert_snapshot!(told.concat());
    }

    #[test]
    fn the_help_of_a_verb_is_a_page() {
        let Ok(Phrase::Say(text)) = parse("restart --help") else { panic!("help") };
        assert!(text.contains("--drain-timeout") && !text.contains("--json"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
        let Ok(Phrase::Say(text)) = parse("--help") else { panic!("help") };
        assert!(text.contains("stats") && !text.contains("completions"), "{text}");
    }
}
