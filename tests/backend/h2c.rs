//! Connections of HTTP/2: many requests at once on each.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};

use crate::answer::{self, Fixture};
use crate::lifetime::{self, Phase};

/// Serves one connection until it ends; one that is to end says so, and answers what it has.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    fixture: Arc<Fixture>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    if let Some(most) = fixture.options.streams_per_connection {
        builder.max_concurrent_streams(most);
    }
    let (requests, enough) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
    let told = Arc::clone(&enough);
    let service = service_fn(move |request| {
        let fixture = Arc::clone(&fixture);
        let number = requests.fetch_add(1, Ordering::Relaxed) + 1;
        if fixture.options.requests_per_connection == Some(number) {
            told.notify_one();
        }
        async move { answer::answer(&fixture, request).await }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // Errors: the other side went away, which is its own business.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = lifetime::finishing(&mut phase) => {}
        () = enough.notified() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
