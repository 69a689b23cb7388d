//! What a service's file has us change in its requests and answers, beside passing them on.
//!
//! Most services have nothing of it, and their requests look at one flag and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use http::HeaderMap;

use crate::config::{Edge, HeaderEdits};

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

/// Edits the headers of a message that is passed on; what we say ourselves is set later.
pub(crate) fn edit(headers: &mut HeaderMap, edits: &HeaderEdits) {
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
