//! What is heard from the system about folders.
//!
//! The only file that names notify. Notices are merged until somebody takes them: a path that
//! changed a thousand times changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use notify::event::{AccessKind, AccessMode, EventKind, MetadataKind, ModifyKind};
use notify::{Error, ErrorKind, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use rustix::io::Errno;

use super::Problem;
use super::target::Target;

/// Paths that may wait; when there are more, everything is looked at anew.
const MOST_WAITING: usize = 100_000;

/// What happened since somebody looked last.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) changed: BTreeMap<PathBuf, Change>,
    /// Something was missed, so anything may have changed.
    pub(super) is_incomplete: bool,
    /// What the system said went wrong.
    pub(super) problems: Vec<String>,
    /// What is to be watched from now on.
    pub(super) update: Option<Update>,
    is_over: bool,
}

/// Other targets than before.
#[derive(Debug)]
pub(super) struct Update {
    pub(super) targets: Vec<Target>,
    pub(super) problems: Vec<Problem>,
    /// Told when they are watched; dropped when they never will be.
    pub(super) done: SyncSender<()>,
}

/// What became of a path, the weaker first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// It was written or touched.
    Written,
    /// Its name stands for something else now, or for nothing.
    Moved,
}

impl News {
    fn is_none(&self) -> bool {
        let Self { changed, is_incomplete, problems, update, is_over } = self;
        changed.is_empty() && !is_incomplete && problems.is_empty() && update.is_none() && !is_over
    }

    pub(super) fn add(&mut self, path: PathBuf, change: Change) {
        if self.changed.len() >= MOST_WAITING {
            self.is_incomplete = true;
            self.changed.clear();
        } else if !self.is_incomplete {
            let known = self.changed.entry(path).or_insert(change);
            *known = change.max(*known);
        }
    }
}

/// Where notices wait.
#[derive(Debug, Default)]
pub(super) struct Notices {
    waiting: Mutex<News>,
    more: Condvar,
}

impl Notices {
    fn lock(&self) -> MutexGuard<'_, News> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to what waits, unless nobody takes it any more.
    pub(super) fn put(&self, add: impl FnOnce(&mut News)) {
        let mut news = self.lock();
        if !news.is_over {
            add(&mut news);
            self.more.notify_one();
        }
    }

    /// Ends the wait of whoever waits, now and later.
    pub(super) fn end(&self) {
        self.put(|news| *news = News { is_over: true, ..News::default() });
    }

    /// Waits until something has happened, or `until`; none when it is over.
    pub(super) fn take(&self, until: Option<Instant>) -> Option<News> {
        let mut news = self.lock();
        while news.is_none() {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            news = match left {
                None => self.more.wait(news).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => break,
                Some(left) => {
                    let waited = self.more.wait_timeout(news, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        if news.is_over {
            return None;
        }
        Some(std::mem::take(&mut *news))
    }
}

/// Hears what happens to the entries of folders.
pub(super) trait Listen: Send {
    /// From now on, of `folder` too.
    fn listen(&mut self, folder: &Path) -> Result<(), Deaf>;

    fn forget(&mut self, folder: &Path);
}

pub(super) type Listener = Box<dyn Listen>;

/// Why a folder cannot be listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deaf {
    /// It is not there.
    Gone,
    /// The system listens to no more; which limit that is.
    Limit(&'static str),
    Other(String),
}

/// Inotify, by way of notify.
struct Ear(RecommendedWatcher);

/// Listens, and puts there what it hears.
pub(super) fn listener(notices: &Arc<Notices>) -> Result<Listener, Deaf> {
    let notices = Arc::clone(notices);
    let heard = move |result| notices.put(|news| hear(news, result));
    match notify::recommended_watcher(heard) {
        Ok(watcher) => Ok(Box::new(Ear(watcher))),
        Err(Error { kind: ErrorKind::Io(error), .. })
            if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) =>
        {
            Err(Deaf::Limit("fs.inotify.max_user_instances"))
        }
        Err(error) => Err(Deaf::Other(error.to_string())),
    }
}

impl Listen for Ear {
    fn listen(&mut self, folder: &Path) -> Result<(), Deaf> {
        self.0.watch(folder, RecursiveMode::NonRecursive).map_err(|error| match error.kind {
            ErrorKind::PathNotFound => Deaf::Gone,
            ErrorKind::MaxFilesWatch => Deaf::Limit("fs.inotify.max_user_watches"),
            ErrorKind::Io(error) => Deaf::Other(error.to_string()),
            _ => Deaf::Other(error.to_string()),
        })
    }

    fn forget(&mut self, folder: &Path) {
        // An error says that it is forgotten already, since the folder is gone.
        let _ = self.0.unwatch(folder);
    }
}

/// Runs in notify's thread, which must not wait: ours waits for it when it listens.
fn hear(news: &mut News, result: Result<Event, Error>) {
    match result {
        Ok(event) if event.need_rescan() => news.is_incomplete = true,
        Ok(event) => {
            if let Some(change) = change(&event.kind) {
                event.paths.into_iter().for_each(|path| news.add(path, change));
            }
        }
        Err(error) => news.problems.push(error.to_string()),
    }
}

/// Reading a file is no change, nor is having read it.
fn change(kind: &EventKind) -> Option<Change> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Change::Written),
        EventKind::Access(_) | EventKind::Other => None,
        EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => {
            Some(Change::Moved)
        }
        EventKind::Modify(ModifyKind::Metadata(MetadataKind::AccessTime)) => None,
        EventKind::Any | EventKind::Modify(_) => Some(Change::Written),
    }
}
