//! Real files, real changes.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::notice::{Deaf, Listen, Listener};
use super::*;

/// A service in a folder of its own, and what is reported about it.
struct World {
    folder: tempfile::TempDir,
    changes: Receiver<(String, PathBuf)>,
    warnings: Receiver<String>,
    watcher: Option<Watcher>,
}

/// The service `shop` with `bin/app` and whatever else it watches.
fn shop(root: &Path, watch: &[&str]) -> ServiceConfig {
    let mut service = crate::core::sample_service("shop", 1);
    service.executable = root.join("bin/app");
    service.watch = watch.iter().map(|path| root.join(path)).collect();
    service
}

impl World {
    fn new(prepare: impl FnOnce(&Path) -> ServiceConfig) -> Self {
        Self::by(MEANS, prepare)
    }

    /// `prepare` makes the folder.
    fn by(means: Means, prepare: impl FnOnce(&Path) -> ServiceConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("log")).unwrap();
        let own = OwnFiles::of(&config(&root));
        let service = Arc::new(prepare(&root));
        let (report, changes) = channel();
        let (warn, warnings) = channel();
        // Nobody takes what comes when the test is over.
        let changed = move |service: &ServiceName, path: PathBuf| {
            let _ = report.send((service.to_string(), path));
        };
        let warn = move |_: Option<&ServiceName>, text| {
            let _ = warn.send(text);
        };
        let watcher = watch_by(means, &[service], &Arc::new(own), changed, warn);
        Self { folder, changes, warnings, watcher: Some(watcher) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str) {
        fs::write(self.path(name), "new").unwrap();
    }

    /// Waits for a report about `name`, and says what was reported before it.
    #[track_caller]
    fn until(&self, name: &str) -> BTreeSet<PathBuf> {
        let mut before = BTreeSet::new();
        loop {
            let next = self.changes.recv_timeout(Duration::from_secs(10));
            let (_, path) = next.unwrap_or_else(|_| panic!("no report about {name}: {before:?}"));
            if path == self.path(name) {
                return before;
            }
            before.insert(path);
        }
    }

    /// Writes a file in a folder that was just made until that is reported. What is written before
    /// the folder is watched is a part of the change that the folder itself is.
    #[track_caller]
    fn until_watched(&self, name: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            assert!(Instant::now() < deadline, "no report about {name}");
            self.write(name);
            while let Ok((_, path)) = self.changes.recv_timeout(SOON) {
                if path == self.path(name) {
                    return;
                }
            }
        }
    }

    /// Fails if anything is reported before a change that certainly is.
    #[track_caller]
    fn assert_silent(&self) {
        self.write("bin/app");
        assert_eq!(self.until("bin/app"), BTreeSet::new());
    }

    fn warnings(&self) -> Vec<String> {
        self.warnings.try_iter().collect()
    }
}

/// A daemon whose own files lie among those of its service.
fn config(root: &Path) -> crate::config::Config {
    let size = 1 << 20;
    crate::config::Config {
        source: root.join("smoothserve.yaml"),
        command: ([127, 0, 0, 1], 0).into(),
        state_dir: root.to_owned(),
        shutdown_timeout: Duration::ZERO,
        trust: crate::config::Trust::default(),
        shutdown_delay: Duration::ZERO,
        metrics: None,
        ready_path: None,
        access_log: None,
        clients: crate::config::ClientLimits::default(),
        tls: Vec::new(),
        https: crate::config::Https::default(),
        log: Some(crate::config::LogConfig {
            file: root.join("log/daemon.log"),
            max_size: size,
            max_backups: 0,
            max_age: None,
            compress: false,
            debug: false,
        }),
        output: Some(crate::config::OutputConfig {
            folder: root.join("log/out"),
            max_size: size,
            max_backups: 0,
            max_age: None,
            compress: false,
            max_total: size,
        }),
        services_dir: root.join("services"),
        services: Vec::new(),
        warnings: Vec::new(),
    }
}

