//! The processes: how one is started, signalled, waited for. No other file knows.
//!
//! Each run has a process group of its own and one task here that owns it from launch to reaping.
//! Nothing is ever signalled by a number that could have been given to another process: the group
//! keeps its leader's number in use as long as it has a member, and the leader is reaped here only.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
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
use super::records::Traits;
use super::{Inbox, Records, env_file, executable, group, ports, users};
use crate::config::{Readiness, ServiceConfig, StopSignal};
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
    pub(super) fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.config.instance_ip, self.port)
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
        output.ended().await;
        inbox.put(Input::Exited { run, exit, last_output: output.tail() });
    } else {
        output.ended().await;
        inbox.put(Input::Exited { run, exit, last_output: output.tail() });
        // They are listened to as long as they live, and must not fall over a pipe that is closed.
        end_strays(members).await;
        output.ended().await;
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
        port: launch.port,
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
    wait_for_port(launch).await?;
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

async fn wait_for_port(launch: &Launch) -> Result<(), FailReason> {
    let addr = launch.addr();
    let deadline = Instant::now() + PORT_FREE_WITHIN;
    while ports::is_taken(addr) {
        if Instant::now() < deadline {
            sleep(RETRY).await;
            continue;
        }
        let holder = tokio::task::spawn_blocking(move || ports::holder_name(addr)).await;
        let holder = holder.ok().flatten().unwrap_or_else(|| "a process that has gone".to_owned());
        return Err(FailReason::PortTaken { port: addr.port(), holder });
    }
    Ok(())
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
        .env("PORT", launch.port.to_string())
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
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
    argument
        .replace("{port}", &launch.port.to_string())
        .replace("{slot}", &launch.slot.0.to_string())
        .replace("{name}", config.name.as_str())
        .replace("{generation}", &launch.generation.0.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::Question;
    use super::*;
    use crate::config::{RunAs, ServiceConfig};

    fn shell(script: &str) -> Launch {
        let config = ServiceConfig {
            executable: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            first_port: 1,
            ..crate::core::sample_service("shop", 1)
        };
        let records = Records::new(std::path::Path::new("/nowhere"));
        let (run, config) = (RunId(1), Arc::new(config));
        let outputs = Outputs::new(None, |warning| panic!("{warning}"));
        let (slot, generation) = (Slot(0), Generation(1));
        Launch { run, config, slot, port: 1, generation, records, outputs }
    }

    /// Runs `script`, tells it to stop as soon as it is there, and says how it ended.
    async fn run(script: &str, stop: bool) -> (Exit, Vec<String>) {
        run_to_end(shell(script), stop).await
    }

    /// What `script` prints as a service that `change` was made to.
    async fn printed(script: &str, change: impl FnOnce(&mut ServiceConfig)) -> Vec<String> {
        let mut launch = shell(script);
        change(Arc::make_mut(&mut launch.config));
        let (exit, output) = run_to_end(launch, false).await;
        assert_eq!(exit, Exit::Code(0), "{output:?}");
        output
    }

    async fn run_to_end(launch: Launch, stop: bool) -> (Exit, Vec<String>) {
        let (sender, mut inbox) = mpsc::unbounded_channel();
        let (signals, signalled) = mpsc::unbounded_channel();
        let task = tokio::spawn(live(launch, signalled, Inbox(sender)));
        loop {
            match inbox.recv().await {
                Some(super::super::Message::Input(Input::Launched { .. })) if stop => {
                    signals.send(Signal::Stop).unwrap();
                }
                Some(super::super::Message::Input(Input::Exited { exit, last_output, .. })) => {
                    task.await.unwrap();
                    return (exit, last_output);
                }
                Some(super::super::Message::Input(Input::LaunchFailed { reason, .. })) => {
                    panic!("{reason}")
                }
                Some(_) => {}
                None => panic!("no exit was reported"),
            }
        }
    }

    #[tokio::test]
    async fn an_exit_comes_with_its_code_and_its_last_words() {
        let (exit, output) = run("echo out; echo bad flag >&2; exit 3", false).await;
        assert_eq!(exit, Exit::Code(3));
        assert!(output.contains(&"bad flag".to_owned()), "{output:?}");
    }

    #[tokio::test]
    async fn a_line_that_is_waited_for_says_that_the_run_is_ready() {
        let (sender, mut inbox) = mpsc::unbounded_channel();
        let (signals, signalled) = mpsc::unbounded_channel();
        let mut launch = shell("echo starting; echo now serving; exec sleep 600");
        let pattern = crate::config::Pattern::new("^now serving$").unwrap();
        Arc::make_mut(&mut launch.config).ready = Readiness::Log(pattern);
        let task = tokio::spawn(live(launch, signalled, Inbox(sender)));
        let mut news = async || match inbox.recv().await {
            Some(super::super::Message::Input(input)) => input,
            _ => panic!("nothing more is told"),
        };
        assert!(matches!(news().await, Input::Launched { .. }));
        assert!(matches!(news().await, Input::Answering { run: RunId(1) }));
        signals.send(Signal::Stop).unwrap();
        assert!(matches!(news().await, Input::Exited { .. }));
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_stop_reaches_the_whole_group() {
        // A wrapper that starts its app without exec: both must be gone.
        let (exit, _) = run("sleep 600 & wait", true).await;
        assert_eq!(exit, Exit::Signal { signal: 15, core: false });
    }

    #[tokio::test]
    async fn what_a_fallen_leader_left_is_heard_to_its_end() {
        let (sender, mut inbox) = mpsc::unbounded_channel();
        let (_signals, signalled) = mpsc::unbounded_channel();
        // It prints long after the report of the exit.
        let launch = shell("(trap '' TERM; sleep 0.5; echo late) & echo first; exit 3");
        let outputs = Arc::clone(&launch.outputs);
        live(launch, signalled, Inbox(sender)).await;
        let mut exits = Vec::new();
        while let Ok(super::super::Message::Input(input)) = inbox.try_recv() {
            if let Input::Exited { last_output, .. } = input {
                exits.push(last_output);
            }
        }
        assert_eq!(exits, [["first"]]);
        let service = crate::core::sample_service("shop", 1).name;
        let question = Question { service, slot: None, lines: 10, pattern: None };
        let printed = outputs.ask(question).await;
        let printed: Vec<_> = printed.lines.iter().map(|line| line.bytes.as_slice()).collect();
        assert_eq!(printed, [&b"first"[..], b"late"]);
    }

    #[tokio::test]
    async fn an_orphan_that_nobody_else_reaps_does_not_keep_its_run() {
        // As the first process of a container, this one is given the orphans of its children.
        let me = Some(rustix::process::getpid());
        rustix::process::set_child_subreaper(me).unwrap();
        let stopped = run("sleep 600 & sleep 600; exit 0", true);
        let stopped = tokio::time::timeout(Duration::from_secs(20), stopped).await;
        assert_eq!(stopped.unwrap().0, Exit::Signal { signal: 15, core: false });
    }

    /// Why a service that `change` was made to cannot be launched.
    async fn refused(change: impl FnOnce(&mut ServiceConfig)) -> String {
        let (sender, mut inbox) = mpsc::unbounded_channel();
        let (_signals, signalled) = mpsc::unbounded_channel();
        let mut launch = shell("");
        change(Arc::make_mut(&mut launch.config));
        live(launch, signalled, Inbox(sender)).await;
        match inbox.recv().await {
            Some(super::super::Message::Input(Input::LaunchFailed { reason, .. })) => {
                reason.to_string()
            }
            _ => panic!("it was launched"),
        }
    }

    #[tokio::test]
    async fn a_missing_executable_is_named() {
        let reason = refused(|config| config.executable = "/nowhere/app".into()).await;
        assert!(reason.contains("/nowhere/app: No such file"), "{reason}");
    }

    #[tokio::test]
    async fn what_is_no_program_is_named_with_the_number_of_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().join("app");
        std::fs::write(&app, b"\0\x01\x02 of another machine").unwrap();
        std::fs::set_permissions(&app, std::fs::Permissions::from_mode(0o755)).unwrap();
        let reason = refused(|config| config.executable = app.clone()).await;
        let expected = format!("{}: Exec format error (os error 8)", app.display());
        assert!(reason.contains(&expected), "{reason}");
    }

    #[tokio::test]
    async fn a_script_whose_interpreter_is_missing_says_which() {
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().join("app");
        std::fs::write(&app, "#!/nowhere/python3\n").unwrap();
        std::fs::set_permissions(&app, std::fs::Permissions::from_mode(0o755)).unwrap();
        let reason = refused(|config| config.executable = app).await;
        let expected = "its interpreter, /nowhere/python3: No such file or directory (os error 2)";
        assert!(reason.contains(expected), "{reason}");
    }

    /// Descriptors that were left open for whoever we start, by whoever started us.
    fn handed_down(descriptor: &str) -> bool {
        let parent = std::os::unix::process::parent_id();
        let read = |pid: u32| std::fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok();
        read(parent).is_some_and(|target| read(std::process::id()) == Some(target))
    }

    #[tokio::test]
    async fn nothing_of_the_daemon_reaches_a_new_process() {
        // As the daemon has: a listener, an open file.
        let _listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _file = tempfile::tempfile().unwrap();
        // A shell may block signals for a moment of its own; `exec` passes on what it was given.
        let status = "exec grep -E '^Sig(Blk|Ign)' /proc/self/status";
        let descriptors = "readlink /proc/$$/fd/0; ls /proc/$$/fd";
        // The second is a fork of the daemon, which is another way to the same program.
        for open_files in [None, Some(64)] {
            let sets = printed(status, |config| config.resources.open_files = open_files).await;
            let [blocked, ignored] = [0, 1].map(|line: usize| {
                let (_, set) = sets[line].split_once('\t').unwrap();
                u64::from_str_radix(set, 16).unwrap()
            });
            assert_eq!(blocked, 0, "{sets:?}");
            let pipe = 1 << (rustix::process::Signal::PIPE.as_raw() - 1);
            assert_eq!(ignored & pipe, 0, "{sets:?}");

            let change = |config: &mut ServiceConfig| config.resources.open_files = open_files;
            let mut open = printed(descriptors, change).await;
            assert_eq!(open.remove(0), "/dev/null");
            let own = |number: &String| ["0", "1", "2"].contains(&number.as_str());
            open.retain(|number| own(number) || !handed_down(number));
            open.sort();
            assert_eq!(open, ["0", "1", "2"]);
        }
    }

    #[tokio::test]
    async fn limits_hold_from_the_first_instruction() {
        let script = "ulimit -Sn; ulimit -Hn; ulimit -f";
        let output = printed(script, |config| {
            config.resources.open_files = Some(77);
            // A shell counts blocks of 512 bytes.
            config.resources.file_size = Some(512 * 9);
        });
        assert_eq!(output.await, ["77", "77", "9"]);
    }

    #[tokio::test]
    async fn an_instance_runs_as_its_user_with_the_groups_of_that_user_alone() {
        if !rustix::process::geteuid().is_root() {
            // Only root can become somebody else; that others are refused is tested in `confine`.
            return;
        }
        let run_as = |uid| {
            let shown = "somebody".to_owned();
            Some(RunAs { shown, uid, gid: 65_534, groups: vec![7, 8] })
        };
        let script =
            "grep -E '^(Uid|Gid|Groups|CapEff)' /proc/$$/status; echo \"$USER $LOGNAME $HOME\"";
        let nobody = users::by_number(65_534);
        let output = printed(script, |config| config.run_as = run_as(65_534)).await;
        let four = "65534\t65534\t65534\t65534";
        assert_eq!(output[0], format!("Uid:\t{four}"));
        assert_eq!(output[1], format!("Gid:\t{four}"));
        assert_eq!(output[2].trim(), "Groups:\t7 8");
        assert_eq!(output[3], "CapEff:\t0000000000000000");
        if let Some(users::User { name, home }) = nobody {
            assert_eq!(output[4], format!("{name} {name} {home}"));
        }
        // Nobody's home is better than the daemon's.
        let output = printed(script, |config| config.run_as = run_as(4_294_967_000)).await;
        assert_eq!(output[4].trim(), "");
    }

    #[tokio::test]
    async fn a_program_that_is_closed_to_its_user_says_so() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let app = folder.path().join("app");
        std::fs::write(&app, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&app, std::fs::Permissions::from_mode(0o755)).unwrap();
        // The folder is the daemon's alone.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let nobody = RunAs { shown: "nobody".into(), uid: 65_534, gid: 65_534, groups: vec![] };
        let reason =
            refused(|config| (config.executable, config.run_as) = (app, Some(nobody))).await;
        let closed = format!("user nobody may not enter {}", folder.path().display());
        assert!(reason.contains("Permission denied (os error 13)"), "{reason}");
        assert!(reason.ends_with(&closed), "{reason}");
    }
}
