//! The command line: every verb and option, as clap reads them.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand, ValueEnum};
use smoothserve_protocol::id::{OperationId, ServiceName};

use super::target::Place;
use super::values::{Awaited, Name, Printer, Until, addr, operation, port_flag, size, span};
use crate::console::GlyphChoice;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold());

const EXIT_CODES: &str = "\
Exit codes:
  0 done, or already so       5 refused: another operation runs, or things moved on
  1 failed on the server      6 refused: not permitted
  2 wrong usage               7 cannot reach the daemon
  3 the state is not so       8 versions too far apart
  4 no such service           124 the wait ran out, 130 Ctrl-C: the operation goes on";

/// Commands smoothserve: start, stop and restart web services without losing a request.
#[derive(Debug, Parser)]
#[command(name = "smoothtool", version, styles = STYLES, after_help = EXIT_CODES)]
#[command(disable_help_subcommand = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options that every verb takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Where and how")]
pub(crate) struct Global {
    /// The daemon's command port, instead of what its configuration says
    #[arg(long, global = true, value_name = "HOST:PORT", env = "SMOOTHTOOL_ADDR", hide_env = true)]
    #[arg(value_parser = addr)]
    pub(crate) addr: Option<String>,
    /// The daemon's configuration [default: smoothserve.yaml here, beside smoothtool, or in
    /// /etc/smoothserve]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The file that holds the token
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SMOOTHTOOL_TOKEN_FILE",
        hide_env = true
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// Say nothing on stderr but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", env = "SMOOTHTOOL_COLOR", hide_env = true)]
    #[arg(default_value = "auto")]
    pub(crate) color: Color,
}

impl Global {
    /// What was said about where the daemon is.
    pub(crate) fn place(&self) -> Place {
        Place {
            addr: self.addr.clone(),
            config: self.config.clone(),
            token_file: self.token_file.clone(),
        }
    }
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal that shows it, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Start the daemon in the background, or services of a running one
    Start(Start),
    /// Stop services, or everything and the daemon
    Stop(Stop),
    /// Replace the instances of services, one at a time, without losing a request
    Restart(Restart),
    /// Begin no further turn of a rolling restart
    Pause(Steer),
    /// Go on with a rolling restart that was paused
    Resume(Steer),
    /// End a rolling restart at the nearest safe point
    Abort(Steer),
    /// Give the drain of a rolling restart more time, or cut what it waits for
    Drain(Drain),
    /// Show what runs
    Status(Status),
    /// Show what happened
    Events(Events),
    /// Show past rolling restarts
    History(History),
    /// Show what instances print
    Logs(Logs),
    /// Wait for a service or an operation
    Wait(Wait),
    /// Explain why a service is not ready
    Why(Why),
    /// Read the configuration again, and make it so
    Reload(Reload),
    /// Look at the daemon's configuration
    #[command(subcommand)]
    Config(Config),
    /// Print what a shell needs to complete smoothtool's words
    Completions(Completions),
    /// See a rolling restart under traffic, in a throw-away daemon
    Demo(Demo),
    /// Open the console
    Tui(Tui),
    /// Show the keys of the console, as ~/.config/smoothtool/keys.yaml can give them
    Keys,
    /// The web service that the demo runs
    #[command(hide = true)]
    DemoApp(DemoApp),
}

