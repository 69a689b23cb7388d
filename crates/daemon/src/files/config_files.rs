//! Tells when the files of the configuration change, which is no reason to restart anything by
//! itself.

use std::path::PathBuf;

use super::target::{Scope, Target};
use super::{MEANS, Report, Watcher, start};

/// Watches until it is dropped.
#[derive(Debug)]
pub struct ConfigWatcher {
    _watcher: Watcher,
}

/// Watches `main`, and every `*.yaml` and `*.yml` in `folder` but not below it, and calls `changed`
/// from a thread of its own with each of them that is written, made, renamed or removed, and with
/// each symbolic link in `folder`, by which many may change at once.
///
/// Neither of the two needs to exist. One save is often several changes.
pub fn watch_config(
    folder: PathBuf,
    main: PathBuf,
    changed: impl Fn(PathBuf) + Send + 'static,
) -> ConfigWatcher {
    let report = move |report: Report<'_>| match report {
        Report::Changed(_, path) => changed(path),
        Report::Warning(_, text) => tracing::warn!("watching the configuration: {text}"),
    };
    let targets = [folder, main].map(|path| Target::new(None, path, Scope::YamlFiles));
    ConfigWatcher { _watcher: start(MEANS, targets.into(), Vec::new(), Box::new(report)) }
}
