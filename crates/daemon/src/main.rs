//! The daemon `smoothserve`: arguments, logging, configuration, run, exit code.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use smoothserve::config::{self, Colour, Config};
use smoothserve::{Daemon, Options, logfile};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// HTTP reverse proxy and parent of the web services behind it: restarts them one instance at a
/// time without losing a request.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    /// The main configuration file.
    #[arg(long, value_name = "FILE", default_value = "smoothserve.yaml")]
    config: PathBuf,
    /// Read the configuration, say what is wrong with it, and exit.
    #[arg(long)]
    check: bool,
    /// Write the bound addresses there, as one line of JSON, when every service was started.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Shut down, as on SIGTERM, when standard input ends.
    #[arg(long)]
    exit_with_stdin: bool,
}

/// How long a thread for work that blocks is kept without any.
const IDLE_THREAD: Duration = Duration::from_secs(1);
/// How many tasks may have a turn before the kernel is asked who else has something to do. Each may
/// take as long as it takes to pass on 256 KiB; tokio's 61 would be many milliseconds.
const TASKS_BETWEEN_EVENTS: u32 = 16;

const EXIT_CODES: &str = "Exit codes: 0 stopped as asked, 1 could not start, 2 bad configuration.\n\
    Signals: TERM, INT and QUIT drain and stop everything; again: within 5 s; a third time: at\n\
    once. HUP has the configuration read again.\n\
    The environment variable RUST_LOG sets what is logged, for example RUST_LOG=debug.";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let colour = if std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        Colour::Always
    } else {
        Colour::Never
    };
    if arguments.check {
        return check(&arguments.config, colour);
    }
    let config = match config::load(&arguments.config) {
        Ok(config) => config,
        Err(errors) => {
            complain(&errors.render(colour));
            return ExitCode::from(2);
        }
    };
    match serve(config, arguments, colour) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Each message holds that of its source.
            complain(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn check(file: &Path, colour: Colour) -> ExitCode {
    match config::check(file, colour) {
        Ok(summary) => {
            print(&summary);
            ExitCode::SUCCESS
        }
        Err(problems) => {
            complain(&problems);
            ExitCode::from(2)
        }
    }
}

fn serve(config: Config, arguments: Arguments, colour: Colour) -> anyhow::Result<()> {
    let _log = start_log(&config, colour)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Each has memory of its own, and hundreds may have had work for a moment.
        .thread_keep_alive(IDLE_THREAD)
        .event_interval(TASKS_BETWEEN_EVENTS)
        .build()?;
    runtime.block_on(async {
        let daemon = Daemon::bind(config)?;
        let options = Options {
            ready_file: arguments.ready_file,
            exit_with_stdin: arguments.exit_with_stdin,
        };
        daemon.run(options).await?;
        Ok(())
    })
}

/// Everything to stderr, and to the log file if there is one.
fn start_log(config: &Config, colour: Colour) -> anyhow::Result<Option<logfile::LogGuard>> {
    let debug = config.log.as_ref().is_some_and(|log| log.debug);
    let level = if debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    let filter = || EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
    let stderr = fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(matches!(colour, Colour::Always))
        .with_target(false)
        .with_filter(filter());
    let registry = tracing_subscriber::registry().with(stderr);
    let Some(log) = &config.log else {
        registry.init();
        return Ok(None);
    };
    let (file, guard) = logfile::open(log)
        .map_err(|error| anyhow::anyhow!("log.file_path {}: {error}", log.file.display()))?;
    let layer = fmt::layer().with_writer(file).with_ansi(false).with_filter(filter());
    registry.with(layer).init();
    Ok(Some(guard))
}

/// A proxy needs two descriptors a connection; what the administrator allows at most is right.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!("the descriptor limit could not be raised: {error}");
    }
}

#[expect(clippy::print_stdout, reason = "the answer of --check")]
fn print(text: &str) {
    println!("{text}");
}

/// For what is wrong before there is a log.
fn complain(text: &str) {
    eprintln!("{text}");
}
