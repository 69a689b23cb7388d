//! Tells which services have had a file changed.
//!
//! The only file that names notify. It reports and does not judge: when enough time has passed and
//! whether the content differs is decided by who is told.
//!
//! Deploys replace files by renaming, point symbolic links elsewhere, and remove whole folders to
//! make them anew. So a path is never watched alone: every folder on the way to it is watched for
//! entries that come and go, and what is on the way is watched anew when one does. A path that is
//! missing needs no treatment of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use notify::event::{AccessKind, AccessMode, EventKind, MetadataKind, ModifyKind};
use notify::{Error, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use smoothserve_protocol::id::ServiceName;
use tracing::warn;

use crate::config::ServiceConfig;

/// Events that may wait; when there are more, every service is reported as changed.
const QUEUE: usize = 1024;

/// How often the tree may change while it is being armed before that is left to its next event.
const ATTEMPTS: usize = 8;

/// Watches until it is dropped. A report that has begun then may still end.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    wake: SyncSender<Message>,
}

/// What the two threads tell each other beside the queue.
#[derive(Debug, Default)]
struct Shared {
    is_stopped: AtomicBool,
    /// Events were lost, so anything may have changed.
    has_lost: AtomicBool,
}

enum Message {
    Event(Event),
    Failed(Error),
    /// Look at [`Shared`].
    Wake,
}

/// Watches what the services with `auto_restart` watch, and calls `changed` from a thread of its
/// own with the path that changed, as often as it does.
///
/// Changes after the return are reported. What cannot be watched is logged and does not stop the
/// rest; a path that does not exist is reported when it appears.
pub fn watch(
    services: &[Arc<ServiceConfig>],
    changed: impl Fn(&ServiceName, PathBuf) + Send + 'static,
) -> Watcher {
    let shared = Arc::new(Shared::default());
    let (wake, queue) = sync_channel(QUEUE);
    let targets = targets(services);
    if !targets.is_empty() {
        start(targets, Arc::clone(&shared), wake.clone(), queue, changed);
    }
    Watcher { shared, wake }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.is_stopped.store(true, Ordering::Release);
        // Full: the thread is awake and will see it. Disconnected: it has ended.
        let _ = self.wake.try_send(Message::Wake);
    }
}

fn targets(services: &[Arc<ServiceConfig>]) -> Vec<Target> {
    let watching = services.iter().filter(|service| service.auto_restart);
    let pairs = watching.flat_map(|service| service.watch.iter().map(move |path| (service, path)));
    pairs
        .map(|(service, path)| {
            let is_there = path.exists();
            if !is_there {
                let path = path.display();
                warn!(service = %service.name, %path, "a watched path does not exist yet");
            }
            Target { service: service.name.clone(), path: path.clone(), is_there }
        })
        .collect()
}

fn start(
    targets: Vec<Target>,
    shared: Arc<Shared>,
    wake: SyncSender<Message>,
    queue: Receiver<Message>,
    changed: impl Fn(&ServiceName, PathBuf) + Send + 'static,
) {
    let notify = match notify::recommended_watcher(handler(Arc::clone(&shared), wake)) {
        Ok(notify) => notify,
        Err(error) => {
            warn!(
                %error,
                "files cannot be watched, auto_restart does nothing; \
                 is the limit fs.inotify.max_user_instances reached?"
            );
            return;
        }
    };
    let mut places =
        Places { notify, armed: BTreeMap::new(), told: BTreeSet::new(), is_limit_told: false };
    places.arm(&targets);
    let mut files = Files { shared, targets, places };
    let thread = thread::Builder::new().name("files".into());
    if let Err(error) = thread.spawn(move || files.run(&queue, changed)) {
        warn!(%error, "files cannot be watched, auto_restart does nothing");
    }
}

/// Runs in notify's thread, which must not wait: ours waits for it when it arms a place.
fn handler(
    shared: Arc<Shared>,
    queue: SyncSender<Message>,
) -> impl FnMut(Result<Event, Error>) + Send + 'static {
    move |result| {
        let message = match result {
            Ok(event) if is_change(&event) => Message::Event(event),
            Ok(_) => return,
            Err(error) => Message::Failed(error),
        };
        if queue.try_send(message).is_err() {
            shared.has_lost.store(true, Ordering::Release);
        }
    }
}

/// Reading a file is no change, nor is having read it.
fn is_change(event: &Event) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Modify(ModifyKind::Metadata(MetadataKind::AccessTime)) => false,
        EventKind::Other => event.need_rescan(),
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) => true,
    }
}

/// Whether a name now stands for something else, or for nothing.
fn is_move(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
    )
}

/// A path that a service watches.
#[derive(Debug)]
struct Target {
    service: ServiceName,
    path: PathBuf,
    /// As of the last look.
    is_there: bool,
}

/// Our thread.
struct Files {
    shared: Arc<Shared>,
    targets: Vec<Target>,
    places: Places,
}

impl Files {
    fn run(&mut self, queue: &Receiver<Message>, changed: impl Fn(&ServiceName, PathBuf)) {
        while let Ok(message) = queue.recv() {
            if self.shared.is_stopped.load(Ordering::Acquire) {
                return;
            }
            let mut changes = match message {
                Message::Event(event) if event.need_rescan() => self.everything(),
                Message::Event(event) => self.changes(&event),
                Message::Failed(error) => {
                    self.places.tell(&error);
                    BTreeSet::new()
                }
                Message::Wake => BTreeSet::new(),
            };
            if self.shared.has_lost.swap(false, Ordering::AcqRel) {
                changes.extend(self.everything());
            }
            for (service, path) in changes {
                changed(&service, path);
            }
        }
    }