/// `start`
#[derive(Debug, clap::Args)]
pub(crate) struct Start {
    /// Services; none: the daemon itself
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<Name>,
    /// Every service
    #[arg(long, conflicts_with = "names")]
    pub(crate) all: bool,
    /// Answer in JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `stop`
#[derive(Debug, clap::Args)]
pub(crate) struct Stop {
    /// Services; none: everything, and then the daemon itself
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<Name>,
    /// Every service; the daemon stays
    #[arg(long, conflicts_with = "names")]
    pub(crate) all: bool,
    /// Cut the requests that are still inside after this long [default: never]
    #[arg(long, value_name = "TIME", value_parser = span, conflicts_with = "force")]
    pub(crate) timeout: Option<Duration>,
    /// Cut the requests that are inside, at once; needs --yes
    #[arg(long, requires = "yes")]
    pub(crate) force: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Answer in JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `restart`
#[derive(Debug, clap::Args)]
pub(crate) struct Restart {
    /// Services, restarted one after the other
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub(crate) names: Vec<Name>,
    /// Every service that is not stopped
    #[arg(long, conflicts_with = "names")]
    pub(crate) all: bool,
    /// Return when the restart has begun
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Refuse, rather than join a restart that runs already
    #[arg(long)]
    pub(crate) no_join: bool,
    /// Wait no longer than this; the restart goes on
    #[arg(long, value_name = "TIME", value_parser = span)]
    #[arg(env = "SMOOTHTOOL_TIMEOUT", hide_env = true)]
    pub(crate) timeout: Option<Duration>,
    /// How long the requests inside an instance may take to end [default: the service's]
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) drain_timeout: Option<Duration>,
    /// What happens to requests that outlive it [default: the service's]
    #[arg(long, value_name = "WHAT")]
    pub(crate) on_drain_timeout: Option<DrainTimeout>,
    /// Go on with the next service when one fails
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Show what would be done, and do nothing; exit with 3 if something stands in the way
    #[arg(long)]
    #[arg(conflicts_with_all = ["no_wait", "no_join", "drain_timeout"])]
    #[arg(conflicts_with_all = ["on_drain_timeout", "keep_going"])]
    pub(crate) plan: bool,
    /// Answer in JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// What happens to requests that outlive the drain deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DrainTimeout {
    /// The instance goes back to work, and the restart ends
    Abort,
    /// They are waited for as long as they take
    Wait,
    /// They are cut
    Cut,
}

/// `pause`, `resume`, `abort`
#[derive(Debug, clap::Args)]
pub(crate) struct Steer {
    /// A service, or an operation such as op-17
    #[arg(value_name = "NAME|OPERATION")]
    pub(crate) what: Awaited,
    /// Refuse unless this is the one that runs
    #[arg(long, value_name = "OPERATION", value_parser = operation)]
    pub(crate) operation: Option<OperationId>,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `drain`
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("change").required(true))]
pub(crate) struct Drain {
    #[command(flatten)]
    pub(crate) steer: Steer,
    /// Add this much to its deadline
    #[arg(long, value_name = "TIME", value_parser = span, group = "change")]
    pub(crate) extend: Option<Duration>,
    /// Cut the requests that it waits for; needs --yes
    #[arg(long, requires = "yes", group = "change")]
    pub(crate) cut: bool,
    /// Yes, cut them
    #[arg(short, long, conflicts_with = "extend")]
    pub(crate) yes: bool,
}

/// `status`
#[derive(Debug, clap::Args)]
pub(crate) struct Status {
    /// Services; none: all
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<Name>,
    /// One JSON object
    #[arg(long, group = "form")]
    pub(crate) json: bool,
    /// Tab separated, one service a line, no header
    #[arg(long, group = "form")]
    pub(crate) plain: bool,
    /// With every instance
    #[arg(long, group = "form")]
    pub(crate) wide: bool,
    /// Exit with 3 unless all are ready
    #[arg(long)]
    pub(crate) check: bool,
    /// Show it again each second, until Ctrl-C
    #[arg(long, conflicts_with = "check")]
    pub(crate) watch: bool,
}

/// `events`
#[derive(Debug, clap::Args)]
pub(crate) struct Events {
    /// Only those of the last while, such as 1h
    #[arg(long, value_name = "TIME", value_parser = span)]
    pub(crate) since: Option<Duration>,
    /// Go on with those that come
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// At most so many, the newest [default: 50, or all with --since]
    #[arg(short = 'n', long = "lines", value_name = "N")]
    pub(crate) number: Option<u32>,
    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

/// `history`
#[derive(Debug, clap::Args)]
pub(crate) struct History {
    /// Only those of this service
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<ServiceName>,
    /// At most so many, the newest
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = Self::USUAL)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) number: u32,
    /// The last one alone, with its whole receipt
    #[arg(long, requires = "name", conflicts_with = "number")]
    pub(crate) last: bool,
    /// The whole receipt of each
    #[arg(long, group = "form")]
    pub(crate) wide: bool,
    /// One JSON object a line
    #[arg(long, group = "form")]
    pub(crate) json: bool,
}

impl History {
    /// How many are shown unless said otherwise.
    pub(crate) const USUAL: u32 = 20;
}

/// `logs`
#[derive(Debug, clap::Args)]
pub(crate) struct Logs {
    /// A service, or one instance of it, counted from 1
    #[arg(value_name = "NAME[/INSTANCE]")]
    pub(crate) whose: Printer,
    /// Go on with the lines that come
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// At most so many of those there are, the newest
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=5_000))]
    pub(crate) number: u32,
    /// Only lines that match this regular expression
    #[arg(long, value_name = "PATTERN")]
    pub(crate) grep: Option<String>,
    /// On a terminal too: the bytes as they were written, without time and name
    #[arg(long, group = "form")]
    pub(crate) raw: bool,
    /// One JSON object a line
    #[arg(long, group = "form")]
    pub(crate) json: bool,
}

/// `wait`
#[derive(Debug, clap::Args)]
pub(crate) struct Wait {
    /// A service, or an operation such as op-17
    #[arg(value_name = "NAME|OPERATION")]
    pub(crate) what: Awaited,
    /// What to wait for [default: ready; of an operation: done]
    #[arg(long = "for", value_name = "STATE")]
    pub(crate) until: Option<Until>,
    /// Wait no longer than this
    #[arg(long, value_name = "TIME", value_parser = span)]
    #[arg(env = "SMOOTHTOOL_TIMEOUT", hide_env = true)]
    pub(crate) timeout: Option<Duration>,
}

