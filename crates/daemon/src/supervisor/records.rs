//! Which processes run, written down for a daemon that comes after one that was killed.
//!
//! A file for each run, so that nothing is shared; it is there whole or not at all. A process is
//! told by its number, the moment it began and the boot of the machine together: its number alone
//! may have been given to another. What is done with those that are left over is not known here.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use procfs::process::Process;
use rustix::process::Signal;
use smoothserve_protocol::id::Generation;
use tokio::task::{JoinSet, spawn_blocking};

use super::leftover;

/// Its name in the state folder.
const NAME: &str = "smoothserve.runs";
/// How a record ends that is still being written.
const UNFINISHED: &str = "new";

/// The folder of records.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    folder: Arc<Path>,
    boot: Arc<str>,
    daemon: Option<Being>,
}

/// A process for good, within one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Being {
    pub pid: i32,
    /// In clock ticks since the boot.
    began: u64,
}

/// A run, and how it wants to be ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Traits {
    /// A word.
    pub name: String,
    pub generation: Generation,
    /// None: it listens on a path.
    pub port: Option<u16>,
    pub signal: Signal,
    pub stop_timeout: Duration,
}

impl Traits {
    /// Where it listens, as far as it is known: fits after `on`.
    pub(super) fn place(&self) -> String {
        self.port.map_or_else(|| "a socket".to_owned(), |port| format!("port {port}"))
    }
}

/// Written for a run that has none.
const NO_PORT: u16 = 0;

/// What is written of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    boot: String,
    daemon: Being,
    leader: Being,
    traits: Traits,
}

/// A note that lasts as long as its run does.
#[derive(Debug)]
pub(super) struct Record(Option<Arc<Place>>);

/// Where a note is written, unless the run is over before it has been.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    is_over: Mutex<bool>,
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(place) = &self.0 else { return };
        let mut is_over = place.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        *is_over = true;
        remove(&place.path);
    }
}

impl Place {
    /// Writes beside, and lets it be seen when it is whole.
    ///
    /// What the machine loses with its power is no half of a record: the disk has it first.
    fn write(&self, text: &str) -> io::Result<()> {
        let beside = self.path.with_extension(UNFINISHED);
        let mut file = File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        if *is_over { fs::remove_file(beside) } else { fs::rename(beside, &self.path) }
    }
}

fn remove(path: &Path) {
    // Somebody was tidy; the next daemon finds out what became of it in any case.
    let _ = fs::remove_file(path);
}

impl Being {
    fn of(pid: i32) -> Option<Self> {
        let stat = Process::new(pid).and_then(|process| process.stat()).ok()?;
        // Nothing is left of a zombie but its number.
        (stat.state != 'Z').then_some(Self { pid, began: stat.starttime })
    }

    pub(super) fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

impl Note {
    fn to_text(&self) -> String {
        let Self { boot, daemon, leader, traits } = self;
        let Traits { name, generation, port, signal, stop_timeout } = traits;
        format!(
            "{boot} {} {} {} {} {} {} {} {} {name}\n",
            daemon.pid,
            daemon.began,
            leader.pid,
            leader.began,
            signal.as_raw(),
            stop_timeout.as_millis(),
            generation.0,
            port.unwrap_or(NO_PORT),
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.strip_suffix('\n')?.split(' ').collect();
        let [boot, daemon, daemon_began, leader, leader_began, rest @ ..] = &words[..] else {
            return None;
        };
        let [signal, stop_timeout, generation, port, name] = rest else { return None };
        let being = |pid: &str, began: &str| {
            Some(Being { pid: pid.parse().ok()?, began: began.parse().ok()? })
        };
        Some(Self {
            boot: (*boot).to_owned(),
            daemon: being(daemon, daemon_began)?,
            leader: being(leader, leader_began)?,
            traits: Traits {
                name: (*name).to_owned(),
                generation: Generation(generation.parse().ok()?),
                port: Some(port.parse().ok()?).filter(|port| *port != NO_PORT),
                signal: Signal::from_named_raw(signal.parse().ok()?)?,
                stop_timeout: Duration::from_millis(stop_timeout.parse().ok()?),
            },
        })
    }
}

impl Records {
    /// The records in a state folder.
    pub(crate) fn new(state_dir: &Path) -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            folder: state_dir.join(NAME).into(),
            boot: boot.trim().into(),
            daemon: Being::of(std::process::id() as i32),
        }
    }

