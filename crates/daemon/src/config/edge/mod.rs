//! What the proxy changes in the requests and answers of one service, as its file says.

mod canonical;
mod difference;
mod headers;
mod prefix;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use self::canonical::CanonicalHost;
pub(super) use self::difference::differences;
pub use self::headers::HeaderEdits;
pub use self::prefix::PathPrefix;
use super::table::{Spot, Table};

/// What becomes of requests and answers at the edge, beside being passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    /// In what an instance receives.
    pub request_headers: HeaderEdits,
    /// In what a client receives.
    pub response_headers: HeaderEdits,
    /// Taken off the path of each request that begins with it, at the border of a segment.
    pub strip_prefix: Option<PathPrefix>,
    /// Where a request for any other host is sent to.
    pub canonical_host: Option<CanonicalHost>,
}

/// The keys of a service's file that this is about.
pub(super) struct RawEdge {
    request_headers: Option<HeaderEdits>,
    response_headers: Option<HeaderEdits>,
    strip_prefix: Option<Spot<PathPrefix>>,
    canonical_host: Option<Spot<CanonicalHost>>,
}

impl RawEdge {
    /// Takes its keys out of a service's file.
    pub(super) fn read(table: &mut Table) -> Self {
        let mut headers = |key| table.take_table(key, headers::edits).map(|edits| edits.value);
        Self {
            request_headers: headers("request_headers"),
            response_headers: headers("response_headers"),
            strip_prefix: table.take("strip_prefix", &prefix::PREFIX),
            canonical_host: table.take("canonical_host", &canonical::CANONICAL_HOST),
        }
    }
}

/// None if nothing is changed.
pub(super) fn edge(raw: RawEdge) -> Option<Arc<Edge>> {
    let edge = Edge {
        request_headers: raw.request_headers.unwrap_or_default(),
        response_headers: raw.response_headers.unwrap_or_default(),
        strip_prefix: raw.strip_prefix.map(|prefix| prefix.value),
        canonical_host: raw.canonical_host.map(|host| host.value),
    };
    (edge != Edge::default()).then(|| Arc::new(edge))
}
