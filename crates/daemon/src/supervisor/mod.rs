//! The shell around the core: carries out what it decides, and tells it what happened.
//!
//! [`driver`] is the one task that owns the core. [`Handle`] is how everyone else reaches it.
//! [`process`] starts and ends processes, [`confine`] is what they may be and use, [`executable`]
//! why one cannot begin, [`group`] what became of one. [`probe`] asks whether they answer, [`ports`]
//! says who holds a port or, with [`paths`], a socket on disk, [`usage`] what runs use, [`inspect`]
//! whether files hold what runs. [`lock`] keeps a second daemon away, [`records`] are for the one
//! after this, and [`leftover`] is what that does with them. [`output`] is what instances print, [`drain`] says whom a drain waits for,
//! [`publish`] adds the traffic figures and tells consoles, [`canary`] compares generations,
//! [`measures`] hands the counters to those who read them themselves, [`remarks`] says what an
//! application makes harder, [`history`] keeps receipts on disk. [`configuration`] is a new one on its
//! way.

mod canary;
mod configuration;
mod confine;
mod drain;
mod driver;
mod env_file;
mod executable;
mod group;
mod history;
mod inspect;
mod journal;
mod leftover;
mod lock;
mod measures;
mod meter;
pub(crate) mod output;
mod paths;
mod ports;
mod preflight;
mod probe;
mod process;
mod publish;
mod records;
mod remarks;
mod sockets;
#[cfg(test)]
mod staged;
mod strays;
mod usage;
mod users;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use smoothserve_protocol::event::{EventBatch, EventKind};
use smoothserve_protocol::id::{EventSeq, ServiceName, Slot};
use smoothserve_protocol::log::LogBatch;
use smoothserve_protocol::message::{Done, Refusal};
use smoothserve_protocol::snapshot::Snapshot;
use tokio::sync::{mpsc, oneshot, watch};

use crate::core::{Command, Input};

pub(crate) use self::configuration::{Configuration, Problems};
pub(crate) use self::driver::{Disk, Driver, Fixed};
pub(crate) use self::history::open as open_history;
use self::history::{History, Past};
pub(crate) use self::inspect::Inspector;
use self::journal::Journal;
pub(crate) use self::lock::Lock;
pub use self::lock::LockError;
pub(crate) use self::measures::{Measures, ServiceMeasures};
#[cfg(test)]
pub(crate) use self::measures::{RunMeasures, Turns};
use self::output::Outputs;
pub(crate) use self::output::{Question, Subscription};
pub(crate) use self::ports::port_holder;
pub(crate) use self::records::Records;
#[cfg(test)]
pub(crate) use self::staged::Staged;

/// What reaches the driver.
enum Message {
    /// Something happened.
    Input(Input),
    /// Somebody asks for something, and waits.
    Ask(Command, oneshot::Sender<Result<Done, Refusal>>),
    /// What the runs use was read.
    Used(usage::Reading),
    /// Somebody should know this of an instance.
    Warn(ServiceName, Slot, String),
    /// A new configuration is to be in force.
    Configure(Box<Configuration>),
    /// The files of the configuration are wrong, and nothing changes.
    Problems(Problems),
    /// Somebody wants to see how things are now.
    Look(oneshot::Sender<Arc<Snapshot>>),
    /// Somebody wants to read the counters.
    Measure(oneshot::Sender<Measures>),
}

/// Where tasks of the supervisor put what happened.
///
/// Unbounded: what comes in is bounded by the number of runs and of command sessions, and the
/// proxy's ring must never wait.
#[derive(Clone)]
struct Inbox(mpsc::UnboundedSender<Message>);

impl Inbox {
    fn put(&self, input: Input) {
        // The driver is gone: the daemon exits, and nobody needs to know any more.
        let _ = self.0.send(Message::Input(input));
    }

    fn warn(&self, service: ServiceName, slot: Slot, text: String) {
        // As above.
        let _ = self.0.send(Message::Warn(service, slot, text));
    }

    fn put_usage(&self, reading: usage::Reading) {
        // As above.
        let _ = self.0.send(Message::Used(reading));
    }
}

/// Reaches the supervisor; cheap to clone.
#[derive(Clone)]
pub(crate) struct Handle {
    inbox: Inbox,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    journal: Arc<Journal>,
    history: History,
    outputs: Arc<Outputs>,
    watchers: Arc<AtomicUsize>,
}

