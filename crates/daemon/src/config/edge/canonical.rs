//! `canonical_host`: the one name of a service that has several.

use super::super::host;
use super::super::scalar::{Hint, Kind};

/// A host, with the port that clients are sent to if it is not that of their scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalHost {
    /// A name or an address, lower case; one of IPv6 in brackets.
    pub name: String,
    /// None: that of the scheme.
    pub port: Option<u16>,
}

pub(super) const CANONICAL_HOST: Kind<CanonicalHost> = Kind {
    allowed: "a host such as `www.example.com`, with a port if need be",
    parse: canonical_host,
};

impl std::fmt::Display for CanonicalHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, port } = self;
        match port {
            Some(port) => write!(f, "{name}:{port}"),
            None => f.write_str(name),
        }
    }
}

fn canonical_host(text: &str) -> Result<CanonicalHost, Hint> {
    if let Some((_, rest)) = text.split_once("://") {
        return Err(Hint::from(format!("write it without the scheme: `{rest}`")));
    }
    let port = text.rsplit_once(':').filter(|(_, port)| port.bytes().all(|c| c.is_ascii_digit()));
    let (name, port) = match port {
        Some((name, port)) => (name, Some(port.parse().map_err(|_| Hint(None))?)),
        None => (text, None),
    };
    if port == Some(0) {
        return Err(Hint(None));
    }
    Ok(CanonicalHost { name: host::exact(name)?, port })
}
