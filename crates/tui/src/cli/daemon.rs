//! The daemon as a program: where it is, how it is started in the background, and when it serves.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;
use smoothserve_protocol::snapshot::{ServiceState, Snapshot};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::exit::Exit;
use super::out::json::{self, Outcome};
use super::problem::Problem;
use super::session::{Link, Session};
use super::target::ConfigFile;
use crate::client::{Client, ClientError};
use crate::fmt::{plural, took};
use crate::words::{escape, reason};

/// The daemon's program.
const PROGRAM: &str = "smoothserve";
/// Where its stdout and stderr go when it runs in the background.
const OUTPUT_FILE: &str = "smoothserve.out";
/// How often to look whether it serves.
const LOOK: Duration = Duration::from_millis(20);

/// What the daemon writes once it serves.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Ready {
    /// The address of its command port.
    pub(crate) command: String,
    /// Each address that was configured, and the one it became.
    pub(crate) listeners: BTreeMap<String, String>,
}

/// Reads the file that the daemon writes once it serves; none: not yet.
pub(crate) fn ready(file: &Path) -> Option<Ready> {
    serde_json::from_str(&fs::read_to_string(file).ok()?).ok()
}

/// The daemon's program: beside our own, else in the search path.
pub(crate) fn beside_or_in_path() -> Result<PathBuf, Problem> {
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = beside.into_iter().chain(std::env::split_paths(&path));
    let found = folders.map(|folder| folder.join(PROGRAM)).find(|program| program.is_file());
    found.ok_or_else(|| {
        Problem::new(Exit::Failed, format!("{PROGRAM} is neither beside smoothtool nor in PATH"))
    })
}

/// How a program that was run for the operator ended, as a shell tells it.
pub(super) fn exit_of(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Passed(u8::try_from(code).unwrap_or(1)),
        (None, Some(signal)) => Exit::of_signal(signal),
        (None, None) => Exit::Failed,
    }
}

/// `smoothtool start` without a name.
pub(super) async fn start(session: &mut Session, json: bool) -> Result<Exit, Problem> {
    if let Some(addr) = running(session).await? {
        session.out.note(&format!("smoothserve already running at {}", escape(&addr)));
        let outcome = Outcome { result: "already_so", ..Outcome::default() };
        session.out.object(json, || json::outcome("start", None, outcome))?;
        return Ok(Exit::Done);
    }
    let program = beside_or_in_path()?;
    // What is wrong with it is for the daemon to say.
    let config = session.place.config_path(&session.around).map(ConfigFile::at);
    let scratch = tempfile::tempdir().map_err(|error| unable("make a temporary folder", &error))?;
    let ready_file = scratch.path().join("ready");
    let output = Output::open(config.as_ref())?;
    let mut arguments: Vec<OsString> = vec!["--ready-file".into(), ready_file.clone().into()];
    if let Some(config) = &config {
        arguments.extend(["--config".into(), config.path.clone().into()]);
    }
    let began = Instant::now();
    let mut daemon = launch(&program, &arguments, &output)?;
    let ready = await_ready(session, &mut daemon, &ready_file, &output).await?;
    // The port may be one that was free, and only the daemon knows it.
    session.place.addr = Some(ready.command);
    report(session, json, began).await
}

/// The address where a daemon answers already; none: nobody listens there.
async fn running(session: &Session) -> Result<Option<String>, Problem> {
    let target = match session.target(false) {
        Ok(target) => target,
        // Nothing says where it might run; the daemon itself will say what it lacks.
        Err(_) => return Ok(None),
    };
    match Client::connect(&target).await {
        Ok(_) => Ok(Some(target.addr)),
        Err(ClientError::Unreachable(error))
            if error.kind() == io::ErrorKind::ConnectionRefused =>
        {
            Ok(None)
        }
        Err(error) => Err(Problem::disconnected(&target, &error)),
    }
}

fn launch(program: &Path, arguments: &[OsString], output: &Output) -> Result<Child, Problem> {
    let copy = || output.file.try_clone().map_err(|error| unable("share its output file", &error));
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(copy()?)
        .stderr(copy()?)
        // Out of the terminal's foreground group: neither Ctrl-C nor the end of the terminal
        // reaches it.
        .process_group(0)
        .spawn()
        .map_err(|error| unable(&format!("run {}", program.display()), &error))
}

