//! The loop around the pure core: keys, signals and reports in; frames and orders out.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::client::Target;
use crate::console::ConsoleOptions;
use crate::effect::{Effect, Order};
use crate::input::Typing;
use crate::model::clock::{Clock, Moment};
use crate::model::page::Stats;
use crate::model::{Dirty, Look, Model};
use crate::msg::{Msg, Report};
use crate::net;
use crate::recall;
use crate::term::ask::ask;
use crate::term::clip::Way;
use crate::term::guard::Guard;
use crate::term::hangup::Hangup;
use crate::term::late::{Late, Sifted};
use crate::term::out::{Frames, Sent, Written, sent};
use crate::term::pace::{Pace, Taken};
use crate::term::paint::Painter;
use crate::term::probe::Questions;
use crate::term::signals::{Asked, Signals};
use crate::term::{beyond, caps};
use crate::words::reason;
use crate::{export, update, view};

/// After a key, a frame follows within so many milliseconds.
const AFTER_INPUT: u64 = 16;
/// Reports that wait for the loop; when they are this many the daemon is read no further.
const REPORTS: usize = 64;
/// Orders that wait for the connection; a person gives fewer.
const ORDERS: usize = 64;

/// The pure core, as [`crate::update`] and [`crate::view`] have it.
#[derive(Clone, Copy, Debug)]
pub struct Core {
    /// Takes in what happened.
    pub update: Update,
    /// Draws what is known.
    pub view: View,
}

/// One message in, the model changed, the wanted effects out.
pub type Update = fn(&mut Model, Msg, Moment) -> Vec<Effect>;
/// The model drawn into an area of a buffer.
pub type View = fn(&Model, Rect, &mut Buffer);

impl Default for Core {
    fn default() -> Self {
        Self { update: update::update, view: view::view }
    }
}

/// Why the console ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The operator left it.
    Done,
    /// A signal, by its number.
    Signal(i32),
    /// The terminal is gone.
    TerminalGone,
}

/// Whether the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Stay,
    Leave(Left),
}

/// The state of the loop.
struct Loop {
    model: Model,
    update: Update,
    painter: Painter<Frames>,
    /// A frame is on its way to the terminal.
    sending: bool,
    guard: Guard,
    orders: mpsc::Sender<Order>,
    /// Tells what became of a screen that was to be saved.
    saved: mpsc::UnboundedSender<Result<String, String>>,
    began: Instant,
    painted: Option<Moment>,
    pace: Pace,
    /// Takes answers of the terminal out of what is typed.
    late: Late,
    /// Events of the terminal so far.
    events: u64,
    /// Reports of the connection so far.
    heard: u64,
    /// Tells keys from pasted text.
    typing: Typing,
    /// The terminal is the shell's for now.
    suspended: bool,
}

/// A model that knows nothing yet, for `target`.
pub fn new_model(target: &Target, look: Look) -> Model {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ms = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
    let clock = Clock::new(TimeZone::system(), unix_ms);
    Model::new(&target.addr, target.read_only, look, clock)
}

/// Runs the console on the terminal until the operator leaves, a signal ends it, or the terminal is
/// gone.
///
/// # Errors
/// When the terminal cannot be used.
pub async fn run(
    target: Target,
    look: Look,
    options: ConsoleOptions,
    core: Core,
) -> anyhow::Result<Left> {
    let mut hangup = Hangup::watch().context("could not watch the terminal")?;
    let mut signals = Signals::watch().context("could not watch for signals")?;
    let (frames, mut written) = Frames::start().context("could not start to paint")?;
    let (orders, orders_in) = mpsc::channel(ORDERS);
    let (reports_out, mut reports) = mpsc::channel(REPORTS);
    let (saved, mut saves) = mpsc::unbounded_channel();
    let mut model = new_model(&target, look);
    model.clipboard = Way::of(|name| std::env::var(name).ok());
    let mut console = Loop {
        model,
        update: core.update,
        painter: Painter::new(core.view, frames),
        sending: false,
        guard: Guard::enter().context("could not take the terminal")?,
        orders,
        saved,
        began: Instant::now(),
        painted: None,
        pace: Pace::new(options.fps.max(1)),
        late: Late::default(),
        events: 0,
        heard: 0,
        typing: Typing::default(),
        suspended: false,
    };
    console.model.typed_before = recall::read();
    console.model.keys = options.keys;
    let connection = tokio::spawn(net::run(target, orders_in, reports_out));
    let read = |name: &str| std::env::var(name).ok();
    let questions = caps::questions(options.glyphs, look, read);

    let result = match console.inquire(questions).await {
        Next::Leave(left) => Ok(left),
        Next::Stay => {
            console.run(&mut hangup, &mut signals, &mut written, &mut reports, &mut saves).await
        }
    };
    connection.abort();
    let lost_terminal = !console.guard.is_held();
    drop(console);
    if result.is_ok() && lost_terminal {
        bail!("a part of the console failed");
    }
    match result {
        // There is nobody left to tell.
        Err(error) if is_gone(&error) => Ok(Left::TerminalGone),
        result => result.context("could not write to the terminal"),
    }
}

