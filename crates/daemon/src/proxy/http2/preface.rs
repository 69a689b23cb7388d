//! Which version of HTTP a client begins to speak, on a port where it may be either.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};

use super::frames::PREFACE;
use crate::proxy::client::Client;

/// What a client speaks, with what it has said so far.
pub(crate) enum Spoken {
    Http1(BytesMut),
    Http2(BytesMut),
}

/// Reads until it is clear; none: the client is gone, or has taken too long.
///
/// No request of HTTP/1 begins as the preface of HTTP/2 does: that is what it was made for (RFC 9113
/// 3.4).
pub(crate) async fn sniff<S>(client: &Arc<Client>, io: &mut S) -> Option<Spoken>
where
    S: AsyncRead + Unpin,
{
    let mut said = BytesMut::with_capacity(PREFACE.len());
    while PREFACE.starts_with(&said) {
        if said.len() == PREFACE.len() {
            return Some(Spoken::Http2(said));
        }
        let mut bytes = [0; PREFACE.len()];
        let mut buffer = ReadBuf::new(&mut bytes[said.len()..]);
        let read = poll_fn(|cx| {
            let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut buffer));
            client.progress().heard();
            Poll::Ready(read)
        });
        client.while_welcome(read).await?.ok()?;
        if buffer.filled().is_empty() {
            return None;
        }
        said.extend_from_slice(buffer.filled());
    }
    Some(Spoken::Http1(said))
}
