//! What the watched files of a service hold, so that a touch can be told from a change.
//!
//! Files are listed first, which is quick, and read later: what was read then is known to be what
//! was there when it was listed, or is not known at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::rules::{OwnFiles, Patterns, Rules};
use super::walk::{Place, Walk};
use crate::config::ServiceConfig;

/// What is read at most; files beyond are told apart by their size and times alone.
const MOST_READ: Budget = Budget { files: 10_000, bytes: 1 << 30 };
/// More entries than this are not compared at all.
const MOST_ENTRIES: usize = 200_000;
/// A file that was written so shortly before may be written again within the same tick of its
/// file system's clock, and look the same.
const TICK_NANOS: i128 = 2_000_000_000;

/// What the watched files of a service hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    /// Where watched paths lead; none: nowhere.
    ways: BTreeMap<PathBuf, Option<PathBuf>>,
    entries: BTreeMap<PathBuf, Entry>,
    /// There were more entries than are listed.
    is_cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Where it points, if it is a symbolic link.
    link: Option<PathBuf>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    File(FileEntry),
    Folder,
    /// Neither, or a link to nothing.
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileEntry {
    stamp: Stamp,
    /// It had not been written for a while when it was listed, so its stamp tells it.
    is_old: bool,
    hash: Option<[u8; 32]>,
}

/// What tells a version of a file from the next, as far as that goes without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// That of the file at `path`, which may be a link to it; none if there is none.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|found| Self::from(&found))
    }

    /// Written or touched, and no other file.
    pub(super) fn is_of_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    fn is_old(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let changed = i128::from(self.changed.0) * 1_000_000_000 + i128::from(self.changed.1);
        i128::try_from(now).unwrap_or(i128::MAX) - changed > TICK_NANOS
    }
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// What reading may still cost.
#[derive(Clone, Copy)]
struct Budget {
    files: usize,
    bytes: u64,
}

impl Budget {
    fn affords(&mut self, bytes: u64) -> bool {
        let left = self.files.checked_sub(1).zip(self.bytes.checked_sub(bytes));
        if let Some((files, bytes)) = left {
            *self = Self { files, bytes };
        }
        left.is_some()
    }
}

impl Contents {
    /// Lists what `service` watches. Blocks: call it off the async threads.
    pub(crate) fn list(service: &ServiceConfig, own: &Arc<OwnFiles>) -> Self {
        let mut contents = Self::default();
        let (patterns, _) = Patterns::new(service);
        let now = SystemTime::now();
        for path in super::watched_paths(service, own) {
            let real = path.canonicalize().ok();
            contents.ways.insert(path.to_owned(), real.clone());
            let Some(real) = real else { continue };
            let place = Place { name: path.to_owned(), real };
            if place.real.is_dir() {
                let rules = Rules::new(path, service, patterns.clone(), Arc::clone(own));
                contents.list_folder(place, rules, now);
            } else {
                contents.insert(&place, false, now);
            }
        }
        contents
    }

    fn list_folder(&mut self, root: Place, mut rules: Rules, now: SystemTime) {
        let mut walk = Walk::from(root);
        while let Some(folder) = walk.next() {
            for entry in rules.entries(&folder) {
                if self.entries.len() >= MOST_ENTRIES {
                    self.is_cut = true;
                    return;
                }
                self.insert(&entry.place, entry.is_link, now);
                walk.add(entry);
            }
        }
    }

    fn insert(&mut self, place: &Place, is_link: bool, now: SystemTime) {
        let link = if is_link { fs::read_link(&place.real).ok() } else { None };
        let kind = match fs::metadata(&place.real) {
            Ok(found) if found.is_file() => {
                let stamp = Stamp::from(&found);
                Kind::File(FileEntry { stamp, is_old: stamp.is_old(now), hash: None })
            }
            Ok(found) if found.is_dir() => Kind::Folder,
            Ok(_) | Err(_) => Kind::Other,
        };
        self.entries.insert(place.name.clone(), Entry { link, kind });
    }

