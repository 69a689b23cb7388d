//! What counts inside a watched folder: patterns, `.gitignore` files, and what the daemon writes.
//!
//! The only file that names the crate `ignore`. It says what counts, and watches nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::walk::{Entry, Place};
use crate::config::{Config, ServiceConfig};

const GITIGNORE: &str = ".gitignore";

/// Files that the daemon writes itself: a service that watched them would restart for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnFiles {
    /// With everything below them.
    folders: Vec<PathBuf>,
    /// With their neighbours whose names begin with theirs and a dot.
    stems: Vec<PathBuf>,
}

impl OwnFiles {
    /// The logs with their old files, the output of instances, and what lies in the state folder.
    pub fn of(config: &Config) -> Self {
        let output = config.output.iter().map(|output| output.folder.clone());
        let log = config.log.iter().map(|log| log.file.clone());
        let access_log = config.access_log.iter().map(|log| log.file.clone());
        let state = config.state_dir.join("smoothserve");
        Self {
            folders: output.flat_map(under_both_names).collect(),
            stems: log.chain(access_log).chain([state]).flat_map(under_both_names).collect(),
        }
    }

    pub(super) fn hold(&self, path: &Path) -> bool {
        self.folders.iter().any(|folder| path.starts_with(folder))
            || self.stems.iter().any(|stem| is_of_stem(path, stem))
    }
}

/// As it was written, and as it is called when no symbolic link is followed.
fn under_both_names(path: PathBuf) -> impl Iterator<Item = PathBuf> {
    let real = path.parent().and_then(|folder| folder.canonicalize().ok());
    let real = real.zip(path.file_name()).map(|(folder, name)| folder.join(name));
    let real = real.filter(|real| *real != path);
    [path].into_iter().chain(real)
}

fn is_of_stem(path: &Path, stem: &Path) -> bool {
    let (Some(name), Some(stem_name)) = (path.file_name(), stem.file_name()) else { return false };
    let rest = name.as_encoded_bytes().strip_prefix(stem_name.as_encoded_bytes());
    path.parent() == stem.parent() && rest.is_some_and(|rest| matches!(rest, [] | [b'.', ..]))
}

/// `watch_ignore` of one service, ready to be asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Patterns(Arc<[Gitignore]>);

impl Patterns {
    /// Reads them, and says which of them are none.
    pub(super) fn new(service: &ServiceConfig) -> (Self, Vec<String>) {
        let folder = service.executable.parent().unwrap_or(Path::new("/"));
        let read: Vec<_> = service.watch_ignore.iter().map(|line| pattern(folder, line)).collect();
        let (good, bad): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
        let problems = bad.into_iter().filter_map(Result::err);
        (Self(good.into_iter().flatten().collect()), problems.map(|e| e.to_string()).collect())
    }

    /// The last that matches decides.
    fn ignores(&self, path: &Path, is_dir: bool) -> Option<bool> {
        self.0.iter().rev().find_map(|pattern| decision(&pattern.matched(path, is_dir)))
    }
}

/// A pattern by itself, so that it may begin with `../`, which no `.gitignore` could say: what a
/// service watches often lies beside the folder of its executable.
fn pattern(folder: &Path, line: &str) -> Result<Gitignore, ignore::Error> {
    let (not, mut rest) = line.strip_prefix('!').map_or(("", line), |rest| ("!", rest));
    let mut base = folder;
    while let Some(below) = rest.strip_prefix("../") {
        (rest, base) = (below, base.parent().unwrap_or(base));
    }
    let line = if base == folder { line.to_owned() } else { format!("{not}/{rest}") };
    GitignoreBuilder::new(base).add_line(None, &line)?.build()
}

fn decision<T>(found: &Match<T>) -> Option<bool> {
    match found {
        Match::None => None,
        Match::Ignore(_) => Some(true),
        Match::Whitelist(_) => Some(false),
    }
}

/// What counts below one watched folder.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// The watched folder.
    root: PathBuf,
    patterns: Patterns,
    /// By folder; none: they are not honoured.
    gitignores: Option<BTreeMap<PathBuf, Gitignore>>,
    own: Arc<OwnFiles>,
}

impl Rules {
    pub(super) fn new(
        root: &Path,
        service: &ServiceConfig,
        patterns: Patterns,
        own: Arc<OwnFiles>,
    ) -> Self {
        let gitignores = service.watch_gitignore.then(BTreeMap::new);
        Self { root: root.to_owned(), patterns, gitignores, own }
    }

    /// Whether an entry is a rule rather than ruled by some.
    pub(super) fn is_rule(&self, path: &Path) -> bool {
        self.gitignores.is_some() && path.file_name().is_some_and(|name| name == GITIGNORE)
    }

    /// What counts in a folder that counts itself; nothing if it cannot be read.
    pub(super) fn entries(&mut self, folder: &Place) -> Vec<Entry> {
        self.read(&folder.name);
        let Ok(entries) = fs::read_dir(&folder.real) else { return Vec::new() };
        let found = entries.flatten().filter_map(|entry| {
            let kind = entry.file_type().ok()?;
            let place = folder.join(entry.file_name());
            let is_dir = if kind.is_symlink() { place.real.is_dir() } else { kind.is_dir() };
            Some(Entry { place, is_link: kind.is_symlink(), is_dir })
        });
        found.filter(|entry| self.counts(&entry.place, entry.is_dir)).collect()
    }

    fn read(&mut self, folder: &Path) {
        let Some(gitignores) = &mut self.gitignores else { return };
        // A line that is no pattern is passed over, as git does.
        let (rules, _) = Gitignore::new(folder.join(GITIGNORE));
        if rules.is_empty() {
            gitignores.remove(folder);
        } else {
            gitignores.insert(folder.to_owned(), rules);
        }
    }

    /// Whether an entry of a folder that counts does so too.
    pub(super) fn counts(&self, entry: &Place, is_dir: bool) -> bool {
        let Place { name, real } = entry;
        let ignored = name.ends_with(".git")
            || self.own.hold(name)
            || self.own.hold(real)
            || self
                .patterns
                .ignores(name, is_dir)
                .unwrap_or_else(|| self.git_ignores(name, is_dir));
        !ignored
    }

    /// The nearest `.gitignore` that says anything decides.
    fn git_ignores(&self, name: &Path, is_dir: bool) -> bool {
        let Some(gitignores) = &self.gitignores else { return false };
        let folders = name.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root));
        let mut rules = folders.filter_map(|folder| gitignores.get(folder));
        rules.find_map(|rules| decision(&rules.matched(name, is_dir))).unwrap_or(false)
    }
}