/// Whether the terminal is gone rather than broken.
fn is_gone(error: &io::Error) -> bool {
    let gone = [rustix::io::Errno::IO, rustix::io::Errno::NXIO, rustix::io::Errno::BADF];
    error.kind() == io::ErrorKind::BrokenPipe
        || error.raw_os_error().is_some_and(|code| gone.iter().any(|e| e.raw_os_error() == code))
}

impl Loop {
    async fn run(
        &mut self,
        hangup: &mut Hangup,
        signals: &mut Signals,
        written: &mut Written,
        reports: &mut mpsc::Receiver<Report>,
        saves: &mut mpsc::UnboundedReceiver<Result<String, String>>,
    ) -> io::Result<Left> {
        let mut keys = EventStream::new();
        self.measure()?;
        // After a panic in a task the terminal is not ours any more, and shows what it said.
        while self.suspended || self.guard.is_held() {
            self.paint_if_due()?;
            let next = tokio::select! {
                biased;
                () = hangup.gone() => Next::Leave(Left::TerminalGone),
                asked = signals.next() => self.signalled(asked)?,
                result = written.next(), if self.sending => self.arrived(result)?,
                event = keys.next(), if !self.suspended => match event {
                    Some(Ok(event)) => {
                        self.let_arrive(written).await?;
                        self.typed(event)?
                    }
                    // Keys that cannot be read never will be.
                    Some(Err(_)) | None => Next::Leave(Left::TerminalGone),
                },
                report = reports.recv() => match report {
                    Some(report) => self.heard(report)?,
                    None => Next::Leave(Left::Done),
                },
                Some(result) = saves.recv() => self.take(Msg::Saved(result))?,
                () = sleep(self.until_due()) => self.woken()?,
            };
            if let Next::Leave(left) = next {
                return Ok(left);
            }
            // Whatever is known already goes into the same frame.
            while let Ok(report) = reports.try_recv() {
                self.heard(report)?;
            }
        }
        Ok(Left::Done)
    }

