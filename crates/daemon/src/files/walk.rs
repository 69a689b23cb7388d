//! The way through a folder and all below it, along symbolic links to other folders too.
//!
//! It keeps track of where to go; who walks decides what to do there.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

/// A name under which a folder or a file is watched, and where it really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) name: PathBuf,
    pub(super) real: PathBuf,
}

impl Place {
    pub(super) fn join(&self, entry: impl AsRef<Path>) -> Self {
        Self { name: self.name.join(&entry), real: self.real.join(&entry) }
    }
}

/// Something in a folder.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) is_link: bool,
    /// It is a folder, or a link to one.
    pub(super) is_dir: bool,
}

/// Folders still to be entered. Each is entered once, links last, so that a folder inside has the
/// name that does without them.
#[derive(Debug, Default)]
pub(super) struct Walk {
    folders: Vec<Place>,
    links: VecDeque<Place>,
    entered: HashSet<PathBuf>,
}

impl From<Place> for Walk {
    fn from(root: Place) -> Self {
        Self { folders: vec![root], ..Self::default() }
    }
}

impl Walk {
    /// Takes note of a folder, or a link to one.
    pub(super) fn add(&mut self, entry: Entry) {
        match entry {
            Entry { is_dir: false, .. } => {}
            Entry { is_link: true, place, .. } => self.links.push_back(place),
            Entry { is_link: false, place, .. } => self.folders.push(place),
        }
    }

    /// The next folder to be entered.
    pub(super) fn next(&mut self) -> Option<Place> {
        if let Some(folder) = self.folders.pop() {
            self.entered.insert(folder.real.clone());
            return Some(folder);
        }
        while let Some(Place { name, real }) = self.links.pop_front() {
            let Ok(real) = real.canonicalize() else { continue };
            // Neither where we were nor above it: that way goes round in circles.
            if !self.entered.iter().any(|folder| folder.starts_with(&real)) {
                self.entered.insert(real.clone());
                return Some(Place { name, real });
            }
        }
        None
    }
}
