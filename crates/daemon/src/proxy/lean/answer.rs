//! An answer on its way to the client, as fast as the client takes it.
//!
//! Small pieces are put together with what is before them; a large one is written from where it is,
//! and the next is asked for when it is gone. So no more waits in memory for a slow client than one
//! piece.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body::{Body, Frame};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::fields::{self, Framing, Manner};
use crate::proxy::linger::SMALL;
use crate::proxy::{lines, spare};

/// Room for the head of most answers, with a small body.
const HEAD: usize = 1024;
/// So much may be put together before the client has to take it.
const GATHERED: usize = 8 * 1024;

/// Writes an answer to its end, and says whether another request may follow.
///
/// # Errors
///
/// The client is gone, or the body broke off: what there was of it is sent, and the connection is to
/// be ended in a way that shows that there is more.
pub(super) async fn send<S, B>(io: &mut S, manner: &Manner, answer: Response<B>) -> io::Result<bool>
where
    S: AsyncWrite + Unpin,
    B: Body<Data = Bytes>,
{
    let (mut head, body) = answer.into_parts();
    let mut out = BytesMut::with_capacity(HEAD);
    let (framing, goes_on) = fields::write(&mut out, manner, &mut head, &body);
    spare::keep_map(head.headers);
    let mut sending = Sending { io, out, framing };
    let sent = sending.send(body).await;
    poll_fn(|cx| sending.poll_flush(cx)).await?;
    sent.map(|()| goes_on)
}

struct Sending<'a, S> {
    io: &'a mut S,
    /// Put together, and not yet written.
    out: BytesMut,
    framing: Framing,
}

impl<S: AsyncWrite + Unpin> Sending<'_, S> {
    /// What is left in `out` then is still to be written.
    async fn send<B: Body<Data = Bytes>>(&mut self, body: B) -> io::Result<()> {
        let mut body = pin!(body);
        // Nothing more is asked for that could not be sent.
        while !matches!(self.framing, Framing::Sized(0)) {
            match poll_fn(|cx| self.poll_frame(body.as_mut(), cx)).await? {
                Some(frame) => match frame.into_data() {
                    Ok(data) => self.data(data, body.is_end_stream()).await?,
                    Err(frame) => self.end(frame.trailers_ref())?,
                },
                None => self.end(None)?,
            }
        }
        Ok(())
    }

    /// What comes next of the body. While nothing does, what is there already is written.
    fn poll_frame<B: Body<Data = Bytes>>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Frame<Bytes>>>> {
        if self.out.len() >= GATHERED {
            ready!(self.poll_write(cx))?;
        }
        if let Poll::Ready(frame) = body.as_mut().poll_frame(cx) {
            return Poll::Ready(frame.transpose().map_err(|_| broken_off()));
        }
        // Also with nothing to write: it is there that a client is looked after which has gone.
        ready!(self.poll_flush(cx))?;
        Poll::Pending
    }

    async fn data(&mut self, mut data: Bytes, is_last: bool) -> io::Result<()> {
        if data.is_empty() {
            // As a chunk, it would be the last one.
            return if is_last { self.end(None) } else { Ok(()) };
        }
        let after = match &mut self.framing {
            Framing::Sized(left) => {
                data.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= data.len() as u64;
                ""
            }
            Framing::Chunked(_) => {
                lines::chunk(&mut self.out, data.len());
                if is_last { self.last_chunk() } else { "\r\n" }
            }
        };
        if data.len() <= SMALL {
            self.out.extend_from_slice(&data);
            self.out.extend_from_slice(after.as_bytes());
            return Ok(());
        }
        let mut pieces = (&mut self.out).chain(data).chain(after.as_bytes());
        self.io.write_all_buf(&mut pieces).await
    }

    /// Ends the body, and a chunk.
    fn last_chunk(&mut self) -> &'static str {
        self.framing = Framing::Sized(0);
        "\r\n0\r\n\r\n"
    }

    /// Ends the body, which is over.
    fn end(&mut self, trailers: Option<&HeaderMap>) -> io::Result<()> {
        let Framing::Chunked(announced) = std::mem::replace(&mut self.framing, Framing::Sized(0))
        else {
            return Err(broken_off());
        };
        lines::last_chunk(&mut self.out, &announced, trailers);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write(cx))?;
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.out.has_remaining() {
            let written = ready!(Pin::new(&mut *self.io).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

/// There is less of the body than was told.
fn broken_off() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
