//! The heads of messages between HTTP/1.1, as the proxy has them, and HTTP/2: pure functions.
//!
//! Hop-by-hop fields were removed already; what is left of them here is what HTTP/1.1 needs to frame
//! a message.

use http::header::{CONNECTION, CONTENT_TYPE, EXPECT, HOST, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Uri, Version};

/// What gRPC says after the last message. Its answers do not announce it, and whoever passes them on
/// in HTTP/1.1 has to.
const GRPC_TRAILERS: HeaderValue =
    HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin");

/// Makes a request of HTTP/1.1 one of HTTP/2: no field of the connection (RFC 9113 8.2.2), and the
/// host as `:authority` (8.3.1). `TE: trailers` stays.
///
/// An expectation ends here: the body is sent as soon as the instance has room for it.
pub(super) fn translate(mut head: Parts) -> Parts {
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, EXPECT] {
        head.headers.remove(name);
    }
    // A host that is no authority stays a field, which is as good; h2 then adds the scheme alone.
    if let Some(target) = absolute(&head) {
        head.headers.remove(HOST);
        head.uri = target;
        head.version = Version::HTTP_2;
    }
    head
}

fn absolute(head: &Parts) -> Option<Uri> {
    let authority = Authority::try_from(head.headers.get(HOST)?.as_bytes()).ok()?;
    let mut parts = head.uri.clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    Uri::from_parts(parts).ok()
}

/// Announces the trailers of an answer of gRPC, without which a client of HTTP/1.1 would not get
/// them.
pub(super) fn announce_trailers(headers: &mut HeaderMap) {
    let is_grpc = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/grpc");
    if headers.get(CONTENT_TYPE).is_some_and(is_grpc) && !headers.contains_key(TRAILER) {
        headers.insert(TRAILER, GRPC_TRAILERS);
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn translated(method: &str, target: &str, lines: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        translate(request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn the_host_becomes_the_authority_and_the_path_stays_byte_for_byte() {
        for (method, target, host, whole) in [
            ("GET", "/a%2Fb/../c//d?e=%7B{}|[]", "a.example", "a.example/a%2Fb/../c//d?e=%7B{}|[]"),
            ("POST", "/pkg.Service/Method", "[::1]:8086", "[::1]:8086/pkg.Service/Method"),
        ] {
            let head = translated(method, target, &[("host", host)]);
            assert_eq!(head.uri.to_string(), format!("http://{whole}"));
            assert_eq!((head.headers.len(), head.version), (0, Version::HTTP_2));
        }
        let head = translated("OPTIONS", "*", &[("host", "a")]);
        assert_eq!((head.uri.authority().unwrap().as_str(), head.uri.path()), ("a", "*"));
    }

    #[test]
    fn what_belongs_to_a_connection_of_http_1_is_left_out_but_for_te() {
        let head = translated(
            "POST",
            "/",
            &[
                ("host", "a"),
                ("connection", "te"),
                ("te", "trailers"),
                ("transfer-encoding", "chunked"),
                ("trailer", "x-sum"),
                ("expect", "100-continue"),
                ("upgrade", "websocket"),
                ("content-type", "application/grpc"),
            ],
        );
        let mut left: Vec<_> = head.headers.keys().map(http::HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-type", "te", "trailer"]);
    }

    #[test]
    fn a_host_that_is_no_authority_stays_a_field() {
        let head = translated("GET", "/", &[("host", "a%")]);
        assert_eq!((&head.headers[HOST], head.uri.host()), (&HeaderValue::from_static("a%"), None));
    }

    #[test]
    fn only_grpc_has_its_trailers_announced() {
        let announced = |kind: &'static str, own: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            if let Some(own) = own {
                headers.insert(TRAILER, HeaderValue::from_static(own));
            }
            announce_trailers(&mut headers);
            headers.remove(TRAILER)
        };
        assert_eq!(announced("application/grpc+proto", None), Some(GRPC_TRAILERS));
        assert_eq!(announced("application/grpc", Some("x")), Some(HeaderValue::from_static("x")));
        assert_eq!(announced("text/html", None), None);
    }
}
