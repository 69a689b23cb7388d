//! What a service's file has us change in its requests and answers, beside passing them on.
//!
//! Most services have nothing of it, and their requests look at one flag and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use smoothserve_protocol::id::{ServiceName, Slot};

use super::refusal::Refusal;
use super::{forwarded, prefix, sticky};
use crate::config::{CanonicalHost, Edge, HeaderEdits};

/// The edge of a service as it is now.
pub(crate) struct CurrentEdge {
    /// There is one. Looking there at once would cost every request two locked instructions.
    is_there: AtomicBool,
    edge: ArcSwapOption<Edge>,
}

impl CurrentEdge {
    pub(crate) fn new(edge: Option<Arc<Edge>>) -> Self {
        Self { is_there: AtomicBool::new(edge.is_some()), edge: ArcSwapOption::new(edge) }
    }

    /// For the requests that come from now on.
    pub(crate) fn replace(&self, edge: Option<Arc<Edge>>) {
        let is_there = edge.is_some();
        self.edge.store(edge);
        self.is_there.store(is_there, Ordering::Release);
    }

    /// None: there is nothing to change.
    pub(crate) fn get(&self) -> Option<Arc<Edge>> {
        if self.is_there.load(Ordering::Acquire) { self.edge.load_full() } else { None }
    }
}

/// What the edge of its service means for one request.
pub(crate) struct Treatment {
    pub(crate) edge: Arc<Edge>,
    /// Where the client is sent to in place of an answer.
    moved: Option<HeaderValue>,
    /// With [`Edge::sticky`]: the instance that the client would come back to.
    wish: Option<Slot>,
    /// The client came in by https.
    is_secure: bool,
}

/// An answer that needs no instance.
pub(crate) enum InPlace {
    /// The service takes no requests.
    Refusal(Refusal),
    /// As good as the answer of an instance.
    Redirect(Refusal),
}

impl Treatment {
    /// Changes a request for its instance, which is told already who asks for what.
    pub(crate) fn begin(edge: Arc<Edge>, head: &mut Parts, is_trusted: bool) -> Box<Self> {
        let is_secure = forwarded::scheme(&head.headers) == "https";
        let sticky = edge.sticky.as_ref();
        let wish = sticky.and_then(|sticky| sticky::wish(&head.headers, &sticky.cookie));
        let moved = edge.canonical_host.as_ref().and_then(|host| moved(head, host));
        if let Some(prefix) = &edge.strip_prefix {
            prefix::strip(head, prefix, is_trusted);
        }
        edit(&mut head.headers, &edge.request_headers);
        Box::new(Self { edge, moved, wish, is_secure })
    }

    /// What is said in place of an instance.
    pub(crate) fn answer(&mut self, service: &ServiceName) -> Option<InPlace> {
        if self.edge.maintenance {
            let reason = format!("service {service} is in maintenance");
            return Some(InPlace::Refusal(Refusal::unavailable(reason)));
        }
        Some(InPlace::Redirect(Refusal::moved(self.moved.take()?)))
    }

    /// The instance that the client would come back to.
    pub(crate) fn wish(&self) -> Option<Slot> {
        self.wish
    }

    /// Changes the answer of the instance in `slot`.
    pub(crate) fn finish(&self, headers: &mut HeaderMap, slot: Option<Slot>) {
        edit(headers, &self.edge.response_headers);
        if let (Some(sticky), Some(slot)) = (&self.edge.sticky, slot)
            && self.wish != Some(slot)
            && let Some(cookie) = sticky::cookie(&sticky.cookie, slot, self.is_secure)
        {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

/// Where a request is sent to that asks for another host than the canonical one. The client's own
/// words for the host have no part in it, and ports make no difference: which one a client came in
/// by need not be the one that it sees.
fn moved(head: &Parts, canonical: &CanonicalHost) -> Option<HeaderValue> {
    // Whoever names no host, as HTTP/1.0 allows, could not do better next time.
    let asked = forwarded::host(&head.headers)?;
    // `OPTIONS *` is for the server as a whole.
    let target = head.uri.path_and_query().filter(|target| target.as_str().starts_with('/'))?;
    if asked.eq_ignore_ascii_case(canonical.name.as_bytes()) {
        return None;
    }
    let scheme = forwarded::scheme(&head.headers);
    // A target holds no control character, so this always is a value.
    HeaderValue::try_from(format!("{scheme}://{canonical}{target}")).ok()
}

/// Edits the headers of a message that is passed on; what we say ourselves is set later.
fn edit(headers: &mut HeaderMap, edits: &HeaderEdits) {
    for name in &edits.remove {
        headers.remove(name);
    }
    for (name, value) in &edits.set {
        headers.insert(name, value.clone());
    }
}

/// Adds to an answer of our own what stands in every answer of the service. What the answer says of
/// itself stays.
pub(crate) fn complete(headers: &mut HeaderMap, edits: &HeaderEdits) {
    for (name, value) in &edits.set {
        headers.entry(name).or_insert_with(|| value.clone());
    }
}
