//! From launch to exit: when it listens, and how it leaves.

use std::future::pending;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::answer::Fixture;
use crate::options::{OnTerm, Options, Start};
use crate::server;

/// What an instance does that was told to crash.
const CRASHED: u8 = 70;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Serving,
    /// Accepts no more connections; the open ones go on as if nothing were.
    Deaf,
    /// Accepts no more connections, and ends the open ones after what they do.
    Finishing,
}

/// Resolves when the instance accepts no more.
pub(crate) async fn deaf(phase: &mut watch::Receiver<Phase>) {
    // An error means that nobody can announce any more: the instance leaves.
    let _ = phase.wait_for(|phase| *phase != Phase::Serving).await;
}

/// Resolves when the instance ends its connections.
pub(crate) async fn finishing(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase == Phase::Finishing).await;
}

/// Serves until it is told otherwise.
pub(crate) async fn live(options: Options) -> ExitCode {
    let (announce, phase) = watch::channel(Phase::Serving);
    let (crash_after, on_term) = (options.crash_after, options.on_term);
    let lived = tokio::select! {
        served = serve(options, phase) => served.map(|()| ExitCode::SUCCESS),
        left = leave(on_term, announce) => left.map(|()| ExitCode::SUCCESS),
        () = crash(crash_after) => Ok(ExitCode::from(CRASHED)),
    };
    // Returning drops the runtime, and with it every connection, whatever it was doing.
    lived.unwrap_or_else(|error| {
        eprintln!("fixture: {error:#}");
        ExitCode::FAILURE
    })
}

async fn serve(options: Options, phase: watch::Receiver<Phase>) -> anyhow::Result<()> {
    match options.start {
        Start::Listen { after } => sleep(after).await,
        Start::NeverListen | Start::Refuse { .. } => pending().await,
    }
    let place = options.place();
    let listener =
        place.listen().await.with_context(|| format!("could not listen on {place:?}"))?;
    announce_listening(&options);
    server::serve(listener, Arc::new(Fixture::new(options)?), phase).await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a web service that says so on stdout is what is tested")]
fn announce_listening(options: &Options) {
    println!("fixture: listening on {} generation {}", options.port, options.generation);
}

/// Resolves when the instance is to exit at once; until then tells the others through `announce`.
async fn leave(on_term: OnTerm, announce: watch::Sender<Phase>) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate()).context("could not listen for TERM")?;
    loop {
        term.recv().await;
        match on_term {
            OnTerm::Finish => announce.send_replace(Phase::Finishing),
            OnTerm::Ignore => continue,
            OnTerm::Exit { after } => {
                announce.send_replace(Phase::Deaf);
                sleep(after).await;
                return Ok(());
            }
        };
    }
}

async fn crash(after: Option<Duration>) {
    match after {
        Some(after) => sleep(after).await,
        None => pending().await,
    }
    eprintln!("fixture: crashing as told");
}
