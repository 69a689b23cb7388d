//! A new configuration on its way to the driver, and what is wrong with the files it was read from.

use std::collections::BTreeMap;
use std::sync::Arc;

use smoothserve_protocol::id::ServiceName;

use crate::config::{OutputConfig, ServiceConfig};
use crate::core::{Reconfigure, ShutdownTimes};
use crate::proxy::ServiceProxy;

/// What is to be in force.
pub(crate) struct Configuration {
    /// What the core is to do about it.
    pub changes: Vec<Reconfigure>,
    /// Every service, new ones included.
    pub services: Vec<(Arc<ServiceConfig>, Arc<ServiceProxy>)>,
    pub shutdown_times: ShutdownTimes,
    pub output: Option<OutputConfig>,
    /// What changes in the daemon itself, a line each.
    pub daemon: Vec<String>,
    pub problems: Problems,
}

/// What is wrong with the configuration on disk; what runs is the former one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problems {
    /// With files of no running service.
    daemon: Vec<String>,
    /// With the files of services that run.
    services: BTreeMap<ServiceName, String>,
}

impl Problems {
    /// Adds what is wrong with the file of `service`, or with another one.
    pub(crate) fn add(&mut self, service: Option<ServiceName>, rendered: String) {
        match service {
            Some(service) => drop(self.services.insert(service, rendered)),
            None => self.daemon.push(rendered),
        }
    }

    /// All of them, those of no service first.
    pub(crate) fn all(&self) -> Vec<String> {
        self.daemon.iter().chain(self.services.values()).cloned().collect()
    }

    /// Those that `earlier` did not know, each with its service.
    pub(super) fn since<'a>(
        &'a self,
        earlier: &'a Self,
    ) -> impl Iterator<Item = (Option<&'a ServiceName>, &'a String)> {
        let daemon = self.daemon.iter().filter(|problem| !earlier.daemon.contains(problem));
        let services = self.services.iter();
        let services =
            services.filter(|(name, problem)| earlier.services.get(*name) != Some(*problem));
        daemon.map(|problem| (None, problem)).chain(services.map(|(name, p)| (Some(name), p)))
    }

    /// With files of no running service, in one text.
    pub(super) fn of_daemon(&self) -> Option<String> {
        (!self.daemon.is_empty()).then(|| self.daemon.join("\n"))
    }

    /// With the file of a service.
    pub(super) fn of_service(&self, name: &ServiceName) -> Option<&String> {
        self.services.get(name)
    }
}
