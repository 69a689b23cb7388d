//! The processes: how one is started, signalled, waited for. No other file knows.
//!
//! Each run has a process group of its own and one task here that owns it from launch to reaping.
//! Nothing is ever signalled by a number that could have been given to another process: the group
//! keeps its leader's number in use as long as it has a member, and the leader is reaped here only.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use smoothserve_protocol::failure::{Exit, FailReason};
use smoothserve_protocol::id::{Generation, RunId, Slot};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::confine::{self, Confinement};
use super::output::{Awaited, Capture, Origin, Outputs};
use super::paths::Obstacle;
use super::records::Traits;
use super::{Inbox, Records, env_file, executable, group, paths, ports, strays, users};
use crate::config::{InstanceAddr, Readiness, ServiceConfig, StopSignal};
use crate::core::{Input, Signal};

/// How long a port may stay in use after its last holder was told to exit.
const PORT_FREE_WITHIN: Duration = Duration::from_secs(5);
/// How long a missing executable, or one that is being written, is tried again.
const EXECUTABLE_WITHIN: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(50);
/// What is left of a group whose leader fell gets so long between SIGTERM and SIGKILL.
const STRAYS: Duration = Duration::from_secs(2);

/// What is to be started.
#[derive(Clone)]
pub(super) struct Launch {
    pub run: RunId,
    pub config: Arc<ServiceConfig>,
    pub slot: Slot,
    pub port: u16,
    pub generation: Generation,
    pub records: Records,
    pub outputs: Arc<Outputs>,
}

impl Launch {
    /// Where the instance is to listen.
    pub(super) fn addr(&self) -> InstanceAddr {
        self.config.addr(self.port)
    }
}

/// Lives as long as the run does: starts it, passes signals on, says how it ended.
///
/// Reports `Launched` and then `Exited`, or `LaunchFailed` alone. A stop that comes before the
/// process is there ends the launch.
pub(super) async fn live(
    launch: Launch,
    mut signals: mpsc::UnboundedReceiver<Signal>,
    inbox: Inbox,
) {
    let run = launch.run;
    let started = tokio::select! {
        started = start(&launch) => started,
        _ = signals.recv() => Err(not_launched("it was told to stop first")),
    };
    let mut process = match started {
        Ok(process) => process,
        Err(reason) => return inbox.put(Input::LaunchFailed { run, reason }),
    };
    inbox.put(Input::Launched { run, pid: process.pid() });
    // After the news of the launch, because a line may be the sign that the run is ready.
    let mut output = capture(&launch, &mut process.child, &inbox);
    let stop_signal = launch.config.stop_signal;
    let _record = launch.records.keep(process.pid(), traits(&launch));
    let mut told = false;
    let exit = loop {
        tokio::select! {
            exit = process.exited() => break exit,
            // The driver holds the other end as long as the run is known.
            Some(signal) = signals.recv() => {
                told = true;
                process.signal(number(signal, stop_signal));
            }
        }
    };
    let members = process.group;
    if told {
        // Its children were told as well; the run is over when they are gone. SIGKILL may come.
        while group::lives(members).await {
            tokio::select! {
                () = sleep(RETRY) => {}
                Some(signal) = signals.recv() => {
                    group::signal(members, number(signal, stop_signal));
                }
            }
        }
        if !output.ended().await {
            // Before the report of the exit, which may be the last thing that the daemon hears.
            report_strays(&launch, &output, &inbox).await;
        }
        inbox.put(Input::Exited { run, exit, last_output: output.tail() });
    } else {
        output.ended().await;
        inbox.put(Input::Exited { run, exit, last_output: output.tail() });
        // They are listened to as long as they live, and must not fall over a pipe that is closed.
        end_strays(members).await;
        if !output.ended().await {
            report_strays(&launch, &output, &inbox).await;
        }
    }
}

/// Names who holds the pipes of a run that is over and whose group is gone.
async fn report_strays(launch: &Launch, output: &Capture, inbox: &Inbox) {
    let pipes = output.pipes();
    let holders = tokio::task::spawn_blocking(move || strays::holders(&pipes)).await;
    // A panic there has been reported.
    let Ok(holders) = holders else { return };
    for holder in holders {
        let text = format!(
            "{holder} has left the process group of its instance, and outlives it; what it prints \
             is no longer read"
        );
        inbox.warn(launch.config.name.clone(), launch.slot, text);
    }
}

