//! The body of an answer, out of the bytes that came (RFC 9112 6.3 and 7.1).

use std::mem;

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};

use super::Garbled;
use crate::proxy::guard::{Chunks, MAX_TRAILER_COUNT};

/// How far a body has been read, and how its end is told.
pub struct Decoder(Left);

enum Left {
    /// So many bytes; often none.
    Sized(u64),
    Chunked(Box<Chunked>),
    /// All that comes until the connection ends.
    ToTheEnd,
}

struct Chunked {
    chunks: Chunks,
    /// The lines after the last chunk, as they came.
    trailers: Vec<u8>,
}

impl Decoder {
    pub(super) const fn sized(length: u64) -> Self {
        Self(Left::Sized(length))
    }

    pub(super) fn chunked() -> Self {
        let chunks = Chunks::forgiving();
        Self(Left::Chunked(Box::new(Chunked { chunks, trailers: Vec::new() })))
    }

    pub(super) const fn to_the_end() -> Self {
        Self(Left::ToTheEnd)
    }

    /// Nothing more will come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.0, Left::Sized(0))
    }

    /// Only the end of the connection tells where it ends.
    #[must_use]
    pub fn ends_with_the_connection(&self) -> bool {
        matches!(self.0, Left::ToTheEnd)
    }

    /// The connection has ended, and with it the body.
    pub(crate) fn end(&mut self) {
        self.0 = Left::Sized(0);
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.0 {
            Left::Sized(left) => SizeHint::with_exact(left),
            Left::Chunked(_) | Left::ToTheEnd => SizeHint::default(),
        }
    }

    /// The next piece of what was read; none: there is none, or it is the end.
    ///
    /// # Errors
    ///
    /// The chunks are none.
    pub fn take(&mut self, read: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Garbled> {
        match &mut self.0 {
            Left::Sized(0) => Ok(None),
            Left::Sized(_) | Left::ToTheEnd if read.is_empty() => Ok(None),
            Left::Sized(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(read.len());
                *left -= count as u64;
                Ok(Some(data(read, count)))
            }
            Left::ToTheEnd => {
                let count = read.len();
                Ok(Some(data(read, count)))
            }
            Left::Chunked(chunked) => {
                let frame = chunked.take(read)?;
                if chunked.is_over() {
                    self.end();
                }
                Ok(frame)
            }
        }
    }
}

fn data(read: &mut BytesMut, count: usize) -> Frame<Bytes> {
    Frame::data(read.split_to(count).freeze())
}

impl Chunked {
    fn take(&mut self, read: &mut BytesMut) -> Result<Option<Frame<Bytes>>, Garbled> {
        self.read_framing(read)?;
        if !self.trailers.is_empty() && self.chunks.are_over() {
            return parse(mem::take(&mut self.trailers)).map(Some);
        }
        let count = self.chunks.read_data(read.len());
        if count == 0 {
            return Ok(None);
        }
        let frame = data(read, count);
        // Often the end is there too, and whoever has the last piece need not ask for another.
        self.read_framing(read)?;
        Ok(Some(frame))
    }

    fn is_over(&self) -> bool {
        self.chunks.are_over() && self.trailers.is_empty()
    }

    fn read_framing(&mut self, read: &mut BytesMut) -> Result<(), Garbled> {
        let framing = self.chunks.read_framing(read, &mut self.trailers);
        let framing = framing.map_err(|refusal| Garbled(refusal.reason().to_owned().into()))?;
        read.advance(framing);
        Ok(())
    }
}

/// Reads trailers, of which every line is in order.
fn parse(mut lines: Vec<u8>) -> Result<Frame<Bytes>, Garbled> {
    lines.extend_from_slice(b"\r\n");
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_COUNT];
    let parsed = httparse::parse_headers(&lines, &mut fields).map_err(Garbled::by)?;
    let httparse::Status::Complete((_, fields)) = parsed else {
        return Err(Garbled::because("the trailers are incomplete"));
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(Garbled::by)?;
        let value = HeaderValue::from_bytes(field.value).map_err(Garbled::by)?;
        trailers.append(name, value);
    }
    Ok(Frame::trailers(trailers))
}