    /// The services that `event` is about, after watching anew what it has moved.
    fn changes(&mut self, event: &Event) -> BTreeSet<(ServiceName, PathBuf)> {
        let mut changes = BTreeSet::new();
        for path in &event.paths {
            let is_on_the_way = |target: &Target| target.path.starts_with(path);
            if is_move(&event.kind) && self.targets.iter().any(is_on_the_way) {
                self.places.disarm(path);
                self.places.arm(&self.targets);
                changes.extend(self.moved(path));
            }
            let inside = self.targets.iter().filter(|target| path.starts_with(&target.path));
            changes.extend(inside.map(|target| (target.service.clone(), path.clone())));
        }
        changes
    }

    /// The services whose target was or is now to be found by way of `path`.
    fn moved(&mut self, path: &Path) -> BTreeSet<(ServiceName, PathBuf)> {
        let mut changes = BTreeSet::new();
        for target in self.targets.iter_mut().filter(|target| target.path.starts_with(path)) {
            let was_there = std::mem::replace(&mut target.is_there, target.path.exists());
            if was_there || target.is_there {
                changes.insert((target.service.clone(), target.path.clone()));
            }
        }
        changes
    }

    /// Every target, as nobody knows which of them changed.
    fn everything(&mut self) -> BTreeSet<(ServiceName, PathBuf)> {
        self.places.disarm(Path::new("/"));
        self.places.arm(&self.targets);
        self.targets.iter().map(|target| (target.service.clone(), target.path.clone())).collect()
    }
}

/// The folders that notify watches for us.
struct Places {
    notify: RecommendedWatcher,
    armed: BTreeMap<PathBuf, Depth>,
    /// Places that a warning has named.
    told: BTreeSet<PathBuf>,
    /// A warning about the limit was given.
    is_limit_told: bool,
}

/// How much of a folder is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Entries,
    Everything,
}

impl Places {
    /// Watches what leads to the targets and is there.
    ///
    /// A folder that appears after the look and before the watch is seen by the next look.
    fn arm(&mut self, targets: &[Target]) {
        for _ in 0..ATTEMPTS {
            let wanted = wanted(targets);
            if wanted == self.armed {
                return;
            }
            if !self.change_to(&wanted) {
                return;
            }
        }
    }

    /// False if a place could not be watched; it is tried again at the next occasion.
    fn change_to(&mut self, wanted: &BTreeMap<PathBuf, Depth>) -> bool {
        let outdated: Vec<_> = self
            .armed
            .iter()
            .filter(|(path, depth)| wanted.get(*path) != Some(*depth))
            .map(|(path, _)| path.clone())
            .collect();
        for path in outdated {
            self.forget(&path);
        }
        let mut is_complete = true;
        for (path, depth) in wanted {
            if !self.armed.contains_key(path) {
                is_complete &= self.add(path, *depth);
            }
        }
        is_complete
    }

    fn add(&mut self, path: &Path, depth: Depth) -> bool {
        let mode = match depth {
            Depth::Entries => RecursiveMode::NonRecursive,
            Depth::Everything => RecursiveMode::Recursive,
        };
        match self.notify.watch(path, mode) {
            Ok(()) => {
                self.armed.insert(path.to_owned(), depth);
                true
            }
            // Gone since the look; the next one will see that.
            Err(error) if matches!(error.kind, ErrorKind::PathNotFound) => true,
            Err(error) => {
                self.tell(&error);
                false
            }
        }
    }

    /// Stops watching `path` and all below it: the names may stand for other folders now.
    fn disarm(&mut self, path: &Path) {
        let below: Vec<_> =
            self.armed.keys().filter(|place| place.starts_with(path)).cloned().collect();
        for place in below {
            self.forget(&place);
        }
    }

    fn forget(&mut self, path: &Path) {
        self.armed.remove(path);
        // An error says that notify has forgotten it already, since the folder is gone.
        let _ = self.notify.unwatch(path);
    }

    /// Warns, once for the limit and once for any other place.
    fn tell(&mut self, error: &Error) {
        if matches!(error.kind, ErrorKind::MaxFilesWatch) {
            if !std::mem::replace(&mut self.is_limit_told, true) {
                warn!(
                    paths = ?error.paths,
                    "some files are not watched: the limit is reached; \
                     raise it with sysctl fs.inotify.max_user_watches=1048576, then restart"
                );
            }
            return;
        }
        let is_new =
            error.paths.iter().filter(|path| self.told.insert((*path).clone())).count() > 0;
        if is_new || error.paths.is_empty() {
            warn!(%error, "some files are not watched");
        }
    }
}

/// The folders on the way to the targets, and the targets that are folders.
fn wanted(targets: &[Target]) -> BTreeMap<PathBuf, Depth> {
    let mut wanted = BTreeMap::new();
    for target in targets {
        for folder in target.path.ancestors().skip(1).filter(|path| path.is_dir()) {
            wanted.entry(folder.to_owned()).or_insert(Depth::Entries);
        }
        if target.path.is_dir() {
            wanted.insert(target.path.clone(), Depth::Everything);
        }
    }
    let is_whole = |path: &Path| wanted.get(path) == Some(&Depth::Everything);
    // Asking notify for a folder inside a whole one would make it less than whole.
    let within: Vec<_> =
        wanted.keys().filter(|path| path.ancestors().skip(1).any(is_whole)).cloned().collect();
    for path in within {
        wanted.remove(&path);
    }
    wanted
}

#[cfg(test)]
mod tests;
