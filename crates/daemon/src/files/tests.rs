//! Real files, real changes.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;
use crate::config;

/// A service in a folder of its own, and what is reported about it.
struct World {
    folder: tempfile::TempDir,
    changes: Receiver<(String, PathBuf)>,
    watcher: Option<Watcher>,
}

impl World {
    /// `prepare` makes the folder in which `bin/app` is the executable; `rest` are more keys.
    fn new(rest: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("services")).unwrap();
        fs::write(root.join("smoothserve.yaml"), "CommandPort: 0\n").unwrap();
        let service = format!(
            "name: shop\nport: 0\nstart_instance_port: 9000\nexecutable_path: bin/app\n{rest}"
        );
        fs::write(root.join("services/shop.yaml"), service).unwrap();
        prepare(root);
        let config = config::load(&root.join("smoothserve.yaml")).unwrap();
        let (report, changes) = channel();
        let watcher = watch(&config.services, move |service, path| {
            // The test is over.
            let _ = report.send((service.to_string(), path));
        });
        Self { folder, changes, watcher: Some(watcher) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str) {
        fs::write(self.path(name), "new").unwrap();
    }

    /// Waits for a report about `name`, and says what was reported before it.
    fn until(&self, name: &str) -> Vec<PathBuf> {
        let mut before = Vec::new();
        loop {
            let next = self.changes.recv_timeout(Duration::from_secs(10));
            let (service, path) = next.unwrap_or_else(|_| panic!("no report about {name}"));
            assert_eq!(service, "shop");
            if path == self.path(name) {
                return before;
            }
            before.push(path);
        }
    }

    /// Fails if anything is reported before a change that certainly is.
    fn assert_silent(&self) {
        self.write("services/shop.yaml");
        assert_eq!(self.until("services/shop.yaml"), [] as [PathBuf; 0]);
    }
}

const AUTO: &str = "auto_restart: true\n";

fn make_bin(root: &Path) {
    fs::create_dir(root.join("bin")).unwrap();
    fs::write(root.join("bin/app"), "old").unwrap();
}

#[test]
fn an_executable_that_is_written_or_replaced_is_reported() {
    let world = World::new(AUTO, make_bin);
    world.write("bin/app");
    world.until("bin/app");
    world.write("bin/.app.new");
    fs::rename(world.path("bin/.app.new"), world.path("bin/app")).unwrap();
    world.until("bin/app");
}

#[test]
fn a_neighbour_and_a_reader_are_not_reported() {
    let world = World::new(AUTO, make_bin);
    world.write("bin/app.log");
    fs::remove_file(world.path("bin/app.log")).unwrap();
    fs::read(world.path("bin/app")).unwrap();
    world.assert_silent();
}

#[test]
fn a_folder_is_watched_with_everything_below_it() {
    let world = World::new("auto_restart: true\nwatch_files: [../view]\n", |root| {
        make_bin(root);
        fs::create_dir_all(root.join("view/a")).unwrap();
    });
    world.write("view/a/page.html");
    world.until("view/a/page.html");
    fs::create_dir(world.path("view/b")).unwrap();
    world.until("view/b");
    fs::remove_dir_all(world.path("view/a")).unwrap();
    world.until("view/a");
}

#[test]
fn a_missing_path_is_reported_when_it_appears_and_watched_from_then() {
    let world = World::new("auto_restart: true\nwatch_files: [conf/app.ini]\n", |_| {});
    fs::create_dir_all(world.path("bin/conf")).unwrap();
    world.write("bin/conf/app.ini");
    world.until("bin/conf/app.ini");
    world.write("bin/app");
    world.until("bin/app");
    world.write("bin/conf/app.ini");
    world.until("bin/conf/app.ini");
}

#[test]
fn a_folder_that_is_made_anew_is_still_watched() {
    let world = World::new(AUTO, make_bin);
    fs::remove_dir_all(world.path("bin")).unwrap();
    world.until("bin/app");
    make_bin(world.folder.path());
    world.until("bin/app");
    fs::rename(world.path("bin"), world.path("bin.old")).unwrap();
    make_bin(world.folder.path());
    world.until("bin/app");
    world.write("bin/app");
    world.until("bin/app");
}

#[test]
fn a_link_that_points_elsewhere_is_reported() {
    let world = World::new(AUTO, |root| {
        for release in ["one", "two"] {
            fs::create_dir(root.join(release)).unwrap();
            fs::write(root.join(release).join("app"), release).unwrap();
        }
        symlink("one", root.join("bin")).unwrap();
    });
    symlink("two", world.path("next")).unwrap();
    fs::rename(world.path("next"), world.path("bin")).unwrap();
    world.until("bin/app");
    fs::write(world.path("two/app"), "three").unwrap();
    world.until("bin/app");
}

#[test]
fn a_service_without_auto_restart_is_not_watched() {
    let world = World::new("watch_files: [../view]\n", make_bin);
    assert!(world.changes.recv().is_err(), "nobody is there to report");
}

#[test]
fn dropping_it_ends_the_reports() {
    let mut world = World::new(AUTO, make_bin);
    world.watcher.take();
    world.write("bin/app");
    let changes = std::iter::from_fn(|| world.changes.recv_timeout(Duration::from_secs(10)).ok());
    assert!(changes.count() <= 1, "at most the one that had begun");
}

#[test]
fn lost_events_count_as_a_change_of_everything() {
    let world = World::new(AUTO, make_bin);
    let watcher = world.watcher.as_ref().unwrap();
    watcher.shared.has_lost.store(true, Ordering::Release);
    watcher.wake.send(Message::Wake).unwrap();
    world.until("bin/app");
    world.write("bin/app");
    world.until("bin/app");
}
