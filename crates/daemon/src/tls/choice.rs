//! Which certificate a client is shown: the one for the host that it names (RFC 6066 3).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::Certificate;

/// Every certificate of a listener.
pub(super) struct Choice {
    /// By host; of a certificate for `*.example.com`, `.example.com`. Several have keys of several
    /// kinds, and a client need not know all of them.
    by_host: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// For whoever names no host, or one that none is for.
    default: Vec<Arc<CertifiedKey>>,
}

impl Choice {
    /// The first of them is the default; there is at least one.
    pub(super) fn new(certificates: &[Arc<Certificate>]) -> Self {
        let mut by_host: HashMap<_, Vec<_>> = HashMap::new();
        for certificate in certificates {
            for name in certificate.names() {
                let name = name.strip_prefix('*').unwrap_or(name);
                by_host.entry(name.to_owned()).or_default().push(Arc::clone(certificate.signed()));
            }
        }
        let is_like_first = |other: &&Arc<Certificate>| other.names() == certificates[0].names();
        let default = certificates.iter().filter(is_like_first);
        Self { by_host, default: default.map(|first| Arc::clone(first.signed())).collect() }
    }

    /// Those for `host`: for the name itself, or for all names beside it (RFC 9525 6.3).
    fn of_host(&self, host: &str) -> &[Arc<CertifiedKey>] {
        let host = host.to_ascii_lowercase();
        let beside = || self.by_host.get(&host[host.find('.')?..]);
        self.by_host.get(&host).or_else(beside).unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let certificates = hello.server_name().map_or(&self.default[..], |host| self.of_host(host));
        let can_be_checked = |certificate: &&Arc<CertifiedKey>| {
            certificate.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        certificates.iter().find(can_be_checked).or(certificates.first()).cloned()
    }
}

impl fmt::Debug for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_host.keys()).finish()
    }
}
