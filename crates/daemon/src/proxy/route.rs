//! Which service a request is for: immutable tables, swapped as a whole.
//!
//! Exact host and longest path prefix, then wildcard host, then the default of the address the
//! request came in on. A thousand services cost what one costs: one hash of the host, without an
//! allocation.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::service::ServiceProxy;
use crate::config::{Host, ServiceConfig};

/// Every route of every address.
pub struct RouteTable {
    /// By the address as configured: a listener on port 0 is found by that too.
    listeners: HashMap<SocketAddr, Arc<Listener>>,
    services: Vec<Arc<ServiceProxy>>,
    /// Where it is said whether clients are welcome, on every address.
    ready_path: Option<Box<str>>,
}

#[derive(Default)]
struct Listener {
    exact: HashMap<Box<[u8]>, Paths>,
    /// By what follows the `*`, with its dot.
    wildcard: HashMap<Box<[u8]>, Paths>,
    default: Option<Arc<ServiceProxy>>,
}

/// The path prefixes of one host, longest first.
#[derive(Default)]
struct Paths(Vec<(Box<str>, Arc<ServiceProxy>)>);

/// The longest name of the DNS has 253 characters, an IPv6 address less; no route is longer.
const LONGEST_HOST: usize = 255;

impl RouteTable {
    /// The routes of these services. Of two that claim the same, which config does not allow, the
    /// first wins.
    pub fn new(
        services: impl IntoIterator<Item = (Arc<ServiceConfig>, Arc<ServiceProxy>)>,
    ) -> Self {
        let (mut listeners, mut all) = (HashMap::<_, Listener>::new(), Vec::new());
        for (config, service) in services {
            listeners.entry(config.listen).or_default().add(&config, &service);
            all.push(service);
        }
        for listener in listeners.values_mut() {
            listener.sort();
        }
        let listeners = listeners.into_iter().map(|(addr, routes)| (addr, Arc::new(routes)));
        Self { listeners: listeners.collect(), services: all, ready_path: None }
    }

    /// With a path at which no service is asked, but we are: are clients welcome?
    #[must_use]
    pub fn answering(mut self, ready_path: Option<&str>) -> Self {
        self.ready_path = ready_path.map(Into::into);
        self
    }

    /// Whether that is what `path` asks.
    pub(crate) fn is_readiness(&self, path: &str) -> bool {
        self.ready_path.as_deref() == Some(path)
    }

    /// With the routes of `listen` as `old` has them, for the clients that are still connected
    /// there.
    #[must_use]
    pub fn keeping(mut self, old: &Self, listen: SocketAddr) -> Self {
        if let Some(routes) = old.listeners.get(&listen) {
            self.listeners.entry(listen).or_insert_with(|| Arc::clone(routes));
        }
        self
    }

    /// The service for `path` on `host`, which came in on `listen`.
    pub(crate) fn find(
        &self,
        listen: SocketAddr,
        host: &[u8],
        path: &str,
    ) -> Option<&Arc<ServiceProxy>> {
        let listener = self.listeners.get(&listen)?;
        listener.by_host(host, path).or(listener.default.as_ref())
    }

    pub(crate) fn services(&self) -> &[Arc<ServiceProxy>] {
        &self.services
    }
}

impl Listener {
    fn add(&mut self, config: &ServiceConfig, service: &Arc<ServiceProxy>) {
        for route in &config.routes {
            let (hosts, name) = match &route.host {
                Host::Exact(name) => (&mut self.exact, name),
                Host::Wildcard(name) => (&mut self.wildcard, name),
            };
            let paths = hosts.entry(name.to_ascii_lowercase().into_bytes().into()).or_default();
            paths.0.push((route.prefix.as_str().into(), Arc::clone(service)));
        }
        if config.is_default {
            self.default.get_or_insert_with(|| Arc::clone(service));
        }
    }

    fn sort(&mut self) {
        for paths in self.exact.values_mut().chain(self.wildcard.values_mut()) {
            // Stable: the first of two equal ones stays the first.
            paths.0.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        }
    }