    /// Reads what was listed, as far as `before` does not know it already. Blocks.
    ///
    /// `first` is read first, so that it is read whatever else there is.
    pub(crate) fn read(&mut self, first: &Path, before: Option<&Self>) {
        self.read_within(MOST_READ, first, before);
    }

    fn read_within(&mut self, mut budget: Budget, first: &Path, before: Option<&Self>) {
        let known = |path: &Path| match &before?.entries.get(path)?.kind {
            Kind::File(file) => Some(file.clone()),
            Kind::Folder | Kind::Other => None,
        };
        let (mut one, mut rest): (Vec<_>, Vec<_>) =
            self.entries.iter_mut().partition(|(path, _)| *path == first);
        for (path, entry) in one.iter_mut().chain(&mut rest) {
            let Kind::File(file) = &mut entry.kind else { continue };
            let known = known(path).filter(|known| known.is_old && known.stamp == file.stamp);
            file.hash = match known {
                Some(known) if known.hash.is_some() => known.hash,
                Some(_) | None if budget.affords(file.stamp.size) => hash(path, file.stamp),
                Some(_) | None => None,
            };
        }
    }

    /// The paths that hold something else now; none if nobody can know.
    pub(crate) fn differing(&self, now: &Self) -> Option<BTreeSet<PathBuf>> {
        if self.is_cut || now.is_cut {
            return None;
        }
        let ways = either(&self.ways, &now.ways).filter(|(_, before, now)| before != now);
        let ways = ways.map(|(path, ..)| path.clone());
        let entries = either(&self.entries, &now.entries).filter(|(_, before, now)| {
            before.zip(*now).is_none_or(|(before, now)| !before.is_same(now))
        });
        Some(ways.chain(entries.map(|(path, ..)| path.clone())).collect())
    }

    /// The stamp that the file at `path` had when it was listed.
    pub(crate) fn stamp(&self, path: &Path) -> Option<Stamp> {
        match &self.entries.get(path)?.kind {
            Kind::File(file) => Some(file.stamp),
            Kind::Folder | Kind::Other => None,
        }
    }
}

impl Entry {
    fn is_same(&self, other: &Self) -> bool {
        let is_same = match (&self.kind, &other.kind) {
            (Kind::File(one), Kind::File(other)) => match (one.hash, other.hash) {
                (Some(one), Some(other)) => one == other,
                (None, _) | (_, None) => one.stamp == other.stamp,
            },
            (one, other) => one == other,
        };
        is_same && self.link == other.link
    }
}

/// Every key of both, with what each has under it.
fn either<'a, K: Ord, V>(
    one: &'a BTreeMap<K, V>,
    other: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Option<&'a V>, Option<&'a V>)> {
    let only_other = other.keys().filter(|key| !one.contains_key(key));
    one.keys().chain(only_other).map(|key| (key, one.get(key), other.get(key)))
}

