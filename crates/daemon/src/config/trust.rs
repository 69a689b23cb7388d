//! Whose word about clients counts: the proxies in front, and what instances are told on it.
//!
//! The only file that knows the library for networks.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use super::limits;
use super::raw::RawMain;
use super::scalar::Hint;
use super::table::Spot;

/// Whose word about clients counts, and what is made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Load balancers and other proxies in front. What anybody else says of a client is replaced.
    pub proxies: Vec<Network>,
    /// `Forwarded` (RFC 7239) is believed before `X-Forwarded-For`, and always sent to instances.
    /// Otherwise it is the other way round, and it is sent where a trusted proxy sent it.
    pub forwarded: bool,
    /// Each request has a name, in `X-Request-Id` to the instance and back to the client, and in log
    /// lines. Trusted proxies name theirs.
    pub request_id: bool,
    /// Ports of listeners where each connection begins with a header of the PROXY protocol, from one
    /// of `proxies` unless that is empty.
    pub proxy_protocol: Vec<u16>,
}

impl Trust {
    /// Whether what `addr` says of a client counts.
    pub fn includes(&self, addr: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(addr))
    }
}

pub(super) fn trust(raw: &mut RawMain) -> Trust {
    let proxies = raw.trusted_proxies.take().unwrap_or_default();
    Trust {
        proxies: proxies.into_iter().map(|spot: Spot<Network>| spot.value).collect(),
        forwarded: raw.forwarded.as_ref().is_some_and(|spot| spot.value),
        request_id: raw.request_id.as_ref().is_some_and(|spot| spot.value),
        proxy_protocol: limits::ports(raw.proxy_protocol.as_ref()),
    }
}

/// What an operator should know of `trust`, when there are listeners on these ports.
pub(super) fn warnings(trust: &Trust, listening: &[u16]) -> Vec<String> {
    let ports = &trust.proxy_protocol;
    let mut warnings = limits::unheard("proxy_protocol", ports, listening);
    if !ports.is_empty() && trust.proxies.is_empty() {
        let text = "`proxy_protocol` without `trusted_proxies` believes whoever connects";
        warnings.push(text.to_owned());
    }
    warnings
}

/// Addresses that begin alike, perhaps a single one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Whether `addr` is in it; one of IPv4 must not be written as one of IPv6.
    pub fn contains(self, addr: IpAddr) -> bool {
        self.0.contains(&addr)
    }
}

/// A text is no network, or not the only way to write one.
#[derive(Debug, thiserror::Error)]
#[error("not an address or a network")]
pub struct NoNetwork {
    /// What to write instead, where that is known.
    advice: Option<String>,
}

impl From<NoNetwork> for Hint {
    fn from(error: NoNetwork) -> Self {
        Self(error.advice)
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        if let Ok(addr) = text.parse::<IpAddr>() {
            return Ok(Self(addr.to_canonical().into()));
        }
        let network: IpNet = text.parse().map_err(|_| NoNetwork { advice: None })?;
        if network.network() != network.addr() {
            let advice = format!("write `{}`, or the address without `/`", network.trunc());
            return Err(NoNetwork { advice: Some(advice) });
        }
        if network.addr().to_canonical().is_ipv4() && network.addr().is_ipv6() {
            return Err(NoNetwork { advice: Some("write it as a network of IPv4".to_owned()) });
        }
        Ok(Self(network))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(networks: &[&str]) -> Trust {
        let parse = |text: &&str| text.parse().unwrap();
        Trust { proxies: networks.iter().map(parse).collect(), ..Trust::default() }
    }

    #[test]
    fn a_network_holds_the_addresses_that_begin_like_it() {
        let trust = trust(&["10.0.0.0/8", "::1", "2001:db8::/32", "::ffff:192.0.2.7"]);
        for inside in ["10.255.0.1", "::1", "2001:db8:1::", "192.0.2.7"] {
            assert!(trust.includes(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.0", "::2", "2001:db9::", "192.0.2.8", "0.0.0.1"] {
            assert!(!trust.includes(outside.parse().unwrap()), "{outside}");
        }
        assert!(!Trust::default().includes("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_network_is_written_in_one_way() {
        for (text, advice) in [
            ("10.0.0.1/8", Some("write `10.0.0.0/8`, or the address without `/`")),
            ("::ffff:10.0.0.0/104", Some("write it as a network of IPv4")),
            ("10.0.0.0/33", None),
            ("10.0.0.0/", None),
            ("10.0", None),
            ("lb.example", None),
            ("", None),
        ] {
            let error = text.parse::<Network>().unwrap_err();
            assert_eq!(error.advice.as_deref(), advice, "{text}");
        }
        for text in ["10.0.0.0/8", "::1", "0.0.0.0/0", "192.0.2.1"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }
}
