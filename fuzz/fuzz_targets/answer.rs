//! The answers of instances, fed with whatever: any split of the bytes gives the same answer, and one
//! that is whole reads the same in hyper.
#![no_main]

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use libfuzzer_sys::fuzz_target;
use smoothserve::proxy::answer::Head;
use smoothserve_fuzz::in_portions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A final answer to its last byte.
#[derive(Debug, PartialEq, Eq)]
struct Whole {
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

/// What comes out of an input in portions; none: no whole answer.
fn read(method: &Method, portions: &[&[u8]]) -> Option<Whole> {
    let (mut buffer, mut begun) = (BytesMut::new(), None);
    let (mut data, mut trailers) = (Vec::new(), None);
    for portion in portions {
        buffer.put_slice(portion);
        while begun.is_none() && !buffer.is_empty() {
            let Some(head) = Head::take(&mut buffer).ok()? else { break };
            if !head.parts.status.is_informational() {
                let body = head.body(method).ok()?;
                begun = Some((head, body));
            } else if head.parts.status == StatusCode::SWITCHING_PROTOCOLS {
                return None;
            }
        }
        let Some((_, body)) = &mut begun else { continue };
        while let Some(frame) = body.take(&mut buffer).ok()? {
            match frame.into_data() {
                Ok(piece) => data.extend_from_slice(&piece),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
    }
    let (head, body) = begun?;
    let is_whole = body.is_over() || body.ends_with_the_connection();
    let (status, version, headers) = (head.parts.status, head.parts.version, head.parts.headers);
    is_whole.then_some(Whole { status, version, headers, body: data, trailers })
}

async fn read_by_hyper(method: &Method, input: &[u8]) -> Option<Whole> {
    let (mut instance, near) = tokio::io::duplex(64 * 1024);
    let client = hyper::client::conn::http1::Builder::new().handshake(TokioIo::new(near));
    let (mut sender, connection) = client.await.ok()?;
    let request = Request::builder().method(method).uri("/").header("host", "a");
    let request = request.body(Empty::<Bytes>::new()).ok()?;
    let asking = async move {
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?;
        let trailers = body.trailers().cloned();
        let (status, version, headers) = (head.status, head.version, head.headers);
        Some(Whole { status, version, headers, body: body.to_bytes().to_vec(), trailers })
    };
    let answering = async {
        // Only when it was asked does it answer.
        let mut request = [0; 64];
        let _ = instance.read(&mut request).await;
        let _ = instance.write_all(input).await;
        let _ = instance.shutdown().await;
        instance
    };
    let (whole, _, _instance) = tokio::join!(asking, connection, answering);
    whole
}

fuzz_target!(|data: &[u8]| {
    let Some((input, portions)) = in_portions(data) else { return };
    let method = if data[0] & 1 == 0 { Method::GET } else { Method::HEAD };
    let whole = read(&method, &[input]);
    assert_eq!(whole, read(&method, &portions));
    if let Some(whole) = whole {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        assert_eq!(Some(whole), runtime.block_on(read_by_hyper(&method, input)));
    }
});
