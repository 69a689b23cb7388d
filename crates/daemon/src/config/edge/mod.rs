//! What the proxy changes in the requests and answers of one service, as its file says.

mod canonical;
mod difference;
mod headers;
mod pages;
mod prefix;
mod sticky;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use http::StatusCode;

pub use self::canonical::CanonicalHost;
pub(super) use self::difference::differences;
pub use self::headers::HeaderEdits;
pub use self::pages::Page;
pub use self::prefix::PathPrefix;
pub use self::sticky::Sticky;
use super::error::Problem;
use super::scalar;
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
    /// What clients read in place of our own answers with this status; of each at most one.
    pub error_pages: Vec<(StatusCode, Page)>,
    /// No new request reaches an instance; everybody is answered with 503.
    pub maintenance: bool,
    /// Whether clients stay with their instance; none: each request goes to the least busy one.
    pub sticky: Option<Sticky>,
}

impl Edge {
    /// The page in place of our own answer with `status`.
    pub fn page(&self, status: StatusCode) -> Option<&Page> {
        self.error_pages.iter().find(|(of, _)| *of == status).map(|(_, page)| page)
    }
}

/// The keys of a service's file that this is about.
#[derive(Default)]
pub(super) struct RawEdge {
    request_headers: Option<HeaderEdits>,
    response_headers: Option<HeaderEdits>,
    strip_prefix: Option<Spot<PathPrefix>>,
    canonical_host: Option<Spot<CanonicalHost>>,
    error_pages: Option<pages::RawPages>,
    maintenance: Option<Spot<bool>>,
    sticky: Option<Sticky>,
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
            error_pages: table.take_table("error_pages", pages::raw).map(|pages| pages.value),
            maintenance: table.take("maintenance", &scalar::FLAG),
            sticky: table.take_table("sticky", sticky::sticky).and_then(|sticky| sticky.value),
        }
    }
}

/// None if nothing is changed. The paths of pages start from `dir`.
pub(super) fn edge(raw: RawEdge, dir: &Path, problems: &mut Vec<Problem>) -> Option<Arc<Edge>> {
    let edge = Edge {
        request_headers: raw.request_headers.unwrap_or_default(),
        response_headers: raw.response_headers.unwrap_or_default(),
        strip_prefix: raw.strip_prefix.map(|prefix| prefix.value),
        canonical_host: raw.canonical_host.map(|host| host.value),
        error_pages: pages::read(raw.error_pages.unwrap_or_default(), dir, problems),
        maintenance: raw.maintenance.is_some_and(|flag| flag.value),
        sticky: raw.sticky,
    };
    (edge != Edge::default()).then(|| Arc::new(edge))
}
