//! A program on a terminal of its own, and what it shows there.
//!
//! The terminal answers what programs ask of one (is this understood, where is the cursor, which
//! background), unless it is told to be deaf. It knows nothing of the console.

use std::ffi::OsStr;
use std::num::NonZeroU16;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use pty_process::{Command, Pts, Pty, Size};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::time::{timeout, timeout_at};
use vt100::{Callbacks, Parser, Screen};

/// For anything that is waited for.
const LIMIT: Duration = Duration::from_secs(30);
/// A read takes no more than this.
const CHUNK: usize = 65_536;

/// A program on a terminal. It is killed when this is dropped.
pub struct Terminal {
    pty: Pty,
    /// Held open, so that the terminal outlives the program.
    _side: Pts,
    /// The program.
    pub child: Child,
    screen: Parser<Answers>,
    received: u64,
    started: Instant,
}

/// What the terminal has to say to the program.
struct Answers {
    is_deaf: bool,
    pending: Vec<u8>,
}

impl Callbacks for Answers {
    fn unhandled_csi(
        &mut self,
        screen: &mut Screen,
        first: Option<u8>,
        second: Option<u8>,
        params: &[&[u16]],
        last: char,
    ) {
        let param = params.first().and_then(|param| param.first()).copied();
        match (first, second, param, last) {
            (Some(b'?'), Some(b'$'), Some(mode), 'p') => {
                // Known, and off now.
                let known = if mode == 2026 { 2 } else { 0 };
                self.say(&format!("\x1b[?{mode};{known}$y"));
            }
            (None, None, Some(6), 'n') => {
                let (row, column) = screen.cursor_position();
                self.say(&format!("\x1b[{};{}R", row + 1, column + 1));
            }
            (None, None, None | Some(0), 'c') => self.say("\x1b[?62;22c"),
            _ => {}
        }
    }

    fn unhandled_osc(&mut self, _: &mut Screen, params: &[&[u8]]) {
        if params == [b"11".as_slice(), b"?"] {
            self.say("\x1b]11;rgb:0000/0000/0000\x1b\\");
        }
    }
}

impl Answers {
    fn say(&mut self, answer: &str) {
        if !self.is_deaf {
            self.pending.extend_from_slice(answer.as_bytes());
        }
    }
}

/// How a terminal is.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its columns.
    pub width: u16,
    /// Its rows.
    pub height: u16,
    /// It answers nothing that it is asked.
    pub is_deaf: bool,
}

impl Kind {
    /// One of this size that answers.
    pub const fn of(width: u16, height: u16) -> Self {
        Self { width, height, is_deaf: false }
    }
}

impl Terminal {
    /// Starts `program` on a new terminal.
    ///
    /// # Errors
    /// When there is no terminal, or no such program.
    pub fn start(
        kind: Kind,
        program: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> anyhow::Result<Self> {
        let (pty, side) = pty_process::open()?;
        pty.resize(Size::new(kind.height, kind.width))?;
        let started = Instant::now();
        let child = Command::new(program)
            .args(arguments)
            .envs([("TERM", "xterm-256color"), ("LC_ALL", "C.UTF-8"), ("TZ", "UTC")])
            .envs([("USER", "ops"), ("LOGNAME", "ops")])
            .env_remove("NO_COLOR")
            .kill_on_drop(true)
            .spawn_borrowed(&side)
            .with_context(|| format!("could not start {}", program.display()))?;
        let cells = |count| NonZeroU16::new(count).context("a terminal has cells");
        let answers = Answers { is_deaf: kind.is_deaf, pending: Vec::new() };
        let (height, width) = (cells(kind.height)?, cells(kind.width)?);
        let screen = Parser::new_with_callbacks(height, width, 0, answers);
        Ok(Self { pty, _side: side, child, screen, received: 0, started })
    }

    /// When the program was started.
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// The program's process id.
    ///
    /// # Errors
    /// When it has ended and was waited for.
    pub fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the program has ended")
    }

    /// Bytes that came so far.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// What the screen shows.
    pub fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// What one row of the screen shows.
    pub fn row(&self, number: usize) -> String {
        let screen = self.screen.screen();
        screen.rows(0, screen.size().1.get()).nth(number).unwrap_or_default()
    }

    /// Types.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub async fn press(&mut self, keys: &str) -> anyhow::Result<()> {
        Ok(self.pty.write_all(keys.as_bytes()).await?)
    }

    /// Takes in what comes next, as far as something comes before `until`.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub async fn next(&mut self, until: Instant) -> anyhow::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; CHUNK];
        let Ok(read) = timeout_at(until.into(), self.pty.read(&mut bytes)).await else {
            return Ok(None);
        };
        bytes.truncate(read.context("the terminal is gone")?);
        self.received += bytes.len() as u64;
        self.screen.process(&bytes);
        let answers = std::mem::take(&mut self.screen.callbacks_mut().pending);
        if !answers.is_empty() {
            self.pty.write_all(&answers).await?;
        }
        Ok(Some(bytes))
    }

    /// Takes in what comes for so long.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub async fn watch(&mut self, time: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + time;
        while self.next(until).await?.is_some() {}
        Ok(())
    }

    /// Takes in what comes until nothing came for so long.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub async fn settle(&mut self, quiet: Duration) -> anyhow::Result<()> {
        while self.next(Instant::now() + quiet).await?.is_some() {}
        Ok(())
    }

    /// Waits until the terminal is as it should be, and says when the byte came that made it so.
    ///
    /// # Errors
    /// When that never comes, with what is shown instead.
    pub async fn until(
        &mut self,
        what: &str,
        holds: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<Instant> {
        let limit = Instant::now() + LIMIT;
        let mut when = Instant::now();
        while !holds(self) {
            if self.next(limit).await?.is_none() {
                bail!("waited in vain for {what}; the screen shows\n{}", self.text());
            }
            when = Instant::now();
        }
        Ok(when)
    }

    /// Waits until the screen shows `text`.
    ///
    /// # Errors
    /// As [`Terminal::until`].
    pub async fn shows(&mut self, text: &str) -> anyhow::Result<Instant> {
        self.until(&format!("{text:?}"), |terminal| terminal.text().contains(text)).await
    }

    /// Closes the terminal; the program is left to itself.
    pub fn close(self) -> Child {
        self.child
    }

    /// Waits for the program to end, and takes in what it says until then.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ends(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        let ending = async {
            loop {
                let soon = Instant::now() + Duration::from_millis(50);
                // A terminal that nobody has open any more cannot be read; that is no failure here.
                let _ = self.next(soon).await;
                if let Some(status) = self.child.try_wait()? {
                    return anyhow::Ok(status);
                }
            }
        };
        timeout(LIMIT, ending).await.context("the program does not end")?
    }
}