    /// Has it written down that the process `leader` runs. To be called in a tokio runtime; does
    /// not wait for the disk.
    pub(super) fn keep(&self, leader: u32, traits: Traits) -> Record {
        // One that has ended already needs no record.
        let (Some(daemon), Some(leader)) = (self.daemon, Being::of(leader as i32)) else {
            return Record(None);
        };
        let path = self.folder.join(leader.pid.to_string());
        let place = Arc::new(Place { path, is_over: Mutex::new(false) });
        let record = Record(Some(Arc::clone(&place)));
        let note = Note { boot: self.boot.to_string(), daemon, leader, traits };
        let folder = Arc::clone(&self.folder);
        // It ends with the disk's answer, and nobody needs to know when.
        spawn_blocking(move || {
            let made = match DirBuilder::new().mode(0o700).create(folder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                Ok(()) | Err(_) => place.write(&note.to_text()),
            };
            if let Err(error) = made {
                let (path, name) = (place.path.display(), &note.traits.name);
                tracing::warn!("{name}: its record cannot be kept: {path}: {error}");
            }
        });
        record
    }

    /// Ends the runs of a daemon that was killed; nothing else, and none of a daemon that lives.
    pub(crate) async fn end_leftovers(&self) {
        let mut ending = JoinSet::new();
        for path in self.files() {
            match self.judge(&path) {
                Verdict::Unfinished => remove(&path),
                Verdict::Useless(why) => {
                    tracing::warn!("record {}: {why}; it is removed", path.display());
                    remove(&path);
                }
                Verdict::Unreadable(error) => {
                    tracing::warn!("record {}: {error}; it is ignored", path.display());
                }
                Verdict::OfAnother => {}
                Verdict::LeftOver(leader, traits) => {
                    ending.spawn(async move {
                        leftover::end(leader, &traits).await;
                        remove(&path);
                    });
                }
            }
        }
        while ending.join_next().await.is_some() {}
    }

    fn judge(&self, path: &Path) -> Verdict {
        if path.extension().is_some_and(|extension| extension == UNFINISHED) {
            return Verdict::Unfinished;
        }
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return Verdict::Unreadable(error),
        };
        let note = std::str::from_utf8(&bytes).ok().and_then(Note::parse);
        let Some(Note { boot, daemon, leader, traits }) = note else {
            return Verdict::Useless("it is damaged".to_owned());
        };
        let what = format!("{}, pid {} on {},", traits.name, leader.pid, traits.place());
        if *boot != *self.boot {
            return Verdict::Useless(format!("{what} ran before the machine was started"));
        }
        if daemon.lives() {
            return Verdict::OfAnother;
        }
        if !leader.lives() {
            return Verdict::Useless(format!("{what} is gone"));
        }
        Verdict::LeftOver(leader, traits)
    }

    /// Every file, if only we can have written them.
    fn files(&self) -> Vec<PathBuf> {
        let Ok(found) = fs::metadata(&self.folder) else { return Vec::new() };
        let us = rustix::process::geteuid().as_raw();
        if found.uid() != us || found.mode() & 0o022 != 0 {
            let folder = self.folder.display();
            tracing::warn!("{folder} can be written by others and is not believed");
            return Vec::new();
        }
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }
}

/// What a record turns out to be.
#[derive(Debug)]
enum Verdict {
    /// Its daemon was killed, and the run lives on.
    LeftOver(Being, Traits),
    /// Its daemon lives.
    OfAnother,
    /// Nothing can be done with it, and why.
    Useless(String),
    Unreadable(io::Error),
    /// Its daemon was killed while writing it.
    Unfinished,
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> Child {
        Command::new("/bin/sleep").arg("600").process_group(0).spawn().unwrap()
    }

    fn traits() -> Traits {
        Traits {
            name: "shop-1".to_owned(),
            generation: Generation(4),
            port: Some(8087),
            signal: Signal::TERM,
            stop_timeout: Duration::from_secs(5),
        }
    }

