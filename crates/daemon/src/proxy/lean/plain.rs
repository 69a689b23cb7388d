//! The head of a plain request.
//!
//! Parsed as hyper does it, and by the same parser: whoever asks must not be understood in two ways.
//! The guard has checked it more strictly before, so that there is nothing to refuse here; a doubt is
//! left to hyper.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HeaderName, TE, UPGRADE};
use http::{HeaderValue, Method, Request, Uri, Version};

use super::fields::Manner;
use crate::proxy::arriving::Arriving;
use crate::proxy::forward;
use crate::proxy::guard::MAX_FIELD_COUNT;
use crate::proxy::spare;

/// Fields that are added on the way to an instance, most of the time.
const ADDED: usize = 6;

/// The request that `bytes` are, and how it wants its answer; none: it is not plain, or they are more
/// than its head.
pub(crate) fn read(bytes: &Bytes) -> Option<(Request<Arriving>, Manner)> {
    let mut fields = [MaybeUninit::uninit(); MAX_FIELD_COUNT];
    let mut head = httparse::Request::new(&mut []);
    let parsed = head.parse_with_uninit_headers(bytes, &mut fields).ok()?;
    let is_whole = parsed == httparse::Status::Complete(bytes.len());
    let (true, Some(1), Some(method), Some(target)) =
        (is_whole, head.version, head.method, head.path)
    else {
        return None;
    };
    let mut headers = spare::map();
    headers.reserve(head.headers.len() + ADDED);
    let (mut connection, mut te) = (false, false);
    for field in &*head.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        match name {
            EXPECT | UPGRADE => return None,
            CONNECTION => connection = true,
            TE => te = true,
            _ => {}
        }
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).ok()?;
        headers.append(name, value);
    }
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    let manner = Manner {
        is_head: method == Method::HEAD,
        is_last: connection && forward::is_last(&headers, Version::HTTP_11),
        takes_trailers: te && forward::accepts_trailers(&headers),
    };
    let mut request = Request::new(Arriving::Nothing);
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from_maybe_shared(bytes.slice_ref(target.as_bytes())).ok()?;
    *request.headers_mut() = headers;
    Some((request, manner))
}