/// Until the daemon serves, or has ended with a word on why.
async fn await_ready(
    session: &mut Session,
    daemon: &mut Child,
    ready_file: &Path,
    output: &Output,
) -> Result<Ready, Problem> {
    let began = Instant::now();
    loop {
        if let Some(ready) = ready(ready_file) {
            return Ok(ready);
        }
        tokio::select! {
            biased;
            () = &mut session.interrupt => {
                return Err(Problem::new(
                    Exit::Interrupted,
                    "no longer waiting; smoothserve goes on starting",
                )
                .next("smoothtool status"));
            }
            status = daemon.wait() => {
                let status = status.map_err(|error| unable("wait for smoothserve", &error))?;
                return Err(ended(status, output));
            }
            () = sleep(LOOK) => {}
        }
        if session.out.terminals.stderr {
            let seconds = began.elapsed().as_secs();
            session.out.draw_line(&format!("starting smoothserve, {seconds}s"));
        }
    }
}

/// The daemon ended before it served; what it said about that is worth more than what we know.
fn ended(status: ExitStatus, output: &Output) -> Problem {
    let exit = exit_of(status);
    let what = format!("smoothserve did not start, it ended with {}", exit.code());
    let problem = match output.since_opened() {
        Ok(text) => text
            .lines()
            .fold(Problem::new(exit, what), |problem, line| problem.detail(escape(line))),
        Err(_) => Problem::new(exit, what),
    };
    problem.detail(format!("(from {})", output.path.display()))
}

/// What serves now; a service that did not come up is a failure.
async fn report(session: &mut Session, json: bool, began: Instant) -> Result<Exit, Problem> {
    let mut link = Link::connect(session.target(false)?).await?;
    let Snapshot { daemon, services, .. } = link.status().await?;
    let took_ms = super::restart::milliseconds(began.elapsed());
    let failed = services.iter().filter(|service| {
        matches!(service.row.state, ServiceState::Failed | ServiceState::Degraded)
    });
    let failed: Vec<_> = failed.map(|service| service.row.name.as_str()).collect();
    let ready = format!("{} of {} ready", daemon.ready, plural(daemon.wanted, "instance"));
    if !failed.is_empty() {
        let what = format!("smoothserve serves, but not all is well: {ready}");
        return Err(Problem::new(Exit::Failed, what)
            .detail(format!("not ready: {}", failed.join(", ")))
            .next(format!("smoothtool why {}", failed[0])));
    }
    session.out.note(&format!(
        "smoothserve serves, {ready} in {}, pid {}",
        took(took_ms),
        daemon.pid
    ));
    let instances = Some(u16::try_from(daemon.ready).unwrap_or(u16::MAX));
    let took_ms = Some(took_ms);
    let outcome = Outcome { result: "started", instances, took_ms, ..Outcome::default() };
    session.out.object(json, || json::outcome("start", None, outcome))?;
    Ok(Exit::Done)
}

/// The file that takes what the daemon prints.
struct Output {
    path: PathBuf,
    file: File,
    /// Where it ended when it was opened.
    from: u64,
}

impl Output {
    /// In the first folder of the daemon's that can be written.
    fn open(config: Option<&ConfigFile>) -> Result<Self, Problem> {
        let named = config.and_then(|config| {
            config.settings.state_dir.as_ref().map(|folder| config.folder().join(folder))
        });
        let beside = config.map(|config| config.folder().to_owned());
        let folders = named.into_iter().chain(beside);
        let folders = folders.chain([PathBuf::from("/var/lib/smoothserve"), std::env::temp_dir()]);
        let mut last = None;
        for path in folders.map(|folder| folder.join(OUTPUT_FILE)) {
            match OpenOptions::new().create(true).append(true).read(true).open(&path) {
                Ok(mut file) => {
                    let from = file.seek(SeekFrom::End(0)).unwrap_or_default();
                    return Ok(Self { path, file, from });
                }
                Err(error) => last = Some(error),
            }
        }
        let error = last.unwrap_or_else(|| io::ErrorKind::NotFound.into());
        Err(unable(&format!("write {OUTPUT_FILE}"), &error))
    }

    /// What was written since.
    fn since_opened(&self) -> io::Result<String> {
        const MOST: u64 = 16 * 1024;
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn unable(what: &str, error: &io::Error) -> Problem {
    Problem::new(Exit::Failed, format!("could not {what}: {}", reason(error)))
}
