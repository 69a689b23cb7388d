//! The folder with the files of all slots: which are open, how large they are together, which go.
//!
//! `shop-1.log` is the file of the first instance of `shop`, `shop-1.log.1.gz` its newest old one.
//! Other files of the folder are left alone, and not counted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use smoothserve_protocol::id::{ServiceName, Slot};

use crate::config::OutputConfig;
use crate::rotation::{self, Keep, Rotation, Trouble};

/// A file that nothing was written to for so long is closed.
const UNUSED: Duration = Duration::from_secs(60);
/// How often an open file is looked for in its place.
const LOOK: Duration = Duration::from_secs(1);
/// When all files together are too large, this part of what is allowed is freed, so that not every
/// line asks again.
const FREED: u64 = 16;
/// Files that are open take at most this part of what is allowed; the rest can be freed.
const OPEN: u64 = 4;

/// Held while files are given other names; whoever opens several of them holds it meanwhile.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelves(Arc<Mutex<()>>);

impl Shelves {
    pub(super) fn hold(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The files of all slots.
pub(super) struct Shelf {
    config: Arc<OutputConfig>,
    shelves: Shelves,
    open: HashMap<(ServiceName, Slot), Open>,
    /// Bytes of all files together, at most: what was compressed since the last look is counted
    /// as it was.
    total: u64,
    /// Files are looked through when `total` is more.
    look_at: u64,
}

struct Open {
    rotation: Rotation,
    used: Instant,
    looked: Instant,
    /// It cannot be rotated, and that was told.
    is_growing: bool,
}

impl Shelf {
    /// A shelf with nothing open. To be tidied before anything is written, to know its size.
    pub(super) fn new(config: Arc<OutputConfig>, shelves: Shelves) -> Self {
        let look_at = config.max_total;
        Self { config, shelves, open: HashMap::new(), total: 0, look_at }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.config.folder
    }

    /// Appends a line to the file of its slot.
    ///
    /// # Errors
    /// The line is lost; or it is written, and the file cannot be rotated, which is told once.
    pub(super) fn write(
        &mut self,
        service: &ServiceName,
        slot: Slot,
        line: &[u8],
        now: Instant,
    ) -> Result<(), Trouble> {
        let shelves = self.shelves.clone();
        let _in_place = shelves.hold();
        // With many slots, even files of a moderate size would be more than all may be together.
        let share = self.config.max_total / OPEN / (self.open.len() as u64 + 1);
        let max_size = self.config.max_size.min(share).max(1);
        let open = self.opened(service, slot, now)?;
        open.used = now;
        open.rotation.limit_size(max_size);
        let result = open.rotation.write(line);
        if let Err(Trouble::Lost(_)) = result {
            return result;
        }
        let told = std::mem::replace(&mut open.is_growing, result.is_err());
        self.total += line.len() as u64;
        if self.total > self.look_at {
            self.free();
        }
        if told { Ok(()) } else { result }
    }

    /// The open file of a slot. One that was taken away is begun anew.
    fn opened(
        &mut self,
        service: &ServiceName,
        slot: Slot,
        now: Instant,
    ) -> Result<&mut Open, Trouble> {
        let place = self.open.entry((service.clone(), slot));
        let OutputConfig { max_size, max_backups, max_age, compress, .. } = *self.config;
        let keep = Keep { max_size, max_backups, max_age, compress };
        let open = || {
            let path = path(&self.config.folder, service, slot);
            let rotation = Rotation::open(path, keep).map_err(Trouble::Lost)?;
            Ok(Open { rotation, used: now, looked: now, is_growing: false })
        };
        match place {
            Entry::Vacant(place) => Ok(place.insert(open()?)),
            Entry::Occupied(place) => {
                let known = place.into_mut();
                if now.duration_since(known.looked) >= LOOK {
                    known.looked = now;
                    if !known.rotation.is_in_place() {
                        *known = open()?;
                    }
                }
                Ok(known)
            }
        }
    }

    /// Closes what nobody writes to, and removes what is too old or too much.
    pub(super) fn tidy(&mut self, now: Instant, today: SystemTime) {
        let shelves = self.shelves.clone();
        let _in_place = shelves.hold();
        self.open.retain(|_, open| now.duration_since(open.used) < UNUSED);
        for file in self.files() {
            let is_old = self
                .config
                .max_age
                .is_some_and(|max| today.duration_since(file.modified).is_ok_and(|age| age > max));
            if file.is_unfinished || (is_old && !file.is_open) {
                // Best effort: it is tried again.
                let _ = fs::remove_file(&file.path);
            }
        }
        self.free();
    }

    /// Removes the oldest files, until all that are left are not too large together.
    fn free(&mut self) {
        let mut files = self.files();
        self.total = files.iter().map(|file| file.size).sum();
        let max = self.config.max_total;
        if self.total > max {
            // Old files first, then those of slots that are no more.
            files.retain(|file| !file.is_open);
            files.sort_by_key(|file| (file.number.is_none(), file.modified));
            for file in files {
                if self.total <= max - max / FREED {
                    break;
                }
                if fs::remove_file(&file.path).is_ok() {
                    self.total -= file.size;
                }
            }
        }
        // What cannot be removed is not tried again with each line.
        self.look_at = max.max(self.total + max / FREED);
    }

    /// Every file of ours.
    fn files(&self) -> Vec<Found> {
        let Ok(entries) = fs::read_dir(&self.config.folder) else { return Vec::new() };
        let found = entries.filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let name = name.to_str()?;
            let whole = name.strip_suffix(".unfinished");
            let (base, number) = match rotation::split_number(whole.unwrap_or(name)) {
                Some((base, number)) => (base, Some(number)),
                None => (name, None),
            };
            let (service, slot) = owner(base)?;
            let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
            Some(Found {
                path: entry.path(),
                number,
                size: metadata.len(),
                modified: metadata.modified().ok()?,
                is_open: number.is_none() && self.open.contains_key(&(service, slot)),
                // This thread alone compresses, and does not do so now.
                is_unfinished: whole.is_some(),
            })
        });
        found.collect()
    }
}

