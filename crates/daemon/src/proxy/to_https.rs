//! Sending clients to HTTPS: from a port that only redirects, with all that they asked for.
//!
//! Two are let through: whoever proves to an issuer of certificates that the host is ours, which is
//! asked for in the clear (RFC 8555 8.3), and whoever comes by HTTPS to a trusted proxy in front.

use http::request::Parts;
use http::{HeaderValue, header};

use super::client::Client;
use super::forwarded;
use super::refusal::Refusal;
use super::target;
use crate::config::Trust;

const CHALLENGES: &str = "/.well-known/acme-challenge/";
/// The port of HTTPS where an address names none.
const WELL_KNOWN: u16 = 443;

/// Where a request of `client` is to go.
pub(crate) enum Way {
    /// To its service.
    On,
    /// To its service, which may listen on this port of HTTPS alone.
    Beyond(u16),
    /// To the answer that sends the client to HTTPS.
    Moved(Refusal),
}

/// The way of a request with a checked head.
///
/// # Errors
/// It names no host, so nobody knows where to send its client.
pub(crate) fn way(client: &Client, head: &Parts, trust: &Trust) -> Result<Way, Refusal> {
    let Some(port) = client.https_port() else { return Ok(Way::On) };
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    // `OPTIONS *` is for the server as a whole.
    let is_open = !target.starts_with('/') || target.starts_with(CHALLENGES);
    if is_open || forwarded::is_by_https(&head.headers, &client.peer(), trust) {
        return Ok(Way::Beyond(port));
    }
    let host = head.headers.get(header::HOST).and_then(|host| target::host_of(host.as_bytes()));
    let location = host.and_then(|host| location(host, port, target));
    let missing = || Refusal::malformed("the host header is missing");
    location.map(|location| Way::Moved(Refusal::moved(location))).ok_or_else(missing)
}

/// `target` of the same host by HTTPS.
fn location(host: &[u8], port: u16, target: &str) -> Option<HeaderValue> {
    let port = if port == WELL_KNOWN { String::new() } else { format!(":{port}") };
    let text = [b"https://", host, port.as_bytes(), target.as_bytes()].concat();
    // A target holds no control character, so this always is a value.
    HeaderValue::from_bytes(&text).ok()
}
