//! Whether watched files hold what the present runs began with.
//!
//! What they held is listed before the first run of a generation begins, and read when there is
//! time: nothing that changes after the launch is taken for what was launched. Each service has a
//! task of its own, so that a look never comes before what it is compared with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::id::{Generation, ServiceName};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Inbox;
use crate::config::ServiceConfig;
use crate::core::{Input, InspectionId, Verdict};
use crate::files::{Contents, OwnFiles, Stamp};

/// An executable that is another one by now has to stay as it is for so long.
const STABLE: Duration = Duration::from_secs(1);
/// Paths that are named.
const FILES_NAMED: usize = 10;

/// Compares what files hold with what they held.
pub(crate) struct Inspector {
    own: Arc<OwnFiles>,
    services: BTreeMap<ServiceName, Watched>,
    /// Held while files are read: the disk and the processors are for the services.
    reading: Arc<Mutex<()>>,
}

/// What is known of one service.
struct Watched {
    /// The first run of which began after the listing.
    generation: Option<Generation>,
    listing: Listing,
    /// To its task, which ends when this is dropped.
    orders: mpsc::UnboundedSender<Order>,
}

/// What there was before a launch; none as long as nobody has looked.
type Listing = watch::Receiver<Option<Arc<Contents>>>;

enum Order {
    /// From now on, this is what runs.
    Runs(Arc<ServiceConfig>, Listing),
    Inspect(Arc<ServiceConfig>, InspectionId, Vec<String>, Inbox),
}

impl Inspector {
    /// Files of `own` do not count.
    pub(crate) fn new(own: Arc<OwnFiles>) -> Self {
        Self { own, services: BTreeMap::new(), reading: Arc::default() }
    }

    /// Nothing of this service runs: what is launched next is what it runs.
    pub(super) fn forget(&mut self, service: &ServiceName) {
        if let Some(watched) = self.services.get_mut(service) {
            watched.generation = None;
        }
    }

    /// A run is about to be launched; it may be when the future resolves, which is at once except
    /// for the first runs of a generation.
    pub(super) fn launching(
        &mut self,
        config: &Arc<ServiceConfig>,
        generation: Generation,
    ) -> impl Future<Output = ()> + Send + use<> {
        let listing = config.auto_restart.then(|| self.listing(config, generation));
        async move {
            if let Some(mut listing) = listing {
                // An error says that the look failed: then nothing is known, and any change counts.
                let _ = listing.wait_for(Option::is_some).await;
            }
        }
    }

    fn listing(&mut self, config: &Arc<ServiceConfig>, generation: Generation) -> Listing {
        let watched = self.watched(&config.name);
        if watched.generation == Some(generation) {
            return watched.listing.clone();
        }
        let (listed, listing) = watch::channel(None);
        (watched.generation, watched.listing) = (Some(generation), listing.clone());
        // The task is there as long as `watched` is.
        let _ = watched.orders.send(Order::Runs(Arc::clone(config), listing.clone()));
        let (config, own) = (Arc::clone(config), Arc::clone(&self.own));
        spawn_blocking(move || listed.send_replace(Some(Arc::new(Contents::list(&config, &own)))));
        listing
    }

    /// Looks whether the files of a service hold what runs, after `files` were heard to change, and
    /// tells `reports`.
    pub(super) fn inspect(
        &mut self,
        config: &Arc<ServiceConfig>,
        inspection: InspectionId,
        files: Vec<String>,
        reports: &Inbox,
    ) {
        let watched = self.watched(&config.name);
        let order = Order::Inspect(Arc::clone(config), inspection, files, reports.clone());
        // The task is there as long as `watched` is.
        let _ = watched.orders.send(order);
    }

    fn watched(&mut self, service: &ServiceName) -> &mut Watched {
        self.services.entry(service.clone()).or_insert_with(|| {
            let (orders, ordered) = mpsc::unbounded_channel();
            let (own, reading) = (Arc::clone(&self.own), Arc::clone(&self.reading));
            // It ends when the inspector is dropped.
            tokio::spawn(Task { own, reading, runs: None }.run(ordered));
            Watched { generation: None, listing: watch::channel(None).1, orders }
        })
    }
}

/// The task of one service.
struct Task {
    own: Arc<OwnFiles>,
    reading: Arc<Mutex<()>>,
    /// What the present runs began with; none: nobody knows.
    runs: Option<Arc<Contents>>,
}

impl Task {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = orders.recv().await {
            match order {
                Order::Runs(config, mut listing) => {
                    let listed = listing.wait_for(Option::is_some).await.ok();
                    let listed = listed.and_then(|listed| listed.clone());
                    self.runs = match listed {
                        Some(listed) => self.read(&config, move || (*listed).clone()).await,
                        None => None,
                    };
                }
                Order::Inspect(config, inspection, files, reports) => {
                    let verdict = self.verdict(&config, files).await;
                    let service = config.name.clone();
                    reports.put(Input::Inspected { service, inspection, verdict });
                }
            }
        }
    }

    async fn verdict(&self, config: &Arc<ServiceConfig>, heard: Vec<String>) -> Verdict {
        if !self.is_stable(config).await {
            return Verdict::Unstable;
        }
        let (listed, own) = (Arc::clone(config), Arc::clone(&self.own));
        let now = self.read(config, move || Contents::list(&listed, &own)).await;
        let differing = self.runs.as_ref().zip(now).and_then(|(runs, now)| runs.differing(&now));
        match differing {
            Some(differing) if differing.is_empty() => Verdict::Unchanged(heard),
            Some(differing) => Verdict::Changed(named(&differing)),
            None => Verdict::Changed(heard),
        }
    }

    /// Whether the executable is the one that runs, or has been another one for a while.
    async fn is_stable(&self, config: &Arc<ServiceConfig>) -> bool {
        let before = stamp(config).await;
        let runs = self.runs.as_ref().and_then(|runs| runs.stamp(&config.executable));
        if runs.is_some() && before == runs {
            return true;
        }
        sleep(STABLE).await;
        before == stamp(config).await
    }

    /// Lists and reads, and knows without reading what has not changed since the present runs
    /// began. None if that failed.
    async fn read(
        &self,
        config: &Arc<ServiceConfig>,
        list: impl FnOnce() -> Contents + Send + 'static,
    ) -> Option<Arc<Contents>> {
        let _reading = self.reading.lock().await;
        let (config, runs) = (Arc::clone(config), self.runs.clone());
        let read = spawn_blocking(move || {
            let mut contents = list();
            contents.read(&config.executable, runs.as_deref());
            Arc::new(contents)
        });
        // A panic in it has been reported.
        read.await.ok()
    }
}

