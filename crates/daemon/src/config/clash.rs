//! The rules between services: names, hosts, defaults and ports that only one may have.
//!
//! Port 0 stands for one free port, shared by all services that ask for it on one address.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::plan::RestartOrder;

use super::error::{Problem, Site};
use super::resolve::{Main, Service};
use super::table::Spot;

/// Decides for every service whether it takes what no route of its port takes.
pub(super) fn set_defaults(services: &mut [&mut Service]) {
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

/// Every clash, in the order of the services; of two that clash, it is mostly shown at the second.
pub(super) fn find(main: &Main, services: &[&Service]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = metrics_on_command_port(main).into_iter().collect();
    for port in &main.redirects {
        problems.extend(redirect_on_own_listener(main, port));
    }
    for (index, service) in services.iter().enumerate() {
        for own in own_listeners(main) {
            problems.extend(with_own_listener(&own, service));
        }
        for port in &main.redirects {
            problems.extend(with_redirect(main, port, service));
        }
        problems.extend(own_ports(service));
        for earlier in &services[..index] {
            problems.extend(same_name(earlier, service));
            problems.extend(same_port(earlier, service));
            problems.extend(instances_on_listener(earlier, service));
            problems.extend(instances_on_listener(service, earlier));
            problems.extend(same_instance_ports(earlier, service));
            problems.extend(same_instance_sockets(earlier, service));
        }
    }
    problems
}

/// Where the daemon itself listens.
struct OwnListener<'a> {
    addr: SocketAddr,
    key: &'static str,
    what: &'static str,
    site: &'a Site,
}

fn own_listeners(main: &Main) -> impl Iterator<Item = OwnListener<'_>> {
    let command = main.command_port.as_ref().map(|port| OwnListener {
        addr: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port.value),
        key: "CommandPort",
        what: "the command port",
        site: &port.site,
    });
    let metrics = main.metrics.as_ref().map(|metrics| OwnListener {
        addr: metrics.value,
        key: "metrics",
        what: "the metrics port",
        site: &metrics.site,
    });
    command.into_iter().chain(metrics).filter(|own| own.addr.port() != 0)
}

fn metrics_on_command_port(main: &Main) -> Option<Problem> {
    let mut own = own_listeners(main);
    let (command, metrics) = (own.next()?, own.next()?);
    overlap(command.addr, metrics.addr).then(|| {
        let message = format!("port {} is the command port", command.addr.port());
        Problem::at(metrics.site, message, "choose another port")
            .see(command.site, "`CommandPort` is set here")
    })
}

fn with_own_listener(own: &OwnListener<'_>, service: &Service) -> Option<Problem> {
    let OwnListener { addr, key, what, site } = *own;
    let (port, set) = (addr.port(), format!("`{key}` is set here"));
    if overlap(addr, service.config.listen) {
        let message = format!("port {port} is {what}");
        let problem = Problem::at(&service.sites.port, message, "choose another port");
        return Some(problem.see(site, set));
    }
    claim_of(service, addr).map(|claim| {
        let message = format!("an instance would get port {port}, which is {what}");
        Problem::at(claim.site, message, claim.told(None)).see(site, set)
    })
}

fn redirect_on_own_listener(main: &Main, port: &Spot<u16>) -> Option<Problem> {
    let addr = SocketAddr::new(main.proxy_addr, port.value);
    let own = own_listeners(main).find(|own| overlap(own.addr, addr))?;
    let message = format!("port {} is {}", port.value, own.what);
    let problem = Problem::at(&port.site, message, "choose another port");
    Some(problem.see(own.site, format!("`{}` is set here", own.key)))
}

/// Services may listen there, instances may not.
fn with_redirect(main: &Main, port: &Spot<u16>, service: &Service) -> Option<Problem> {
    claim_of(service, SocketAddr::new(main.proxy_addr, port.value)).map(|claim| {
        let message = format!("an instance would get port {}, which redirects", port.value);
        Problem::at(claim.site, message, claim.told(None))
            .see(&port.site, "`redirect_https` is set here")
    })
}

