//! The bodies it answers with: whole ones, slow ones, large ones and broken ones.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Frame;
use smoothserve_tests::contract::{CHECKSUM, Checksum, LAST_LINE, pattern, stream_chunk};
use tokio::time::sleep;

pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Bytes written at once of a large body.
const PIECE: u64 = 64 * 1024;

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Chunks spread evenly over `length`, then the known last line.
pub(crate) fn spread(length: Duration, chunks: u64) -> Body {
    let pause = length / u32::try_from(chunks.max(1)).unwrap_or(u32::MAX);
    framed(stream::unfold(0, move |index| async move {
        if index > chunks {
            return None;
        }
        if index > 0 {
            sleep(pause).await;
        }
        let text = if index == chunks { LAST_LINE.to_owned() } else { stream_chunk(index) };
        Some((Ok(Frame::data(Bytes::from(text))), index + 1))
    }))
}

/// `length` bytes of the known pattern.
pub(crate) fn large(length: u64) -> Body {
    framed(stream::iter((0..length).step_by(PIECE as usize).map(move |offset| {
        let piece = PIECE.min(length - offset) as usize;
        Ok(Frame::data(Bytes::from(pattern(offset, piece))))
    })))
}

/// `length` bytes of the known pattern, and then the connection breaks.
pub(crate) fn broken(length: u64) -> Body {
    let piece = Bytes::from(pattern(0, length as usize));
    framed(stream::iter([
        Ok(Frame::data(piece)),
        Err(io::Error::other("breaks off in the middle, as told")),
    ]))
}

/// A chunked body whose checksum follows as a trailer.
pub(crate) fn with_trailer(bytes: Bytes) -> Body {
    let checksum = Checksum::of(&bytes).to_string();
    let mut trailers = HeaderMap::new();
    trailers.insert(
        HeaderName::from_static(CHECKSUM),
        HeaderValue::from_str(&checksum).expect("hexadecimal digits are a valid header value"),
    );
    framed(stream::iter([Ok(Frame::data(bytes)), Ok(Frame::trailers(trailers))]))
}

fn framed(frames: impl Stream<Item = io::Result<Frame<Bytes>>> + Send + 'static) -> Body {
    StreamBody::new(frames).boxed_unsync()
}