/// Reads what the run prints; if that says when it is ready, passes it on.
fn capture(launch: &Launch, child: &mut Child, inbox: &Inbox) -> Capture {
    let Launch { run, config, slot, generation, outputs, .. } = launch;
    let origin = Origin { service: config.name.clone(), slot: *slot, generation: *generation };
    let awaited = match &config.ready {
        Readiness::Log(pattern) => {
            let (inbox, run) = (inbox.clone(), *run);
            let seen = Box::new(move || inbox.put(Input::Answering { run }));
            Some(Awaited { pattern: pattern.clone(), seen })
        }
        Readiness::Tcp | Readiness::Http { .. } => None,
    };
    Capture::begin(child, origin, outputs, awaited)
}

/// What the next daemon must know of it, should this one be killed.
fn traits(launch: &Launch) -> Traits {
    let config = &launch.config;
    Traits {
        name: format!("{}-{}", config.name, launch.slot),
        generation: launch.generation,
        port: launch.config.sockets.is_none().then_some(launch.port),
        signal: number(Signal::Stop, config.stop_signal),
        stop_timeout: config.limits.stop_timeout,
    }
}

/// Ends what a fallen leader left behind.
async fn end_strays(strays: Pid) {
    if !group::lives(strays).await {
        return;
    }
    group::signal(strays, rustix::process::Signal::TERM);
    let deadline = Instant::now() + STRAYS;
    while Instant::now() < deadline {
        sleep(RETRY).await;
        if !group::lives(strays).await {
            return;
        }
    }
    group::signal(strays, rustix::process::Signal::KILL);
}

fn number(signal: Signal, stop: StopSignal) -> rustix::process::Signal {
    use rustix::process::Signal as Number;
    match (signal, stop) {
        (Signal::Kill, _) => Number::KILL,
        (Signal::Stop, StopSignal::Term) => Number::TERM,
        (Signal::Stop, StopSignal::Int) => Number::INT,
        (Signal::Stop, StopSignal::Quit) => Number::QUIT,
        (Signal::Stop, StopSignal::Hup) => Number::HUP,
        (Signal::Stop, StopSignal::Usr1) => Number::USR1,
        (Signal::Stop, StopSignal::Usr2) => Number::USR2,
    }
}

fn not_launched(error: &str) -> FailReason {
    FailReason::NotLaunched { error: error.to_owned() }
}

async fn start(launch: &Launch) -> Result<Process, FailReason> {
    if let Some(problem) = confine::problem(&launch.config) {
        return Err(not_launched(&problem));
    }
    match launch.addr() {
        InstanceAddr::Port(addr) => wait_for_port(addr).await?,
        InstanceAddr::Socket(path) => wait_for_path(path).await?,
    }
    let deadline = Instant::now() + EXECUTABLE_WITHIN;
    loop {
        match Process::spawn(launch) {
            Ok(process) => return Ok(process),
            Err(error) if is_passing(&error) && Instant::now() < deadline => sleep(RETRY).await,
            Err(error) => return Err(not_launched(&error.to_string())),
        }
    }
}

/// A deploy may be in the middle of putting the file there.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ExecutableFileBusy)
}

async fn wait_for_port(addr: SocketAddr) -> Result<(), FailReason> {
    let deadline = Instant::now() + PORT_FREE_WITHIN;
    while ports::is_taken(addr) {
        if Instant::now() < deadline {
            sleep(RETRY).await;
            continue;
        }
        let holder = tokio::task::spawn_blocking(move || ports::port_holder(addr)).await;
        let holder = holder.ok().flatten().unwrap_or_else(|| "a process that has gone".to_owned());
        return Err(FailReason::PortTaken { port: addr.port(), holder });
    }
    Ok(())
}

/// Waits until nobody listens on `path`, and removes what an earlier run left there.
async fn wait_for_path(path: Arc<Path>) -> Result<(), FailReason> {
    let deadline = Instant::now() + PORT_FREE_WITHIN;
    loop {
        let wanted = Arc::clone(&path);
        let freed = tokio::task::spawn_blocking(move || paths::make_free(&wanted)).await;
        match freed.unwrap_or_else(|error| Err(Obstacle::Other(error.to_string()))) {
            Ok(()) => return Ok(()),
            Err(Obstacle::Listener) if Instant::now() < deadline => sleep(RETRY).await,
            Err(Obstacle::Listener) => break,
            Err(Obstacle::Other(error)) => return Err(not_launched(&error)),
        }
    }
    let addr = InstanceAddr::Socket(path);
    let shown = addr.to_string();
    let holder = tokio::task::spawn_blocking(move || ports::holder_name(&addr)).await;
    let holder =
        holder.ok().flatten().unwrap_or_else(|| "a process that cannot be seen".to_owned());
    Err(not_launched(&format!("{shown} is held by {holder}")))
}