fn make_bin(root: &Path) {
    fs::create_dir(root.join("bin")).unwrap();
    fs::write(root.join("bin/app"), "old").unwrap();
}

/// Just the program.
fn program(root: &Path) -> ServiceConfig {
    make_bin(root);
    shop(root, &[])
}

/// The program and the folder `view`, which is there.
fn program_and_view(root: &Path) -> ServiceConfig {
    make_bin(root);
    fs::create_dir_all(root.join("view/a")).unwrap();
    shop(root, &["view"])
}

/// Listens to what it does not refuse.
struct Refusing {
    listener: Listener,
    refuses: fn(&Path) -> bool,
}

impl Listen for Refusing {
    fn listen(&mut self, folder: &Path) -> Result<(), Deaf> {
        if (self.refuses)(folder) {
            return Err(Deaf::Limit("of the test"));
        }
        self.listener.listen(folder)
    }

    fn forget(&mut self, folder: &Path) {
        self.listener.forget(folder);
    }
}

fn refusing(notices: &Arc<Notices>, refuses: fn(&Path) -> bool) -> Result<Listener, Deaf> {
    notice::listener(notices)
        .map(|listener| -> Listener { Box::new(Refusing { listener, refuses }) })
}

const SOON: Duration = Duration::from_millis(20);

/// Nobody may listen to what belongs to a service.
const POLLING: Means = Means {
    listener: |notices| refusing(notices, |folder| folder.components().count() > 3),
    look_every: SOON,
    ..MEANS
};

/// The system gives no listener at all.
const DEAF: Means =
    Means { listener: |_| Err(Deaf::Limit("of the test")), look_every: SOON, ..MEANS };

#[test]
fn an_executable_that_is_written_or_replaced_is_reported() {
    for means in [MEANS, POLLING] {
        let world = World::by(means, program);
        world.write("bin/app");
        world.until("bin/app");
        world.write("bin/.app.new");
        fs::rename(world.path("bin/.app.new"), world.path("bin/app")).unwrap();
        world.until("bin/app");
        fs::remove_file(world.path("bin/app")).unwrap();
        world.until("bin/app");
        world.write("bin/app");
        world.until("bin/app");
    }
}

#[test]
fn a_neighbour_and_a_reader_are_not_reported() {
    let world = World::new(program);
    world.write("bin/app.log");
    fs::remove_file(world.path("bin/app.log")).unwrap();
    fs::read(world.path("bin/app")).unwrap();
    world.assert_silent();
}

#[test]
fn the_file_of_the_service_is_none_of_its_files() {
    let world = World::new(|root| {
        make_bin(root);
        ServiceConfig { source: root.join("shop.yaml"), ..shop(root, &["shop.yaml"]) }
    });
    world.write("shop.yaml");
    world.assert_silent();
}

#[test]
fn a_folder_is_watched_with_everything_below_it() {
    for means in [MEANS, POLLING] {
        let world = World::by(means, program_and_view);
        world.write("view/a/page.html");
        world.until("view/a/page.html");
        fs::create_dir_all(world.path("view/b/c/d")).unwrap();
        world.until("view/b");
        world.until_watched("view/b/c/d/page.html");
        fs::remove_dir_all(world.path("view/a")).unwrap();
        world.until("view/a");
        fs::rename(world.path("view/b"), world.path("view/e")).unwrap();
        world.until("view/e");
        world.write("view/e/c/d/page.html");
        world.until("view/e/c/d/page.html");
    }
}

#[test]
fn folders_outside_are_watched_through_links_to_them() {
    let world = World::new(|root| {
        fs::create_dir_all(root.join("shared/deep")).unwrap();
        let service = program_and_view(root);
        symlink("../shared", root.join("view/shared")).unwrap();
        symlink("../../view", root.join("shared/deep/back")).unwrap();
        service
    });
    world.write("shared/deep/page");
    world.until("view/shared/deep/page");
    world.write("view/a/page");
    assert!(world.until("view/a/page").iter().all(|path| path.ends_with("deep/page")));
}