async fn stamp(config: &Arc<ServiceConfig>) -> Option<Stamp> {
    let config = Arc::clone(config);
    // A panic in it has been reported.
    spawn_blocking(move || Stamp::of(&config.executable)).await.ok().flatten()
}

fn named(files: &BTreeSet<PathBuf>) -> Vec<String> {
    files.iter().take(FILES_NAMED).map(|path| path.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use super::super::Message;
    use super::*;
    use crate::core::sample_service;

    /// A service with a program and a page, and who looks at them.
    struct World {
        folder: tempfile::TempDir,
        config: Arc<ServiceConfig>,
        inspector: Inspector,
        inbox: Inbox,
        messages: mpsc::UnboundedReceiver<Message>,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut config = sample_service("shop", 2);
            config.executable = folder.path().join("app");
            config.watch = vec![folder.path().join("page")];
            let (sender, messages) = mpsc::unbounded_channel();
            let world = Self {
                folder,
                config: Arc::new(config),
                inspector: Inspector::new(Arc::default()),
                inbox: Inbox(sender),
                messages,
            };
            world.write("app", "1");
            world.write("page", "1");
            world
        }

        fn write(&self, name: &str, text: &str) {
            // As it is done to a program that runs.
            let new = self.folder.path().join("new");
            fs::write(&new, text).unwrap();
            fs::rename(new, self.folder.path().join(name)).unwrap();
        }

        async fn launch(&mut self, generation: u64) {
            self.inspector.launching(&self.config, Generation(generation)).await;
        }

        async fn look(&mut self) -> Verdict {
            let (id, heard) = (InspectionId(7), vec!["heard".to_owned()]);
            self.inspector.inspect(&self.config, id, heard, &self.inbox);
            match self.messages.recv().await {
                Some(Message::Input(Input::Inspected { inspection, verdict, .. })) => {
                    assert_eq!(inspection, id);
                    verdict
                }
                _ => panic!("only looks are told of"),
            }
        }

        fn changed(&self, names: &[&str]) -> Verdict {
            let path = |name: &&str| self.folder.path().join(name).display().to_string();
            Verdict::Changed(names.iter().map(path).collect())
        }
    }

    fn unchanged() -> Verdict {
        Verdict::Unchanged(vec!["heard".to_owned()])
    }

    #[tokio::test]
    async fn files_are_compared_with_what_they_held_at_the_launch() {
        let mut world = World::new();
        world.launch(1).await;
        assert_eq!(world.look().await, unchanged());
        world.write("page", "2");
        assert_eq!(world.look().await, world.changed(&["page"]));
        world.write("page", "1");
        assert_eq!(world.look().await, unchanged());
        world.write("app", "2");
        fs::remove_file(world.folder.path().join("page")).unwrap();
        assert_eq!(world.look().await, world.changed(&["app", "page"]));
        world.launch(2).await;
        assert_eq!(world.look().await, unchanged());
    }

    #[tokio::test]
    async fn a_run_that_is_launched_again_does_not_stand_for_the_others() {
        let mut world = World::new();
        world.launch(1).await;
        world.write("page", "2");
        world.launch(1).await;
        assert_eq!(world.look().await, world.changed(&["page"]));
        world.inspector.forget(&world.config.name);
        world.launch(1).await;
        assert_eq!(world.look().await, unchanged(), "nothing else ran");
    }

    #[tokio::test]
    async fn of_a_service_that_was_never_launched_everything_has_changed() {
        let mut world = World::new();
        assert_eq!(world.look().await, Verdict::Changed(vec!["heard".to_owned()]));
    }

    #[tokio::test]
    async fn a_program_that_is_still_being_written_is_unstable() {
        let mut world = World::new();
        world.launch(1).await;
        let program = world.config.executable.clone();
        let is_over = Arc::new(AtomicBool::new(false));
        let writer = {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || write_until(&program, &is_over))
        };
        while fs::metadata(&world.config.executable).unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(world.look().await, Verdict::Unstable);
        is_over.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        assert_eq!(world.look().await, world.changed(&["app"]));
    }

    fn write_until(program: &Path, is_over: &AtomicBool) {
        let mut file = fs::OpenOptions::new().append(true).open(program).unwrap();
        while !is_over.load(Ordering::Relaxed) {
            file.write_all(b"more").unwrap();
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[tokio::test]
    async fn a_service_that_is_not_watched_is_launched_without_a_look() {
        let mut world = World::new();
        world.config = Arc::new(ServiceConfig { auto_restart: false, ..(*world.config).clone() });
        world.launch(1).await;
        assert!(world.inspector.services.is_empty());
    }
}
