//! Tells which services have had a file changed, and what their files hold.
//!
//! It reports and does not judge: when enough time has passed and what follows from a change is
//! decided by who is told. [`target`] knows what has to be watched for a path, [`places`] how a
//! folder is watched, [`notice`] what the system tells, [`rules`] what does not count, [`content`]
//! what files hold, [`config_files`] watches the configuration.

mod config_files;
mod content;
mod notice;
mod places;
mod rules;
mod target;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use smoothserve_protocol::id::ServiceName;

pub use self::config_files::{ConfigWatcher, watch_config};
pub(crate) use self::content::{Contents, Stamp};
use self::notice::{Change, News, Notices, Update};
use self::places::{Means, Places, Trouble};
pub use self::rules::OwnFiles;
use self::rules::{Patterns, Rules};
use self::target::{Scope, Target};
use crate::config::ServiceConfig;

/// How often folders are looked at that the system does not tell of.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Paths told of one service at once; nobody shows more.
const MOST_TOLD: usize = 10;

const MEANS: Means =
    Means { listener: notice::listener, remote: places::remote, look_every: LOOK_EVERY };

/// Watches until it is dropped. A report that has begun then may still end.
#[derive(Debug)]
pub struct Watcher {
    notices: Arc<Notices>,
}

/// Watches what the services with `auto_restart` watch, and calls `changed` from a thread of its
/// own with a path that changed, as often as one does; of many at once, with the first ten.
///
/// Changes after the return are reported, except to `own` files and to what is ignored. `warn` is
/// told what cannot be watched, which does not stop the rest; a path that does not exist is
/// reported when it appears.
pub fn watch(
    services: &[Arc<ServiceConfig>],
    own: &Arc<OwnFiles>,
    changed: impl Fn(&ServiceName, PathBuf) + Send + 'static,
    warn: impl Fn(Option<&ServiceName>, String) + Send + 'static,
) -> Watcher {
    watch_by(MEANS, services, own, changed, warn)
}

fn watch_by(
    means: Means,
    services: &[Arc<ServiceConfig>],
    own: &Arc<OwnFiles>,
    changed: impl Fn(&ServiceName, PathBuf) + Send + 'static,
    warn: impl Fn(Option<&ServiceName>, String) + Send + 'static,
) -> Watcher {
    let report = move |report: Report<'_>| match report {
        Report::Changed(Some(service), path) => changed(service, path),
        // Of the daemon's own files, of which there are none among these.
        Report::Changed(None, _) => {}
        Report::Warning(service, text) => warn(service, text),
    };
    let (targets, problems) = targets(services, own);
    start(means, targets, problems, Box::new(report))
}

impl Watcher {
    /// Watches for these services instead, once it returns; what both watch is watched all the
    /// while. Blocks as long as that takes: call it off the async threads.
    pub fn update(&self, services: &[Arc<ServiceConfig>], own: &Arc<OwnFiles>) {
        let (done, is_done) = sync_channel(1);
        let (targets, problems) = targets(services, own);
        self.notices.put(|news| {
            news.update = Some(Update { targets, problems, done });
        });
        // Dropped unsaid: nobody watches any more, or somebody else has asked for other services.
        let _ = is_done.recv();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.notices.end();
    }
}

/// What there is to tell.
enum Report<'a> {
    Changed(Option<&'a ServiceName>, PathBuf),
    Warning(Option<&'a ServiceName>, String),
}

type Reporter = Box<dyn Fn(Report<'_>) + Send>;

/// Something wrong, and with which service.
type Problem = (Option<ServiceName>, String);

/// What `service` watches, each path once; neither its own file, which is no part of what it runs,
/// nor what the daemon writes.
fn watched_paths<'a>(service: &'a ServiceConfig, own: &OwnFiles) -> BTreeSet<&'a Path> {
    let watched = service.watch.iter().filter(|path| **path != service.source && !own.hold(path));
    watched.chain([&service.executable]).map(PathBuf::as_path).collect()
}

fn targets(services: &[Arc<ServiceConfig>], own: &Arc<OwnFiles>) -> (Vec<Target>, Vec<Problem>) {
    let (mut targets, mut problems) = (Vec::new(), Vec::new());
    for service in services.iter().filter(|service| service.auto_restart) {
        let name = Some(service.name.clone());
        let (patterns, bad) = Patterns::new(service);
        problems.extend(bad.into_iter().map(|bad| (name.clone(), format!("watch_ignore: {bad}"))));
        for path in service.watch.iter().filter(|path| own.hold(path)) {
            let text = format!("{} is not watched: the daemon itself writes there", path.display());
            problems.push((name.clone(), text));
        }
        for path in watched_paths(service, own) {
            let rules = Rules::new(path, service, patterns.clone(), Arc::clone(own));
            let scope = Scope::Everything(rules);
            targets.push(Target::new(name.clone(), path.to_owned(), scope));
        }
    }
    (targets, problems)
}

