//! A terminal with the console on it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::num::NonZeroU16;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use pty_process::{Command, Pts, Pty, Size};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Termios, tcgetattr};
use smoothtool::client::Target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::time::timeout;

use super::daemon::Fake;

/// The question that every terminal answers.
const IDENTITY: &[u8] = b"\x1b[c";
/// What a terminal answers that is dark, narrow, and takes marks around frames.
pub(crate) const DARK: &str = "\x1b]11;rgb:0000/0000/0000\x07\x1b[1;2R\x1b[?2026;2$y\x1b[?62;22c";

/// Longer than anything here takes; only a failure waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).unwrap()
}

/// A console in a process of its own, and the terminal it is on.
pub(crate) struct Console {
    /// None: the terminal is gone.
    pub(crate) terminal: Option<Pty>,
    /// Held open, so that the terminal outlives the console.
    pub(crate) side: Option<Pts>,
    pub(crate) child: Child,
    pub(crate) screen: vt100::Parser,
    pub(crate) raw: Vec<u8>,
    /// What the terminal answers when it is asked what it is.
    answers: Option<String>,
    before: Termios,
}

impl Console {
    /// `smoothtool tui` in front of `fake`.
    pub(crate) fn start(fake: &Fake, env: &[(&str, &str)]) -> Self {
        let Target { addr, token_file, .. } = fake.target();
        let arguments = ["tui".into(), "--addr".into(), addr.into(), "--token-file".into()];
        let arguments = arguments.into_iter().chain([token_file.into()]);
        Self::of(env!("CARGO_BIN_EXE_smoothtool").as_ref(), arguments, env)
    }

    /// A program that opens the console.
    pub(crate) fn of(
        program: &Path,
        arguments: impl IntoIterator<Item = OsString>,
        env: &[(&str, &str)],
    ) -> Self {
        let (terminal, side) = pty_process::open().unwrap();
        terminal.resize(Size::new(24, 80)).unwrap();
        let before = tcgetattr(&terminal).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .envs([("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")])
            .env_remove("NO_COLOR")
            // Nothing that whoever runs the tests keeps at home is read or changed.
            .env("HOME", "/nonexistent")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_STATE_HOME")
            .envs(env.iter().copied())
            .kill_on_drop(true)
            .spawn_borrowed(&side)
            .unwrap();
        Self {
            terminal: Some(terminal),
            side: Some(side),
            child,
            screen: vt100::Parser::new(cells(24), cells(80), 0),
            raw: Vec::new(),
            answers: None,
            before,
        }
    }

    /// The same on a terminal that gives these answers, once, when it is asked.
    pub(crate) fn answering(mut self, answers: &str) -> Self {
        self.answers = Some(answers.to_owned());
        self
    }

    /// The console wrote this.
    async fn take(&mut self, bytes: &[u8]) {
        self.screen.process(bytes);
        self.raw.extend_from_slice(bytes);
        let asked = self.raw.windows(IDENTITY.len()).any(|bytes| bytes == IDENTITY);
        if asked && let Some(answers) = self.answers.take() {
            self.press(&answers).await;
        }
    }

    /// Reads the terminal until `found` says so.
    pub(crate) async fn until(&mut self, what: &str, found: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        let mut bytes = [0; 4_096];
        while !found(self) {
            let left = PATIENCE.saturating_sub(began.elapsed());
            let read = timeout(left, self.terminal.as_mut().unwrap().read(&mut bytes)).await;
            let Ok(Ok(read)) = read else {
                panic!("waited for {what}, saw:\n{}", self.screen.screen().contents());
            };
            self.take(&bytes[..read]).await;
        }
    }

    pub(crate) async fn shows(&mut self, text: &str) {
        self.until(text, |console| console.screen.screen().contents().contains(text)).await;
    }

    pub(crate) async fn press(&mut self, keys: &str) {
        self.terminal.as_mut().unwrap().write_all(keys.as_bytes()).await.unwrap();
    }

