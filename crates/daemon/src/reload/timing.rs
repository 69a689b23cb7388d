//! When files that change by themselves are read: when they are quiet, and when one that is gone was
//! meant to go. Arithmetic on instants.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use smoothserve_protocol::id::ServiceName;
use tokio::time::Instant;

use crate::config::Config;

/// An editor changes a file several times to save it once.
const QUIET: Duration = Duration::from_secs(1);
/// A steady trickle of changes is looked at now and then all the same.
const LONGEST_QUIET: Duration = Duration::from_secs(10);
/// A file that is gone so long was meant to go.
const GONE: Duration = Duration::from_secs(10);

/// When to read again.
#[derive(Default)]
pub(super) struct Quiet {
    since: Option<Instant>,
    pub(super) due: Option<Instant>,
}

impl Quiet {
    /// A file has changed.
    pub(super) fn changed(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        self.due = Some((now + QUIET).min(since + LONGEST_QUIET));
    }

    /// It was read.
    pub(super) fn over(&mut self) {
        *self = Self::default();
    }

    /// It is to be read again at `at`, if nothing happens before.
    pub(super) fn again_at(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }
}

/// Services whose files are gone, and since when.
#[derive(Default)]
pub(super) struct Gone(BTreeMap<ServiceName, Instant>);

impl Gone {
    /// Leaves in `next` the services of `running` whose files have not been gone for long: an editor
    /// or a mistake may bring them back. Where a new service appears beside, a file was renamed.
    pub(super) fn spare(&mut self, running: &Config, next: &mut Config, now: Instant) {
        let is_in = |config: &Config, name: &ServiceName| {
            config.services.iter().any(|service| service.name == *name)
        };
        self.0.retain(|name, _| !is_in(next, name));
        if next.services.iter().any(|service| !is_in(running, &service.name)) {
            return self.0.clear();
        }
        for service in &running.services {
            if is_in(next, &service.name) {
                continue;
            }
            let since = *self.0.entry(service.name.clone()).or_insert(now);
            if now < since + GONE {
                next.services.push(Arc::clone(service));
            } else {
                self.0.remove(&service.name);
            }
        }
        next.services.sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// When the first of them is not waited for any longer.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.values().min().map(|since| *since + GONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::sample_service;

    fn config(names: &[&str]) -> Config {
        let services = names.iter().map(|name| Arc::new(sample_service(name, 1))).collect();
        Config {
            source: "/etc/smoothserve.yaml".into(),
            command: ([127, 0, 0, 1], 0).into(),
            state_dir: "/var/lib/smoothserve".into(),
            shutdown_timeout: Duration::ZERO,
            trust: crate::config::Trust::default(),
            shutdown_delay: Duration::ZERO,
            metrics: None,
            ready_path: None,
            access_log: None,
            clients: crate::config::ClientLimits::default(),
            tls: Vec::new(),
            https: crate::config::Https::default(),
            log: None,
            output: None,
            services_dir: "/etc/services".into(),
            services,
            warnings: Vec::new(),
        }
    }

    fn names(config: &Config) -> Vec<&str> {
        config.services.iter().map(|service| service.name.as_str()).collect()
    }

    #[test]
    fn a_removed_file_counts_after_ten_seconds_unless_it_comes_back() {
        let (running, start) = (config(&["a", "b"]), Instant::now());
        let mut gone = Gone::default();
        let mut look = |seconds: u64, found: &[&str]| {
            let mut next = config(found);
            gone.spare(&running, &mut next, start + Duration::from_secs(seconds));
            names(&next).join(" ")
        };
        assert_eq!(look(0, &["a"]), "a b");
        assert_eq!(look(9, &["a"]), "a b");
        assert_eq!(look(9, &["a", "b"]), "a b");
        assert_eq!(look(11, &["a"]), "a b");
        assert_eq!(look(21, &["a"]), "a");
    }

    #[test]
    fn a_service_that_was_renamed_is_not_kept_beside_its_new_name() {
        let mut gone = Gone::default();
        let mut next = config(&["a", "c"]);
        gone.spare(&config(&["a", "b"]), &mut next, Instant::now());
        assert_eq!(names(&next), ["a", "c"]);
    }

    #[test]
    fn a_trickle_of_changes_is_read_after_ten_seconds() {
        let start = Instant::now();
        let mut quiet = Quiet::default();
        for tenth in 0..200 {
            quiet.changed(start + Duration::from_millis(100 * tenth));
        }
        assert_eq!(quiet.due, Some(start + LONGEST_QUIET));
    }
}
