//! A request on its way to an instance: its head, and its body as the client sends it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::TRANSFER_ENCODING;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use http_body::{Body as _, Frame};
use tokio::io::AsyncWrite;

use crate::proxy::upload::Upload;
use crate::proxy::{forward, lines};

/// Pieces up to this size are copied, to be written together with what is beside them.
const SMALL: usize = 4 * 1024;
/// No more of a body is asked for while so much waits to be written.
const ENOUGH: usize = 16 * 1024;
/// Kept for the next request.
const KEPT: usize = 8 * 1024;

/// What is to be written for one request.
pub(super) struct Sending {
    /// Heads, framing and small pieces, of which the first `written` bytes are gone.
    front: Vec<u8>,
    written: usize,
    /// A large piece of the body, which comes after them,
    piece: Bytes,
    /// and what ends it.
    tail: &'static [u8],
    body: Body,
}

/// What of a body has not been asked for yet.
enum Body {
    Over,
    /// So many bytes.
    Sized(u64, Upload),
    /// With the trailers that were announced.
    Chunked(Upload, Vec<HeaderName>),
}

/// Why a request could not be sent to its end.
pub(super) enum Stopped {
    /// Its body broke off, or is not as long as was said.
    Incomplete,
    /// The instance takes no more.
    Refused,
}

impl Sending {
    pub(super) const fn nothing() -> Self {
        Self { front: Vec::new(), written: 0, piece: Bytes::new(), tail: b"", body: Body::Over }
    }

    /// Begins with a request, the one before being over.
    pub(super) fn begin(&mut self, head: &Parts, upload: Upload) {
        self.front.clear();
        self.written = 0;
        put_head(&mut self.front, head);
        self.body = if head.headers.contains_key(TRANSFER_ENCODING) {
            Body::Chunked(upload, lines::announced(&head.headers))
        } else {
            match forward::content_length(&head.headers) {
                // `content-length: 0` is the whole of an empty body.
                None | Some(0) => Body::Over,
                Some(length) => Body::Sized(length, upload),
            }
        };
    }

    /// All of it was written.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.body, Body::Over) && self.is_flushed()
    }

    /// Gives up what is left.
    pub(super) fn stop(&mut self) {
        *self = Self::nothing();
    }

    /// The instance wants the body.
    pub(super) fn go_on(&self) {
        if let Body::Sized(_, upload) | Body::Chunked(upload, _) = &self.body {
            upload.go_on();
        }
    }

    /// Writes what there is. Ready when the request is written to its end, or never will be.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), Stopped>> {
        loop {
            self.fill(cx)?;
            if self.is_flushed() {
                return if self.is_over() { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            ready!(self.poll_write(cx, socket)).map_err(|_| Stopped::Refused)?;
        }
    }

    /// What is kept for the next request is no more than one needs as a rule.
    pub(super) fn rest(&mut self) {
        if self.front.capacity() > KEPT {
            self.front = Vec::new();
        }
    }

    fn is_flushed(&self) -> bool {
        self.written == self.front.len() && self.piece.is_empty() && self.tail.is_empty()
    }

    /// Takes what has come of the body, as long as it may be copied.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<(), Stopped> {
        while self.piece.is_empty() && self.tail.is_empty() && self.front.len() < ENOUGH {
            let (Body::Sized(_, upload) | Body::Chunked(upload, _)) = &mut self.body else {
                return Ok(());
            };
            match Pin::new(upload).poll_frame(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(None) => self.end()?,
                Poll::Ready(Some(Err(_))) => return Err(Stopped::Incomplete),
                Poll::Ready(Some(Ok(frame))) => self.put_frame(frame)?,
            }
        }
        Ok(())
    }

    fn put_frame(&mut self, frame: Frame<Bytes>) -> Result<(), Stopped> {
        match frame.into_data() {
            Ok(data) => self.put_data(data),
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    self.put_trailers(&trailers);
                }
                Ok(())
            }
        }
    }

    fn put_data(&mut self, data: Bytes) -> Result<(), Stopped> {
        match &mut self.body {
            Body::Over => {}
            Body::Sized(left, _) => {
                *left = left.checked_sub(data.len() as u64).ok_or(Stopped::Incomplete)?;
                if *left == 0 {
                    self.body = Body::Over;
                }
                self.put_piece(data, b"");
            }
            // An empty chunk would be the last one.
            Body::Chunked(..) if data.is_empty() => {}
            Body::Chunked(..) => {
                lines::chunk(&mut self.front, data.len());
                self.put_piece(data, b"\r\n");
            }
        }
        Ok(())
    }

    fn put_piece(&mut self, data: Bytes, tail: &'static [u8]) {
        if data.len() > SMALL {
            (self.piece, self.tail) = (data, tail);
        } else {
            self.front.extend_from_slice(&data);
            self.front.extend_from_slice(tail);
        }
    }

    fn put_trailers(&mut self, trailers: &HeaderMap) {
        let Body::Chunked(_, announced) = std::mem::replace(&mut self.body, Body::Over) else {
            return;
        };
        lines::last_chunk(&mut self.front, &announced, Some(trailers));
    }

    fn end(&mut self) -> Result<(), Stopped> {
        match std::mem::replace(&mut self.body, Body::Over) {
            Body::Over => Ok(()),
            Body::Sized(..) => Err(Stopped::Incomplete),
            Body::Chunked(..) => {
                lines::last_chunk(&mut self.front, &[], None);
                Ok(())
            }
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        let front = &self.front[self.written..];
        let socket = Pin::new(socket);
        let written = if self.piece.is_empty() && self.tail.is_empty() {
            ready!(socket.poll_write(cx, front))?
        } else {
            let pieces = [front, &self.piece, self.tail].map(IoSlice::new);
            ready!(socket.poll_write_vectored(cx, &pieces))?
        };
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(written);
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, written: usize) {
        let of_front = written.min(self.front.len() - self.written);
        self.written += of_front;
        if self.written == self.front.len() {
            self.front.clear();
            self.written = 0;
        }
        let of_piece = (written - of_front).min(self.piece.len());
        self.piece.advance(of_piece);
        self.tail = &self.tail[written - of_front - of_piece..];
    }
}

fn put_head(front: &mut Vec<u8>, head: &Parts) {
    front.extend_from_slice(head.method.as_str().as_bytes());
    front.push(b' ');
    // Checked before: a path, or `*`.
    let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    front.extend_from_slice(target.as_bytes());
    front.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in &head.headers {
        lines::field(front, name, value);
    }
    front.extend_from_slice(b"\r\n");
}
