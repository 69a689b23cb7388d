//! Requests that are served without hyper, as the guard lets them through: they read as hyper reads
//! them, and hyper finds no body.
#![no_main]

use std::cell::RefCell;
use std::convert::Infallible;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use smoothserve::fuzzing::plain_request;
use smoothserve::proxy::guard::{Framer, Step};
use tokio::io::AsyncWriteExt;

const MAX_FIELDS: usize = 64 * 1024;

/// The head of the first request in `bytes`, and how much of its body came with it.
async fn read_by_hyper(bytes: &[u8]) -> Option<(Parts, usize)> {
    let (mut client, far) = tokio::io::duplex(64 * 1024);
    client.write_all(bytes).await.ok()?;
    client.shutdown().await.ok()?;
    let found = RefCell::new(None);
    let service = service_fn(|request: Request<Incoming>| async {
        let (head, body) = request.into_parts();
        let length = body.collect().await.map_or(usize::MAX, |body| body.to_bytes().len());
        found.borrow_mut().get_or_insert((head, length));
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let mut server = http1::Builder::new();
    let _ = server.half_close(true).serve_connection(TokioIo::new(far), service).await;
    found.into_inner()
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    let mut framer = Framer::new(MAX_FIELDS);
    let Ok(Step::Pass(count)) = framer.next(&mut bytes) else { return };
    if framer.is_inside() {
        return;
    }
    bytes.truncate(count);
    let Some(plain) = plain_request(&Bytes::copy_from_slice(&bytes)) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (head, length) = runtime.block_on(read_by_hyper(&bytes)).expect("hyper takes it");
    assert_eq!((plain.method, plain.uri), (head.method, head.uri));
    assert_eq!((plain.version, plain.headers, length), (head.version, head.headers, 0));
});