#[test]
fn a_missing_path_is_warned_of_reported_when_it_appears_and_watched_from_then() {
    for means in [MEANS, POLLING] {
        let world = World::by(means, |root| shop(root, &["bin/conf/app.ini"]));
        let warnings = world.warnings().join("\n");
        assert!(warnings.contains("bin/app does not exist"), "{warnings}");
        assert!(warnings.contains("bin/conf/app.ini does not exist"), "{warnings}");
        fs::create_dir_all(world.path("bin/conf")).unwrap();
        world.write("bin/conf/app.ini");
        world.until("bin/conf/app.ini");
        world.write("bin/app");
        world.until("bin/app");
        world.write("bin/conf/app.ini");
        world.until("bin/conf/app.ini");
    }
}

#[test]
fn a_folder_that_is_made_anew_is_still_watched() {
    for means in [MEANS, POLLING] {
        let world = World::by(means, program);
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
}

/// Releases by number, the program of each in `bin` of its own.
fn make_releases(root: &Path) {
    for release in ["1", "2"] {
        make_bin_in(&root.join("releases").join(release));
    }
}

fn make_bin_in(folder: &Path) {
    fs::create_dir_all(folder.join("bin")).unwrap();
    fs::write(folder.join("bin/app"), "old").unwrap();
}

fn point(world: &World, link: &str, to: &str) {
    symlink(to, world.path("next")).unwrap();
    fs::rename(world.path("next"), world.path(link)).unwrap();
}

#[test]
fn a_release_that_is_switched_is_reported_and_the_new_one_watched() {
    for means in [MEANS, POLLING] {
        let world = World::by(means, |root| {
            make_releases(root);
            symlink("releases/1", root.join("current")).unwrap();
            symlink("current/bin", root.join("bin")).unwrap();
            shop(root, &["current"])
        });
        point(&world, "current", "releases/2");
        world.until("bin/app");
        world.write("releases/2/bin/app");
        world.until("bin/app");
        world.write("releases/2/page");
        world.until("current/page");
    }
}

#[test]
fn every_link_on_the_way_counts() {
    let world = World::new(|root| {
        make_releases(root);
        symlink("1", root.join("releases/latest")).unwrap();
        symlink("releases/latest", root.join("current")).unwrap();
        fs::create_dir(root.join("bin")).unwrap();
        symlink("../current/bin/app", root.join("bin/app")).unwrap();
        shop(root, &[])
    });
    point(&world, "releases/latest", "2");
    world.until("bin/app");
    world.write("releases/2/bin/app");
    world.until("bin/app");
    // A link to itself leads nowhere.
    point(&world, "releases/latest", "latest");
    world.until("bin/app");
    point(&world, "releases/latest", "1");
    world.until("bin/app");
}

/// Folders that the service does not want to hear of.
fn with_rubbish(root: &Path) -> ServiceConfig {
    make_bin(root);
    for folder in ["bin/.git", "bin/node_modules/x", "bin/cache", "bin/src", "assets/raw"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("bin/.gitignore"), "node_modules/\n").unwrap();
    ServiceConfig {
        watch_ignore: ["/cache", "*.tmp", "!keep.tmp", "../assets/raw"].map(str::to_owned).into(),
        ..shop(root, &["bin", "assets"])
    }
}

fn is_rubbish(folder: &Path) -> bool {
    let rubbish = [".git", "node_modules", "x", "cache", "raw"];
    folder.iter().any(|part| rubbish.iter().any(|name| part == *name))
}

#[test]
fn what_is_ignored_is_neither_reported_nor_listened_to() {
    let means = Means { listener: |notices| refusing(notices, is_rubbish), ..MEANS };
    let world = World::by(means, with_rubbish);
    for name in ["bin/.git/HEAD", "bin/node_modules/x/y", "bin/cache/z", "bin/src/a.tmp"] {
        world.write(name);
    }
    world.write("assets/raw/picture");
    fs::remove_dir_all(world.path("bin/cache")).unwrap();
    fs::create_dir(world.path("bin/cache")).unwrap();
    world.assert_silent();
    world.write("bin/src/keep.tmp");
    world.until("bin/src/keep.tmp");
    world.write("assets/page");
    world.until("assets/page");
    assert_eq!(world.warnings(), [] as [String; 0], "nobody asked to listen to what is ignored");
}

#[test]
fn a_gitignore_that_changes_holds_from_then() {
    let world = World::new(with_rubbish);
    fs::write(world.path("new"), "src\n").unwrap();
    fs::rename(world.path("new"), world.path("bin/.gitignore")).unwrap();
    world.until("bin/.gitignore");
    world.write("bin/src/page");
    world.write("bin/node_modules/x/y");
    let before = world.until("bin/node_modules/x/y");
    assert!(!before.contains(&world.path("bin/src/page")), "{before:?}");
}

#[test]
fn the_program_counts_even_where_it_is_ignored() {
    let world = World::new(|root| {
        make_bin(root);
        fs::write(root.join("bin/.gitignore"), "app\n").unwrap();
        ServiceConfig { watch_ignore: vec!["app".to_owned()], ..shop(root, &["bin"]) }
    });
    world.write("bin/app");
    world.until("bin/app");
}

#[test]
fn gitignore_files_may_be_files_like_others() {
    let world = World::new(|root| ServiceConfig { watch_gitignore: false, ..with_rubbish(root) });
    world.write("bin/node_modules/x/y");
    world.until("bin/node_modules/x/y");
}

#[test]
fn a_pattern_that_is_none_is_warned_of() {
    let world = World::new(|root| ServiceConfig {
        watch_ignore: vec!["[z-a]".to_owned(), "*.tmp".to_owned()],
        ..program_and_view(root)
    });
    let warnings = world.warnings();
    assert!(matches!(&warnings[..], [one] if one.starts_with("watch_ignore: ")), "{warnings:?}");
    world.write("view/page.tmp");
    world.assert_silent();
}

#[test]
fn what_the_daemon_writes_is_not_reported() {
    let world = World::new(|root| {
        make_bin(root);
        fs::create_dir(root.join("log/out")).unwrap();
        symlink("log", root.join("view")).unwrap();
        shop(root, &["", "view", "log/daemon.log"])
    });
    let warnings = world.warnings();
    let is_it = |text: &str| text.contains("daemon.log is not watched: the daemon itself writes");
    assert!(matches!(&warnings[..], [one] if is_it(one)), "{warnings:?}");
    for own in ["daemon.log", "daemon.log.1.gz", "out/shop-0.log"] {
        world.write(&format!("log/{own}"));
    }
    world.write("smoothserve.token");
    world.assert_silent();
    world.write("log/daemon.logic");
    world.until("log/daemon.logic");
}

#[test]
fn thousands_of_files_at_once_are_noticed_and_their_folders_watched() {
    let world = World::new(program_and_view);
    for number in 0..5000 {
        let folder = world.path(&format!("view/{}", number % 100));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(number.to_string()), "page").unwrap();
    }
    for folder in 0..100 {
        world.until_watched(&format!("view/{folder}/again"));
    }
}

