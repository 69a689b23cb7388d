//! One watched path: everything that has to be watched so that no change of it is missed.
//!
//! Deploys replace files by renaming, point symbolic links elsewhere, and remove whole folders to
//! make them anew. So every name on the way to the path is watched in the folder it is in, through
//! links and missing parts, and if the path is a folder, every folder below it. A folder is watched
//! before it is looked at: what comes in between is seen twice rather than missed.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ffi::OsString;
use std::fs;
use std::mem;
use std::path::{Component, Path, PathBuf};

use smoothserve_protocol::id::ServiceName;

use super::notice::Change;
use super::places::Places;
use super::rules::Rules;
use super::walk::{Place, Walk};

/// Symbolic links on one way; the system gives up after as many.
const MOST_LINKS: usize = 40;

/// A path that is watched.
#[derive(Debug)]
pub(super) struct Target {
    /// For whom; none: the daemon.
    pub(super) service: Option<ServiceName>,
    pub(super) path: PathBuf,
    scope: Scope,
    way: Way,
    inside: Inside,
}

/// What counts if the path is a folder.
#[derive(Debug)]
pub(super) enum Scope {
    /// All below it that the rules let count.
    Everything(Rules),
    /// The YAML files in it.
    YamlFiles,
}

/// The way to the path.
#[derive(Debug, Default)]
struct Way {
    /// Every name on it, in the folder it is really in.
    names: BTreeSet<PathBuf>,
    /// Where it leads; none: nowhere.
    end: Option<PathBuf>,
    /// Folders that are held.
    folders: Vec<PathBuf>,
}

/// The folders below the path, each held once.
#[derive(Debug, Default)]
struct Inside {
    by_real: HashMap<PathBuf, PathBuf>,
    by_name: BTreeMap<PathBuf, PathBuf>,
}

impl Target {
    pub(super) fn new(service: Option<ServiceName>, path: PathBuf, scope: Scope) -> Self {
        Self { service, path, scope, way: Way::default(), inside: Inside::default() }
    }

    /// Whether it has to be told what happens in a folder.
    pub(super) fn needs(&self, folder: &Path) -> bool {
        self.inside.by_real.contains_key(folder) || self.way.folders.iter().any(|it| it == folder)
    }

    pub(super) fn is_there(&self) -> bool {
        self.way.end.is_some()
    }

    /// Watches it, or watches it anew.
    pub(super) fn arm(&mut self, places: &mut Places) {
        let (way, inside) = (mem::take(&mut self.way), mem::take(&mut self.inside));
        self.way = Way::find(&self.path, places);
        if let Some(real) = self.way.end.clone() {
            self.enter(Place { name: self.path.clone(), real }, places);
        }
        // What is still needed is held by now, and does not stop being watched in between.
        release(&way, &inside, places);
    }

    /// Watches it no longer.
    pub(super) fn disarm(&mut self, places: &mut Places) {
        release(&mem::take(&mut self.way), &mem::take(&mut self.inside), places);
    }

    /// What `path`, which has changed, is to this target, after watching anew what it has moved.
    pub(super) fn heard(
        &mut self,
        path: &Path,
        change: Change,
        places: &mut Places,
    ) -> Option<PathBuf> {
        match change {
            Change::Moved if self.way.names.contains(path) => {
                let was_there = self.is_there();
                self.arm(places);
                (was_there || self.is_there()).then(|| self.path.clone())
            }
            Change::Written if self.is_file_at(path) => Some(self.path.clone()),
            Change::Moved | Change::Written => self.heard_inside(path, change, places),
        }
    }

    fn is_file_at(&self, path: &Path) -> bool {
        self.way.end.as_deref() == Some(path) && self.inside.by_name.is_empty()
    }

