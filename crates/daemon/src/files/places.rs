//! The folders whose entries are watched: by listening where the system tells, else by looking at
//! them every few seconds.
//!
//! A folder may be held many times, and is watched as long as anybody holds it. Which folders those
//! are and what an entry means is not known here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::statfs;

use super::content::Stamp;
use super::notice::{Change, Deaf, Listener, News, Notices};

/// How folders are watched.
#[derive(Clone, Copy)]
pub(super) struct Means {
    pub(super) listener: fn(&Arc<Notices>) -> Result<Listener, Deaf>,
    /// The name of the file system of a folder, if others may change what is on it unheard.
    pub(super) remote: fn(&Path) -> Option<&'static str>,
    pub(super) look_every: Duration,
}

/// Why a folder is not simply listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It is looked at: this limit is reached.
    Limit(&'static str),
    /// It is looked at: it is on a file system of this name.
    Remote(&'static str),
    /// It is looked at: the system does not tell of it, and says why.
    Deaf(String),
    /// It cannot be looked at either.
    Blind(String),
}

/// The folders that are watched, by their real paths.
pub(super) struct Places {
    means: Means,
    notices: Arc<Notices>,
    /// None: not needed yet.
    listener: Option<Result<Listener, Deaf>>,
    places: BTreeMap<PathBuf, Place>,
    look_at: Option<Instant>,
    troubles: Vec<(PathBuf, Trouble)>,
}

struct Place {
    holders: usize,
    watch: Watch,
}

enum Watch {
    /// The folder is gone, or is another one by now; who holds it will say so.
    None,
    Heard,
    Seen(Listing),
}

/// What was in a folder; none where it could not be read.
type Listing = BTreeMap<OsString, Option<Stamp>>;

impl Places {
    pub(super) fn new(means: Means, notices: Arc<Notices>) -> Self {
        Self {
            means,
            notices,
            listener: None,
            places: BTreeMap::new(),
            look_at: None,
            troubles: Vec::new(),
        }
    }

    /// Watches a folder; whatever happens to its entries after the return is noticed.
    pub(super) fn hold(&mut self, folder: &Path) {
        let place = self.places.entry(folder.to_owned());
        let place = place.or_insert(Place { holders: 0, watch: Watch::None });
        place.holders += 1;
        if matches!(place.watch, Watch::None) {
            let watch = self.begin(folder);
            if let Some(place) = self.places.get_mut(folder) {
                place.watch = watch;
            }
        }
    }

    /// Takes back one [`hold`](Self::hold).
    pub(super) fn release(&mut self, folder: &Path) {
        let Some(place) = self.places.get_mut(folder) else { return };
        place.holders -= 1;
        if place.holders == 0 {
            let watch = mem::replace(&mut place.watch, Watch::None);
            self.places.remove(folder);
            self.end(folder, &watch);
        }
    }

    /// Stops watching `path` and all below it: the names may stand for other folders now. Who holds
    /// them has to do so anew.
    pub(super) fn lose(&mut self, path: &Path) {
        let below = self.places.range_mut(path.to_owned()..);
        let below = below.take_while(|(folder, _)| folder.starts_with(path));
        let lost: Vec<_> = below
            .map(|(folder, place)| (folder.clone(), mem::replace(&mut place.watch, Watch::None)))
            .collect();
        for (folder, watch) in lost {
            self.end(&folder, &watch);
        }
    }

    /// What went wrong since it was asked for last.
    pub(super) fn troubles(&mut self) -> Vec<(PathBuf, Trouble)> {
        mem::take(&mut self.troubles)
    }

    fn begin(&mut self, folder: &Path) -> Watch {
        let trouble = match (self.means.remote)(folder) {
            Some(name) => Trouble::Remote(name),
            None => match self.listen(folder) {
                Ok(()) => return Watch::Heard,
                Err(Deaf::Gone) => return Watch::None,
                Err(Deaf::Limit(name)) => Trouble::Limit(name),
                Err(Deaf::Other(error)) => Trouble::Deaf(error),
            },
        };
        match listing(folder) {
            Ok(seen) => {
                self.troubles.push((folder.to_owned(), trouble));
                self.look_at.get_or_insert_with(|| Instant::now() + self.means.look_every);
                Watch::Seen(seen)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Watch::None,
            Err(error) => {
                self.troubles.push((folder.to_owned(), Trouble::Blind(error.to_string())));
                Watch::None
            }
        }
    }

    fn listen(&mut self, folder: &Path) -> Result<(), Deaf> {
        let Self { listener, means, notices, .. } = self;
        match listener.get_or_insert_with(|| (means.listener)(notices)) {
            Ok(listener) => listener.listen(folder),
            Err(deaf) => Err(deaf.clone()),
        }
    }

    fn end(&mut self, folder: &Path, watch: &Watch) {
        if let (Watch::Heard, Some(Ok(listener))) = (watch, &mut self.listener) {
            listener.forget(folder);
        }
    }

    /// When [`look`](Self::look) wants to be called.
    pub(super) fn look_at(&self) -> Option<Instant> {
        self.look_at
    }

    /// Looks at the folders that nobody tells of, if it is time.
    pub(super) fn look(&mut self, news: &mut News) {
        let now = Instant::now();
        if self.look_at.is_none_or(|at| at > now) {
            return;
        }
        let mut is_needed = false;
        for (folder, place) in &mut self.places {
            if let Watch::Seen(seen) = &mut place.watch {
                is_needed = true;
                // Gone: the folder above it tells.
                let after = listing(folder).unwrap_or_default();
                compare(folder, seen, &after, news);
                *seen = after;
            }
        }
        self.look_at = is_needed.then(|| now + self.means.look_every);
    }
}

/// What is in a folder. A link is seen as itself, as a change of what it points to is another's.
fn listing(folder: &Path) -> std::io::Result<Listing> {
    let entries = fs::read_dir(folder)?.flatten();
    Ok(entries
        .map(|entry| (entry.file_name(), entry.metadata().ok().map(|found| Stamp::from(&found))))
        .collect())
}

fn compare(folder: &Path, before: &Listing, after: &Listing, news: &mut News) {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    for name in gone {
        news.add(folder.join(name), Change::Moved);
    }
    for (name, stamp) in after {
        let change = match (before.get(name), stamp) {
            (Some(before), after) if before == after => continue,
            (Some(Some(before)), Some(after)) if before.is_of_same_file(after) => Change::Written,
            _ => Change::Moved,
        };
        news.add(folder.join(name), change);
    }
}

/// The name of the file system of `folder`, if it is shared with other machines: they change what
/// is there, and nobody here is told.
pub(super) fn remote(folder: &Path) -> Option<&'static str> {
    // As in statfs(2).
    match statfs(folder).ok()?.f_type as u32 {
        0x6969 => Some("nfs"),
        0x517b | 0xff53_4d42 | 0xfe53_4d42 => Some("smb"),
        0x0102_1997 => Some("9p"),
        0x6573_5546 => Some("fuse"),
        0x00c3_6400 => Some("ceph"),
        0x5346_414f => Some("afs"),
        _ => None,
    }
}
