//! Which processes run, written down for a daemon that comes after one that was killed.
//!
//! A file for each run, so that nothing is shared and half a file counts as none. A process is told
//! by its number, the moment it began and the boot of the machine together: its number alone may
//! have been given to another. What cannot be told for certain is left alone.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use procfs::process::Process;
use rustix::process::{Pid, Signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::group;

/// Its name in the state folder.
const NAME: &str = "smoothserve.runs";
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// From SIGKILL to the end of the wait for it.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// The folder of records.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    folder: Arc<Path>,
    boot: Arc<str>,
    daemon: Option<Being>,
}

/// A process for good, within one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Being {
    pid: i32,
    /// In clock ticks since the boot.
    began: u64,
}

/// What is written of a run: whose it is, and how it wants to be ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    boot: String,
    daemon: Being,
    leader: Being,
    signal: i32,
    stop_timeout_ms: u64,
    name: String,
}

/// A note that lasts as long as its run does.
#[derive(Debug)]
pub(super) struct Record(Option<PathBuf>);

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Somebody was tidy; the next daemon finds out what became of it in any case.
            let _ = fs::remove_file(path);
        }
    }
}

impl Being {
    fn of(pid: i32) -> Option<Self> {
        let stat = Process::new(pid).and_then(|process| process.stat()).ok()?;
        // Nothing is left of a zombie but its number.
        (stat.state != 'Z').then_some(Self { pid, began: stat.starttime })
    }

    fn lives(self) -> bool {
        Self::of(self.pid) == Some(self)
    }
}

impl Note {
    fn to_text(&self) -> String {
        let Self { boot, daemon, leader, signal, stop_timeout_ms, name } = self;
        format!(
            "{boot} {} {} {} {} {signal} {stop_timeout_ms} {name}\n",
            daemon.pid, daemon.began, leader.pid, leader.began
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.strip_suffix('\n')?.split(' ').collect();
        let [boot, daemon, daemon_began, leader, leader_began, signal, timeout, name] = words[..]
        else {
            return None;
        };
        let being = |pid: &str, began: &str| {
            Some(Being { pid: pid.parse().ok()?, began: began.parse().ok()? })
        };
        Some(Self {
            boot: boot.to_owned(),
            daemon: being(daemon, daemon_began)?,
            leader: being(leader, leader_began)?,
            signal: signal.parse().ok()?,
            stop_timeout_ms: timeout.parse().ok()?,
            name: name.to_owned(),
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

    /// Writes down that the process `leader` runs as `name`, a word.
    pub(super) fn keep(
        &self,
        leader: u32,
        name: &str,
        signal: Signal,
        stop_timeout: Duration,
    ) -> Record {
        // One that has ended already needs no record.
        let (Some(daemon), Some(leader)) = (self.daemon, Being::of(leader as i32)) else {
            return Record(None);
        };
        let note = Note {
            boot: self.boot.to_string(),
            daemon,
            leader,
            signal: signal.as_raw(),
            stop_timeout_ms: stop_timeout.as_millis() as u64,
            name: name.to_owned(),
        };
        let path = self.folder.join(leader.pid.to_string());
        let made = match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => fs::write(&path, note.to_text()),
        };
        if let Err(error) = made {
            let path = path.display();
            tracing::warn!("{name}: its record cannot be kept: {path}: {error}");
            return Record(None);
        }
        Record(Some(path))
    }

    /// Ends the runs of a daemon that was killed; nothing else, and none of a daemon that lives.
    pub(crate) async fn end_leftovers(&self) {
        let mut ending = JoinSet::new();
        for (path, note) in self.read() {
            match note {
                Some(note) if self.is_left_over(&note) => {
                    ending.spawn(async move {
                        end(&note).await;
                        drop(Record(Some(path)));
                    });
                }
                Some(note) if *note.boot == *self.boot && note.daemon.lives() => {}
                Some(_) | None => drop(Record(Some(path))),
            }
        }
        while ending.join_next().await.is_some() {}
    }

    fn is_left_over(&self, note: &Note) -> bool {
        *note.boot == *self.boot && !note.daemon.lives() && note.leader.lives()
    }

    /// Every record that only we can have written.
    fn read(&self) -> Vec<(PathBuf, Option<Note>)> {
        let Ok(found) = fs::metadata(&self.folder) else { return Vec::new() };
        let us = rustix::process::geteuid().as_raw();
        if found.uid() != us || found.mode() & 0o022 != 0 {
            let folder = self.folder.display();
            tracing::warn!("{folder} can be written by others and is not believed");
            return Vec::new();
        }
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let paths = entries.flatten().map(|entry| entry.path());
        paths
            .map(|path| {
                let note = fs::read_to_string(&path).ok().and_then(|text| Note::parse(&text));
                (path, note)
            })
            .collect()
    }
}

async fn end(note: &Note) {
    let (pid, name) = (note.leader.pid, &note.name);
    let Some(members) = Pid::from_raw(pid) else { return };
    tracing::warn!("{name}: pid {pid} was left behind by a daemon that was killed; told to exit");
    let signal = Signal::from_named_raw(note.signal).unwrap_or(Signal::TERM);
    group::signal(members, signal);
    if !is_gone_within(members, Duration::from_millis(note.stop_timeout_ms)).await {
        group::signal(members, Signal::KILL);
        if !is_gone_within(members, KILLED_WITHIN).await {
            tracing::error!("{name}: pid {pid} was killed and does not go");
        }
    }
}

async fn is_gone_within(members: Pid, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while group::lives(members).await {
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK_AGAIN).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use super::*;

    fn sleeper() -> Child {
        Command::new("/bin/sleep").arg("600").process_group(0).spawn().unwrap()
    }

    /// Keeps a record of a sleeper, changes it, and says whether a next daemon ended the sleeper
    /// and whether the record is still there.
    async fn ended(change: impl FnOnce(&mut Note)) -> (bool, bool) {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::new(folder.path());
        let mut sleeper = sleeper();
        let record = records.keep(sleeper.id(), "shop-1", Signal::TERM, Duration::from_secs(5));
        let path = record.0.clone().unwrap();
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

    #[test]
    fn a_record_goes_with_its_run_and_half_of_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::new(folder.path());
        let me = std::process::id();
        let record = records.keep(me, "shop-1", Signal::TERM, Duration::from_secs(5));
        let path = record.0.clone().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(Note::parse(&text).unwrap().to_text(), text);
        for length in 0..text.len() {
            assert_eq!(Note::parse(&text[..length]), None);
        }
        drop(record);
        assert!(!path.exists());
    }
}