/// `why`
#[derive(Debug, clap::Args)]
pub(crate) struct Why {
    /// The service
    #[arg(value_name = "NAME")]
    pub(crate) name: ServiceName,
}

/// `reload`
#[derive(Debug, clap::Args)]
pub(crate) struct Reload {
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) plan: bool,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// `config`
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Check the daemon's configuration without starting it
    Check,
}

/// `completions`
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// A shell whose completions are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    /// Put it into /etc/bash_completion.d/smoothtool
    Bash,
    /// Put it into a folder of fpath, as _smoothtool
    Zsh,
    /// Put it into ~/.config/fish/completions/smoothtool.fish
    Fish,
}

/// `demo`
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Without the console: one rolling restart, its receipt, and the client's own count
    #[arg(long)]
    pub(crate) once: bool,
    /// How long the traffic runs: with --once at least, in the console at most
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: Option<u64>,
    /// How many clients send at the same time
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) clients: u16,
}

/// `tui`
#[derive(Debug, clap::Args)]
pub(crate) struct Tui {
    /// Only look: the daemon refuses every command of this console
    #[arg(long, env = "SMOOTHTOOL_READ_ONLY", hide_env = true)]
    #[arg(value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) read_only: bool,
    /// Print one frame and leave
    #[arg(long)]
    pub(crate) once: bool,
    /// Size of that frame
    #[arg(long, value_name = "COLUMNSxROWS", requires = "once", value_parser = size)]
    pub(crate) size: Option<(u16, u16)>,
    /// What to draw with
    #[arg(long, value_name = "SET", env = "SMOOTHTOOL_GLYPHS", hide_env = true)]
    #[arg(default_value = "auto")]
    pub(crate) glyphs: GlyphChoice,
    /// Frames a second while something moves, at most
    #[arg(long, value_name = "N", env = "SMOOTHTOOL_FPS", hide_env = true, default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u8).range(1..=60))]
    pub(crate) fps: u8,
}

/// `demo-app`
#[derive(Debug, clap::Args)]
pub(crate) struct DemoApp {
    /// The port to serve on, spelled as smoothserve spells it
    #[arg(value_name = "-port=N", allow_hyphen_values = true, value_parser = port_flag)]
    pub(crate) port: u16,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::values::Selection;

    fn parse(line: &str) -> Result<Args, clap::error::ErrorKind> {
        let words = std::iter::once("smoothtool").chain(line.split_whitespace());
        Args::try_parse_from(words).map_err(|error| error.kind())
    }

    fn named(names: &[&str]) -> Selection {
        Selection::Named(names.iter().map(|name| ServiceName::new(name).unwrap()).collect())
    }

    #[test]
    fn the_table_of_arguments_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn names_and_all_select_services() {
        for (line, expected) in [
            ("start", Selection::Unnamed),
            ("start --all", Selection::All),
            ("start all", Selection::All),
            ("start b a b", named(&["b", "a"])),
        ] {
            let Verb::Start(start) = parse(line).unwrap().verb else { panic!("{line}") };
            assert_eq!(Selection::new(&start.names, start.all), expected, "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "",
            "reboot",
            "restart",
            "restart a --all",
            "restart a/b",
            "stop --force",
            "stop --force --yes --timeout 5m",
            "stop --timeout -3s",
            "status --json --plain",
            "status --check --watch",
            "wait",
            "wait api --for happiness",
            "tui --size 80x24",
            "tui --once --size 80",
            "--addr nowhere status",
            "events -n some",
            "demo --clients 0",
            "pause",
            "pause api --operation 1.5",
            "drain api",
            "drain api --cut",
            "drain api --extend 60s --yes",
            "drain api --extend 60s --cut --yes",
            "restart api --plan --no-wait",
            "restart api --on-drain-timeout kill",
            "completions",
            "completions csh",
            "history --last",
            "history api --last -n 3",
            "history api --wide --json",
            "history -n 501",
            "logs",
            "logs api/0",
            "logs api/one",
            "logs api --raw --json",
            "logs api -n 5001",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn options_stand_before_or_after_the_verb() {
        for line in ["--addr [::1]:80 -q restart a", "restart a --addr [::1]:80 --quiet"] {
            let args = parse(line).unwrap();
            assert_eq!(args.global.addr.as_deref(), Some("[::1]:80"));
            assert!(args.global.quiet);
        }
    }

    #[test]
    fn the_demo_app_takes_the_flag_that_every_service_takes() {
        let Verb::DemoApp(app) = parse("demo-app -port=8086").unwrap().verb else { panic!() };
        assert_eq!(app.port, 8086);
    }
}
