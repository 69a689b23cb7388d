//! The daemon's services as last heard: a mirror, by name. In what order they are shown is
//! [`super::list`]'s to say.

use smoothserve_protocol::id::{OperationId, ServiceName, Slot};
use smoothserve_protocol::moved::{OverviewMoved, ServiceMoved};
use smoothserve_protocol::snapshot::{
    DaemonView, OperationKind, OperationView, Overview, ServiceDetail, ServiceRow,
};

use super::eta::{Eta, Rise};
use super::question::Seen;

/// After so many details that do not add up, the console says so.
const UNACCOUNTED_AFTER: u32 = 3;

/// Everything the daemon said about itself and its services.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The daemon; none: nothing was heard yet.
    pub daemon: Option<DaemonView>,
    /// As the daemon told it, in its order: what moves is told by place.
    told: Option<Overview>,
    rows: Vec<ServiceRow>,
    detail: Option<Box<ServiceDetail>>,
    /// Details in a row whose ledger did not add up.
    unaccounted: u32,
    /// The guesses of the operation in the detail; none: there was none.
    eta: Option<Eta>,
}

impl World {
    /// Takes the place of what was known.
    pub fn apply(&mut self, overview: Overview) {
        self.rows.clone_from(&overview.services);
        self.rows.sort_by(|a, b| a.name.cmp(&b.name));
        self.daemon = Some(overview.daemon.clone());
        self.told = Some(overview);
    }

    /// Takes over what moved since. False: of an overview that was never heard.
    pub fn apply_moved(&mut self, moved: OverviewMoved) -> bool {
        let Some(mut overview) = self.told.take() else { return false };
        overview.take(moved);
        self.apply(overview);
        true
    }

    /// Takes the place of what was known about the focused service.
    pub fn apply_detail(&mut self, detail: Option<Box<ServiceDetail>>) {
        self.detail = detail;
        self.look_at_detail();
    }

    /// Takes over what moved in it since.
    pub fn apply_detail_moved(&mut self, moved: ServiceMoved) {
        // The service before this one may still be talked about.
        let same = |detail: &&mut Box<ServiceDetail>| detail.row.name == moved.row.name;
        if let Some(detail) = self.detail.as_mut().filter(same) {
            detail.take(moved);
            self.look_at_detail();
        }
    }

    fn look_at_detail(&mut self) {
        let operation = self.detail.as_ref().and_then(|detail| detail.operation.as_ref());
        self.eta = operation.and_then(|operation| Eta::next(self.eta, operation));
        let adds_up = self.detail.as_ref().is_none_or(|detail| {
            let ledger = detail.operation.as_ref().map_or(&detail.ledger, |o| &o.ledger);
            ledger.unaccounted() == 0
        });
        self.unaccounted = if adds_up { 0 } else { self.unaccounted.saturating_add(1) };
    }

    /// The services, by name.
    pub fn rows(&self) -> &[ServiceRow] {
        &self.rows
    }

    /// The row of `name`.
    pub fn row(&self, name: &ServiceName) -> Option<&ServiceRow> {
        self.rows.get(self.rows.binary_search_by(|row| row.name.cmp(name)).ok()?)
    }

    /// What is known of `name` in detail, if it is the service that was last heard of.
    pub fn detail(&self, name: &ServiceName) -> Option<&ServiceDetail> {
        self.detail.as_deref().filter(|detail| detail.row.name == *name)
    }

    /// The rolling restart of `name` that runs.
    pub fn restart(&self, name: &ServiceName) -> Option<OperationId> {
        let operation = self.row(name)?.operation?;
        (operation.kind == OperationKind::Restart).then_some(operation.id)
    }

    /// The same in detail, if that was heard of.
    pub fn restart_detail(&self, name: &ServiceName) -> Option<&OperationView> {
        let operation = self.detail(name)?.operation.as_ref()?;
        (Some(operation.summary.id) == self.restart(name)).then_some(operation)
    }

    /// The instances of `name` that are known to drain.
    pub fn draining(&self, name: &ServiceName) -> Vec<Slot> {
        let instances = self.detail(name).into_iter().flat_map(|detail| &detail.instances);
        instances.filter(|one| one.drain.is_some()).map(|one| one.slot).collect()
    }

    /// What a question about `name` would be about; none: there is no such service.
    pub fn seen(&self, name: &ServiceName) -> Option<Seen> {
        let row = self.row(name)?;
        let operation = row.operation.map(|operation| operation.id);
        Some(Seen { generation: row.generation, operation, draining: self.draining(name) })
    }

    /// Whether the ledger was off for so long that it is no matter of timing.
    pub const fn is_unaccounted(&self) -> bool {
        self.unaccounted >= UNACCOUNTED_AFTER
    }

    /// Why the guess of the time still to go for `name` is higher than it ever was, while it is.
    pub fn eta_rise(&self, name: &ServiceName) -> Option<Rise> {
        self.detail(name).and(self.eta)?.rise()
    }

    /// Requests lost or cut since the daemon started.
    pub fn lost(&self) -> u64 {
        self.daemon.as_ref().map_or(0, |daemon| daemon.traffic.lost)
    }

    /// Whether an operation runs anywhere.
    pub fn is_moving(&self) -> bool {
        self.rows.iter().any(|row| row.operation.is_some())
    }
}