    fn heard_inside(
        &mut self,
        path: &Path,
        change: Change,
        places: &mut Places,
    ) -> Option<PathBuf> {
        let real = path.parent()?;
        let name = self.inside.by_real.get(real)?.clone();
        let folder = Place { name, real: real.to_owned() };
        let entry = folder.join(path.file_name()?);
        let Scope::Everything(rules) = &self.scope else {
            return is_yaml(&entry.real).then_some(entry.name);
        };
        let counts = rules.counts(&entry, entry.real.is_dir());
        if rules.is_rule(&entry.name) {
            self.renew(folder, true, places);
        } else if change == Change::Moved {
            // Even if it does not count: it may be a folder no more.
            self.renew(entry.clone(), counts, places);
        }
        counts.then_some(entry.name)
    }

    /// Watches anew a folder and all below it, or no longer.
    fn renew(&mut self, folder: Place, counts: bool, places: &mut Places) {
        let former = self.inside.remove(&folder.name);
        if counts {
            self.enter(folder, places);
        }
        // What is still needed is held twice by now, and does not stop being watched in between.
        former.iter().for_each(|real| places.release(real));
    }

    /// Watches a folder and all below it that counts.
    fn enter(&mut self, folder: Place, places: &mut Places) {
        if !folder.real.is_dir() {
            return;
        }
        let mut walk = Walk::from(folder);
        while let Some(folder) = walk.next() {
            if !self.inside.add(&folder) {
                continue;
            }
            places.hold(&folder.real);
            if let Scope::Everything(rules) = &mut self.scope {
                rules.entries(&folder).into_iter().for_each(|entry| walk.add(entry));
            }
        }
    }
}

fn release(way: &Way, inside: &Inside, places: &mut Places) {
    for folder in way.folders.iter().chain(inside.by_real.keys()) {
        places.release(folder);
    }
}

/// A file of services, or a link by which many of them may be changed at once.
fn is_yaml(path: &Path) -> bool {
    let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    is_yaml || path.is_symlink()
}

impl Way {
    /// Goes it name by name, and watches every folder before it looks there.
    fn find(path: &Path, places: &mut Places) -> Self {
        let mut way = Self::default();
        let mut real = PathBuf::from("/");
        let mut links = 0;
        let mut ahead: VecDeque<OsString> = parts(path).collect();
        while let Some(part) = ahead.pop_front() {
            match Path::new(&part).components().next() {
                Some(Component::RootDir) => real = PathBuf::from("/"),
                Some(Component::ParentDir) => {
                    real.pop();
                }
                Some(Component::Normal(name)) => {
                    let name = real.join(name);
                    way.pass(&real, &name, places);
                    match fs::symlink_metadata(&name) {
                        Ok(found) if found.is_symlink() && links < MOST_LINKS => {
                            links += 1;
                            let Ok(to) = fs::read_link(&name) else { return way };
                            parts(&to).rev().for_each(|part| ahead.push_front(part));
                        }
                        Ok(found) if !found.is_symlink() => real = name,
                        Ok(_) | Err(_) => return way,
                    }
                }
                Some(Component::CurDir | Component::Prefix(_)) | None => {}
            }
        }
        way.end = Some(real);
        way
    }

    fn pass(&mut self, folder: &Path, name: &Path, places: &mut Places) {
        if self.names.insert(name.to_owned()) {
            places.hold(folder);
            self.folders.push(folder.to_owned());
        }
    }
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().map(|part| part.as_os_str().to_owned())
}

impl Inside {
    /// False if it is there already.
    fn add(&mut self, Place { name, real }: &Place) -> bool {
        let is_new = !self.by_real.contains_key(real);
        if is_new {
            self.by_real.insert(real.clone(), name.clone());
            self.by_name.insert(name.clone(), real.clone());
        }
        is_new
    }

    /// Removes what is called `name` and all below it; where that really is.
    fn remove(&mut self, name: &Path) -> Vec<PathBuf> {
        let below = self.by_name.range(name.to_owned()..);
        let below = below.take_while(|(folder, _)| folder.starts_with(name));
        let names: Vec<PathBuf> = below.map(|(folder, _)| folder.clone()).collect();
        let reals: Vec<_> = names.iter().filter_map(|name| self.by_name.remove(name)).collect();
        for real in &reals {
            self.by_real.remove(real);
        }
        reals
    }
}
