//! Every answer we make ourselves: status, reason, and what becomes of the connection.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use super::body::Download;
use super::edge;
use super::standing::Standing;
use crate::config::{Edge, Page};

/// Why a request was not forwarded, or got no answer from an instance.
#[derive(Clone, Debug)]
pub struct Refusal {
    status: StatusCode,
    /// One line, for whoever looks at the answer.
    reason: Cow<'static, str>,
    /// Who sends such a request may have sent a second one inside it: nothing more is read.
    closes: bool,
    /// Where the client is sent to.
    location: Option<HeaderValue>,
    /// Of the service that was asked for, if it has one.
    edge: Option<Arc<Edge>>,
}

/// Long enough for an instance to start, short enough to be tried again by a person.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");
/// What a CONNECT or a TRACE is told (RFC 9110 15.5.6).
const METHODS: HeaderValue =
    HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
/// Bytes of a header's name that are shown.
const NAME_SHOWN: usize = 64;
const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

impl Refusal {
    /// The connection goes on.
    fn new(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { status, reason: reason.into(), closes: false, location: None, edge: None }
    }

    /// Nothing more is read of the connection.
    fn closing(status: StatusCode, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { closes: true, ..Self::new(status, reason) }
    }

    pub(crate) fn malformed(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::closing(StatusCode::BAD_REQUEST, reason)
    }

    pub(crate) fn forbidden(reason: &'static str) -> Self {
        Self::closing(StatusCode::FORBIDDEN, reason)
    }

    pub(crate) fn method(method: &http::Method) -> Self {
        let reason = format!("method {method} is not allowed");
        Self::closing(StatusCode::METHOD_NOT_ALLOWED, reason)
    }

    pub(crate) fn request_line_too_long() -> Self {
        let reason = "the request line is longer than 16384 bytes";
        Self::closing(StatusCode::URI_TOO_LONG, reason)
    }

    pub(crate) fn version() -> Self {
        let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        Self::closing(status, "HTTP/1.0 and HTTP/1.1 are spoken here")
    }

    /// `name` as it came, if there was one.
    pub(crate) fn header_too_large(name: Option<&[u8]>, limit: usize) -> Self {
        let Some(name) = name else {
            return Self::too_large(format!("a header is larger than {limit} bytes"));
        };
        let name = name[..name.len().min(NAME_SHOWN)].escape_ascii();
        Self::too_large(format!("header {name} is larger than {limit} bytes"))
    }

    pub(crate) fn headers_too_large(limit: usize) -> Self {
        Self::too_large(format!("the headers are larger than {limit} bytes"))
    }

    pub(crate) fn too_many_headers() -> Self {
        Self::too_large("there are more than 100 headers")
    }

    pub(crate) fn trailers_too_large() -> Self {
        Self::too_large("the trailers are larger than 16384 bytes, or more than 64")
    }

    fn too_large(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::closing(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, reason)
    }

    /// For a client that never came to the end of its head (RFC 9110 15.5.9).
    pub(crate) fn head_timeout() -> Self {
        Self::timeout("the head of the request was not complete in time")
    }

    /// For a client that sent no more of its body.
    pub(crate) fn body_timeout() -> Self {
        Self::timeout("nothing more came of the body of the request")
    }

    fn timeout(reason: &'static str) -> Self {
        Self::closing(StatusCode::REQUEST_TIMEOUT, reason)
    }

    pub(crate) fn body_too_large(most: u64) -> Self {
        let reason = format!("the body of the request is larger than {most} bytes");
        Self::closing(StatusCode::PAYLOAD_TOO_LARGE, reason)
    }

    /// For an address with too many connections (RFC 6585 4).
    pub(crate) fn too_many() -> Self {
        Self::closing(StatusCode::TOO_MANY_REQUESTS, "your address has too many connections")
    }

    pub(crate) fn expectation() -> Self {
        let reason = "no expectation but 100-continue can be met";
        Self::closing(StatusCode::EXPECTATION_FAILED, reason)
    }

    pub(crate) fn no_route(host: &[u8]) -> Self {
        let reason = format!("no service answers to host {}", String::from_utf8_lossy(host));
        Self::new(StatusCode::NOT_FOUND, reason)
    }

    pub(crate) fn unavailable(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, reason)
    }

    /// The client is to ask the same of another address, now and later (RFC 9110 15.4.9).
    pub(crate) fn moved(location: HeaderValue) -> Self {
        let reason = format!("it is at {}", String::from_utf8_lossy(location.as_bytes()));
        let moved = Self::new(StatusCode::PERMANENT_REDIRECT, reason);
        Self { location: Some(location), ..moved }
    }

    /// What a load balancer is told that asks whether clients are welcome.
    pub(crate) fn readiness(standing: Standing) -> Self {
        let (status, reason) = match standing {
            Standing::Serving => (StatusCode::OK, "ready"),
            Standing::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
            Standing::Leaving => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        };
        Self::new(status, reason)
    }

    pub(crate) fn bad_gateway(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, reason)
    }

    /// The same in the name of a service, as its file has it.
    pub(crate) fn on_behalf_of(self, edge: Option<Arc<Edge>>) -> Self {
        Self { edge, ..self }
    }

    pub(crate) fn gateway_timeout(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, reason)
    }

    /// One line that says why.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The whole answer, for a client that nobody else answers; the connection ends with it.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.closes = true;
        let body = self.body();
        let mut head = format!("HTTP/1.1 {}\r\ncontent-length: {}\r\n", self.status, body.len());
        for (name, value) in self.into_response().headers() {
            // Ours are all visible ASCII.
            head += &format!("{name}: {}\r\n", value.to_str().unwrap_or_default());
        }
        [head.as_bytes(), b"\r\n", &body].concat()
    }

    /// What the client reads: the service's own page, or else the reason.
    pub(crate) fn body(&self) -> Bytes {
        match self.page() {
            Some(page) => page.body.clone(),
            None => format!("{} {}\n", self.status.as_u16(), self.reason).into(),
        }
    }

    fn page(&self) -> Option<&Page> {
        self.edge.as_ref()?.page(self.status)
    }

    pub(crate) fn into_response(self) -> Response<Download> {
        let mut response = Response::new(Download::text(self.body()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let content_type = self.page().map_or(PLAIN_TEXT, |page| page.content_type.clone());
        headers.insert(CONTENT_TYPE, content_type);
        if self.closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, METHODS);
        }
        if let Some(location) = self.location {
            headers.insert(LOCATION, location);
        }
        if let Some(edge) = &self.edge {
            edge::complete(headers, &edge.response_headers);
        }
        response
    }
}
