//! Reading a snapshot: the questions tests ask of it.

use std::fmt::Write;

use smoothserve_protocol::snapshot::{InstanceState, InstanceView, ServiceDetail, Snapshot};

/// The service of that name.
///
/// # Panics
/// When there is none.
pub fn service<'a>(snapshot: &'a Snapshot, name: &str) -> &'a ServiceDetail {
    let found = snapshot.services.iter().find(|service| service.row.name.as_str() == name);
    found.unwrap_or_else(|| panic!("no service {name} in:\n{}", summary(snapshot)))
}

/// How many instances of a service take requests.
pub fn ready(snapshot: &Snapshot, name: &str) -> usize {
    count(snapshot, name, |instance| instance.state == InstanceState::Ready)
}

/// How many instances of a service are as `condition` says.
pub fn count(snapshot: &Snapshot, name: &str, condition: impl Fn(&InstanceView) -> bool) -> usize {
    service(snapshot, name).instances.iter().filter(|instance| condition(instance)).count()
}

/// The process ids of a service, by slot; those that do not run are left out.
pub fn pids(snapshot: &Snapshot, name: &str) -> Vec<u32> {
    service(snapshot, name).instances.iter().filter_map(|instance| instance.pid).collect()
}

/// A snapshot in a few lines, for a failed test.
pub fn summary(snapshot: &Snapshot) -> String {
    let mut text = format!("{} stopping={}\n", snapshot.revision, snapshot.daemon.stopping);
    for service in &snapshot.services {
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}: {:?} {} {:?}\n  {:?}",
            service.row.name,
            service.row.state,
            service.row.generation,
            service.operation.as_ref().map(|operation| operation.summary),
            service.ledger,
        );
        for instance in &service.instances {
            let _ = writeln!(
                text,
                "  {}: {:?} {} port {} pid {:?} in flight {} tunnels {} failures {} {:?}",
                instance.slot,
                instance.state,
                instance.generation,
                instance.port,
                instance.pid,
                instance.in_flight,
                instance.tunnels,
                instance.failures,
                instance.failure,
            );
        }
    }
    text
}
