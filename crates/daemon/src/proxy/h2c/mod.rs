//! HTTP/2 without TLS to instances (RFC 9113 3.3, with prior knowledge), gRPC first of all.
//!
//! A run has [`Sessions`], mostly one: a connection that carries many requests at once, each on a
//! [`Stream`]. `head` says what becomes of the head of a request. The exchange that uses a stream
//! moves its bodies; only what all streams of a connection share is driven by a task. Which request
//! may be sent again is known elsewhere; here is known what an instance says of it.

mod head;
mod session;
mod sessions;
mod socket;
mod stream;

pub(crate) use self::sessions::Sessions;
pub(crate) use self::stream::{Receiving, Stream, Unanswered};
