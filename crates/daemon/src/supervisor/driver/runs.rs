//! What the driver does with one run: launched, asked, chosen, drained.

use std::sync::Arc;

use smoothserve_protocol::event::EventKind;
use smoothserve_protocol::id::{OperationId, RunId, ServiceName};
use tokio::sync::mpsc;

use super::super::drain::{Door, WaitedFor};
use super::super::preflight::{self, Leader};
use super::super::probe;
use super::super::process::{self, Launch};
use super::{Driver, Run};
use crate::config::ServiceConfig;
use crate::core::{DrainId, Input, WhenNone};
use crate::proxy::{self, Choice, Endpoint, Epoch, Fitness, Launched};

impl Driver {
    pub(super) fn launch(&mut self, launch: Launch) {
        let (run, addr, config) = (launch.run, launch.addr(), Arc::clone(&launch.config));
        let reports = self.reports.clone();
        let ring = move |run, Epoch(epoch)| {
            reports.put(Input::Idle { run, drain: DrainId(epoch) });
        };
        let (service, slot) = (config.name.clone(), launch.slot);
        let (reports, name) = (self.reports.clone(), service.clone());
        let tell = move |fitness| reports.warn(name.clone(), slot, words_of(&fitness));
        if self.runs.values().all(|run| run.service != service) {
            self.inspector.forget(&service);
        }
        let listed = self.inspector.launching(&config, launch.generation);
        let launched = Launched { run, slot, generation: launch.generation };
        let protocol = config.upstream_protocol;
        let endpoint = Endpoint::new(launched, addr.clone(), protocol, &config.limits, ring, tell);
        self.publisher.add_run(run, &service, Arc::clone(&endpoint));
        let (signals, signalled) = mpsc::unbounded_channel();
        let held = Run {
            service,
            slot,
            config,
            addr,
            endpoint,
            door: Door::Open,
            signals,
            leader: None,
            probe: None,
            routed: false,
            liveness: None,
        };
        self.runs.insert(run, held);
        let live = process::live(launch, signalled, self.reports.clone());
        // It ends with its process, whose end the core waits for before it halts.
        tokio::spawn(async move {
            listed.await;
            live.await;
        });
    }

    pub(super) fn probe(&mut self, id: RunId) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let Some(leader) = run.leader else { return };
        let (reports, config, addr) =
            (self.reports.clone(), Arc::clone(&run.config), run.addr.clone());
        let asking = probe::until_answering(reports, id, config, addr, leader);
        run.probe = Some(tokio::spawn(asking).abort_handle());
    }

    /// Has a run that may be chosen asked now and then, as its service says.
    pub(super) fn watch_liveness(&mut self, id: RunId) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        run.routed = true;
        let service = self.services.get(&run.service);
        let wanted = service.and_then(|proxy| proxy.config().liveness.clone());
        if run.liveness.as_ref().map(|(liveness, _)| liveness) == wanted.as_ref() {
            return;
        }
        if let Some((_, asking)) = run.liveness.take() {
            asking.abort();
            // What the former question found does not count any more.
            self.reports.put(Input::Responsive { run: id });
        }
        if let Some(liveness) = wanted {
            let (reports, protocol) = (self.reports.clone(), run.config.upstream_protocol);
            let (addr, asked) = (run.addr.clone(), liveness.clone());
            let asking = probe::watch_liveness(reports, id, addr, protocol, asked);
            run.liveness = Some((liveness, tokio::spawn(asking).abort_handle()));
        }
    }

    pub(super) fn route(&self, service: &ServiceName, runs: &[RunId], when_none: WhenNone) {
        let Some(proxy) = self.services.get(service) else { return };
        let endpoints =
            runs.iter().filter_map(|run| self.runs.get(run)).map(|run| Arc::clone(&run.endpoint));
        let when_none = match when_none {
            WhenNone::Hold(limit) => proxy::WhenNone::Hold(limit),
            // The proxy says of which service, and in which state it is.
            WhenNone::Stopped => {
                proxy::WhenNone::Stopped("it serves again when it is started".to_owned())
            }
            WhenNone::Failed => proxy::WhenNone::Failed("every instance has failed".to_owned()),
        };
        proxy.offer(Choice { endpoints: endpoints.collect(), when_none });
    }

    pub(super) fn drain(&mut self, run: RunId, DrainId(epoch): DrainId) {
        let Some(Run { service, slot, endpoint, door, .. }) = self.runs.get_mut(&run) else {
            return;
        };
        *door = Door::Closed;
        let inside = endpoint.close(Epoch(epoch));
        let in_flight = inside.requests + inside.tunnels;
        self.publisher.drain_began(run, in_flight);
        let kind = EventKind::Draining { in_flight };
        self.journal.note(Some(service.clone()), Some(*slot), kind);
    }

    pub(super) fn undrain(&mut self, run: RunId) {
        let Some(Run { endpoint, door, .. }) = self.runs.get_mut(&run) else { return };
        *door = Door::Reopened(WaitedFor::look(endpoint));
        endpoint.reopen();
    }

    pub(super) fn preflight(&self, config: Arc<ServiceConfig>, operation: OperationId) {
        let service = config.name.clone();
        let leaders: Vec<Leader> = self
            .runs
            .values()
            .filter(|run| run.service == service)
            .filter_map(|run| {
                Some(Leader { slot: run.slot, addr: run.addr.clone(), pid: run.leader? })
            })
            .collect();
        let reports = self.reports.clone();
        tokio::task::spawn_blocking(move || {
            let problem = preflight::problem(&config, &leaders);
            reports.put(Input::Preflighted { service, operation, problem });
        });
    }
}

/// What an operator is told when requests say how an instance does.
fn words_of(fitness: &Fitness) -> String {
    match fitness {
        Fitness::LeftOut(why) => {
            format!("left out for a while, as requests in a row failed there; the last: {why}")
        }
        Fitness::Chosen => "no longer left out, takes requests again".to_owned(),
    }
}
