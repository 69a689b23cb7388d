//! `smoothtool demo`: a throw-away daemon with a small web service, traffic on it, and a rolling
//! restart to watch. Nothing of it outlives the program, whichever way that ends.

pub(crate) mod app;
mod daemon;
mod folder;
mod load;
mod once;
mod verdict;

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use crate::cli::{self, DemoArgs, Exit, Link, Problem, Session};
use crate::client::Target;
use crate::console::ConsoleOptions;
use crate::words::reason;
use daemon::Daemon;
use load::Load;

/// Steady traffic runs this long in all around the restart, unless said otherwise.
const USUAL_SECONDS: u64 = 4;

pub(crate) async fn run(session: &mut Session, args: &DemoArgs) -> Result<Exit, Problem> {
    // Before there is anything to leave behind.
    let mut signals = Signals::listen()?;
    // Dropped last, and on every way out: with it go the processes, the ports and the folder.
    let mut daemon = Daemon::launch()?;
    let mut load = None;
    let result = tokio::select! {
        biased;
        exit = signals.told_to_leave() => Ok(exit),
        result = show(session, &mut daemon, &mut load, args) => result,
    };
    if let Some(mut load) = load {
        // Else the daemon would wait for answers that nobody reads any more.
        load.abandon().await;
    }
    result
}

async fn show(
    session: &mut Session,
    daemon: &mut Daemon,
    load: &mut Option<Load>,
    args: &DemoArgs,
) -> Result<Exit, Problem> {
    let serving = daemon.serving().await?;
    let mut link = Link::connect(serving.target.clone()).await?;
    let instances = all_ready(&mut link).await?;
    session.out.note(&format!("demo: http://{} on {instances} instances", serving.proxy));
    let load = load.insert(Load::start(serving.proxy, args.clients));
    let terminals = session.out.terminals;
    if args.once || !(terminals.stdin && terminals.stdout) {
        let around = Duration::from_secs(args.seconds.unwrap_or(USUAL_SECONDS));
        once::run(session, &mut link, load, around).await
    } else {
        console(session, serving.target, load, args.seconds).await
    }
}

/// The console on the demo, until the operator leaves it or the time is over.
async fn console(
    session: &mut Session,
    target: Target,
    load: &mut Load,
    seconds: Option<u64>,
) -> Result<Exit, Problem> {
    let over = async {
        match seconds {
            Some(seconds) => sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let left = tokio::select! {
        result = cli::console(target, ConsoleOptions::default()) => result,
        () = over => Ok(Exit::Done),
    };
    let tally = load.finish().await;
    session.out.answer(&verdict::client_line(&tally))?;
    left
}

/// How many instances are ready, which must be all of them.
async fn all_ready(link: &mut Link) -> Result<u32, Problem> {
    let snapshot = link.status().await?;
    let daemon = &snapshot.daemon;
    if daemon.ready > 0 && daemon.ready == daemon.wanted {
        return Ok(daemon.ready);
    }
    let problem = Problem::new(Exit::Failed, "the demo's web service did not start");
    let why = snapshot.services.iter().map(cli::human::why);
    Err(why.fold(problem, Problem::detail))
}

/// Ctrl-C, the end of the terminal, and an order from elsewhere.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Problem> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                let reason = reason(&error);
                Problem::new(Exit::Failed, format!("could not listen for signals: {reason}"))
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Resolves at the first of them, with the exit code that a shell has for it.
    async fn told_to_leave(&mut self) -> Exit {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.hangup.recv() => SignalKind::hangup(),
        };
        Exit::of_signal(kind.as_raw_value())
    }
}
