//! The rules between services: names, hosts, defaults and ports that only one may have.
//!
//! Port 0 stands for one free port, shared by all services that ask for it on one address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

use super::error::{Problem, Site};
use super::resolve::{Main, Service};
use super::{Host, Route};

/// Decides for every service whether it takes what no route of its port takes.
pub(super) fn set_defaults(services: &mut [Service]) {
    let listens: Vec<SocketAddr> = services.iter().map(|service| service.config.listen).collect();
    for service in services {
        let listen = service.config.listen;
        let is_alone = listens.iter().filter(|l| **l == listen).count() == 1;
        service.config.is_default = match &service.default {
            Some(mark) => mark.value,
            None => is_alone || service.config.routes.is_empty(),
        };
    }
}

/// Every clash, in the order of the services.
pub(super) fn find(main: &Main, services: &[Service]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, service) in services.iter().enumerate() {
        if let Some(command) = &main.command_port {
            problems.extend(with_command_port(command.value, &command.site, service));
        }
        problems.extend(own_ports(service));
        for earlier in &services[..index] {
            problems.extend(same_name(earlier, service));
            problems.extend(same_port(earlier, service));
            problems.extend(instances_on_listener(earlier, service));
            problems.extend(instances_on_listener(service, earlier));
            problems.extend(same_instance_ports(earlier, service));
        }
    }
    problems
}

fn with_command_port(port: u16, site: &Site, service: &Service) -> Option<Problem> {
    let command = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    if port == 0 {
        return None;
    }
    if overlap(command, service.config.listen) {
        let message = format!("port {port} is the command port");
        let problem = Problem::at(&service.sites.port, message, "choose another port");
        return Some(problem.see(site, "`CommandPort` is set here"));
    }
    if is_instance_port(service, command) {
        let message = format!("an instance would get port {port}, which is the command port");
        let allowed = format!("its instances have ports {}", shown(&instance_ports(service)));
        let problem = Problem::at(&service.sites.first_port, message, allowed);
        return Some(problem.see(site, "`CommandPort` is set here"));
    }
    None
}

fn own_ports(service: &Service) -> Option<Problem> {
    let listen = service.config.listen;
    is_instance_port(service, listen).then(|| {
        let message = format!("an instance would get port {}, the service's own", listen.port());
        let allowed = format!("its instances have ports {}", shown(&instance_ports(service)));
        Problem::at(&service.sites.first_port, message, allowed)
            .see(&service.sites.port, format!("the service listens on {}", listen.port()))
    })
}

fn same_name(one: &Service, other: &Service) -> Option<Problem> {
    (one.config.name == other.config.name).then(|| {
        let message = format!("two services have the name `{}`", other.config.name);
        Problem::at(&other.sites.name, message, "choose another name")
            .see(&one.sites.name, "the other one")
    })
}

/// What two services on one port may not both have.
fn same_port(one: &Service, other: &Service) -> Option<Problem> {
    let listen = other.config.listen;
    if one.config.listen != listen {
        return None;
    }
    if let Some(route) = other.config.routes.iter().find(|route| one.config.routes.contains(route))
    {
        let message =
            format!("two services on port {} answer to `{}`", listen.port(), shown_route(route));
        let problem = Problem::at(&other.sites.routes, message, "choose another host or path");
        return Some(problem.see(&one.sites.routes, format!("taken by `{}`", one.config.name)));
    }
    (one.config.is_default && other.config.is_default).then(|| {
        let message = format!("port {} has two default services", listen.port());
        let label = format!("`{}` takes every host that no other one takes", other.config.name);
        Problem::at(default_site(other), message, label)
            .see(default_site(one), format!("so does `{}`", one.config.name))
            .help("give one of them a `server_name`, and `default: true` to at most one")
    })
}

fn default_site(service: &Service) -> &Site {
    service.default.as_ref().map_or(&service.sites.name, |mark| &mark.site)
}

fn instances_on_listener(owner: &Service, listener: &Service) -> Option<Problem> {
    let listen = listener.config.listen;
    is_instance_port(owner, listen).then(|| {
        let message = format!(
            "an instance of `{}` would get port {}, where `{}` listens",
            owner.config.name,
            listen.port(),
            listener.config.name
        );
        let allowed = format!("its instances have ports {}", shown(&instance_ports(owner)));
        Problem::at(&owner.sites.first_port, message, allowed).see(
            &listener.sites.port,
            format!("`{}` listens on {}", listener.config.name, listen.port()),
        )
    })
}

fn same_instance_ports(one: &Service, other: &Service) -> Option<Problem> {
    let (first, second) = (instance_ports(one), instance_ports(other));
    let common = *first.start().max(second.start())..=*first.end().min(second.end());
    if common.is_empty() || !same_host(one.config.instance_ip, other.config.instance_ip) {
        return None;
    }
    let message = format!(
        "instances of `{}` and `{}` would share port {}",
        one.config.name,
        other.config.name,
        shown(&common)
    );
    let label = |service: &Service, ports| {
        format!("instances of `{}` have ports {}", service.config.name, shown(ports))
    };
    Some(
        Problem::at(&other.sites.first_port, message, label(other, &second))
            .see(&one.sites.first_port, label(one, &first)),
    )
}

fn instance_ports(service: &Service) -> RangeInclusive<u16> {
    let first = service.config.first_port;
    first..=first + (service.config.instances.get() - 1)
}

fn is_instance_port(service: &Service, taken: SocketAddr) -> bool {
    same_host(service.config.instance_ip, taken.ip())
        && instance_ports(service).contains(&taken.port())
}

fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && same_host(one.ip(), other.ip())
}

/// Whether one port cannot be bound on both.
fn same_host(one: IpAddr, other: IpAddr) -> bool {
    one == other || one.is_unspecified() || other.is_unspecified()
}

fn shown(ports: &RangeInclusive<u16>) -> String {
    if ports.start() == ports.end() {
        ports.start().to_string()
    } else {
        format!("{} to {}", ports.start(), ports.end())
    }
}

fn shown_route(route: &Route) -> String {
    match &route.host {
        Host::Exact(name) => format!("{name}{}", route.prefix),
        Host::Wildcard(end) => format!("*{end}{}", route.prefix),
    }
}
