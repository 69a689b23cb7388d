//! Rotation, reopening, and a disk that takes nothing.

use std::fs;
use std::path::Path;

use super::*;
use crate::config::AccessLogFormat;
use crate::proxy::Access;

struct House {
    accesses: Arc<Accesses>,
    log: AccessLog,
    warnings: Arc<Mutex<Vec<String>>>,
}

impl House {
    fn new(config: AccessLogConfig) -> Self {
        let accesses = Arc::<Accesses>::default();
        let warnings = Arc::<Mutex<Vec<String>>>::default();
        let told = Arc::clone(&warnings);
        let warn = move |text| told.lock().unwrap().push(text);
        let log = AccessLog::start(Arc::clone(&accesses), warn).unwrap();
        log.keep(Some(config));
        Self { accesses, log, warnings }
    }

    fn tell(&self, path: &str) {
        let texts: [&[u8]; 6] = [b"GET", b"shop", path.as_bytes(), b"", b"", b""];
        let access = Access::sample(texts, Instant::now());
        self.accesses.tell(Box::new(access), Instant::now(), "completed");
    }

    /// Tells, and waits until it is written or dropped.
    fn told(&self, path: &str) {
        let sum = || {
            let (written, dropped) = self.accesses.counts();
            written + dropped
        };
        let before = sum();
        self.tell(path);
        let began = Instant::now();
        while sum() == before {
            assert!(began.elapsed() < Duration::from_secs(10), "nothing is written");
            std::thread::yield_now();
        }
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap().clone()
    }
}

fn config(file: &Path) -> AccessLogConfig {
    AccessLogConfig {
        file: file.to_owned(),
        format: AccessLogFormat::Combined,
        max_size: 200,
        max_backups: 2,
        max_age: None,
        compress: false,
    }
}

fn paths(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines().map(|line| line.split(' ').nth(6).unwrap().to_owned()).collect()
}

#[test]
fn a_full_file_makes_room_for_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log/access.log");
    let house = House::new(config(&file));
    // Two lines fit into a file.
    for path in ["/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9"] {
        house.told(path);
    }
    assert_eq!(paths(&file), ["/9"]);
    assert_eq!(paths(&file.with_extension("log.1")), ["/7", "/8"]);
    assert_eq!(paths(&file.with_extension("log.2")), ["/5", "/6"]);
    assert!(!file.with_extension("log.3").exists());
    assert_eq!((house.accesses.counts(), house.warnings().len()), ((9, 0), 0));
}

#[test]
fn what_ended_before_the_end_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let house = House::new(AccessLogConfig { max_size: 1 << 20, ..config(&file) });
    (0..100).for_each(|number| house.tell(&format!("/{number}")));
    drop(house.log);
    assert_eq!(paths(&file).len(), 100);
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let house = House::new(config(&file));
    house.told("/1");
    fs::rename(&file, folder.path().join("moved")).unwrap();
    house.told("/2");
    house.log.reopen();
    house.told("/3");
    assert_eq!(paths(&folder.path().join("moved")), ["/1", "/2"]);
    assert_eq!(paths(&file), ["/3"]);
}

#[test]
fn a_disk_that_takes_nothing_costs_lines_that_are_told_and_counted() {
    let house = House::new(config(Path::new("/dev/full")));
    for path in ["/1", "/2", "/3"] {
        house.told(path);
    }
    assert_eq!(house.accesses.counts(), (0, 3));
    let warnings = house.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("access log /dev/full: "), "{warnings:?}");

    let folder = tempfile::tempdir().unwrap();
    house.log.keep(Some(config(&folder.path().join("access.log"))));
    house.told("/4");
    assert_eq!(house.accesses.counts(), (1, 3));
    let warnings = Arc::clone(&house.warnings);
    drop(house.log);
    let last = warnings.lock().unwrap().last().cloned();
    assert_eq!(last.unwrap(), "access log: 3 requests are not in it");
}

#[test]
fn a_file_that_cannot_be_opened_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let parent = folder.path().join("log");
    fs::write(&parent, "in the way").unwrap();
    let house = House::new(config(&parent.join("access.log")));
    house.told("/1");
    assert_eq!(house.accesses.counts(), (0, 1));
    assert!(house.warnings()[0].contains("cannot be opened"), "{:?}", house.warnings());
    fs::remove_file(&parent).unwrap();
    house.log.reopen();
    house.told("/2");
    assert_eq!(paths(&parent.join("access.log")), ["/2"]);
}
