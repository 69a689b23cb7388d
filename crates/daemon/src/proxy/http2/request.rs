//! The head of a request of HTTP/2 as one of HTTP/1.1 (RFC 9113 8.3): what goes by another name gets
//! its own, and what could be read in two ways there is refused.
//!
//! h2 has seen to the names of fields, to pseudo-fields, and to what belongs to a connection alone.

use http::header::{CONTENT_LENGTH, COOKIE, Entry, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Uri};
use http_body::Body;

use crate::proxy::arriving::Arriving;
use crate::proxy::guard::{self, MAX_FIELD_COUNT, MAX_METHOD, MAX_REQUEST_LINE};
use crate::proxy::refusal::Refusal;

const CHUNKED: HeaderValue = HeaderValue::from_static("chunked");

/// Leaves a request with a target in origin-form, with a Host, and with the framing of its body.
///
/// # Errors
///
/// What is wrong with it; nothing of it may be forwarded then.
pub(crate) fn translate(
    head: &mut Parts,
    body: &Arriving,
    max_fields: usize,
) -> Result<(), Refusal> {
    check_method(&head.method)?;
    check_sizes(&head.headers, max_fields)?;
    check_values(&head.headers)?;
    name_host(head)?;
    // CONNECT has no path; it is refused for what it is.
    if head.method != Method::CONNECT {
        to_origin_form(head)?;
    }
    join_cookies(&mut head.headers);
    frame(&head.method, &mut head.headers, body)
}

fn check_method(method: &Method) -> Result<(), Refusal> {
    if method.as_str().len() > MAX_METHOD {
        return Err(Refusal::malformed("the method is longer than 32 bytes"));
    }
    Ok(())
}

/// The same bounds as for lines: a name, a colon, a space and a value.
fn check_sizes(headers: &HeaderMap, max_fields: usize) -> Result<(), Refusal> {
    const BESIDE: usize = 2;
    if headers.len() > MAX_FIELD_COUNT {
        return Err(Refusal::too_many_headers());
    }
    let mut sum = 0;
    for (name, value) in headers {
        let length = name.as_str().len() + BESIDE + value.len();
        if length > max_fields / 2 {
            return Err(Refusal::header_too_large(Some(name.as_str().as_bytes()), max_fields / 2));
        }
        sum += length;
    }
    if sum > max_fields {
        return Err(Refusal::headers_too_large(max_fields));
    }
    Ok(())
}

/// RFC 9113 8.2.1. Whoever trims such a value reads another one than who does not.
fn check_values(headers: &HeaderMap) -> Result<(), Refusal> {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    for value in headers.values().map(HeaderValue::as_bytes) {
        if is_blank(value.first()) || is_blank(value.last()) {
            return Err(Refusal::malformed("a header value begins or ends with a blank"));
        }
    }
    Ok(())
}

/// RFC 9113 8.3.1: `:authority` is what Host was, and if both are there, they say the same.
fn name_host(head: &mut Parts) -> Result<(), Refusal> {
    let Some(authority) = head.uri.authority() else { return Ok(()) };
    match head.headers.entry(HOST) {
        Entry::Vacant(host) => {
            let authority = HeaderValue::from_str(authority.as_str());
            let authority =
                authority.map_err(|_| Refusal::malformed("the authority is invalid"))?;
            host.insert(authority);
            Ok(())
        }
        Entry::Occupied(host) => {
            let same = |host: &HeaderValue| {
                host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
            };
            if host.iter().all(same) {
                return Ok(());
            }
            Err(Refusal::malformed("the host header is not the authority"))
        }
    }
}

fn to_origin_form(head: &mut Parts) -> Result<(), Refusal> {
    if !matches!(head.uri.scheme_str(), Some("http" | "https") | None) {
        return Err(Refusal::malformed("the scheme is neither http nor https"));
    }
    let target = head.uri.path_and_query().cloned();
    let target = target.ok_or_else(|| Refusal::malformed("the path is missing"))?;
    if target.as_str().len() > MAX_REQUEST_LINE {
        return Err(Refusal::request_line_too_long());
    }
    if target.as_str() != "*" && !guard::is_path(target.as_str().as_bytes()) {
        return Err(Refusal::malformed("the target is not a path"));
    }
    head.uri = Uri::from(target);
    Ok(())
}

/// RFC 9113 8.2.3: what was one field may come in crumbs.
fn join_cookies(headers: &mut HeaderMap) {
    let Entry::Occupied(mut cookies) = headers.entry(COOKIE) else { return };
    if cookies.iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = cookies.iter().map(HeaderValue::as_bytes).collect();
    let whole = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]));
    cookies.insert(whole.expect("joined values are a value"));
}

/// The end of a stream is the end of its body; an instance has to be told otherwise. That there is no
/// body goes without saying, but for methods that have one as a rule (RFC 9110 8.6).
fn frame(method: &Method, headers: &mut HeaderMap, body: &Arriving) -> Result<(), Refusal> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (lengths.next(), lengths.next()) {
        (Some(_), Some(_)) => Err(Refusal::malformed("there is more than one content-length")),
        // h2 holds it against the body.
        (Some(_), None) => Ok(()),
        (None, _) if !body.is_end_stream() => {
            headers.insert(TRANSFER_ENCODING, CHUNKED);
            Ok(())
        }
        (None, _) => {
            if matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            Ok(())
        }
    }
}
