//! Plain requests of HTTP/1.1 clients, served without hyper.
//!
//! Nearly all requests have no body and ask for nothing but an answer. To read one, and to write its
//! answer, takes a small part of what hyper brings along for all that HTTP/1.1 knows. Whatever is out
//! of the ordinary (a body, an upgrade, an expectation, HTTP/1.0) goes to hyper as it came. The guard
//! stands before both, so that both are given the same messages; and for a client there is no
//! difference.
//!
//! Nothing is kept between two requests: whoever merely waits is a task and a socket.

mod answer;
pub(crate) mod fields;
pub(crate) mod plain;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use http::Response;
use tokio::io::AsyncWrite;

use super::body::Download;
use super::client::Client;
use super::linger::Lingering;
use super::request;

/// What became of a client's turn to speak.
pub(super) enum Turn {
    /// It was answered, and may ask for more.
    Answered,
    /// What it asks is not plain. It can be read from the connection again.
    Elaborate,
    /// The connection has ended.
    Over,
}

/// Reads a request and answers it, if it is a plain one.
pub(super) async fn serve(client: &Arc<Client>, io: &mut Lingering) -> Turn {
    let mut turn = pin!(take_turn(client, io));
    poll_fn(|cx| {
        client.note_waker(cx);
        match turn.as_mut().poll(cx) {
            // Errors are the client's: it went away, or takes nothing; or the answer broke off, and
            // what is missing is to be seen.
            Poll::Ready(turn) => Poll::Ready(turn.unwrap_or(Turn::Over)),
            Poll::Pending if client.is_cut() => Poll::Ready(Turn::Over),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn take_turn(client: &Arc<Client>, io: &mut Lingering) -> io::Result<Turn> {
    let Some(read) = hear(client, io).await else {
        return close(io).await;
    };
    let read = read.freeze();
    let plain = if io.is_inside() { None } else { plain::read(&read) };
    let Some((request, manner)) = plain else {
        io.take_back(read.into());
        return Ok(Turn::Elaborate);
    };
    drop(read);
    let answer = {
        // Dropped, the exchange counts as aborted by its client.
        let mut asking = pin!(request::answer(Arc::clone(client), request));
        poll_fn(|cx| poll_answer(asking.as_mut(), io, cx)).await?
    };
    if answer::send(io, &manner, answer).await? { Ok(Turn::Answered) } else { close(io).await }
}

/// None: it says nothing more, or is no longer listened to.
async fn hear(client: &Client, io: &mut Lingering) -> Option<BytesMut> {
    let mut last = None;
    let heard = poll_fn(|cx| match io.poll_head(cx) {
        Poll::Ready(read) => Poll::Ready(read.ok()),
        Poll::Pending => client.poll_leave(&mut last, cx).map(|()| None),
    });
    heard.await.filter(|read| !read.is_empty())
}

fn poll_answer(
    asking: Pin<&mut impl Future<Output = Result<Response<Download>, Infallible>>>,
    io: &mut Lingering,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Response<Download>>> {
    if let Poll::Ready(Ok(answer)) = asking.poll(cx) {
        return Poll::Ready(Ok(answer));
    }
    // It is there that a client is looked after which has gone.
    match Pin::new(io).poll_flush(cx) {
        Poll::Ready(Err(gone)) => Poll::Ready(Err(gone)),
        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
    }
}

async fn close(io: &mut Lingering) -> io::Result<Turn> {
    poll_fn(|cx| Pin::new(&mut *io).poll_shutdown(cx)).await?;
    Ok(Turn::Over)
}
