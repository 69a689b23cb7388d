//! What clients and their requests are allowed: bounds and time-outs of the proxy.

use std::time::Duration;

use super::error::Problem;
use super::raw::{RawMain, RawService};
use super::table::Spot;

/// What clients are allowed, whichever service they ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// From the connection, or from the first byte of a further request, to the end of its head.
    pub header_timeout: Duration,
    /// How long a connection is kept between two requests.
    pub idle_timeout: Duration,
    /// All header fields of a request together, in bytes; one of them may take half of it.
    pub max_header_size: usize,
    /// Connections at once; none: as many as the descriptor limit allows.
    pub max_connections: Option<usize>,
    /// Connections at once from one address, or from one /64 of IPv6; none: no bound.
    pub max_connections_per_client: Option<usize>,
    /// Ports of listeners where clients may begin with HTTP/2, in clear text (RFC 9113 3.3); ascending.
    pub http2: Vec<u16>,
}

/// What the requests of one service are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The body of a request, in bytes, as it is on the way to the instance; none: no bound.
    pub max_body_size: Option<u64>,
    /// How long a client may send nothing of a body that it owes.
    pub body_timeout: Duration,
    /// How long a client may take nothing of its answer.
    pub write_timeout: Duration,
    /// How long a connection to an instance may take.
    pub connect_timeout: Duration,
    /// How long an instance may take from the request to the head of its answer; none: no bound.
    pub response_timeout: Option<Duration>,
    /// How long an instance may send nothing in the middle of an answer; none: no bound.
    pub upstream_body_timeout: Option<Duration>,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            max_header_size: 64 * 1024,
            max_connections: None,
            max_connections_per_client: None,
            http2: Vec::new(),
        }
    }
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            max_body_size: None,
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            // A connection on the same machine is there in microseconds, or refused. What takes
            // longer is a listen queue that overflows: the kernel drops the SYN and sends it again
            // after one second.
            connect_timeout: Duration::from_millis(2500),
            response_timeout: Some(Duration::from_secs(300)),
            upstream_body_timeout: None,
        }
    }
}

pub(super) fn of_clients(raw: &RawMain, problems: &mut Vec<Problem>) -> ClientLimits {
    problems.extend(never_reached(raw));
    let default = ClientLimits::default();
    ClientLimits {
        header_timeout: value_of(&raw.header_timeout, default.header_timeout),
        idle_timeout: value_of(&raw.idle_timeout, default.idle_timeout),
        max_header_size: value_of(&raw.max_header_size, default.max_header_size),
        max_connections: value_of(&raw.max_connections, default.max_connections),
        max_connections_per_client: value_of(
            &raw.max_connections_per_client,
            default.max_connections_per_client,
        ),
        http2: ports(raw.http2.as_ref()),
    }
}

/// Each once, ascending.
pub(super) fn ports(spots: Option<&Vec<Spot<u16>>>) -> Vec<u16> {
    let mut ports: Vec<u16> = spots.into_iter().flatten().map(|spot| spot.value).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

/// What an operator should know of ports that `key` names, when there are listeners on these.
pub(super) fn unheard(key: &str, ports: &[u16], listening: &[u16]) -> Vec<String> {
    let unheard = ports.iter().filter(|port| !listening.contains(port));
    unheard.map(|port| format!("`{key}` names port {port}, where no service listens")).collect()
}

/// A bound for one client that lies above the bound for all of them.
fn never_reached(raw: &RawMain) -> Option<Problem> {
    let (one, all) = (raw.max_connections_per_client.as_ref()?, raw.max_connections.as_ref()?);
    let most = all.value.filter(|most| one.value.is_some_and(|one| one > *most))?;
    let message = "`max_connections_per_client` is above `max_connections`";
    let allowed = format!("allowed: at most `max_connections`, which is {most}; or 0 for none");
    let problem = Problem::at(&one.site, message, allowed);
    Some(problem.see(&all.site, "`max_connections` is set here"))
}

pub(super) fn of_requests(raw: &RawService) -> RequestLimits {
    let default = RequestLimits::default();
    RequestLimits {
        max_body_size: value_of(&raw.max_body_size, default.max_body_size),
        body_timeout: value_of(&raw.body_timeout, default.body_timeout),
        write_timeout: value_of(&raw.write_timeout, default.write_timeout),
        connect_timeout: value_of(&raw.connect_timeout, default.connect_timeout),
        response_timeout: value_of(&raw.response_timeout, default.response_timeout),
        upstream_body_timeout: value_of(&raw.upstream_body_timeout, default.upstream_body_timeout),
    }
}

fn value_of<T: Copy>(spot: &Option<Spot<T>>, default: T) -> T {
    spot.as_ref().map_or(default, |spot| spot.value)
}
