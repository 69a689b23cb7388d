//! The headers of a message that is done with: an empty map that has room for those of the next.
//!
//! A map is two allocations. That of an answer becomes that of a request, which becomes that of an
//! answer again in hyper's client; a connection would keep it while it is idle, a thread has one.

use std::cell::Cell;

use http::HeaderMap;

thread_local! {
    static SPARE: Cell<HeaderMap> = Cell::default();
}

pub(super) fn take() -> HeaderMap {
    SPARE.take()
}

pub(super) fn keep(mut headers: HeaderMap) {
    headers.clear();
    SPARE.set(headers);
}
