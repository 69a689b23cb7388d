//! The access log: one line a request, in a file that is rotated by size and reopened on a reload.
//!
//! One thread takes notes out of the proxy's queue, some milliseconds' worth at a time, formats and
//! writes them. A disk that takes nothing, or too little, costs lines, counted, and never a request.
//! What is noted of a request is the proxy's business, how a file is rotated that of
//! [`rotation`](crate::rotation).

pub(crate) mod format;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use self::format::Clock;
use crate::config::AccessLogConfig;
use crate::proxy::{Accesses, Told};
use crate::rotation::{Keep, Rotation, Trouble};

/// After the first note the thread sleeps so long, and finds those that came meanwhile: a request
/// that would wake it makes a system call, and few have to.
const GATHER: Duration = Duration::from_millis(10);
/// Bytes that are written at once.
const CHUNK: usize = 64 * 1024;
/// What ended last is written within this time, or not at all.
const LAST_LINES: Duration = Duration::from_secs(5);
/// Between two warnings of what was dropped: too many requests for a disk come every moment.
const QUIET: Duration = Duration::from_secs(10);
/// How often a file that could not be opened is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Says something to the operators.
type Warn = Box<dyn Fn(String) + Send>;

/// Keeps the log; when it is dropped, every request that ended before is in the file, or counted.
pub(crate) struct AccessLog {
    accesses: Arc<Accesses>,
    orders: Arc<Mutex<Orders>>,
    /// Hung up by the thread when it ends.
    ended: Receiver<()>,
}

/// What the thread is to do, apart from writing.
#[derive(Debug, Default)]
struct Orders {
    /// From now on, the log is kept like this, or not at all.
    keep: Option<Option<AccessLogConfig>>,
    /// The file is to be opened anew: another one may bear its name.
    reopen: bool,
    end: bool,
}

impl AccessLog {
    /// Starts the thread, which keeps nothing yet.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(crate) fn start(
        accesses: Arc<Accesses>,
        warn: impl Fn(String) + Send + 'static,
    ) -> io::Result<Self> {
        let (notes, (ends, ended)) = (accesses.listen(), channel());
        let orders = Arc::<Mutex<Orders>>::default();
        let writer = Writer {
            accesses: Arc::clone(&accesses),
            orders: Arc::clone(&orders),
            warn: Box::new(warn),
            file: None,
            told: 0,
            last_told: None,
            failing: false,
            _ends: ends,
        };
        let thread = std::thread::Builder::new().name("access log".into());
        thread.spawn(move || writer.run(&notes))?;
        Ok(Self { accesses, orders, ended })
    }

    /// From now on, the log is kept like this, or not at all.
    pub(crate) fn keep(&self, config: Option<AccessLogConfig>) {
        let is_wanted = config.is_some();
        self.order(|orders| orders.keep = Some(config));
        self.accesses.want(is_wanted);
    }

    /// Opens the file anew: whoever moved it away wants another one.
    pub(crate) fn reopen(&self) {
        self.order(|orders| orders.reopen = true);
    }

    fn order(&self, give: impl FnOnce(&mut Orders)) {
        give(&mut lock(&self.orders));
        self.accesses.nudge();
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.accesses.want(false);
        self.order(|orders| orders.end = true);
        // It says nothing, it hangs up; a disk that does not answer must not keep the daemon.
        let _ = self.ended.recv_timeout(LAST_LINES);
    }
}

fn lock(orders: &Mutex<Orders>) -> MutexGuard<'_, Orders> {
    // Nothing under this lock can panic half-way.
    orders.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's side.
struct Writer {
    accesses: Arc<Accesses>,
    orders: Arc<Mutex<Orders>>,
    warn: Warn,
    file: Option<LogFile>,
    /// Dropped requests that a warning has spoken of.
    told: u64,
    last_told: Option<Instant>,
    /// The disk took the last lines not, and a warning was given.
    failing: bool,
    _ends: Sender<()>,
}

