//! Every answer we make ourselves: status, reason, and what becomes of the connection.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use super::body::Download;

/// Why a request was not forwarded, or got no answer from an instance.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    /// One line, for whoever looks at the answer.
    reason: Cow<'static, str>,
    /// Who sends such a request may have sent a second one inside it: nothing more is read.
    closes: bool,
}

/// Long enough for an instance to start, short enough to be tried again by a person.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");
/// What a CONNECT or a TRACE is told (RFC 9110 15.5.6).
const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

impl Refusal {
    pub(crate) fn malformed(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, reason: reason.into(), closes: true }
    }

    pub(crate) fn method(method: &http::Method) -> Self {
        let reason = format!("method {method} is not allowed");
        Self { status: StatusCode::METHOD_NOT_ALLOWED, reason: reason.into(), closes: true }
    }

    pub(crate) fn target_too_long() -> Self {
        let reason = "the request target is longer than 16384 bytes".into();
        Self { status: StatusCode::URI_TOO_LONG, reason, closes: true }
    }

    pub(crate) fn header_too_large(name: &http::HeaderName) -> Self {
        let reason = format!("header {name} is larger than 32768 bytes");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self { status, reason: reason.into(), closes: true }
    }

    pub(crate) fn headers_too_large() -> Self {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self { status, reason: "the headers are larger than 65536 bytes".into(), closes: true }
    }

    pub(crate) fn expectation() -> Self {
        let reason = "no expectation but 100-continue can be met".into();
        Self { status: StatusCode::EXPECTATION_FAILED, reason, closes: true }
    }

    pub(crate) fn no_route(host: &[u8]) -> Self {
        let reason = format!("no service answers to host {}", String::from_utf8_lossy(host));
        Self { status: StatusCode::NOT_FOUND, reason: reason.into(), closes: false }
    }

    pub(crate) fn unavailable(reason: impl Into<Cow<'static, str>>) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { status, reason: reason.into(), closes: false }
    }

    pub(crate) fn bad_gateway(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_GATEWAY, reason: reason.into(), closes: false }
    }

    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn into_response(self) -> Response<Download> {
        let text = Bytes::from(format!("{} {}\n", self.status.as_u16(), self.reason));
        let mut response = Response::new(Download::text(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PLAIN_TEXT);
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, METHODS);
        }
        response
    }
}
