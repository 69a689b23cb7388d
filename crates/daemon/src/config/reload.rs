//! Reads everything again while services run: what is wrong leaves its own service as it was.
//!
//! Only what the files say is decided here. What it takes to get there is `change`, and doing it is
//! the daemon's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use smoothserve_protocol::id::ServiceName;

use super::error::{Colour, ConfigErrors, Problem, Site};
use super::read::{self, ServiceFile};
use super::resolve::{Main, Service, Sites};
use super::table::Spot;
use super::{Config, ServiceConfig, clash, load};

#[cfg(test)]
mod tests;

/// What a reload found.
#[derive(Clone, Debug)]
pub struct Reloaded {
    /// Everything that is sound, and the running configuration of services whose files are not. A
    /// service that stays as it is keeps its `Arc`.
    pub config: Config,
    /// Files that do not count, by name.
    pub rejected: Vec<Rejected>,
}

/// A service's file that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Absolute.
    pub file: PathBuf,
    /// The service that keeps the configuration it has; none: there is none from this file.
    pub service: Option<ServiceName>,
    /// All that is wrong, without colour, as `--check` prints it.
    pub rendered: String,
}

/// Reads `main_file` and the services it names, as [`load()`](super::load()) does.
///
/// A service's file that is wrong, or clashes with what is steady, is rejected: the running service
/// of that file stays as it is, and a new one is left out. A service whose file is no longer there
/// is not in the result.
///
/// # Errors
/// Everything that is wrong if `main_file` is, or if it clashes with a service that stays as it is.
pub fn reload(main_file: &Path, running: &Config) -> Result<Reloaded, ConfigErrors> {
    let source = std::path::absolute(main_file).unwrap_or_else(|_| main_file.to_owned());
    let mut problems = Vec::new();
    let main = read::main_file(&source, &mut problems);
    let files = main.as_ref().map_or(Ok(Vec::new()), read::services).unwrap_or_else(|problem| {
        problems.push(problem);
        Vec::new()
    });
    let mut candidates: Vec<_> =
        files.into_iter().map(|file| Candidate::new(file, running)).collect();
    if let (Some(main), true) = (&main, problems.is_empty()) {
        problems = settle(&source, main, &mut candidates);
    }
    match main {
        Some(main) if problems.is_empty() => Ok(finish(source, main, candidates)),
        _ => {
            problems.extend(candidates.into_iter().flat_map(|candidate| candidate.problems));
            Err(ConfigErrors::new(problems).expect("a main file that gives nothing left a problem"))
        }
    }
}

/// A service's file, and what counts of it so far.
struct Candidate {
    file: PathBuf,
    /// The service that runs from this file.
    running: Option<Arc<ServiceConfig>>,
    /// What is to run from now on.
    service: Option<Service>,
    standing: Standing,
    /// Why the file is rejected; empty if it is not.
    problems: Vec<Problem>,
}

/// Whether a candidate gives way in a clash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// It is as it was: its file says so, or does not count.
    Steady,
    /// It is new, or another than the one that runs.
    Changed,
}

impl Candidate {
    fn new((file, service): ServiceFile, running: &Config) -> Self {
        let running = running.services.iter().find(|service| service.source == file).cloned();
        let mut candidate =
            Self { file, running, service: None, standing: Standing::Changed, problems: vec![] };
        match service {
            Ok(service) => {
                if candidate.running.as_ref().is_some_and(|running| is_same(&service, running)) {
                    candidate.standing = Standing::Steady;
                }
                candidate.service = Some(service);
            }
            Err(problems) => candidate.reject(problems),
        }
        candidate
    }

    fn reject(&mut self, problems: Vec<Problem>) {
        self.problems.extend(problems);
        self.standing = Standing::Steady;
        self.service = self.running.as_deref().map(former);
    }

    fn rejected(&self) -> Option<Rejected> {
        Some(Rejected {
            file: self.file.clone(),
            service: self.running.as_ref().map(|running| running.name.clone()),
            rendered: ConfigErrors::new(self.problems.clone())?.render(Colour::Never),
        })
    }

    fn into_config(self) -> Option<Arc<ServiceConfig>> {
        let config = self.service?.config;
        Some(self.running.filter(|running| **running == config).unwrap_or_else(|| Arc::new(config)))
    }
}

/// Rejects files until what is left has no clash; the clashes in which no service gives way.
fn settle(source: &Path, main: &Main, candidates: &mut [Candidate]) -> Vec<Problem> {
    loop {
        // The first of two is only named in a clash; the other one is where it is shown.
        candidates
            .sort_by(|one, other| (one.standing, &one.file).cmp(&(other.standing, &other.file)));
        let clashes = clashes(main, candidates);
        if clashes.is_empty() {
            return Vec::new();
        }
        let (mut losers, mut stuck) = (Vec::new(), Vec::new());
        for clash in clashes {
            match loser(&clash, candidates, &losers) {
                Some(index) => {
                    losers.push(index);
                    let file = candidates[index].file.clone();
                    candidates[index].reject(vec![clash.shown_in(&file)]);
                }
                None => stuck.push(clash.shown_in(source)),
            }
        }
        if !stuck.is_empty() {
            return stuck;
        }
    }
}

fn clashes(main: &Main, candidates: &mut [Candidate]) -> Vec<Problem> {
    let mut services: Vec<_> =
        candidates.iter_mut().filter_map(|candidate| candidate.service.as_mut()).collect();
    clash::set_defaults(&mut services);
    let services: Vec<_> = services.into_iter().map(|service| &*service).collect();
    clash::find(main, &services)
}

/// Who gives way: one that has lost already, so that nobody else loses to it, or else one that
/// changed.
fn loser(clash: &Problem, candidates: &[Candidate], losers: &[usize]) -> Option<usize> {
    let involved: Vec<_> = clash
        .files()
        .filter_map(|file| candidates.iter().position(|candidate| candidate.file == file))
        .collect();
    let has_lost = |index: &&usize| losers.contains(index);
    let is_changed = |index: &&usize| candidates[**index].standing == Standing::Changed;
    involved.iter().find(has_lost).or(involved.iter().find(is_changed)).copied()
}

/// Whether `service` is what runs; if it is the default of its port may depend on the others.
fn is_same(service: &Service, running: &ServiceConfig) -> bool {
    let is_default = running.is_default;
    let has_same_mark = service.default.as_ref().is_none_or(|mark| mark.value == is_default);
    has_same_mark && ServiceConfig { is_default, ..service.config.clone() } == *running
}

/// A service that stays as it is although its file says something else.
fn former(running: &ServiceConfig) -> Service {
    let site = Site::former(&running.source);
    Service {
        config: running.clone(),
        default: Some(Spot { value: running.is_default, site: site.clone() }),
        sites: Sites {
            name: site.clone(),
            port: site.clone(),
            first_port: site.clone(),
            surge_port: site.clone(),
            routes: site,
        },
    }
}

fn finish(source: PathBuf, main: Main, mut candidates: Vec<Candidate>) -> Reloaded {
    candidates.sort_by(|one, other| one.file.cmp(&other.file));
    let rejected = candidates.iter().filter_map(Candidate::rejected).collect();
    let services = candidates.into_iter().filter_map(Candidate::into_config).collect();
    Reloaded { config: load::assemble(source, main, services), rejected }
}
