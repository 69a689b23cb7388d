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

use super::output::{Awaited, Capture, Origin, Outputs};
use super::{Inbox, Records, group, ports};
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
    let _record = launch.records.keep(
        process.pid(),
        &format!("{}-{}", launch.config.name, launch.slot),
        number(Signal::Stop, stop_signal),
        launch.config.limits.stop_timeout,
    );
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
    wait_for_port(launch).await?;
    let deadline = Instant::now() + EXECUTABLE_WITHIN;
    loop {
        match Process::spawn(launch) {
            Ok(process) => return Ok(process),
            Err(error) if is_passing(&error) && Instant::now() < deadline => sleep(RETRY).await,
            Err(error) => return Err(FailReason::NotLaunched { error: error.to_string() }),
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
        let mut command = Command::new(&config.executable);
        command
            .args(config.args.iter().map(|argument| fill_in(argument, launch)))
            .current_dir(&config.working_dir)
            .envs(read_env_file(config)?)
            .envs(config.env.iter().cloned())
            .env("PORT", launch.port.to_string())
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let child = command.spawn().map_err(|error| {
            let path = config.executable.display();
            io::Error::new(error.kind(), format!("{path}: {error}"))
        })?;
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

/// Reads `KEY=value` lines; `#` begins a comment, `export` and quotes around a value are dropped.
pub(super) fn read_env_file(config: &ServiceConfig) -> io::Result<Vec<(String, String)>> {
    let Some(path) = &config.env_file else { return Ok(Vec::new()) };
    let named =
        |error: io::Error| io::Error::other(format!("env_file {}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(named)?;
    parse_env(&text).map_err(|(line, found)| {
        let text = format!("line {line}: {found:?} is not KEY=value");
        named(io::Error::new(io::ErrorKind::InvalidData, text))
    })
}

fn parse_env(text: &str) -> Result<Vec<(String, String)>, (usize, String)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| {
            let pair = line.strip_prefix("export ").unwrap_or(line);
            let wrong = || (number, line.to_owned());
            let (key, value) = pair.split_once('=').ok_or_else(wrong)?;
            let key = key.trim();
            if key.is_empty() || key.contains(char::is_whitespace) || value.contains('\0') {
                return Err(wrong());
            }
            Ok((key.to_owned(), unquote(value.trim()).to_owned()))
        })
        .collect()
}

fn unquote(value: &str) -> &str {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inside('"').or_else(|| inside('\'')).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::super::Question;
    use super::*;
    use crate::config::ServiceConfig;

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

    /// Runs `script`, sends it `signals` once it has printed a line, and says how it ended.
    async fn run(script: &str, stop: bool) -> (Exit, Vec<String>) {
        let (sender, mut inbox) = mpsc::unbounded_channel();
        let (signals, signalled) = mpsc::unbounded_channel();
        let task = tokio::spawn(live(shell(script), signalled, Inbox(sender)));
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

    #[tokio::test]
    async fn a_missing_executable_is_named() {
        let (sender, mut inbox) = mpsc::unbounded_channel();
        let (_signals, signalled) = mpsc::unbounded_channel();
        let mut launch = shell("");
        Arc::make_mut(&mut launch.config).executable = "/nowhere/app".into();
        live(launch, signalled, Inbox(sender)).await;
        let Some(super::super::Message::Input(Input::LaunchFailed { reason, .. })) =
            inbox.recv().await
        else {
            panic!()
        };
        assert!(reason.to_string().contains("/nowhere/app: No such file"), "{reason}");
    }

    #[test]
    fn env_files_are_read_as_people_write_them() {
        let text = "# comment\n\nA=1\nexport B = \"two words\"\nC='x=y'\n";
        let pairs = parse_env(text).unwrap();
        let expected = [("A", "1"), ("B", "two words"), ("C", "x=y")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(parse_env("A=1\nnonsense"), Err((2, "nonsense".to_owned())));
    }
}
