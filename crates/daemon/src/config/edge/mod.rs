//! What the proxy changes in the requests and answers of one service, as its file says.

mod difference;
mod headers;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(super) use self::difference::differences;
pub use self::headers::HeaderEdits;
use super::table::Table;

/// What becomes of requests and answers at the edge, beside being passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    /// In what an instance receives.
    pub request_headers: HeaderEdits,
    /// In what a client receives.
    pub response_headers: HeaderEdits,
}

/// The keys of a service's file that this is about.
pub(super) struct RawEdge {
    request_headers: Option<HeaderEdits>,
    response_headers: Option<HeaderEdits>,
}

impl RawEdge {
    /// Takes its keys out of a service's file.
    pub(super) fn read(table: &mut Table) -> Self {
        let mut headers = |key| table.take_table(key, headers::edits).map(|edits| edits.value);
        Self {
            request_headers: headers("request_headers"),
            response_headers: headers("response_headers"),
        }
    }
}

/// None if nothing is changed.
pub(super) fn edge(raw: RawEdge) -> Option<Arc<Edge>> {
    let edge = Edge {
        request_headers: raw.request_headers.unwrap_or_default(),
        response_headers: raw.response_headers.unwrap_or_default(),
    };
    (edge != Edge::default()).then(|| Arc::new(edge))
}