/// The file as it is configured, and as it is.
struct LogFile {
    config: AccessLogConfig,
    state: State,
}

enum State {
    Open(Rotation),
    /// It could not be opened then, and why.
    Closed(Instant, String),
}

impl Writer {
    fn run(mut self, notes: &Receiver<Told>) {
        // The queue ends with the proxy, which outlives this.
        while let Ok(first) = notes.recv() {
            if let Told::Access(_) = first {
                std::thread::sleep(GATHER);
            }
            let is_end = self.obey();
            self.write(std::iter::once(first).chain(notes.try_iter()));
            self.tell_dropped();
            if is_end {
                return;
            }
        }
    }

    /// Does what was ordered; whether that was to end.
    fn obey(&mut self) -> bool {
        let Orders { keep, reopen, end } = std::mem::take(&mut *lock(&self.orders));
        if let Some(config) = keep {
            self.file = config.map(|config| LogFile { state: open(&config), config });
        } else if reopen && let Some(file) = &mut self.file {
            file.state = open(&file.config);
        }
        if let Some(LogFile { state: State::Closed(_, error), .. }) = &self.file {
            self.fail(error.clone());
        }
        end
    }

    fn write(&mut self, notes: impl Iterator<Item = Told>) {
        let clock = Clock::now();
        let (mut text, mut lines) = (Vec::new(), 0);
        for note in notes {
            let (Told::Access(access), Some(file)) = (note, &self.file) else { continue };
            format::line(&mut text, file.config.format, &clock, &access);
            lines += 1;
            if text.len() >= CHUNK {
                self.append(&text, lines);
                text.clear();
                lines = 0;
            }
        }
        if lines > 0 {
            self.append(&text, lines);
        }
    }

    /// Appends so many whole lines, or loses them.
    fn append(&mut self, text: &[u8], lines: u64) {
        let Some(file) = &mut self.file else { return };
        if let State::Closed(since, _) = file.state
            && since.elapsed() >= TRY_AGAIN
        {
            file.state = open(&file.config);
        }
        let result = match &mut file.state {
            State::Open(rotation) => rotation.write(text),
            State::Closed(_, error) => {
                let error = error.clone();
                self.accesses.note_dropped(lines);
                return self.fail(error);
            }
        };
        match result {
            Ok(()) => self.failing = false,
            Err(trouble) => {
                if let Trouble::Lost(_) = trouble {
                    self.accesses.note_dropped(lines);
                    return self.fail(trouble.to_string());
                }
                self.fail(trouble.to_string());
            }
        }
        self.accesses.note_written(lines);
    }

    /// Says why, once until it is better.
    fn fail(&mut self, why: String) {
        if !std::mem::replace(&mut self.failing, true)
            && let Some(file) = &self.file
        {
            (self.warn)(format!("access log {}: {why}", file.config.file.display()));
        }
    }

    /// What was dropped is told when lines are written again.
    fn tell_dropped(&mut self) {
        let (_, dropped) = self.accesses.counts();
        let is_quiet = self.last_told.is_some_and(|last| last.elapsed() < QUIET);
        if dropped > self.told && !self.failing && !is_quiet {
            self.last_told = Some(Instant::now());
            let count = dropped - self.told;
            self.told = dropped;
            (self.warn)(format!("access log: {count} requests are not in it"));
        }
    }
}

fn open(config: &AccessLogConfig) -> State {
    let AccessLogConfig { max_size, max_backups, max_age, compress, .. } = *config;
    let keep = Keep { max_size, max_backups, max_age, compress };
    match Rotation::open(config.file.clone(), keep) {
        Ok(rotation) => {
            rotation.remove_old(SystemTime::now());
            State::Open(rotation)
        }
        Err(error) => State::Closed(Instant::now(), format!("cannot be opened: {error}")),
    }
}
