//! Whom a request is for: the checks of RFC 9112 3.2 that hyper leaves to us.
//!
//! Being ambiguous is worse than being strict. What two parsers could read in two ways is refused.
//! How a request is written down, and how much of it there may be, the [`guard`](super::guard) has
//! seen to.

use std::net::Ipv6Addr;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Version, header};

use super::refusal::Refusal;

/// Checks the method, Host and the target of a request, and leaves it in origin-form with exactly
/// one valid Host, or none in HTTP/1.0.
///
/// # Errors
///
/// What is wrong with it; nothing of it may be forwarded then.
pub(crate) fn check(head: &mut Parts) -> Result<(), Refusal> {
    check_method(&head.method)?;
    check_host(head)?;
    to_origin_form(head)
}

/// The host of a `Host` value, without its port; none if the value is no `host [ ":" port ]`.
pub(crate) fn host_of(value: &[u8]) -> Option<&[u8]> {
    let (host, rest) = if value.first() == Some(&b'[') {
        let end = value.iter().position(|&byte| byte == b']')?;
        // Some readers take what is in brackets for a name, others refuse it, if it is no address.
        str::from_utf8(&value[1..end]).ok()?.parse::<Ipv6Addr>().ok()?;
        value.split_at(end + 1)
    } else {
        let end = value.iter().position(|&byte| byte == b':').unwrap_or(value.len());
        value.split_at(end)
    };
    let valid = !host.is_empty() && (host[0] == b'[' || host.iter().all(|&byte| is_name(byte)));
    (valid && is_port(rest)).then_some(host)
}

fn check_method(method: &Method) -> Result<(), Refusal> {
    // A tunnel to anywhere is not what a reverse proxy is for, and TRACE shows cookies to scripts.
    if matches!(*method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::method(method));
    }
    Ok(())
}

fn check_host(head: &Parts) -> Result<(), Refusal> {
    let mut hosts = head.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), Some(_)) => Err(Refusal::malformed("there is more than one host header")),
        (Some(host), None) if host_of(host.as_bytes()).is_some() => Ok(()),
        (Some(_), None) => Err(Refusal::malformed("the host header is invalid")),
        (None, _) if head.version < Version::HTTP_11 => Ok(()),
        (None, _) => Err(Refusal::malformed("the host header is missing")),
    }
}

fn to_origin_form(head: &mut Parts) -> Result<(), Refusal> {
    let Some(authority) = head.uri.authority() else {
        let target = head.uri.path();
        return match target {
            "*" if head.method != Method::OPTIONS => {
                Err(Refusal::malformed("the target * is for OPTIONS only"))
            }
            _ if target.starts_with('/') || target == "*" => Ok(()),
            _ => Err(Refusal::malformed("the target is not a path")),
        };
    };
    if !matches!(head.uri.scheme_str(), Some("http" | "https")) {
        return Err(Refusal::malformed("the target is neither a path nor an http address"));
    }
    // The target's authority wins over Host (RFC 9112 3.2.2).
    let host = HeaderValue::from_str(authority.as_str());
    let host = host.ok().filter(|host| host_of(host.as_bytes()).is_some());
    let Some(host) = host else {
        return Err(Refusal::malformed("the authority of the target is invalid"));
    };
    head.headers.insert(header::HOST, host);
    // Shown, it has a path even where there is a query alone (RFC 9112 3.2.1).
    let path = head.uri.path_and_query().map_or_else(|| "/".to_owned(), PathAndQuery::to_string);
    head.uri = path.parse().map_err(|_| Refusal::malformed("the target is invalid"))?;
    Ok(())
}

/// A registered name or an IPv4 address (RFC 3986 3.2.2), but for the comma, which would read as two
/// values, and the percent sign: some readers decode what follows it, others do not.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~')
        || matches!(byte, b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=')
}

/// Nothing, or a colon and a port; the port may be empty (RFC 3986 3.2.3).
fn is_port(rest: &[u8]) -> bool {
    let Some((colon, digits)) = rest.split_first() else {
        return true;
    };
    let value = digits.iter().try_fold(0_u32, |value, byte| {
        let value = value * 10 + (*byte as char).to_digit(10)?;
        (value <= u32::from(u16::MAX)).then_some(value)
    });
    *colon == b':' && value.is_some()
}

#[cfg(test)]
mod tests {
    use http::uri::Authority;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_host_reads_the_same_in_another_library(
            value in r"[a-c.\[\]:%@,/\\ -]{0,8}(:[0-9+]{0,6})?|\[[0-9a-f:.]{0,9}\](:[0-9]{0,6})?",
        ) {
            if let Some(host) = host_of(value.as_bytes()) {
                let authority: Authority = value.parse().unwrap();
                prop_assert_eq!(authority.host().as_bytes(), host);
            }
        }
    }

    #[test]
    fn an_absolute_target_has_a_path_afterwards() {
        for (sent, left) in
            [("http://a", "/"), ("http://a?b=/c", "/?b=/c"), ("https://a//b/../c?", "//b/../c?")]
        {
            let request = http::Request::get(sent).header("host", "b").body(()).unwrap();
            let mut head = request.into_parts().0;
            check(&mut head).unwrap();
            let target = head.uri.path_and_query().map(PathAndQuery::as_str);
            assert_eq!(
                (target, &head.headers["host"]),
                (Some(left), &HeaderValue::from_static("a"))
            );
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for (value, host) in [
            ("example.com", "example.com"),
            ("example.com:8080", "example.com"),
            ("example.com:", "example.com"),
            ("127.0.0.1:65535", "127.0.0.1"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("[::ffff:192.0.2.1]:443", "[::ffff:192.0.2.1]"),
        ] {
            assert_eq!(host_of(value.as_bytes()), Some(host.as_bytes()), "{value}");
        }
        for value in [
            "",
            ":80",
            "a b",
            "a\tb",
            "a,b",
            "u@h",
            "h/p",
            "a\u{7f}",
            "h:65536",
            "h:x",
            "h:1:2",
            "h:+1",
            "[::1",
            "[]",
            "[::1]x",
            "[::g]",
            "[::::]",
            "[1]",
            "[192.0.2.1]",
            "[fe80::1%25eth0]",
            "h?x",
            "h#x",
            "h\\x",
            "%",
            "%61.example",
            "h:99999999999999999999",
        ] {
            assert_eq!(host_of(value.as_bytes()), None, "{value}");
        }
    }
}
