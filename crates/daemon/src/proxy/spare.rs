//! The headers of messages that are done with: empty maps that have room for those of the next.
//!
//! A map is two allocations. A request and its answer have one each; a connection would keep them while
//! it is idle, a thread has some for those that are under way.

use std::cell::RefCell;

use http::HeaderMap;

const KEPT: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// An empty map.
pub(super) fn take() -> HeaderMap {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Leaves a map to another message.
pub(super) fn keep(mut headers: HeaderMap) {
    headers.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < KEPT {
            spare.push(headers);
        }
    });
}