/// While one lives, figures are published ten times a second rather than once.
#[derive(Debug)]
pub(crate) struct Watching {
    watchers: Arc<AtomicUsize>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Handle {
    /// Tells the core that something happened.
    pub(crate) fn notify(&self, input: Input) {
        self.inbox.put(input);
    }

    /// Tells whoever looks at the event log.
    pub(crate) fn warn(&self, service: Option<&ServiceName>, text: String) {
        self.journal.note(service.cloned(), None, EventKind::Warning { text });
    }

    /// Has a new configuration come into force.
    pub(crate) fn configure(&self, configuration: Configuration) {
        // The driver is gone: the daemon exits, and nobody needs it any more.
        let _ = self.inbox.0.send(Message::Configure(Box::new(configuration)));
    }

    /// Tells what is wrong with the files of a configuration that stays as it is.
    pub(crate) fn tell_problems(&self, problems: Problems) {
        // As above.
        let _ = self.inbox.0.send(Message::Problems(problems));
    }

    /// Asks, and does not wait for the answer.
    pub(crate) fn order(&self, command: Command) {
        // The driver is gone: there is nothing left to command.
        let _ = self.inbox.0.send(Message::Ask(command, oneshot::channel().0));
    }

    /// Asks, and waits for the answer as long as it takes.
    ///
    /// # Cancel safety
    /// Dropping the future changes nothing: the command goes on.
    pub(crate) async fn request(&self, command: Command) -> Result<Done, Refusal> {
        let (answer, answered) = oneshot::channel();
        if self.inbox.0.send(Message::Ask(command, answer)).is_err() {
            return Err(Refusal::ShuttingDown);
        }
        answered.await.unwrap_or(Err(Refusal::ShuttingDown))
    }

    /// The state as it is now; none when the daemon is on its last step.
    pub(crate) async fn look(&self) -> Option<Arc<Snapshot>> {
        let (show, shown) = oneshot::channel();
        self.inbox.0.send(Message::Look(show)).ok()?;
        shown.await.ok()
    }

    /// Everything that is measured; none when the daemon is on its last step.
    pub(crate) async fn measure(&self) -> Option<Measures> {
        let (show, shown) = oneshot::channel();
        self.inbox.0.send(Message::Measure(show)).ok()?;
        shown.await.ok()
    }

    /// The newest state, and each later one; some are skipped when they come fast.
    pub(crate) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Events after `after`, at most `limit`, the newest of them.
    pub(crate) fn events(&self, after: Option<EventSeq>, limit: usize) -> EventBatch {
        self.journal.after(after, limit)
    }

    /// Every service there is, by name.
    pub(crate) fn services(&self) -> Vec<ServiceName> {
        self.snapshots.borrow().services.iter().map(|service| service.row.name.clone()).collect()
    }

    /// What the instances of a service printed last.
    pub(crate) fn printed(
        &self,
        question: Question,
    ) -> impl Future<Output = LogBatch> + Send + use<> {
        self.outputs.ask(question)
    }

    /// The same, and what they print from then on.
    pub(crate) fn follow(
        &self,
        question: Question,
    ) -> (impl Future<Output = LogBatch> + Send + use<>, Subscription) {
        self.outputs.follow(question)
    }

    /// The newest event's number, and each later one.
    pub(crate) fn event_numbers(&self) -> watch::Receiver<EventSeq> {
        self.journal.numbers()
    }

    /// Receipts of one service or of all, newest first, at most `limit`.
    ///
    /// # Errors
    /// The service does not exist, and has left nothing.
    pub(crate) async fn history(
        &self,
        service: Option<ServiceName>,
        limit: u32,
    ) -> Result<Done, Refusal> {
        let receipts = self.history.read(service.clone(), limit as usize).await;
        let receipts = receipts.ok_or(Refusal::ShuttingDown)?;
        if let Some(name) = service
            && receipts.is_empty()
        {
            let snapshot = self.snapshots.borrow();
            let known: Vec<_> = snapshot.services.iter().map(|s| s.row.name.clone()).collect();
            if !known.contains(&name) {
                return Err(Refusal::UnknownService { name, known });
            }
        }
        Ok(Done::History(receipts))
    }

    /// Says that somebody looks.
    pub(crate) fn watch(&self) -> Watching {
        self.watchers.fetch_add(1, Ordering::Relaxed);
        // Wakes the driver, which may be waiting for the slower tick; nobody needs this answer.
        let _ = self.inbox.0.send(Message::Look(oneshot::channel().0));
        Watching { watchers: Arc::clone(&self.watchers) }
    }
}
