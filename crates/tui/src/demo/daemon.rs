//! The demo's own daemon, which must never outlive the demo.
//!
//! The daemon ends when its stdin does, and that is a pipe that only we hold: it closes even when
//! we are killed. A small shell around the daemon waits for the same pipe to remove the folder,
//! which after SIGKILL nobody else could.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::folder::Folder;
use crate::cli::{Exit, Problem, beside_or_in_path, ready};
use crate::client::Target;
use crate::words::{escape, reason};

/// How long the service may take to come up.
const START: Duration = Duration::from_secs(30);
/// How long the daemon may take to leave by itself; longer than the configured shutdown.
const LEAVE: Duration = Duration::from_secs(8);
/// How long it may take once it is told again.
const HURRY: Duration = Duration::from_secs(3);
/// How often to look.
const LOOK: Duration = Duration::from_millis(10);

/// `$1` is the folder, the rest the daemon. The signals that end a terminal's programs do not end
/// the shell before its work is done; `:` rather than nothing, so that the daemon does not inherit
/// ignored signals.
const SHELL: &str = "\
trap : HUP INT QUIT TERM
folder=$1
shift
\"$@\"
echo $? > \"$folder/ended\"
cat > /dev/null
rm -rf -- \"$folder\"
";

/// A running daemon. Dropping it ends everything it runs, and removes its folder.
#[derive(Debug)]
pub(super) struct Daemon {
    shell: Child,
    /// The end that keeps everything alive.
    lifeline: Option<ChildStdin>,
    folder: Folder,
}

/// Where the daemon serves.
#[derive(Clone, Debug)]
pub(super) struct Serving {
    /// Its command port.
    pub(super) target: Target,
    /// Where the web service is reached.
    pub(super) proxy: SocketAddr,
}

impl Daemon {
    /// Starts it in a folder of its own.
    pub(super) fn launch() -> Result<Self, Problem> {
        let program = beside_or_in_path()?;
        let own =
            std::env::current_exe().map_err(|error| unable("find its own program", &error))?;
        let folder =
            Folder::create(&own).map_err(|error| unable("prepare a temporary folder", &error))?;
        let output = File::create(folder.output());
        let output = output.map_err(|error| unable("write in the temporary folder", &error))?;
        let errors = output.try_clone().map_err(|error| unable("share a file", &error))?;
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SHELL, "smoothtool-demo"])
            .arg(folder.path())
            .arg(program)
            .arg("--config")
            .arg(folder.config())
            .arg("--ready-file")
            .arg(folder.ready())
            .arg("--exit-with-stdin")
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            // Out of the terminal's reach: Ctrl-C is for us, and we end the rest in order.
            .process_group(0)
            .spawn()
            .map_err(|error| unable("run /bin/sh", &error))?;
        let lifeline = shell.stdin.take();
        Ok(Self { shell, lifeline, folder })
    }

    /// Waits until it serves.
    pub(super) async fn serving(&mut self) -> Result<Serving, Problem> {
        let until = Instant::now() + START;
        loop {
            if let Some(ready) = ready(&self.folder.ready()) {
                let proxy = ready.listeners.values().next().and_then(|addr| addr.parse().ok());
                let Some(proxy) = proxy else {
                    return Err(Problem::new(Exit::Failed, "the demo's daemon serves nothing"));
                };
                let (addr, token_file) = (ready.command, self.folder.token());
                let actor = "demo".to_owned();
                let target = Target { addr, token_file, actor, read_only: false };
                return Ok(Serving { target, proxy });
            }
            if self.folder.ended().exists() {
                return Err(self.said("the demo's daemon ended before it served"));
            }
            if Instant::now() > until {
                return Err(self.said("the demo's daemon does not come up"));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// `what`, with the last that the daemon printed.
    fn said(&self, what: &str) -> Problem {
        const LAST_LINES: usize = 20;
        let text = fs::read_to_string(self.folder.output()).unwrap_or_default();
        let skipped = text.lines().count().saturating_sub(LAST_LINES);
        let lines = text.lines().skip(skipped);
        lines.fold(Problem::new(Exit::Failed, what), |problem, line| problem.detail(escape(line)))
    }

    /// Whether the shell, and with it the daemon, has ended within this time.
    fn left_within(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            // An error means that there is no such child any more.
            if !matches!(self.shell.try_wait(), Ok(None)) {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            thread::sleep(LOOK);
        }
    }

    fn signal(&self, signal: Signal) {
        let group = i32::try_from(self.shell.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // It may have ended since.
            let _ = kill_process_group(group, signal);
        }
    }
}

/// Blocks until all is gone: there is nothing left to do meanwhile, and a panic must do it too.
impl Drop for Daemon {
    fn drop(&mut self) {
        self.lifeline = None;
        if self.left_within(LEAVE) {
            return;
        }
        // The second signal shortens the shutdown, the third one ends the instances too.
        for _ in 0..3 {
            self.signal(Signal::TERM);
            if self.left_within(HURRY) {
                return;
            }
        }
        self.signal(Signal::KILL);
        self.left_within(HURRY);
    }
}

fn unable(what: &str, error: &io::Error) -> Problem {
    Problem::new(Exit::Failed, format!("the demo could not {what}: {}", reason(error)))
}
