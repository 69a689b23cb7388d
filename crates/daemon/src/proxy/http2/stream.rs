//! One stream: a request comes in, an answer goes out, as fast as the client takes it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body;

use super::receiving::{Asked, Receiving};
use super::streams::Open;
use crate::proxy::body::Download;
use crate::proxy::client::Client;
use crate::proxy::date;
use crate::proxy::progress::Awaited;
use crate::proxy::request;

/// What of an answer is handed to h2 at once. Streams take turns after that.
const PIECE: usize = 16 * 1024;

/// The client wants no more of it, or is gone.
struct GivenUp;

/// Serves a stream until it ends, in a task of its own.
///
/// Whatever is left of it when it is dropped, h2 resets, so that the client sees that something is
/// missing.
pub(super) async fn serve(open: Open, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let client = open.client();
    let mut exchange = pin!(exchange(client, request, respond));
    poll_fn(|cx| {
        client.note_waker(cx);
        if client.is_cut() || exchange.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match client.progress().overdue() {
            Some(Awaited::Room) => Poll::Ready(()),
            _ => Poll::Pending,
        }
    })
    .await;
}

async fn exchange(
    client: &Arc<Client>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), GivenUp> {
    // Whoever sends the end of a request right after it is to bother no instance.
    if poll_fn(|cx| Poll::Ready(respond.poll_reset(cx).is_ready())).await {
        return Err(GivenUp);
    }
    let is_head = request.method() == Method::HEAD;
    let expects = request.headers().contains_key(header::EXPECT);
    let asked = expects.then(Asked::default);
    let request = request.map(|body| Receiving::new(body, asked.clone()));
    let response = {
        let mut answer = pin!(request::answer(Arc::clone(client), request));
        let mut asked = asked;
        poll_fn(|cx| {
            if let Poll::Ready(Ok(response)) = answer.as_mut().poll(cx) {
                return Poll::Ready(Ok(response));
            }
            if asked.take_if(|asked| asked.get()).is_some() {
                ask_for_body(&mut respond);
            }
            respond.poll_reset(cx).map(|_| Err(GivenUp))
        })
        .await?
    };
    let (response, body) = prepare(response);
    let is_empty = is_head || body.is_empty();
    let mut sending =
        Sending { client, stream: respond.send_response(response, is_empty).map_err(|_| GivenUp)? };
    if is_empty { Ok(()) } else { sending.send(body).await }
}

/// RFC 9110 10.1.1.
fn ask_for_body(respond: &mut SendResponse<Bytes>) {
    let mut go_on = Response::new(());
    *go_on.status_mut() = StatusCode::CONTINUE;
    // It fails if the client has given up, which is found out next.
    let _ = respond.send_informational(go_on);
}

/// The head of an answer as HTTP/2 has it (RFC 9113 8.2.2). Whether the connection ends is said in
/// another way.
fn prepare(response: Response<Download>) -> (Response<()>, Download) {
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONNECTION);
    if let Some(length) = body.text_length() {
        head.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    date::add(&mut head.headers);
    (Response::from_parts(head, ()), body)
}

struct Sending<'a> {
    client: &'a Client,
    stream: SendStream<Bytes>,
}

impl Sending<'_> {
    async fn send(&mut self, mut body: Download) -> Result<(), GivenUp> {
        loop {
            let frame = poll_fn(|cx| match self.stream.poll_reset(cx) {
                Poll::Ready(_) => Poll::Ready(Err(GivenUp)),
                Poll::Pending => Pin::new(&mut body).poll_frame(cx).map(Ok),
            });
            let Some(frame) = frame.await? else {
                return self.stream.send_data(Bytes::new(), true).map_err(|_| GivenUp);
            };
            let Ok(frame) = frame else {
                self.stream.send_reset(Reason::INTERNAL_ERROR);
                return Err(GivenUp);
            };
            match frame.into_data() {
                Ok(data) => {
                    let is_last = body.is_end_stream();
                    self.send_data(data, is_last).await?;
                    if is_last {
                        return Ok(());
                    }
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    return self.stream.send_trailers(trailers).map_err(|_| GivenUp);
                }
            }
        }
    }

    async fn send_data(&mut self, mut data: Bytes, is_last: bool) -> Result<(), GivenUp> {
        if data.is_empty() && is_last {
            return self.stream.send_data(data, true).map_err(|_| GivenUp);
        }
        if data.len() <= PIECE {
            // It may wait for its client, and is not to keep the much larger buffer it was read into.
            data = Bytes::copy_from_slice(&data);
        }
        while !data.is_empty() {
            self.stream.reserve_capacity(data.len().min(PIECE));
            let room = poll_fn(|cx| self.poll_room(cx)).await?;
            let piece = data.split_to(room.min(data.len()));
            let ends = is_last && data.is_empty();
            self.stream.send_data(piece, ends).map_err(|_| GivenUp)?;
        }
        Ok(())
    }

    /// How much the client takes now. While that is nothing, nobody else is to blame for waiting.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, GivenUp>> {
        let progress = self.client.progress();
        loop {
            let room = self.stream.capacity();
            if room > 0 {
                progress.wrote();
                return Poll::Ready(Ok(room));
            }
            progress.blocked();
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(Err(GivenUp)),
            }
        }
    }
}