#[test]
fn a_limit_is_warned_of_once_and_changes_are_seen_all_the_same() {
    for means in [POLLING, DEAF] {
        let world = World::by(means, program_and_view);
        let warnings = world.warnings();
        let is_limit = |text: &str| text.contains("the limit of the test is reached");
        assert!(matches!(&warnings[..], [one] if is_limit(one)), "{warnings:?}");
        world.write("view/a/page");
        world.until("view/a/page");
        world.write("bin/app");
        world.until("bin/app");
        assert_eq!(world.warnings(), [] as [String; 0]);
    }
}

#[test]
fn what_others_may_change_unheard_is_looked_at() {
    let remote: fn(&Path) -> Option<&'static str> =
        |folder| folder.ends_with("view").then_some("nfs");
    let world = World::by(Means { remote, look_every: SOON, ..MEANS }, program_and_view);
    let warnings = world.warnings();
    assert!(matches!(&warnings[..], [one] if one.contains("view is on nfs")), "{warnings:?}");
    world.write("view/page");
    world.until("view/page");
}

#[test]
fn a_service_without_auto_restart_is_not_watched() {
    let world = World::new(|root| ServiceConfig { auto_restart: false, ..program_and_view(root) });
    world.write("view/a/page");
    let watching = shop(&world.path(""), &[]);
    world.watcher.as_ref().unwrap().update(&[Arc::new(watching)], &Arc::default());
    world.assert_silent();
}

