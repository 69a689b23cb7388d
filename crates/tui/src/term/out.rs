//! What goes to the terminal: collected, and sent in one write a frame, by a thread of its own.
//!
//! A terminal that does not read, as behind a network that is down, blocks whoever writes to it. That
//! must be nobody who also has to hear keys, signals and the daemon.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use tokio::sync::mpsc;

use super::pace::Taken;

/// Room for a frame; a full repaint of 120x40 takes about 8 KiB.
const CAPACITY: usize = 64 * 1024;

/// Held by whoever writes, so that the end of a frame does not come after the end of the console.
static TURN: Mutex<()> = Mutex::new(());

/// The process has one terminal; these count what went there.
static FRAMES: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static WRITES: AtomicU64 = AtomicU64::new(0);

/// Writes `bytes`, a few, to the terminal, unless it takes none for so long.
///
/// # Errors
/// When the terminal is gone, or takes nothing.
pub fn write_within(patience: Duration, bytes: &[u8]) -> io::Result<()> {
    let until = Instant::now() + patience;
    let _turn = turn_before(until).ok_or(io::ErrorKind::TimedOut)?;
    let left = Timespec::try_from(until.saturating_duration_since(Instant::now()));
    let mut terminal = [PollFd::from_borrowed_fd(rustix::stdio::stdout(), PollFlags::OUT)];
    if poll(&mut terminal, left.ok().as_ref())? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Tty.write_all(bytes)
}

fn turn_before(until: Instant) -> Option<MutexGuard<'static, ()>> {
    loop {
        match TURN.try_lock() {
            Ok(turn) => return Some(turn),
            // Nothing is broken by whoever panicked with it: it protects no data.
            Err(TryLockError::Poisoned(turn)) => return Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() > until => return None,
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// The terminal itself, without the buffer of `std::io::Stdout`, which would send a frame in
/// pieces of 1 KiB.
#[derive(Clone, Copy, Debug)]
struct Tty;

impl Write for Tty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(rustix::stdio::stdout(), bytes) {
                Ok(written) => {
                    WRITES.fetch_add(1, Ordering::Relaxed);
                    BYTES.fetch_add(written as u64, Ordering::Relaxed);
                    return Ok(written);
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Takes frames, and has a thread write them one after the other. The thread ends with this.
#[derive(Debug)]
pub struct Frames(Sender<Vec<u8>>);

/// Tells what came of each frame.
#[derive(Debug)]
pub struct Written(mpsc::UnboundedReceiver<io::Result<Taken>>);

impl Frames {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system is out of threads.
    pub fn start() -> io::Result<(Self, Written)> {
        let (frames, taken) = channel();
        let (tell, written) = mpsc::unbounded_channel();
        thread::Builder::new().name("frames".to_owned()).spawn(move || write(&taken, &tell))?;
        Ok((Self(frames), Written(written)))
    }
}

fn write(frames: &Receiver<Vec<u8>>, tell: &mpsc::UnboundedSender<io::Result<Taken>>) {
    for frame in frames {
        let turn = TURN.lock();
        let began = Instant::now();
        let result = Tty.write_all(&frame);
        FRAMES.fetch_add(1, Ordering::Relaxed);
        let taken = Taken { bytes: frame.len(), took: began.elapsed() };
        drop(turn);
        if tell.send(result.map(|()| taken)).is_err() {
            return;
        }
    }
}

/// Each write is a frame, and is not waited for.
impl Write for Frames {
    fn write(&mut self, frame: &[u8]) -> io::Result<usize> {
        self.0.send(frame.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(frame.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    /// What came of the next frame.
    ///
    /// # Cancel safety
    /// A dropped call loses nothing.
    pub async fn next(&mut self) -> io::Result<Taken> {
        match self.0.recv().await {
            Some(result) => result,
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// What went to the terminal since the console began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// How many frames.
    pub frames: u64,
    /// How many bytes, the frames and all else.
    pub bytes: u64,
    /// How many calls it took.
    pub writes: u64,
}

/// What went to the terminal so far.
pub fn sent() -> Sent {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Sent { frames: read(&FRAMES), bytes: read(&BYTES), writes: read(&WRITES) }
}

/// Collects a frame; flushing sends it. Unlike a `BufWriter` it never sends a part, however long the
/// frame is.
#[derive(Debug)]
pub struct Out<W> {
    pending: Vec<u8>,
    to: W,
}

impl<W: Write> Out<W> {
    /// Sends to `to`.
    pub fn new(to: W) -> Self {
        Self { pending: Vec::with_capacity(CAPACITY), to }
    }
}

impl<W: Write> Write for Out<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Sends what was collected, in one write; nothing, if nothing was.
    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let result = self.to.write_all(&self.pending);
        self.pending.clear();
        result
    }
}
