//! Memory of messages that are done with, for the next ones.
//!
//! What a request needs for a moment would be allocated for each, or kept by each connection while it
//! is idle. A thread keeps a little of it instead, which is still in the processor's cache.

use std::cell::RefCell;

use bytes::BytesMut;
use http::HeaderMap;

/// Maps for as many requests as a thread has under way as a rule.
const MAPS: usize = 64;
/// More than one is needed where pieces wait for a slow client.
const BUFFERS: usize = 8;
/// The room of a buffer. Half as much takes half as much processor time again for large answers.
pub(super) const BUFFER: usize = 128 * 1024;

thread_local! {
    static SPARE: RefCell<Spare> = const {
        RefCell::new(Spare { maps: Vec::new(), buffers: Vec::new() })
    };
}

struct Spare {
    maps: Vec<HeaderMap>,
    buffers: Vec<BytesMut>,
}

/// An empty map.
pub(super) fn map() -> HeaderMap {
    SPARE.with_borrow_mut(|spare| spare.maps.pop()).unwrap_or_default()
}

/// Leaves a map to another message.
pub(super) fn keep_map(mut map: HeaderMap) {
    map.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.maps.len() < MAPS {
            spare.maps.push(map);
        }
    });
}

/// An empty buffer with room for [`BUFFER`] bytes.
pub(super) fn buffer() -> BytesMut {
    let mut buffer = SPARE.with_borrow_mut(|spare| spare.buffers.pop()).unwrap_or_default();
    // It takes back what was cut off, unless somebody still has it.
    buffer.reserve(BUFFER);
    buffer
}

/// Leaves an empty buffer to whoever reads next.
pub(super) fn keep_buffer(buffer: BytesMut) {
    debug_assert!(buffer.is_empty(), "what was read belongs to somebody");
    SPARE.with_borrow_mut(|spare| {
        if spare.buffers.len() < BUFFERS {
            spare.buffers.push(buffer);
        }
    });
}