#[test]
fn an_update_watches_what_is_new_and_loses_no_change_of_what_stays() {
    let world = World::new(program_and_view);
    let root = world.path("");
    fs::create_dir(root.join("late")).unwrap();
    let former = shop(&root, &["view"]);
    let other = shop(&root, &["late"]);
    let writer = {
        let page = root.join("bin/app");
        thread::spawn(move || (0..200).for_each(|n| fs::write(&page, n.to_string()).unwrap()))
    };
    let watcher = world.watcher.as_ref().unwrap();
    for service in [&other, &former, &other] {
        watcher.update(&[Arc::new(service.clone())], &Arc::default());
    }
    writer.join().unwrap();
    world.until("bin/app");
    world.write("late/page");
    world.until("late/page");
    world.write("view/a/page");
    world.write("late/last");
    let before = world.until("late/last");
    assert!(!before.contains(&world.path("view/a/page")), "{before:?}");
}

#[test]
fn dropping_it_ends_the_reports() {
    let mut world = World::new(program);
    world.watcher.take();
    world.write("bin/app");
    let changes = std::iter::from_fn(|| world.changes.recv_timeout(Duration::from_secs(10)).ok());
    assert!(changes.count() <= 1, "at most the one that had begun");
}

#[test]
fn lost_events_count_as_a_change_of_everything() {
    let world = World::new(program_and_view);
    let watcher = world.watcher.as_ref().unwrap();
    watcher.notices.put(|news| news.is_incomplete = true);
    assert_eq!(world.until("view"), BTreeSet::from([world.path("bin/app")]));
    world.write("bin/app");
    world.until("bin/app");
    world.write("view/a/page");
    world.until("view/a/page");
}

#[test]
fn more_notices_than_can_wait_are_a_change_of_everything() {
    let mut news = News::default();
    (0..100_001).for_each(|n| news.add(PathBuf::from(format!("/{n}")), Change::Written));
    assert!(news.is_incomplete && news.changed.is_empty());
}

#[test]
fn files_of_the_configuration_are_reported_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (report, changes) = channel();
    let (services, main) = (root.join("services"), root.join("smoothserve.yaml"));
    // Nobody takes what comes when the test is over.
    let _watcher = watch_config(services.clone(), main.clone(), move |path| {
        let _ = report.send(path);
    });
    let until = |path: &Path| {
        let mut before = BTreeSet::new();
        loop {
            let next = changes.recv_timeout(Duration::from_secs(10)).expect("a report");
            if next == path {
                return before;
            }
            before.insert(next);
        }
    };
    fs::write(&main, "CommandPort: 0").unwrap();
    until(&main);
    fs::create_dir(&services).unwrap();
    until(&services);
    fs::write(services.join("shop.yaml.swp"), "half").unwrap();
    fs::create_dir(services.join("old")).unwrap();
    fs::write(services.join("old/shop.yaml"), "name: old").unwrap();
    fs::write(services.join("new"), "name: shop").unwrap();
    fs::rename(services.join("new"), services.join("shop.yaml")).unwrap();
    let before = until(&services.join("shop.yaml"));
    assert!(before.iter().all(|path| [&main, &services].contains(&path)), "{before:?}");
    fs::remove_file(services.join("shop.yaml")).unwrap();
    until(&services.join("shop.yaml"));
    symlink("old", services.join("..data")).unwrap();
    until(&services.join("..data"));
    fs::write(&main, "CommandPort: 1").unwrap();
    until(&main);
}