/// A file of ours.
struct Found {
    path: PathBuf,
    /// Of an old file.
    number: Option<usize>,
    size: u64,
    modified: SystemTime,
    is_open: bool,
    /// What is left of a daemon that ended while it compressed.
    is_unfinished: bool,
}

/// The file of a slot that is written to.
pub(super) fn path(folder: &Path, service: &ServiceName, slot: Slot) -> PathBuf {
    folder.join(format!("{service}-{slot}.log"))
}

/// Whose file this is: `shop` and the first slot for `shop-1.log`.
fn owner(name: &str) -> Option<(ServiceName, Slot)> {
    let (service, number) = name.strip_suffix(".log")?.rsplit_once('-')?;
    let slot = number.parse::<u16>().ok()?.checked_sub(1)?;
    Some((ServiceName::new(service).ok()?, Slot(slot)))
}

/// The slots of which there are files, old ones included.
pub(super) fn slots(folder: &Path, service: &ServiceName) -> Vec<Slot> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let found = entries.filter_map(|entry| {
        let name = entry.ok()?.file_name();
        let name = name.to_str()?;
        let base = rotation::split_number(name).map_or(name, |(base, _)| base);
        owner(base).filter(|(owner, _)| owner == service).map(|(_, slot)| slot)
    });
    let mut slots: Vec<Slot> = found.collect();
    slots.sort_unstable();
    slots.dedup();
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(folder: &Path) -> OutputConfig {
        OutputConfig {
            folder: folder.join("output"),
            max_size: 100,
            max_backups: 0,
            max_age: None,
            compress: false,
            max_total: 1_000_000,
        }
    }

    fn shelf(config: OutputConfig) -> Shelf {
        let mut shelf = Shelf::new(Arc::new(config), Shelves::default());
        shelf.tidy(Instant::now(), SystemTime::now());
        shelf
    }

    fn shop() -> ServiceName {
        ServiceName::new("shop").unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder.join("output")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn size(folder: &Path) -> u64 {
        let entries = fs::read_dir(folder.join("output")).unwrap();
        entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    }

    #[test]
    fn each_slot_has_a_file_and_its_older_ones() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = shelf(OutputConfig { max_backups: 1, ..config(folder.path()) });
        for _ in 0..3 {
            shelf.write(&shop(), Slot(0), &[b'x'; 80], Instant::now()).unwrap();
        }
        shelf.write(&shop(), Slot(1), b"y\n", Instant::now()).unwrap();
        assert_eq!(names(folder.path()), ["shop-1.log", "shop-1.log.1", "shop-2.log"]);
        assert_eq!(slots(&folder.path().join("output"), &shop()), [Slot(0), Slot(1)]);
    }

    #[test]
    fn all_files_together_stay_below_the_cap_and_the_newest_lines_stay() {
        let folder = tempfile::tempdir().unwrap();
        let config = OutputConfig { max_total: 2000, max_size: 5000, ..config(folder.path()) };
        let mut shelf = shelf(config);
        for n in 0..200 {
            let line = format!("{n:049}\n");
            for slot in 0..4 {
                shelf.write(&shop(), Slot(slot), line.as_bytes(), Instant::now()).unwrap();
                let size = size(folder.path());
                assert!(size <= 2000 + 2000 / FREED, "{size} bytes after line {n}");
            }
        }
        for slot in 0..4 {
            let text = fs::read_to_string(path(shelf.folder(), &shop(), Slot(slot))).unwrap();
            assert!(text.ends_with("199\n"), "{text}");
        }
        assert!(size(folder.path()) > 1000);
    }

    #[test]
    fn strangers_in_the_folder_are_neither_counted_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let config = OutputConfig { max_total: 1000, ..config(folder.path()) };
        fs::create_dir(&config.folder).unwrap();
        for stranger in ["notes.txt", "app.log", "shop-0.log", "shop-1.log.20240131"] {
            fs::write(config.folder.join(stranger), [b'x'; 2000]).unwrap();
        }
        fs::write(config.folder.join("shop-9.log"), [b'x'; 2000]).unwrap();
        fs::write(config.folder.join("shop-1.log.1.unfinished"), "half").unwrap();
        let _shelf = shelf(config);
        let left = ["app.log", "notes.txt", "shop-0.log", "shop-1.log.20240131"];
        assert_eq!(names(folder.path()), left);
    }

    #[test]
    fn what_is_too_old_goes_unless_it_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        let mut shelf = shelf(OutputConfig { max_age: Some(day), ..config(folder.path()) });
        shelf.write(&shop(), Slot(0), b"x\n", Instant::now()).unwrap();
        for name in ["shop-1.log", "shop-1.log.1", "shop-2.log", "gone-1.log.2.gz"] {
            let path = folder.path().join("output").join(name);
            let file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - 2 * day).unwrap();
        }
        shelf.tidy(Instant::now(), SystemTime::now());
        assert_eq!(names(folder.path()), ["shop-1.log"]);
        shelf.tidy(Instant::now() + UNUSED, SystemTime::now());
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn a_folder_that_was_removed_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = shelf(config(folder.path()));
        let now = Instant::now();
        shelf.write(&shop(), Slot(0), b"one\n", now).unwrap();
        fs::remove_dir_all(shelf.folder()).unwrap();
        shelf.write(&shop(), Slot(0), b"two\n", now + LOOK).unwrap();
        let text = fs::read_to_string(path(shelf.folder(), &shop(), Slot(0))).unwrap();
        assert_eq!(text, "two\n");
    }

    #[test]
    fn a_folder_that_cannot_be_written_costs_the_line() {
        let config = OutputConfig { folder: "/dev/null/output".into(), ..config(Path::new("/")) };
        let mut shelf = shelf(config);
        let result = shelf.write(&shop(), Slot(0), b"x\n", Instant::now());
        assert!(matches!(result, Err(Trouble::Lost(_))), "{result:?}");
    }
}
