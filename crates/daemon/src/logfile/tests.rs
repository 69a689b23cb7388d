//! Rotation, and a disk that gives out.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use flate2::read::GzDecoder;

use super::*;

fn config(folder: &Path) -> LogConfig {
    LogConfig {
        file: folder.join("logs/app.log"),
        max_size: 20,
        max_backups: 2,
        max_age: None,
        compress: false,
        debug: false,
    }
}

/// Writes one line per text and waits until all are in the file.
fn write(config: &LogConfig, lines: &[&str]) -> LogFile {
    let (mut log, guard) = open(config).unwrap();
    for line in lines {
        log.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    drop(guard);
    log
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("logs")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_full_file_moves_down_the_chain_and_the_oldest_goes() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    write(&config, &["first", "second", "third line", "fourth line", "fifth line"]);
    assert_eq!(names(folder.path()), ["app.log", "app.log.1", "app.log.2"]);
    let read = |name: &str| fs::read_to_string(folder.path().join("logs").join(name)).unwrap();
    assert_eq!(read("app.log"), "fifth line\n");
    assert_eq!(read("app.log.1"), "fourth line\n");
    assert_eq!(read("app.log.2"), "third line\n");
}

#[test]
fn a_second_run_appends_and_counts_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    write(&config, &["first run"]);
    write(&config, &["second run"]);
    assert_eq!(names(folder.path()), ["app.log", "app.log.1"]);
}

#[test]
fn old_files_are_compressed_and_keep_their_place_in_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let config = LogConfig { compress: true, ..config(folder.path()) };
    write(&config, &["the first line", "the second line", "the third line"]);
    assert_eq!(names(folder.path()), ["app.log", "app.log.1.gz", "app.log.2.gz"]);
    let file = File::open(folder.path().join("logs/app.log.2.gz")).unwrap();
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).unwrap();
    assert_eq!(text, "the first line\n");
}

#[test]
fn old_files_beyond_their_age_are_removed_and_strangers_stay() {
    let folder = tempfile::tempdir().unwrap();
    let day = Duration::from_secs(24 * 60 * 60);
    let config = LogConfig { max_age: Some(day), ..config(folder.path()) };
    write(&config, &["x"]);
    for name in ["app.log.1", "app.log.2.gz", "app.log.20240131", "app.log.old", "other.log.1"] {
        let file = File::create(folder.path().join("logs").join(name)).unwrap();
        file.set_modified(SystemTime::now() - 2 * day).unwrap();
    }
    write(&config, &["y"]);
    assert_eq!(names(folder.path()), ["app.log", "app.log.20240131", "app.log.old", "other.log.1"]);
}

#[test]
fn a_disk_that_refuses_costs_lines_and_counts_them() {
    let config =
        LogConfig { file: "/dev/full".into(), max_size: u64::MAX, ..config(Path::new("/nowhere")) };
    let log = write(&config, &["one", "two"]);
    assert_eq!(log.dropped(), 2);
}

#[test]
fn a_file_that_cannot_be_rotated_grows_and_its_old_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    // No file can be renamed to a folder.
    fs::create_dir_all(folder.path().join("logs/app.log.1")).unwrap();
    fs::write(folder.path().join("logs/app.log.2"), "older").unwrap();
    let log = write(&config, &["the first line", "the second line", "the third line"]);
    assert_eq!(log.dropped(), 0);
    let text = fs::read_to_string(&config.file).unwrap();
    assert_eq!(text, "the first line\nthe second line\nthe third line\n");
    assert_eq!(names(folder.path()), ["app.log", "app.log.1", "app.log.2"]);
}

#[test]
fn a_queue_that_is_full_drops_and_does_not_wait() {
    let (lines, queue) = sync_channel(1);
    let mut log = LogFile { lines, dropped: Arc::default() };
    for _ in 0..3 {
        log.write_all(b"line\n").unwrap();
    }
    assert_eq!(log.dropped(), 2);
    drop(queue);
    log.write_all(b"line\n").unwrap();
    assert_eq!(log.dropped(), 3);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let config = LogConfig { file: "/dev/null/app.log".into(), ..config(Path::new("/")) };
    assert!(open(&config).is_err());
}
