//! What every verb has in hand: the streams, where the daemon is, and Ctrl-C.

use std::future::Future;
use std::pin::Pin;

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::{Done, Request};
use smoothserve_protocol::snapshot::Snapshot;

use super::exit::Exit;
use super::out::Out;
use super::problem::Problem;
use super::target::{Place, Surroundings};
use super::values::Selection;
use crate::client::{Client, Target};

/// Resolves when the operator no longer wants to wait.
pub(crate) type Interrupt = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One run of the program.
pub(crate) struct Session {
    /// Where words go.
    pub(crate) out: Out,
    /// What was said about where the daemon is.
    pub(crate) place: Place,
    /// Where to look for what was not said.
    pub(crate) around: Surroundings,
    /// Ctrl-C. Polled only while an operation is awaited, so that it ends the program otherwise.
    pub(crate) interrupt: Interrupt,
}

impl Session {
    /// With the streams and signals of this process.
    pub(crate) fn of_this_process(place: Place, out: Out) -> Self {
        let around = Surroundings::of_this_process();
        let interrupt = Box::pin(async {
            if tokio::signal::ctrl_c().await.is_err() {
                // Without a handler Ctrl-C ends the program by itself.
                std::future::pending::<()>().await;
            }
        });
        Self { out, place, around, interrupt }
    }

    /// Where commands go.
    ///
    /// # Errors
    /// When nothing says so.
    pub(crate) fn target(&self, read_only: bool) -> Result<Target, Problem> {
        self.place.target(&self.around, actor(), read_only)
    }

    /// A connection to the daemon.
    ///
    /// # Errors
    /// When there is none to be had, within seconds.
    pub(crate) async fn connect(&mut self) -> Result<Link, Problem> {
        let target = self.target(false)?;
        if self.out.terminals.stderr {
            self.out.draw_line(&format!("connecting to {}", crate::words::escape(&target.addr)));
        }
        let link = Link::connect(target).await;
        self.out.end_line();
        link
    }
}

/// A connection whose troubles are explained.
pub(crate) struct Link {
    /// The connection.
    pub(crate) client: Client,
    /// Where it goes.
    pub(crate) target: Target,
}

impl Link {
    /// Connects to where commands go.
    ///
    /// # Errors
    /// Within seconds, when there is no daemon or it does not admit us.
    pub(crate) async fn connect(target: Target) -> Result<Self, Problem> {
        match Client::connect(&target).await {
            Ok(client) => Ok(Self { client, target }),
            Err(error) => Err(Problem::disconnected(&target, &error)),
        }
    }

    /// Asks, and waits for the answer as long as it takes. The question is about `service`; none:
    /// about the daemon.
    ///
    /// # Errors
    /// When the daemon refuses, or is gone.
    pub(crate) async fn ask(
        &mut self,
        service: Option<&ServiceName>,
        request: Request,
    ) -> Result<Done, Problem> {
        match self.client.ask(request).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(refusal)) => Err(Problem::refused(service, &refusal)),
            Err(error) => Err(Problem::disconnected(&self.target, &error)),
        }
    }

    /// Everything, once.
    ///
    /// # Errors
    /// When the daemon refuses, or is gone.
    pub(crate) async fn status(&mut self) -> Result<Snapshot, Problem> {
        match self.ask(None, Request::Status).await? {
            Done::Status(snapshot) => Ok(*snapshot),
            other => Err(unexpected(&other)),
        }
    }

    /// Pushes from now on, with the detail of one service.
    ///
    /// # Errors
    /// When the daemon refuses, or is gone.
    pub(crate) async fn watch(&mut self, focus: Option<&ServiceName>) -> Result<(), Problem> {
        let focus = focus.cloned();
        self.ask(None, Request::Subscribe { focus, events_after: None }).await.map(|_| ())
    }

    /// The names that a selection stands for.
    ///
    /// # Errors
    /// When the daemon must be asked and refuses, or is gone.
    pub(crate) async fn names(
        &mut self,
        selection: Selection,
    ) -> Result<Vec<ServiceName>, Problem> {
        match selection {
            Selection::Named(names) => Ok(names),
            Selection::Unnamed | Selection::All => {
                let services = self.status().await?.services;
                Ok(services.into_iter().map(|service| service.row.name).collect())
            }
        }
    }
}

/// The daemon answered another question.
pub(crate) fn unexpected(done: &Done) -> Problem {
    Problem::new(Exit::Failed, format!("smoothserve gave an answer that does not fit: {done:?}"))
}

/// Who asks, for the daemon's audit lines: `user@host`.
fn actor() -> String {
    let named = ["USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let user = named.or_else(user_of_this_process).unwrap_or_else(|| "somebody".to_owned());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => user,
        host => format!("{user}@{host}"),
    }
}

/// The name that the machine's own list of users has, as cron and units have no `USER`.
fn user_of_this_process() -> Option<String> {
    let id = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let mut users = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let user = users.find(|fields| fields.get(2) == Some(&id.as_str()))?;
    user.first().map(|name| (*name).to_owned())
}