fn own_ports(service: &Service) -> Option<Problem> {
    let listen = service.config.listen;
    claim_of(service, listen).map(|claim| {
        let message = format!("an instance would get port {}, the service's own", listen.port());
        Problem::at(claim.site, message, claim.told(None))
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
        let message = format!("two services on port {} answer to `{}`", listen.port(), route);
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
    claim_of(owner, listen).map(|claim| {
        let message = format!(
            "an instance of `{}` would get port {}, where `{}` listens",
            owner.config.name,
            listen.port(),
            listener.config.name
        );
        Problem::at(claim.site, message, claim.told(None)).see(
            &listener.sites.port,
            format!("`{}` listens on {}", listener.config.name, listen.port()),
        )
    })
}

fn same_instance_ports(one: &Service, other: &Service) -> Option<Problem> {
    if !same_host(one.config.instance_ip, other.config.instance_ip) {
        return None;
    }
    let pairs =
        claims(other).flat_map(|second| claims(one).map(move |first| (first, second.clone())));
    let (first, second, shared) = pairs
        .map(|(first, second)| {
            let shared = common(&first.ports, &second.ports);
            (first, second, shared)
        })
        .find(|(_, _, shared)| !shared.is_empty())?;
    let (first_name, second_name) = (&one.config.name, &other.config.name);
    let message =
        format!("instances of `{first_name}` and `{second_name}` would share {}", shown(&shared));
    Some(
        Problem::at(second.site, message, second.told(Some(second_name)))
            .see(first.site, first.told(Some(first_name))),
    )
}

fn same_instance_sockets(one: &Service, other: &Service) -> Option<Problem> {
    let taken: HashSet<_> = paths(one).collect();
    let shared = paths(other).find(|path| taken.contains(path))?;
    let (first, second) = (&one.config.name, &other.config.name);
    let message = format!("instances of `{first}` and `{second}` would share {}", shared.display());
    let problem = Problem::at(&other.sites.first_port, message, "choose another path");
    Some(problem.see(&one.sites.first_port, format!("the instances of `{first}` have it here")))
}

/// Every path that an instance of `service` may listen on.
fn paths(service: &Service) -> impl Iterator<Item = PathBuf> {
    let config = &service.config;
    let surge = u16::from(config.restart_order == RestartOrder::StartFirst);
    let places = 0..config.instances.get().saturating_add(surge);
    config.sockets.iter().flat_map(move |paths| places.clone().map(|number| paths.path(number)))
}

/// Ports that the instances of a service need, and where its file says so.
#[derive(Clone)]
struct Claim<'a> {
    need: Need,
    ports: RangeInclusive<u16>,
    site: &'a Site,
}

#[derive(Clone, Copy)]
enum Need {
    /// One port for each instance.
    Slots,
    /// The one where the next run of a restart begins.
    Surge,
}

impl Claim<'_> {
    /// Which ports these are, of the service `owner` or of the one that is spoken of.
    fn told(&self, owner: Option<&ServiceName>) -> String {
        let ports = shown(&self.ports);
        match (&self.need, owner) {
            (Need::Slots, None) => format!("its instances have {ports}"),
            (Need::Slots, Some(name)) => format!("instances of `{name}` have {ports}"),
            (Need::Surge, None) => format!("its `surge_port` is {}", self.ports.start()),
            (Need::Surge, Some(name)) => {
                format!("the `surge_port` of `{name}` is {}", self.ports.start())
            }
        }
    }
}

fn claims(service: &Service) -> impl Iterator<Item = Claim<'_>> {
    let config = &service.config;
    let has_ports = config.sockets.is_none();
    let last = config.first_port + (config.instances.get() - 1);
    let slots = has_ports.then_some(Claim {
        need: Need::Slots,
        ports: config.first_port..=last,
        site: &service.sites.first_port,
    });
    let starts_first = config.restart_order == RestartOrder::StartFirst;
    let surge = (has_ports && starts_first).then_some(Claim {
        need: Need::Surge,
        ports: config.surge_port..=config.surge_port,
        site: &service.sites.surge_port,
    });
    slots.into_iter().chain(surge)
}

/// What the instances of `service` need `taken` for, if they do.
fn claim_of(service: &Service, taken: SocketAddr) -> Option<Claim<'_>> {
    if !same_host(service.config.instance_ip, taken.ip()) {
        return None;
    }
    claims(service).find(|claim| claim.ports.contains(&taken.port()))
}

fn common(one: &RangeInclusive<u16>, other: &RangeInclusive<u16>) -> RangeInclusive<u16> {
    *one.start().max(other.start())..=*one.end().min(other.end())
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
        format!("port {}", ports.start())
    } else {
        format!("ports {} to {}", ports.start(), ports.end())
    }
}
