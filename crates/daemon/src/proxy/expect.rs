//! `Expect: 100-continue` (RFC 9110 10.1.1): the client waits to be asked for its body.
//!
//! The expectation is passed on. As long as the instance has not said `100`, the body is not
//! touched; hyper's server sends its own `100` at the moment the body is first asked for, so the
//! client hears it exactly then, and once.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Version, header};
use http_body::Body;
use tokio::time::Sleep;

use super::arriving::Arriving;
use super::refusal::Refusal;

/// An instance that knows nothing of expectations just waits for the body. So do clients wait for
/// us; a client may send after "a reasonable time" anyway, and curl takes one second for that.
const PATIENCE: Duration = Duration::from_secs(1);

/// What holds a body back.
pub(crate) struct Expectation {
    signal: Arc<Signal>,
    patience: Pin<Box<Sleep>>,
}

/// Shared by the body and the exchange.
#[derive(Default)]
struct Signal {
    /// The instance said `100`, or was given up waiting for.
    asked: AtomicBool,
}

impl Signal {
    fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }
}

/// The exchange's view of an expectation.
pub(crate) struct Asked(Option<Arc<Signal>>);

impl Asked {
    /// The final answer came although the body was never asked for: the client will not send it,
    /// or sends it in vain, and the connection cannot go on.
    pub(crate) fn in_vain(&self) -> bool {
        self.0.as_ref().is_some_and(|signal| !signal.asked.load(Ordering::Relaxed))
    }

    /// Asks for the body now, on behalf of an instance that is not told of the expectation.
    pub(crate) fn go_on(&self) {
        if let Some(signal) = &self.0 {
            signal.ask();
        }
    }
}

/// Reads the expectation of a request.
///
/// # Errors
///
/// 417 for any other than `100-continue`.
pub(crate) fn read(
    head: &mut Parts,
    body: &Arriving,
) -> Result<(Asked, Option<Expectation>), Refusal> {
    if !head.headers.contains_key(header::EXPECT) {
        return Ok((Asked(None), None));
    }
    if !expects_continue(&head.headers) {
        return Err(Refusal::expectation());
    }
    // A server ignores it in HTTP/1.0, and without a body there is nothing to wait for.
    if head.version < Version::HTTP_11 || body.is_end_stream() {
        head.headers.remove(header::EXPECT);
        return Ok((Asked(None), None));
    }
    let signal = Arc::new(Signal::default());
    let patience = Box::pin(tokio::time::sleep(PATIENCE));
    let expectation = Expectation { signal: Arc::clone(&signal), patience };
    Ok((Asked(Some(signal)), Some(expectation)))
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::EXPECT)
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

impl Expectation {
    /// The instance said `100`.
    pub(crate) fn go_on(&self) {
        self.signal.ask();
    }

    /// Ready when the body may be read.
    ///
    /// No waker is kept for the `100`: a link asks for the body after each read from the instance, so
    /// also after the one that brought it.
    pub(crate) fn poll_go_on(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.signal.asked.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        let patience = self.patience.as_mut().poll(cx);
        if patience.is_ready() {
            self.signal.ask();
        }
        patience
    }
}
