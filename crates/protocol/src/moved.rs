//! What moved since a console was last told: the difference of two overviews, or of two details of
//! one service, and how it is taken over.
//!
//! Whoever takes over every difference has the whole; ages are carried on by the daemon's own
//! uptime, so that a state that merely lasts is no news. Knows neither when a console is told nor
//! how many are.

use bincode::{Decode, Encode};

use crate::event::Cause;
use crate::failure::Failure;
use crate::id::Revision;
use crate::snapshot::{
    DaemonView, InstanceView, Ledger, OperationView, Overview, ServiceDetail, ServiceRow, Traffic,
};

/// Two ages of one state differ by so many milliseconds at most: both are rounded, and so is the
/// uptime that carries them on.
const ROUNDING: u64 = 5;

/// What moved in an [`Overview`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OverviewMoved {
    /// Version of the state described.
    pub revision: Revision,
    /// The daemon itself.
    pub daemon: DaemonMoved,
    /// Rows of which more than the figures moved, by their place in the overview, ascending.
    pub rows: Vec<(u32, ServiceRow)>,
    /// The figures of the rows of which nothing else moved, by place, ascending. None: there was
    /// no time for figures, and those known go on to be shown.
    pub figures: Option<Vec<(u32, Traffic)>>,
}

/// What moves in a [`DaemonView`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DaemonMoved {
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Its wall clock, in milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
    /// It was told to stop and finishes what it has.
    pub stopping: bool,
    /// Instances that take requests, in services that are wanted.
    pub ready: u32,
    /// Instances in services that are wanted.
    pub wanted: u32,
    /// All services together.
    pub traffic: Traffic,
    /// Requests that reached no service.
    pub rejected: u64,
}

/// What moves in a [`ServiceDetail`]; its configuration, its receipts and what failed runs said
/// stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ServiceMoved {
    /// What the overview shows of it.
    pub row: ServiceRow,
    /// Who stopped it, if it is stopped.
    pub stopped_by: Option<Cause>,
    /// Since the daemon started.
    pub ledger: Ledger,
    /// By slot, ascending, without gaps; of each, `failure` is none and stays what it was.
    pub instances: Vec<InstanceView>,
    /// The operation that runs.
    pub operation: Option<OperationView>,
}

impl OverviewMoved {
    /// The same, where there is no time for figures.
    #[must_use]
    pub fn without_figures(self) -> Self {
        Self { figures: None, ..self }
    }
}

impl Overview {
    /// What moved since `before`. None: more did than a difference can tell, such as which services
    /// there are.
    #[must_use]
    pub fn moved_since(&self, before: &Self) -> Option<OverviewMoved> {
        let daemon = self.daemon.moved_since(&before.daemon)?;
        let passed = self.daemon.uptime_ms.checked_sub(before.daemon.uptime_ms)?;
        if self.services.len() != before.services.len() {
            return None;
        }
        let (mut rows, mut figures) = (Vec::new(), Vec::new());
        for (place, (now, before)) in (0..).zip(self.services.iter().zip(&before.services)) {
            if now.name != before.name {
                return None;
            }
            if is_more_than_figures(before, now, passed) {
                rows.push((place, now.clone()));
            } else if now.traffic != before.traffic {
                figures.push((place, now.traffic));
            }
        }
        Some(OverviewMoved { revision: self.revision, daemon, rows, figures: Some(figures) })
    }

    /// Takes over what moved. Places that this overview does not have are passed over.
    pub fn take(&mut self, moved: OverviewMoved) {
        let OverviewMoved { revision, daemon, rows, figures } = moved;
        let passed = daemon.uptime_ms.saturating_sub(self.daemon.uptime_ms);
        self.revision = revision;
        self.daemon.take(daemon);
        for row in &mut self.services {
            row.since_ms = row.since_ms.saturating_add(passed);
        }
        for (place, row) in rows {
            if let Some(known) = self.services.get_mut(place as usize) {
                *known = row;
            }
        }
        for (place, traffic) in figures.into_iter().flatten() {
            if let Some(known) = self.services.get_mut(place as usize) {
                known.traffic = traffic;
            }
        }
    }
}

/// Whether anything but its figures changed in a row, `passed` milliseconds later.
fn is_more_than_figures(before: &ServiceRow, now: &ServiceRow, passed: u64) -> bool {
    let ServiceRow { name, state, generation, pips, traffic: _, since_ms, operation, stale_config } =
        now;
    let same_age = since_ms.abs_diff(before.since_ms.saturating_add(passed)) <= ROUNDING;
    !same_age
        || *name != before.name
        || *state != before.state
        || *generation != before.generation
        || *pips != before.pips
        || *operation != before.operation
        || *stale_config != before.stale_config
}

impl DaemonView {
    fn moved_since(&self, before: &Self) -> Option<DaemonMoved> {
        let Self {
            version,
            pid,
            host,
            config,
            uptime_ms,
            unix_ms,
            stopping,
            ready,
            wanted,
            traffic,
            rejected,
            config_problem,
        } = self;
        let same = *version == before.version
            && *pid == before.pid
            && *host == before.host
            && *config == before.config
            && *config_problem == before.config_problem;
        same.then_some(DaemonMoved {
            uptime_ms: *uptime_ms,
            unix_ms: *unix_ms,
            stopping: *stopping,
            ready: *ready,
            wanted: *wanted,
            traffic: *traffic,
            rejected: *rejected,
        })
    }

    fn take(&mut self, moved: DaemonMoved) {
        let DaemonMoved { uptime_ms, unix_ms, stopping, ready, wanted, traffic, rejected } = moved;
        (self.uptime_ms, self.unix_ms, self.stopping) = (uptime_ms, unix_ms, stopping);
        (self.ready, self.wanted) = (ready, wanted);
        (self.traffic, self.rejected) = (traffic, rejected);
    }
}

impl ServiceDetail {
    /// What moved since `before`. None: more did than a difference can tell, such as a run that
    /// failed or a restart that ended.
    #[must_use]
    pub fn moved_since(&self, before: &Self) -> Option<ServiceMoved> {
        let Self {
            row,
            listen,
            server_names,
            source,
            config_problem,
            executable,
            auto_restart,
            stopped_by,
            ledger,
            instances,
            operation,
            receipts,
        } = self;
        let same = row.name == before.row.name
            && *listen == before.listen
            && *server_names == before.server_names
            && *source == before.source
            && *config_problem == before.config_problem
            && *executable == before.executable
            && *auto_restart == before.auto_restart
            && *receipts == before.receipts
            && self.failures().eq(before.failures());
        same.then(|| ServiceMoved {
            row: row.clone(),
            stopped_by: stopped_by.clone(),
            ledger: *ledger,
            instances: instances.iter().map(without_failure).collect(),
            operation: operation.clone(),
        })
    }

    /// Takes over what moved, if it is about this service.
    pub fn take(&mut self, moved: ServiceMoved) {
        let ServiceMoved { row, stopped_by, ledger, mut instances, operation } = moved;
        if row.name != self.row.name {
            return;
        }
        for (now, before) in instances.iter_mut().zip(&mut self.instances) {
            now.failure = before.failure.take();
        }
        (self.row, self.stopped_by, self.ledger) = (row, stopped_by, ledger);
        (self.instances, self.operation) = (instances, operation);
    }

    fn failures(&self) -> impl Iterator<Item = Option<&Failure>> {
        self.instances.iter().map(|instance| instance.failure.as_ref())
    }
}

/// The failure is what takes room: it has the last lines that the run wrote.
fn without_failure(instance: &InstanceView) -> InstanceView {
    InstanceView { failure: None, ..instance.clone() }
}