    /// A record of `leader`, on the disk.
    async fn written(records: &Records, leader: u32) -> (Record, PathBuf) {
        let record = records.keep(leader, traits());
        let path = record.0.as_ref().unwrap().path.clone();
        while !path.exists() {
            tokio::task::yield_now().await;
        }
        (record, path)
    }

    /// Keeps a record of a sleeper, changes it, and says whether a next daemon ended the sleeper
    /// and whether the record is still there.
    async fn ended(change: impl FnOnce(&mut Note)) -> (bool, bool) {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::new(folder.path());
        let mut sleeper = sleeper();
        let (_record, path) = written(&records, sleeper.id()).await;
        let mut note = Note::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        change(&mut note);
        fs::write(&path, note.to_text()).unwrap();
        records.end_leftovers().await;
        // Reaped in our stead: then it has ended.
        let ended = !matches!(sleeper.try_wait(), Ok(None));
        let _ = sleeper.kill();
        let _ = sleeper.wait();
        (ended, path.exists())
    }

    #[tokio::test]
    async fn what_a_killed_daemon_left_is_ended() {
        assert_eq!(ended(|note| note.daemon.began += 1).await, (true, false));
    }

    #[tokio::test]
    async fn what_belongs_to_a_daemon_that_lives_is_left_alone() {
        assert_eq!(ended(|_| {}).await, (false, true));
    }

    #[tokio::test]
    async fn who_was_given_the_number_of_another_is_left_alone() {
        let stranger = |note: &mut Note| {
            note.daemon.began += 1;
            note.leader.began += 1;
        };
        assert_eq!(ended(stranger).await, (false, false));
        let rebooted = |note: &mut Note| {
            note.daemon.began += 1;
            note.boot = "another".to_owned();
        };
        assert_eq!(ended(rebooted).await, (false, false));
    }

    #[tokio::test]
    async fn a_record_goes_with_its_run_and_half_of_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::new(folder.path());
        let (record, path) = written(&records, std::process::id()).await;
        let text = fs::read_to_string(&path).unwrap();
        let note = Note::parse(&text).unwrap();
        assert_eq!((&note.traits, note.to_text()), (&traits(), text.clone()));
        for length in 0..text.len() {
            assert_eq!(Note::parse(&text[..length]), None);
        }
        drop(record);
        assert_eq!(fs::read_dir(&records.folder).unwrap().count(), 0);
    }

    #[test]
    fn a_run_that_is_over_before_it_is_written_down_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1");
        let place = Arc::new(Place { path, is_over: Mutex::new(false) });
        drop(Record(Some(Arc::clone(&place))));
        place.write("late\n").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_is_damaged_or_stale_is_said_once_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::new(folder.path());
        let (record, path) = written(&records, std::process::id()).await;
        let mut note = Note::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        let file = |name: &str, text: &[u8]| {
            let path = records.folder.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let why = |path: &Path| match records.judge(path) {
            Verdict::Useless(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(&file("2", b"\xff\0 nonsense\n")), "it is damaged");
        assert_eq!(why(&file("3", b"")), "it is damaged");
        note.daemon.began += 1;
        note.leader.began += 1;
        let gone = format!("shop-1, pid {} on port 8087, is gone", std::process::id());
        assert_eq!(why(&file("4", note.to_text().as_bytes())), gone);
        note.boot = "another".to_owned();
        let stale = file("5", note.to_text().as_bytes());
        assert!(why(&stale).ends_with("ran before the machine was started"));
        let unfinished = file("6.new", note.to_text().as_bytes());
        assert!(matches!(records.judge(&unfinished), Verdict::Unfinished));
        fs::create_dir(records.folder.join("7")).unwrap();

        records.end_leftovers().await;
        // What cannot be read is not ours to remove; what is in use stays.
        let left = fs::read_dir(&records.folder).unwrap().map(|entry| entry.unwrap().path());
        let mut left: Vec<PathBuf> = left.collect();
        left.sort();
        assert_eq!(left, {
            let mut expected = vec![path, records.folder.join("7")];
            expected.sort();
            expected
        });
        drop(record);
    }
}
