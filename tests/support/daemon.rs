//! The real daemon as a child process, in a folder of its own, and what a test asks of it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use smoothserve_protocol::event::Event;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::message::{Done, Refusal, Request, Steer};
use smoothserve_protocol::plan::ReloadReport;
use smoothserve_protocol::snapshot::Snapshot;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::binaries::{self, Program};
use crate::command::CommandConnection;
use crate::process::{self, Signal};
use crate::record::Record;
use crate::setup::Folder;
use crate::{look, wait};

/// The daemon with everything it waits for: drains, stops, and its own shutdown.
const EXIT_LIMIT: Duration = Duration::from_secs(90);
/// The tool, which waits for the daemon.
const TOOL_LIMIT: Duration = Duration::from_secs(120);

/// A running daemon. When dropped, it and its instances are killed; a failing test is shown its
/// log.
#[derive(Debug)]
pub struct TestDaemon {
    /// Its files.
    pub folder: Folder,
    child: Child,
    pid: u32,
    command: SocketAddr,
}

impl TestDaemon {
    /// Starts the daemon and waits until it serves.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub async fn start(folder: Folder) -> anyhow::Result<Self> {
        Self::start_as(folder, |_| {}).await
    }

    /// Starts the daemon with what `change` makes of its command, and waits until it serves.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub async fn start_as(
        folder: Folder,
        change: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Self> {
        let (child, pid, command) = begin(&folder, change).await?;
        Ok(Self { folder, child, pid, command })
    }

    /// Starts the daemon with no more than so many descriptors, and waits until it serves.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub async fn start_with_descriptors(folder: Folder, most: u32) -> anyhow::Result<Self> {
        Self::start_as(folder, |command| {
            let program = command.as_std().get_program().to_owned();
            let arguments: Vec<_> = command.as_std().get_args().map(ToOwned::to_owned).collect();
            let folder = command.as_std().get_current_dir().map(ToOwned::to_owned);
            let mut limited = Command::new("/bin/sh");
            limited.args(["-c", &format!("ulimit -n {most}; exec \"$@\""), "sh"]);
            limited.arg(program).args(arguments);
            limited.current_dir(folder.expect("a daemon has a folder")).kill_on_drop(true);
            limited.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            *command = limited;
        })
        .await
    }

    /// Starts another daemon on the same files, once this one has exited, and waits until it
    /// serves.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.exited().await?;
        (self.child, self.pid, self.command) = begin(&self.folder, |_| {}).await?;
        Ok(())
    }

    /// The command port.
    pub fn command(&self) -> SocketAddr {
        self.command
    }

    /// Where it bound the metrics port, as it said when it was up.
    ///
    /// # Panics
    /// When its configuration names none.
    pub fn metrics(&self) -> SocketAddr {
        let ready = read_ready(&self.folder.path().join("ready.json"));
        let metrics = ready.and_then(|ready| ready["metrics"].as_str()?.parse().ok());
        metrics.expect("the test configures a metrics port")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where a service's requests come in.
    ///
    /// # Panics
    /// When there is no such service.
    pub fn listen(&self, service: &str) -> SocketAddr {
        self.folder.listen(service).expect("every service of a test has a port")
    }

    /// What all instances executed so far.
    ///
    /// # Panics
    /// When the record cannot be read.
    pub fn record(&self) -> Record {
        Record::read(&self.folder.record_file()).expect("the record can be read")
    }

    /// Asks on a connection of its own.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn ask(&self, request: Request) -> Result<Done, Refusal> {
        let what = format!("{request:?}");
        match self.try_ask(request).await {
            Ok(result) => result,
            Err(error) => panic!("no answer to {what}: {error:#}"),
        }
    }

    /// Asks on a connection of its own.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn try_ask(&self, request: Request) -> anyhow::Result<Result<Done, Refusal>> {
        self.open().await?.ask(request).await
    }

    /// A connection to the command port.
    ///
    /// # Errors
    /// When the daemon does not let us in.
    pub async fn open(&self) -> anyhow::Result<CommandConnection> {
        CommandConnection::open(self.command, &self.folder.token_file()).await
    }

    /// Replaces the instances of a service, and waits for the end of it.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn restart(&self, service: &str) -> Result<Done, Refusal> {
        let service = name(service);
        let request = Request::Restart {
            service,
            drain_timeout_ms: None,
            on_drain_timeout: None,
            expected: None,
            join: true,
            wait: true,
        };
        self.ask(request).await
    }

    /// Drains and stops a service, and waits for the end of it.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn stop(&self, service: &str) -> Result<Done, Refusal> {
        let service = name(service);
        let request =
            Request::Stop { service, force: false, timeout_ms: None, expected: None, wait: true };
        self.ask(request).await
    }

    /// Starts a service, and waits until it is ready.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn start_service(&self, service: &str) -> Result<Done, Refusal> {
        self.ask(Request::Start { service: name(service), wait: true }).await
    }

    /// Lets the daemon read its configuration again.
    ///
    /// # Panics
    /// When there is no answer, or another one.
    pub async fn reload(&self) -> ReloadReport {
        match self.ask(Request::Reload { plan: false }).await {
            Ok(Done::Reloaded(report)) => *report,
            other => panic!("no reload but {other:?}"),
        }
    }

    /// Changes the course of the rolling restart of a service.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn steer(&self, service: &str, steer: Steer) -> Result<Done, Refusal> {
        self.ask(Request::Steer { service: name(service), operation: None, steer }).await
    }

    /// What happened so far, as far as it is kept.
    ///
    /// # Panics
    /// When there is no answer, or another one.
    pub async fn events(&self) -> Vec<Event> {
        match self.ask(Request::Events { after: None, limit: 5000 }).await {
            Ok(Done::Events(batch)) => batch.events,
            other => panic!("no events but {other:?}"),
        }
    }

    /// Everything, once.
    ///
    /// # Panics
    /// When there is no answer, or another one.
    pub async fn snapshot(&self) -> Snapshot {
        match self.ask(Request::Status).await {
            Ok(Done::Status(snapshot)) => *snapshot,
            other => panic!("no status but {other:?}"),
        }
    }

    /// Waits until a snapshot is as it should be, and gives it.
    ///
    /// # Panics
    /// After [`wait::LIMIT`], showing the last snapshot, or when there is no answer.
    pub async fn until(
        &self,
        what: &str,
        mut condition: impl FnMut(&Snapshot) -> bool,
    ) -> Snapshot {
        let mut last = None;
        let seen = wait::within(wait::LIMIT, async || {
            let snapshot = self.snapshot().await;
            let holds = condition(&snapshot);
            last = Some(snapshot);
            holds.then_some(())
        });
        let seen = seen.await;
        let last = last.expect("there was at least one look");
        if seen.is_none() {
            panic!("waited in vain until {what}; last seen:\n{}", look::summary(&last));
        }
        last
    }

    /// Runs the real tool against this daemon.
    ///
    /// # Errors
    /// When it cannot be run, or does not end in time.
    pub async fn tool(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        tool_at(&self.command.to_string(), &self.folder.token_file(), arguments).await
    }

    /// Sends the daemon a signal.
    ///
    /// # Errors
    /// When it may not be sent.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(process::send(self.pid, signal)?)
    }

    /// Waits until the daemon has exited.
    ///
    /// # Errors
    /// When it does not in time, with its log.
    pub async fn exited(&mut self) -> anyhow::Result<ExitStatus> {
        match timeout(EXIT_LIMIT, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("the daemon does not exit:\n{}", log(&self.folder)),
        }
    }

    /// What the daemon and, where it shows them, its instances have said.
    pub fn log(&self) -> String {
        log(&self.folder)
    }
}