    /// Asks the terminal what it can do. Meanwhile the connection is made.
    async fn inquire(&mut self, questions: Questions) -> Next {
        if questions == Questions::default() {
            return Next::Stay;
        }
        let asked = self.now();
        // A terminal that cannot be asked is gone, or will say so when it is painted on.
        let asking = spawn_blocking(move || ask(questions));
        let answers = asking.await.ok().and_then(Result::ok).unwrap_or_default();
        if answers.interrupted {
            return Next::Leave(Left::Done);
        }
        if !answers.complete {
            self.late = Late::since(asked);
        }
        if answers.synchronized {
            self.guard.note_synchronized();
            self.painter.synchronize();
        }
        self.model.look = caps::informed(self.model.look, answers);
        Next::Stay
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn take(&mut self, msg: Msg) -> io::Result<Next> {
        let now = self.now();
        for effect in (self.update)(&mut self.model, msg, now) {
            let next = self.carry_out(effect)?;
            if next != Next::Stay {
                return Ok(next);
            }
        }
        Ok(Next::Stay)
    }

    fn heard(&mut self, report: Report) -> io::Result<Next> {
        self.heard += 1;
        self.take(Msg::Net(Box::new(report)))
    }

    /// The frame that was under way is on the screen.
    fn arrived(&mut self, result: io::Result<Taken>) -> io::Result<Next> {
        let taken = result?;
        self.sending = false;
        self.take(Msg::Painted)?;
        self.pace.written(taken, self.now());
        self.take(Msg::Pace(self.pace.slowed()))
    }

    /// Who presses a key may have seen a frame of whose arrival we are about to hear. On a slow
    /// terminal that is not so, and the key is about what was there before.
    async fn let_arrive(&mut self, written: &mut Written) -> io::Result<()> {
        if self.sending
            && let Ok(result) = timeout(Duration::from_millis(AFTER_INPUT), written.next()).await
        {
            self.arrived(result)?;
        }
        Ok(())
    }

    /// Takes in a key and all that came with it.
    fn typed(&mut self, first: Event) -> io::Result<Next> {
        let mut batch = vec![first];
        while batch.len() < 4_096 && crossterm::event::poll(Duration::ZERO)? {
            batch.push(crossterm::event::read()?);
        }
        self.events += batch.len() as u64;
        let beyond = if batch.len() < beyond::FULL { 0 } else { beyond::throw_away()? };
        let sifted = self.late.sift(batch, self.now());
        self.take_sifted(sifted, beyond)
    }

    /// It is time for something, although nothing happened.
    fn woken(&mut self) -> io::Result<Next> {
        let sifted = self.late.release(self.now());
        match self.take_sifted(sifted, 0)? {
            Next::Stay => self.take(Msg::Tick),
            leave @ Next::Leave(_) => Ok(leave),
        }
    }

    fn take_sifted(&mut self, sifted: Sifted, beyond: usize) -> io::Result<Next> {
        let found = sifted.background.map(Msg::Background);
        let messages = self.typing.messages(&sifted.events, beyond, self.now());
        for msg in messages.into_iter().chain(found) {
            let next = self.take(msg)?;
            if next != Next::Stay {
                return Ok(next);
            }
        }
        Ok(Next::Stay)
    }

    fn carry_out(&mut self, effect: Effect) -> io::Result<Next> {
        match effect {
            Effect::Quit => return Ok(Next::Leave(Left::Done)),
            Effect::Redraw => return self.repaint(),
            Effect::Copy(text) => self.painter.send_ahead(&self.model.clipboard.sequence(&text)),
            Effect::Save => self.save(),
            Effect::Mouse(on) => {
                let change = self.guard.note_mouse(on);
                self.painter.send_ahead(change);
            }
            Effect::Suspend => self.suspend()?,
            Effect::Order(order) => return self.order(order),
            Effect::Remember(line) => recall::add(&line),
            Effect::Count => return self.take(Msg::Counted(self.stats())),
        }
        Ok(Next::Stay)
    }

    /// Writes what is on the screen to files where the console was started. A disk that hangs holds
    /// up nobody.
    fn save(&self) {
        let picture = self.painter.shown().clone();
        let stem = self.model.clock.stem(self.model.clock.unix_ms());
        let saved = self.saved.clone();
        tokio::task::spawn_blocking(move || {
            let result = export::save(&picture, Path::new("."), &stem);
            // The console may have ended meanwhile.
            let _ = saved.send(result.map_err(|error| reason(&error)));
        });
    }

    fn stats(&self) -> Stats {
        let Sent { frames, bytes, writes } = sent();
        Stats {
            running_ms: self.now().0,
            draws: self.painter.draws(),
            frames,
            bytes,
            writes,
            events: self.events,
            reports: self.heard,
        }
    }

    fn order(&mut self, order: Order) -> io::Result<Next> {
        let Err(refused) = self.orders.try_send(order) else { return Ok(Next::Stay) };
        // The connection has not taken 64 orders: it hangs, and the operator should know.
        match refused.into_inner() {
            Order::Act { ticket, .. } => {
                self.take(Msg::Net(Box::new(Report::Unanswered { ticket })))
            }
            _ => Ok(Next::Stay),
        }
    }

    fn signalled(&mut self, asked: Asked) -> io::Result<Next> {
        match asked {
            Asked::Leave(signal) => return Ok(Next::Leave(Left::Signal(signal.as_raw()))),
            Asked::Suspend => self.suspend()?,
            Asked::Resume => self.resume()?,
        }
        Ok(Next::Stay)
    }

    /// Stops the whole process, as ^Z does. This thread may run on for a moment before it stops, so
    /// the terminal is taken again when the signal to go on comes, and not here.
    fn suspend(&mut self) -> io::Result<()> {
        self.suspended = true;
        self.guard.suspend();
        Ok(kill_process(getpid(), Signal::STOP)?)
    }

    /// Goes on after a stop, whoever asked for it: the shell may have used the terminal meanwhile.
    fn resume(&mut self) -> io::Result<()> {
        self.suspended = false;
        self.guard.suspend();
        self.guard.resume()?;
        self.repaint().map(drop)
    }

    fn repaint(&mut self) -> io::Result<Next> {
        self.painter.forget();
        self.measure()
    }

    fn measure(&mut self) -> io::Result<Next> {
        // A terminal that does not know its size is taken for the usual one.
        let (width, height) = match crossterm::terminal::size() {
            Ok((width, height)) if width > 0 && height > 0 => (width, height),
            Ok(_) | Err(_) => (80, 24),
        };
        self.take(Msg::Resize { width, height })
    }

    fn paint_if_due(&mut self) -> io::Result<()> {
        if self.suspended
            || self.sending
            || self.model.dirty == Dirty::No
            || self.due().is_none_or(|due| due > self.now())
        {
            return Ok(());
        }
        self.sending = self.painter.paint(&self.model)?;
        self.painted = Some(self.now());
        self.take(Msg::Sent)?;
        if !self.sending {
            self.take(Msg::Painted)?;
        }
        Ok(())
    }

    /// When there is something to do although nothing happens; none: never.
    fn due(&self) -> Option<Moment> {
        let fps = if self.model.is_moving() { u64::from(self.pace.fps()) } else { 1 };
        let pause = match self.model.dirty {
            // The end of the frame that is under way is waited for.
            _ if self.sending => return None,
            Dirty::No => return self.model.next_change(),
            Dirty::ByInput => AFTER_INPUT,
            Dirty::ByData => 1_000 / fps,
        };
        let frame = self.painted.map_or(Moment(0), |painted| painted.plus(pause));
        Some(self.model.next_change().map_or(frame, |change| change.min(frame)))
    }

    fn until_due(&self) -> Duration {
        const LONG: Duration = Duration::from_secs(3_600);
        if self.suspended {
            return LONG;
        }
        let due = [self.due(), self.late.due()].into_iter().flatten().min();
        due.map_or(LONG, |due| Duration::from_millis(due.since(self.now())))
    }
}