    fn by_host(&self, host: &[u8], path: &str) -> Option<&Arc<ServiceProxy>> {
        if self.exact.is_empty() && self.wildcard.is_empty() {
            return None;
        }
        let mut buffer = [0; LONGEST_HOST];
        let host = lower_case(host, &mut buffer)?;
        if let Some(service) = self.exact.get(host).and_then(|paths| paths.find(path)) {
            return Some(service);
        }
        if self.wildcard.is_empty() {
            return None;
        }
        // The longest ending first: a.b.example.com asks for .b.example.com, then .example.com.
        let dots = host.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'.');
        let mut endings = dots.map(|(at, _)| &host[at..]);
        endings.find_map(|ending| self.wildcard.get(ending)?.find(path))
    }
}

impl Paths {
    fn find(&self, path: &str) -> Option<&Arc<ServiceProxy>> {
        let (_, service) = self.0.iter().find(|(prefix, _)| is_below(path, prefix))?;
        Some(service)
    }
}

fn is_below(path: &str, prefix: &str) -> bool {
    prefix.is_empty() || below(path, prefix).is_some()
}

/// What follows `prefix` in `path`, if the prefix ends where a segment does.
///
/// `/admin` leads to `/admin` and `/admin/x`, but not to `/administrator`. The raw path decides:
/// an instance that decodes `%61` sees what the client sent, and so do we.
pub(super) fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// A copy in lower case, without the dot that may end a full name.
fn lower_case<'a>(host: &[u8], buffer: &'a mut [u8; LONGEST_HOST]) -> Option<&'a [u8]> {
    let host = host.strip_suffix(b".").unwrap_or(host);
    let copy = buffer.get_mut(..host.len())?;
    copy.copy_from_slice(host);
    copy.make_ascii_lowercase();
    Some(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Route;
    use crate::proxy::tests::config;

    fn host(pattern: &str) -> Host {
        match pattern.strip_prefix('*') {
            Some(ending) => Host::Wildcard(ending.into()),
            None => Host::Exact(pattern.into()),
        }
    }

    /// Services by name, each with what it answers to, as in `server_name`.
    fn table(services: &[(&str, &[&str])]) -> RouteTable {
        RouteTable::new(services.iter().map(|(name, routes)| {
            let mut config = config(name);
            config.is_default = routes.contains(&"default");
            let route = |route: &&str| {
                let (name, prefix) = route.split_at(route.find('/').unwrap_or(route.len()));
                Route { host: host(name), prefix: prefix.into() }
            };
            config.routes = routes.iter().filter(|route| **route != "default").map(route).collect();
            let config = Arc::new(config);
            (Arc::clone(&config), ServiceProxy::new(config))
        }))
    }

    #[test]
    fn exact_host_and_longest_prefix_then_wildcard_then_default() {
        let table = table(&[
            ("shop", &["example.com"]),
            ("admin", &["example.com/admin", "example.com/admin/old/x"]),
            ("old", &["example.com/admin/old"]),
            ("any", &["*.example.com"]),
            ("deep", &["*.eu.example.com/only"]),
            ("rest", &["default"]),
        ]);
        let listen = config("x").listen;
        for (host, path, service) in [
            ("example.com", "/", "shop"),
            ("EXAMPLE.com", "/", "shop"),
            ("example.com.", "/", "shop"),
            ("example.com", "/admin", "admin"),
            ("example.com", "/admin/", "admin"),
            ("example.com", "/administrator", "shop"),
            ("example.com", "/admin/old", "old"),
            ("example.com", "/admin/old/x/y", "admin"),
            ("example.com", "/%61dmin", "shop"),
            ("a.example.com", "/", "any"),
            ("a.b.example.com", "/", "any"),
            ("a.eu.example.com", "/only/this", "deep"),
            ("a.eu.example.com", "/", "any"),
            ("eu.example.com", "/only", "any"),
            ("example.org", "/", "rest"),
            ("", "/", "rest"),
        ] {
            let found = table.find(listen, host.as_bytes(), path).unwrap();
            assert_eq!(found.name().as_str(), service, "{host}{path}");
        }
        let long = "a".repeat(300);
        assert!(table.find(listen, long.as_bytes(), "/").is_some());
    }

    #[test]
    fn without_a_default_there_may_be_no_service() {
        let table = table(&[("shop", &["example.com/shop"])]);
        let listen = config("x").listen;
        assert!(table.find(listen, b"example.com", "/other").is_none());
        assert!(table.find(listen, b"example.org", "/shop").is_none());
        let other = SocketAddr::from(([127, 0, 0, 1], 1));
        assert!(table.find(other, b"example.com", "/shop").is_none());
    }
}
