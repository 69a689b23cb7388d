//! What makes clients come by HTTPS: ports that send them there, and what browsers are told to
//! remember.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::TlsListener;
use super::error::{Problem, Site};
use super::quantity::shown_duration;
use super::raw::RawHsts;
use super::resolve::value_or;
use super::table::Spot;

#[cfg(test)]
mod tests;

/// What makes clients come by HTTPS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Https {
    /// Listeners whose clients are sent there; services may listen on them as well, or not.
    pub redirected: Vec<SocketAddr>,
    /// The port they are sent to; it speaks TLS, if there are any.
    pub port: u16,
    /// What browsers are told inside TLS; none: nothing.
    pub hsts: Option<Hsts>,
}

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// How long a browser remembers to come by HTTPS; zero: it forgets.
    pub max_age: Duration,
    /// For all names below the host as well.
    pub include_subdomains: bool,
}

impl Hsts {
    /// The value of the header.
    pub fn value(&self) -> String {
        let below = if self.include_subdomains { "; includeSubDomains" } else { "" };
        format!("max-age={}{below}", self.max_age.as_secs())
    }
}

/// The port of HTTPS, and so never part of an address.
const WELL_KNOWN: u16 = 443;

/// `redirect_https` and `hsts`, as the listeners of TLS are `tls`.
pub(super) fn https(
    redirected: &[Spot<u16>],
    hsts: Option<Spot<RawHsts>>,
    proxy_addr: IpAddr,
    tls: &[TlsListener],
    problems: &mut Vec<Problem>,
) -> Https {
    // A port whose certificates are wrong counts: that has been noted, and not twice.
    if tls.is_empty() {
        let first = redirected.first().map(|port| ("redirect_https", &port.site));
        let hsts = hsts.as_ref().map(|hsts| ("hsts", &hsts.site));
        problems.extend(first.into_iter().chain(hsts).map(|(key, site)| no_tls(key, site)));
    }
    for port in redirected {
        if tls.iter().any(|listener| listener.port == port.value) {
            let message = format!("port {} speaks TLS and redirects to it", port.value);
            problems.push(
                Problem::at(&port.site, message, "clients would be sent in a circle")
                    .help("take it out of `redirect_https`, or out of `tls`"),
            );
        }
    }
    let ports = tls.iter().map(|listener| listener.port);
    let port = ports.min_by_key(|port| (*port != WELL_KNOWN, *port)).unwrap_or(WELL_KNOWN);
    let mut redirected: Vec<SocketAddr> =
        redirected.iter().map(|port| SocketAddr::new(proxy_addr, port.value)).collect();
    redirected.sort_unstable();
    redirected.dedup();
    Https { redirected, port, hsts: hsts.and_then(|hsts| strict(hsts.value)) }
}

fn no_tls(key: &str, site: &Site) -> Problem {
    let message = format!("`{key}` is set, and no port speaks TLS");
    Problem::at(site, message, "needed as well: `tls`, with a port and its certificates")
}

/// None: what is missing has been noted.
fn strict(raw: RawHsts) -> Option<Hsts> {
    let max_age = raw.max_age?.value;
    Some(Hsts { max_age, include_subdomains: value_or(raw.include_subdomains, false) })
}

/// A line for each difference; all of them are in force for the next request.
pub(super) fn differences(old: &Https, new: &Https) -> Vec<String> {
    let mut lines = Vec::new();
    let [before, after] = [old, new].map(shown);
    if before != after {
        lines.push(format!("redirect_https {before} -> {after}"));
    }
    if old.hsts != new.hsts {
        let shown = |hsts: Option<Hsts>| match hsts {
            Some(Hsts { max_age, include_subdomains }) => {
                let max_age = shown_duration(&max_age);
                format!("{{max_age: {max_age}, include_subdomains: {include_subdomains}}}")
            }
            None => "none".into(),
        };
        lines.push(format!("hsts {} -> {}", shown(old.hsts), shown(new.hsts)));
    }
    lines
}

fn shown(Https { redirected, port, hsts: _ }: &Https) -> String {
    if redirected.is_empty() {
        return "none".into();
    }
    let ports: Vec<String> = redirected.iter().map(|addr| addr.port().to_string()).collect();
    format!("{} (to {port})", ports.join(", "))
}