    /// Waits for the console to end, while the terminal goes on to be read.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        let began = Instant::now();
        let mut bytes = [0; 4_096];
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status.unwrap(),
                read = self.terminal.as_mut().unwrap().read(&mut bytes) => {
                    let read = read.unwrap();
                    self.take(&bytes[..read]).await;
                }
            }
            assert!(began.elapsed() < PATIENCE, "it did not end");
        };
        // What it wrote last may still be on its way.
        while let Ok(Ok(read)) =
            timeout(Duration::from_millis(200), self.terminal.as_mut().unwrap().read(&mut bytes))
                .await
        {
            self.take(&bytes[..read]).await;
        }
        status
    }

    /// The terminal is as it was before the console began.
    pub(crate) fn is_restored(&self) {
        self.modes_are_restored();
        let screen = self.screen.screen();
        assert!(!screen.alternate_screen(), "still the alternate screen");
        assert!(!screen.hide_cursor(), "the cursor is hidden");
        assert!(!screen.bracketed_paste(), "pastes are still marked");
        assert_eq!(self.modes_on(), BTreeSet::new(), "these modes are still on");
    }

    /// The private modes that were set and not reset again, but for the cursor's.
    pub(crate) fn modes_on(&self) -> BTreeSet<u16> {
        let mut on = BTreeSet::new();
        let text = String::from_utf8_lossy(&self.raw);
        for escape in text.split("\u{1b}[?").skip(1) {
            let digits = escape.find(|c: char| !c.is_ascii_digit()).unwrap_or(escape.len());
            let Ok(mode) = escape[..digits].parse() else { continue };
            match escape[digits..].chars().next() {
                // That of the cursor is on when all is well.
                Some('h') if mode != 25 => on.insert(mode),
                Some('l') => on.remove(&mode),
                _ => continue,
            };
        }
        on
    }

    /// Makes the terminal so many columns wide and rows high.
    pub(crate) fn resize(&mut self, width: u16, height: u16) {
        self.screen.screen_mut().set_size(cells(height), cells(width));
        self.terminal.as_ref().unwrap().resize(Size::new(height, width)).unwrap();
    }

    /// Types `keys`, and waits until the console has read them.
    pub(crate) async fn press_and_have_read(&mut self, keys: &str) {
        let before = self.bytes_read();
        self.press(keys).await;
        let began = Instant::now();
        while self.bytes_read() < before + keys.len() as u64 {
            assert!(began.elapsed() < PATIENCE, "it does not read what is typed");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn bytes_read(&self) -> u64 {
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.child.id().unwrap())).unwrap();
        io.lines().find_map(|line| line.strip_prefix("rchar: ")).unwrap().parse().unwrap()
    }

    /// Waits until the process is in the state that `ps` shows so.
    pub(crate) async fn is_in_state(&self, state: char) {
        let began = Instant::now();
        while self.state() != state {
            assert!(began.elapsed() < PATIENCE, "it is in state {}", self.state());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// What the process has used of a processor.
    pub(crate) fn processor_time(&self) -> Duration {
        let ticks: u64 =
            self.stat().split(' ').skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
        Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second())
    }

    /// The memory that it has, in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id().unwrap()));
        let pages: u64 = statm.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size() as u64 / 1_024
    }

    /// Keys are again treated as before the console began.
    pub(crate) fn modes_are_restored(&self) {
        let after = tcgetattr(self.terminal.as_ref().unwrap()).unwrap();
        let modes = |t: &Termios| {
            (t.input_modes, t.output_modes, t.control_modes, t.local_modes, t.special_codes.clone())
        };
        assert_eq!(format!("{:?}", modes(&after)), format!("{:?}", modes(&self.before)));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    /// The state that the system gives the process, as in `ps`.
    pub(crate) fn state(&self) -> char {
        self.stat().chars().next().unwrap()
    }

    /// What the system tells of the process, from its state on.
    fn stat(&self) -> String {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id().unwrap()));
        stat.unwrap().rsplit_once(") ").unwrap().1.to_owned()
    }

    /// Whether the thread that writes to the terminal waits for it, rather than for a frame.
    pub(crate) fn is_held_up(&self) -> bool {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id().unwrap())).unwrap();
        tasks.map(|task| task.unwrap().path()).any(|task| {
            let read = |name| std::fs::read_to_string(task.join(name)).unwrap_or_default();
            let state = read("stat").rsplit_once(") ").map(|(_, rest)| rest.starts_with('S'));
            read("comm") == "frames\n" && state == Some(true) && !read("wchan").contains("futex")
        })
    }
}