impl Drop for TestDaemon {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the daemon's log:\n{}", log(&self.folder));
        }
        // The daemon first: it would start its instances again. Nobody is there to hear an error.
        let _ = self.child.start_kill();
        let programs = process::running_from(self.folder.path());
        for pid in programs.into_iter().chain(process::working_in(&self.folder.apps())) {
            let _ = process::send(pid, Signal::KILL);
        }
    }
}

/// Runs the real tool against whatever is at `addr`.
///
/// # Errors
/// When it cannot be run, or does not end in time.
pub async fn tool_at(addr: &str, token_file: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    let tool = Command::new(binaries::path(Program::Tool)?)
        .args(arguments)
        .args(["--addr", addr])
        .arg("--token-file")
        .arg(token_file)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    Ok(timeout(TOOL_LIMIT, tool).await.context("the tool does not end")??)
}

/// Runs the daemon until it exits by itself: for configurations it must refuse.
///
/// # Errors
/// When it cannot be run, or does not exit in time.
pub async fn run_to_exit(config_file: &Path) -> anyhow::Result<Output> {
    let daemon = Command::new(binaries::path(Program::Daemon)?)
        .arg("--config")
        .arg(config_file)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    Ok(timeout(wait::LIMIT, daemon).await.context("the daemon does not exit")??)
}

/// A name that obeys the rules.
///
/// # Panics
/// When it does not.
pub fn name(text: &str) -> ServiceName {
    ServiceName::new(text).expect("a test names its services well")
}

/// A daemon that serves: its process, the id of that, and its command port.
async fn begin(
    folder: &Folder,
    change: impl FnOnce(&mut Command),
) -> anyhow::Result<(Child, u32, SocketAddr)> {
    let ready_file = folder.path().join("ready.json");
    // An earlier daemon may have left its own.
    if ready_file.exists() {
        fs::remove_file(&ready_file)?;
    }
    let mut command = launch(folder, &["--ready-file".as_ref(), ready_file.as_ref()])?;
    change(&mut command);
    let mut child = command.spawn().context("could not start the daemon")?;
    let pid = child.id().context("the daemon was waited for")?;
    let ready = wait::within(wait::LIMIT, async || match read_command(&ready_file) {
        Some(command) => Some(Ok(command)),
        None => child.try_wait().ok().flatten().map(Err),
    })
    .await;
    match ready {
        Some(Ok(command)) => Ok((child, pid, command)),
        Some(Err(status)) => bail!("the daemon exited with {status}:\n{}", log(folder)),
        None => bail!("the daemon does not say that it serves:\n{}", log(folder)),
    }
}

fn launch(folder: &Folder, arguments: &[&Path]) -> anyhow::Result<Command> {
    let log = File::create(folder.log_file())?;
    let mut command = Command::new(binaries::path(Program::Daemon)?);
    command
        .arg("--config")
        .arg(folder.config_file())
        .args(arguments)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true);
    Ok(command)
}

/// The command port in the ready file; none: it is not there, or not whole yet.
fn read_command(ready_file: &Path) -> Option<SocketAddr> {
    read_ready(ready_file)?["command"].as_str()?.parse().ok()
}

fn read_ready(ready_file: &Path) -> Option<serde_json::Value> {
    serde_json::from_str(&fs::read_to_string(ready_file).ok()?).ok()
}

fn log(folder: &Folder) -> String {
    fs::read_to_string(folder.log_file()).unwrap_or_else(|error| format!("(no log: {error})"))
}