fn start(means: Means, targets: Vec<Target>, problems: Vec<Problem>, report: Reporter) -> Watcher {
    let notices = Arc::new(Notices::default());
    let places = Places::new(means, Arc::clone(&notices));
    let told = BTreeSet::new();
    let mut files =
        Files { notices: Arc::clone(&notices), targets: Vec::new(), places, report, told };
    files.replace(targets, problems);
    let thread = thread::Builder::new().name("files".into());
    if let Err(error) = thread.spawn(move || files.run()) {
        tracing::error!("files cannot be watched, auto_restart does nothing: {error}");
    }
    Watcher { notices }
}

/// Our thread.
struct Files {
    notices: Arc<Notices>,
    targets: Vec<Target>,
    places: Places,
    report: Reporter,
    /// What has been warned of, and whom.
    told: BTreeSet<Problem>,
}

impl Drop for Files {
    fn drop(&mut self) {
        self.notices.end();
    }
}

impl Files {
    fn run(mut self) {
        while let Some(mut news) = self.notices.take(self.places.look_at()) {
            self.places.look(&mut news);
            self.hear(news);
        }
    }

    fn hear(&mut self, news: News) {
        for problem in news.problems {
            self.warn(None, format!("some files are not watched: {problem}"));
        }
        let changed: BTreeMap<_, _> =
            if news.is_incomplete { self.everything() } else { self.changed(news.changed) };
        self.tell_troubles();
        for (service, paths) in changed {
            for path in paths.into_iter().take(MOST_TOLD) {
                (self.report)(Report::Changed(service.as_ref(), path));
            }
        }
        if let Some(Update { targets, problems, done }) = news.update {
            self.replace(targets, problems);
            // Whoever asked may not wait any more.
            let _ = done.try_send(());
        }
    }

    /// What changed for which service, after watching anew what has been moved.
    fn changed(
        &mut self,
        news: BTreeMap<PathBuf, Change>,
    ) -> BTreeMap<Option<ServiceName>, BTreeSet<PathBuf>> {
        let mut changed: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (path, change) in news {
            if change == Change::Moved {
                self.places.lose(&path);
            }
            for target in &mut self.targets {
                if let Some(path) = target.heard(&path, change, &mut self.places) {
                    changed.entry(target.service.clone()).or_default().insert(path);
                }
            }
        }
        changed
    }

    /// Every target, as nobody knows which of them changed.
    fn everything(&mut self) -> BTreeMap<Option<ServiceName>, BTreeSet<PathBuf>> {
        self.places.lose(Path::new("/"));
        let mut changed: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for target in &mut self.targets {
            target.arm(&mut self.places);
            changed.entry(target.service.clone()).or_default().insert(target.path.clone());
        }
        changed
    }

    fn replace(&mut self, targets: Vec<Target>, problems: Vec<Problem>) {
        let former = std::mem::replace(&mut self.targets, targets);
        for index in 0..self.targets.len() {
            self.targets[index].arm(&mut self.places);
            let Target { service, path, .. } = &self.targets[index];
            if !self.targets[index].is_there() {
                let text = format!(
                    "{} does not exist; it is watched from the moment it does",
                    path.display()
                );
                self.warn(service.clone(), text);
            }
            self.tell_troubles();
        }
        for mut target in former {
            target.disarm(&mut self.places);
        }
        for (service, text) in problems {
            self.warn(service, text);
        }
    }

    /// Warns of folders that are not simply listened to: once for each reason and service.
    fn tell_troubles(&mut self) {
        for (folder, trouble) in self.places.troubles() {
            let for_whom: BTreeSet<_> = self
                .targets
                .iter()
                .filter(|target| target.needs(&folder))
                .map(|target| target.service.clone())
                .collect();
            for service in for_whom {
                self.warn_of(service, &folder, &trouble);
            }
        }
    }

    fn warn_of(&mut self, service: Option<ServiceName>, folder: &Path, trouble: &Trouble) {
        let folder = folder.display();
        let seconds = LOOK_EVERY.as_secs();
        let (topic, text) = match trouble {
            Trouble::Limit(limit) => (
                (*limit).to_owned(),
                format!(
                    "the limit {limit} is reached: changes in {folder} and maybe elsewhere are \
                     seen within {seconds} s rather than at once; sysctl raises the limit"
                ),
            ),
            Trouble::Remote(name) => (
                (*name).to_owned(),
                format!(
                    "{folder} is on {name}, where others change files unheard: changes are seen \
                     within {seconds} s"
                ),
            ),
            Trouble::Deaf(error) => (
                folder.to_string(),
                format!("changes in {folder} are seen within {seconds} s: {error}"),
            ),
            Trouble::Blind(error) => {
                (folder.to_string(), format!("changes in {folder} are not seen: {error}"))
            }
        };
        if self.told.insert((service.clone(), topic)) {
            (self.report)(Report::Warning(service.as_ref(), text));
        }
    }

    fn warn(&mut self, service: Option<ServiceName>, text: String) {
        if self.told.insert((service.clone(), text.clone())) {
            (self.report)(Report::Warning(service.as_ref(), text));
        }
    }
}
