//! Whom a request is for, and which instance its cookie wishes: what is let through has a path, one
//! host at most, and reads the same in other libraries.
#![no_main]

use std::net::Ipv6Addr;

use cookie::Cookie;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Version};
use libfuzzer_sys::fuzz_target;
use smoothserve::fuzzing::{check_target, host_of, sticky_wish};

/// How another library and the standard one read a host.
fn check_host(value: &[u8], host: &[u8]) {
    let text = str::from_utf8(value).expect("a host is ASCII");
    let authority: Authority = text.parse().expect("it is an authority");
    assert_eq!(authority.host().as_bytes(), host);
    assert!(!text.contains(['@', ',', '/', '?', '#', ' ', '\\']), "{text}");
    if let Some(inner) = authority.host().strip_prefix('[') {
        let inner = inner.strip_suffix(']').expect("a bracket is closed");
        assert!(inner.parse::<Ipv6Addr>().is_ok(), "{text}");
    }
    let port = text[host.len()..].strip_prefix(':').unwrap_or_default();
    assert!(port.is_empty() || port.parse::<u16>().is_ok(), "{text}");
}

fn check_wish(headers: &HeaderMap) {
    let Some(slot) = sticky_wish(headers, "at") else { return };
    let lines = headers.get_all("cookie").iter().map(HeaderValue::as_bytes);
    let is_there = lines.filter_map(|line| str::from_utf8(line).ok()).any(|line| {
        let cookies = Cookie::split_parse(line).filter_map(Result::ok);
        let ours = |cookie: &Cookie<'_>| {
            cookie.name() == "at" && cookie.value().parse::<u16>().ok() == Some(slot)
        };
        cookies.into_iter().any(|cookie| ours(&cookie))
    });
    assert!(is_there || !headers.get_all("cookie").iter().all(|line| line.to_str().is_ok()));
}

fuzz_target!(|data: &[u8]| {
    let Some((flags, data)) = data.split_first() else { return };
    let mut lines = data.split(|&byte| byte == b'\n');
    let target = lines.next().unwrap_or_default();
    let method = [Method::GET, Method::OPTIONS, Method::CONNECT, Method::TRACE];
    let version = if flags & 4 == 0 { Version::HTTP_11 } else { Version::HTTP_10 };
    let request = Request::builder()
        .method(method[usize::from(flags & 3)].clone())
        .uri(target)
        .version(version)
        .body(());
    let Ok(request) = request else { return };
    let mut head = request.into_parts().0;
    for line in lines.take(8) {
        let (name, value) = match line.split_first() {
            Some((b'c', value)) => ("cookie", value),
            _ => ("host", line),
        };
        if let Ok(value) = HeaderValue::from_bytes(value.trim_ascii()) {
            head.headers.append(name, value);
        }
    }
    check_wish(&head.headers);
    let sent = head.uri.clone();
    if check_target(&mut head).is_err() {
        return;
    }
    assert!(head.method != Method::CONNECT && head.method != Method::TRACE);
    assert!(head.uri.authority().is_none() && head.uri.scheme().is_none());
    let path = head.uri.path();
    assert!(path.starts_with('/') || (path == "*" && head.method == Method::OPTIONS), "{path}");
    // Not a byte of path and query differs, but that a path is added where there is none.
    assert_eq!((path, head.uri.query()), (sent.path(), sent.query()));
    assert!(head.uri.path_and_query().is_some_and(|it| it.as_str().starts_with(path)));
    let hosts: Vec<&[u8]> =
        head.headers.get_all("host").iter().map(HeaderValue::as_bytes).collect();
    match hosts[..] {
        [value] => check_host(value, host_of(value).expect("it was checked")),
        [] => assert_eq!(version, Version::HTTP_10),
        _ => panic!("more than one host"),
    }
    if let Some(authority) = sent.authority() {
        assert_eq!(hosts, [authority.as_str().as_bytes()]);
    }
});