/// A process that was started and not reaped.
struct Process {
    child: Child,
    group: Pid,
    pidfd: AsyncFd<OwnedFd>,
}

impl Process {
    fn spawn(launch: &Launch) -> io::Result<Self> {
        let config = &launch.config;
        let mut command = command(launch)?;
        if let Some(confinement) = Confinement::of(config) {
            enter_first(&mut command, confinement);
        }
        let child = command.spawn().map_err(|error| executable::explain(&error, config))?;
        let group = Pid::from_child(&child);
        let pidfd = watch(pidfd_open(group, PidfdFlags::NONBLOCK)?)?;
        Ok(Self { child, group, pidfd })
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&self, signal: rustix::process::Signal) {
        group::signal(self.group, signal);
    }

    /// Waits until the leader has ended, and reaps it.
    async fn exited(&self) -> Exit {
        loop {
            // A pidfd becomes readable when its process ends. An error here is a broken runtime.
            let Ok(mut ready) = self.pidfd.readable().await else {
                return Exit::Code(-1);
            };
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            match waitid(WaitId::Pid(self.group), options) {
                Ok(Some(status)) => {
                    return match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Exit::Code(code),
                        (None, Some(signal)) => Exit::Signal { signal, core: status.dumped() },
                        (None, None) => Exit::Code(-1),
                    };
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => ready.clear_ready(),
                Err(_) => return Exit::Code(-1),
            }
        }
    }
}

/// The program of a run, with its arguments, its environment and its folder.
fn command(launch: &Launch) -> io::Result<Command> {
    let config = &launch.config;
    let mut command = Command::new(&config.executable);
    command
        .args(config.args.iter().map(|argument| fill_in(argument, launch)))
        .current_dir(&config.working_dir);
    if let Some(run_as) = &config.run_as {
        be_at_home(&mut command, run_as.uid);
    }
    command
        .envs(env_file::read(config)?)
        .envs(config.env.iter().cloned())
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    match launch.addr() {
        InstanceAddr::Port(addr) => command.env("PORT", addr.port().to_string()),
        // The daemon's own is none of theirs.
        InstanceAddr::Socket(path) => command.env("SOCKET", &*path).env_remove("PORT"),
    };
    Ok(command)
}

/// Says who it is to a program that asks its environment, in which the daemon's user is told else.
fn be_at_home(command: &mut Command, uid: u32) {
    match users::by_number(uid) {
        Some(user) => {
            command.env("USER", &user.name).env("LOGNAME", &user.name).env("HOME", &user.home)
        }
        None => command.env_remove("USER").env_remove("LOGNAME").env_remove("HOME"),
    };
}

/// Has the new process enter `confinement` before its program begins.
///
/// This costs a fork, where std otherwise starts a process without one; so it is done for those
/// alone that need it.
#[expect(unsafe_code, reason = "std lets nothing else happen in the new process")]
fn enter_first(command: &mut Command, confinement: Confinement) {
    // SAFETY: `enter` makes system calls and nothing else, on values that the closure owns: no
    // allocation and no lock, which other threads could have held when the process was forked.
    unsafe { command.pre_exec(move || confinement.enter()) };
}

/// Watches a pidfd.
#[expect(unsafe_code, reason = "tokio offers no safe constructor any more")]
fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd owns its descriptor and yields the same one until it is dropped, which is
    // what `register_with_interest` asks of its argument.
    let watched = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) };
    watched.map_err(io::Error::from)
}

fn fill_in(argument: &str, launch: &Launch) -> String {
    let config = &launch.config;
    let argument = match launch.addr() {
        InstanceAddr::Port(addr) => argument.replace("{port}", &addr.port().to_string()),
        InstanceAddr::Socket(path) => argument.replace("{socket}", &path.to_string_lossy()),
    };
    argument
        .replace("{slot}", &launch.slot.0.to_string())
        .replace("{name}", config.name.as_str())
        .replace("{generation}", &launch.generation.0.to_string())
}

#[cfg(test)]
mod tests;
