//! What it takes to get from one configuration to another, told to the operator.
//!
//! Nothing is done here. What differs within one service is the business of `difference`.

use std::sync::Arc;

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::plan::{ChangeKind, ServicePlan};

use super::difference;
use super::error::printable;
use super::quantity::shown_duration;
use super::{Config, ServiceConfig};

/// What differs between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In the daemon itself, a line each.
    pub daemon: Vec<String>,
    /// By name, without those that stay as they are.
    pub services: Vec<ServicePlan>,
    /// Services that stay as they are.
    pub unchanged: u32,
}

/// What differs in `next` from `running`.
///
/// Services are known by their names: one that is renamed is removed and added.
pub fn changes(running: &Config, next: &Config) -> Changes {
    let mut changes = Changes { daemon: of_daemon(running, next), ..Changes::default() };
    for old in &running.services {
        let change = match find(next, &old.name) {
            Some(new) => difference::between(old, new),
            None => Some((ChangeKind::Removed, vec!["removed".to_owned()])),
        };
        match change {
            Some((kind, what)) => {
                changes.services.push(ServicePlan { service: old.name.clone(), kind, what });
            }
            None => changes.unchanged += 1,
        }
    }
    let added = next.services.iter().filter(|new| find(running, &new.name).is_none());
    changes.services.extend(added.map(|new| ServicePlan {
        service: new.name.clone(),
        kind: ChangeKind::Added,
        what: vec![added_line(new)],
    }));
    changes.services.sort_by(|one, other| one.service.cmp(&other.service));
    changes
}

fn find<'a>(config: &'a Config, name: &ServiceName) -> Option<&'a Arc<ServiceConfig>> {
    config.services.iter().find(|service| service.name == *name)
}

fn added_line(service: &ServiceConfig) -> String {
    let (first, count) = (service.first_port, service.instances.get());
    let instances = match (count, &service.sockets) {
        (1, Some(_)) => "1 instance on a socket".to_owned(),
        (_, Some(_)) => format!("{count} instances on sockets"),
        (1, None) => format!("1 instance on port {first}"),
        (_, None) => format!("{count} instances on ports {first} to {}", first + (count - 1)),
    };
    let rest = if service.enabled { "" } else { ", not started as `enabled` is false" };
    format!("added, {instances}{rest}")
}

/// What differs outside the services.
fn of_daemon(running: &Config, next: &Config) -> Vec<String> {
    // A field that is new has to be looked at here.
    let Config {
        source: _,
        command,
        state_dir,
        shutdown_timeout,
        trust,
        shutdown_delay,
        ready_path,
        metrics,
        clients,
        tls,
        https,
        log,
        access_log,
        output,
        services_dir: _,
        services: _,
        warnings: _,
    } = running;
    let later = "takes effect when the daemon starts again";
    let mut lines = Vec::new();
    if *command != next.command {
        lines.push(format!("CommandPort {} -> {}", command.port(), next.command.port()));
    }
    if *state_dir != next.state_dir {
        let [old, new] = [state_dir, &next.state_dir].map(|dir| printable(&dir.to_string_lossy()));
        lines.push(format!("StateDir {old} -> {new}, {later}"));
    }
    if *shutdown_timeout != next.shutdown_timeout {
        let [old, new] = [shutdown_timeout, &next.shutdown_timeout].map(shown_duration);
        lines.push(format!("shutdown_timeout {old} -> {new}"));
    }
    lines.extend(difference::of_trust(trust, &next.trust));
    if *shutdown_delay != next.shutdown_delay {
        let [old, new] = [shutdown_delay, &next.shutdown_delay].map(shown_duration);
        lines.push(format!("shutdown_delay {old} -> {new}"));
    }
    if *ready_path != next.ready_path {
        let [old, new] = [ready_path, &next.ready_path].map(|path| or_none(path.as_ref()));
        lines.push(format!("ready_path {old} -> {new}"));
    }
    if *metrics != next.metrics {
        let [old, new] = [metrics, &next.metrics].map(|addr| or_none(addr.as_ref()));
        lines.push(format!("metrics {old} -> {new}"));
    }
    lines.extend(difference::of_clients(clients, &next.clients));
    lines.extend(super::tls::differences(tls, &next.tls));
    lines.extend(super::https::differences(https, &next.https));
    if *log != next.log {
        lines.push(format!("log changed, {later}"));
    }
    if *access_log != next.access_log {
        lines.push("access_log changed".to_owned());
    }
    if *output != next.output {
        lines.push("instance_log changed".to_owned());
    }
    let (olds, news) = (running.listeners(), next.listeners());
    lines.extend(news.difference(&olds).map(|addr| format!("listens on {addr}")));
    lines.extend(olds.difference(&news).map(|addr| format!("no longer listens on {addr}")));
    lines
}

fn or_none(shown: Option<&impl ToString>) -> String {
    shown.map_or_else(|| "none".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests;