/// The hash of the version of a file that has this stamp; none if it is gone already.
fn hash(path: &Path, stamp: Stamp) -> Option<[u8; 32]> {
    let mut file = File::open(path).ok()?;
    let is_it = |file: &File| file.metadata().is_ok_and(|found| Stamp::from(&found) == stamp);
    if !is_it(&file) {
        return None;
    }
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(size) => hasher.update(&piece[..size]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    is_it(&file).then(|| hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;

    fn listed(folder: &Path) -> Contents {
        let mut service = crate::core::sample_service("shop", 1);
        service.executable = folder.join("app");
        service.watch = vec![folder.join("view"), folder.join("late")];
        service.watch_ignore = vec!["*.tmp".to_owned()];
        Contents::list(&service, &Arc::default())
    }

    fn read(folder: &Path, before: Option<&Contents>) -> Contents {
        let mut contents = listed(folder);
        contents.read(&folder.join("app"), before);
        contents
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("app"), "one").unwrap();
        fs::create_dir_all(folder.path().join("view/deep")).unwrap();
        fs::write(folder.path().join("view/deep/page"), "page").unwrap();
        folder
    }

    #[track_caller]
    fn check(before: &Contents, folder: &Path, expected: &[&str]) {
        let found = before.differing(&read(folder, Some(before))).unwrap();
        let expected = expected.iter().map(|name| folder.join(name)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_touch_is_no_change_and_neither_is_a_replacement_by_the_same() {
        let folder = folder();
        let path = folder.path();
        let before = read(path, None);
        let app = File::open(path.join("app")).unwrap();
        app.set_modified(SystemTime::now() - Duration::from_secs(1000)).unwrap();
        fs::write(path.join("new"), "one").unwrap();
        fs::rename(path.join("new"), path.join("app")).unwrap();
        fs::write(path.join("view/deep/page"), "page").unwrap();
        check(&before, path, &[]);
    }

    #[test]
    fn what_is_new_gone_or_different_is_named() {
        let folder = folder();
        let path = folder.path();
        let before = read(path, None);
        fs::write(path.join("app"), "two").unwrap();
        fs::remove_dir_all(path.join("view/deep")).unwrap();
        fs::create_dir(path.join("view/empty")).unwrap();
        fs::write(path.join("view/page.tmp"), "does not count").unwrap();
        fs::write(path.join("late"), "").unwrap();
        check(&before, path, &["app", "late", "view/deep", "view/deep/page", "view/empty"]);
    }

    #[test]
    fn a_link_that_points_elsewhere_differs_even_if_it_finds_the_same() {
        let folder = folder();
        let path = folder.path();
        for release in ["1", "2"] {
            fs::create_dir(path.join(release)).unwrap();
            fs::write(path.join(release).join("app"), "same").unwrap();
        }
        fs::remove_file(path.join("app")).unwrap();
        symlink("1", path.join("current")).unwrap();
        symlink("current/app", path.join("app")).unwrap();
        symlink("deep", path.join("view/link")).unwrap();
        let before = read(path, None);
        fs::remove_file(path.join("current")).unwrap();
        symlink("2", path.join("current")).unwrap();
        fs::remove_file(path.join("view/link")).unwrap();
        symlink("../view/deep", path.join("view/link")).unwrap();
        check(&before, path, &["app", "view/link"]);
    }

    #[test]
    fn a_link_that_leads_back_is_not_followed_for_ever() {
        let folder = folder();
        let path = folder.path();
        symlink("..", path.join("view/deep/up")).unwrap();
        symlink("nowhere", path.join("view/gone")).unwrap();
        let before = read(path, None);
        check(&before, path, &[]);
        fs::write(path.join("view/deep/page"), "other").unwrap();
        check(&before, path, &["view/deep/page"]);
    }

    #[test]
    fn what_changes_between_listing_and_reading_is_not_taken_for_what_was_listed() {
        let folder = folder();
        let path = folder.path();
        let mut before = listed(path);
        fs::write(path.join("new"), "two").unwrap();
        fs::rename(path.join("new"), path.join("app")).unwrap();
        before.read(&path.join("app"), None);
        check(&before, path, &["app"]);
    }

    #[test]
    fn beyond_the_budget_a_touch_counts_as_a_change() {
        let folder = folder();
        let path = folder.path();
        let mut before = listed(path);
        before.read_within(Budget { files: 1, bytes: 1 << 20 }, &path.join("app"), None);
        check(&before, path, &[]);
        for name in ["app", "view/deep/page"] {
            File::open(path.join(name)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
        check(&before, path, &["view/deep/page"]);
    }

    #[test]
    fn where_there_is_too_much_nobody_knows() {
        let folder = folder();
        let mut before = read(folder.path(), None);
        before.is_cut = true;
        assert_eq!(before.differing(&before.clone()), None);
    }
}
