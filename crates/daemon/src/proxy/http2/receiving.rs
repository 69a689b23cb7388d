//! The body of a request on one stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::Frame;

use crate::proxy::arriving::Incomplete;

/// What follows the head of a request: data, and perhaps trailers.
pub(crate) struct Receiving {
    stream: RecvStream,
    /// To be told when it is asked for; none: nobody waits for that.
    asked: Option<Asked>,
    /// All data has come.
    is_data_over: bool,
}

/// Whether a body has been asked for.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<AtomicBool>);

impl Asked {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Receiving {
    pub(super) fn new(stream: RecvStream, asked: Option<Asked>) -> Self {
        Self { stream, asked, is_data_over: false }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stream.is_end_stream()
    }

    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Incomplete>>> {
        if let Some(Asked(asked)) = self.asked.take() {
            asked.store(true, Ordering::Relaxed);
        }
        if !self.is_data_over {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // It cannot fail: so much has just come.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(_)) => return Poll::Ready(Some(Err(Incomplete))),
                None => self.is_data_over = true,
            }
        }
        match ready!(self.stream.poll_trailers(cx)) {
            Ok(trailers) => Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers)))),
            Err(_) => Poll::Ready(Some(Err(Incomplete))),
        }
    }
}
