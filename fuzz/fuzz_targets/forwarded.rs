//! Who asks, as others say it: what an instance is told is one line of each, well formed and bounded,
//! with our own word at its end; what an untrusted client says of itself is not in it.
#![no_main]

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use smoothserve::config::Trust;
use smoothserve::fuzzing::{host_of, tell_forwarded};

const PROXY: &str = "10.0.0.1";
const STRANGER: &str = "192.0.2.9";
/// What is kept of one header, and what is added to it.
const LONGEST: usize = 4096 + 512;

/// A header a line, by its first letter; what can be no header is left out.
fn headers(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n').take(12) {
        let Some((which, value)) = line.split_first() else { continue };
        let name = match which {
            b'f' => "forwarded",
            b'p' => "x-forwarded-proto",
            b'h' => "x-forwarded-host",
            _ => "x-forwarded-for",
        };
        if let Ok(value) = HeaderValue::from_bytes(value.trim_ascii()) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers.insert("host", HeaderValue::from_static("shop.example"));
    headers
}

/// The only value of a header; none: it is not there.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().map(HeaderValue::as_bytes);
    assert!(values.next().is_none(), "{name} is there twice");
    assert!(value.is_none_or(|value| value.len() <= LONGEST), "{name} is too long");
    value
}

fn is_address(text: &[u8]) -> bool {
    let text = str::from_utf8(text).expect("an address is ASCII");
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok()
}

/// As the simplest of readers would split it.
fn elements(line: &[u8]) -> Vec<&[u8]> {
    let (mut elements, mut from) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in line.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b',' if !is_quoted => {
                elements.push(line[from..at].trim_ascii());
                from = at + 1;
            }
            _ => {}
        }
    }
    assert!(!is_quoted, "a quote is left open");
    elements.push(line[from..].trim_ascii());
    elements
}

fuzz_target!(|data: &[u8]| {
    let Some((flags, lines)) = data.split_first() else { return };
    let forwarded = flags & 1 == 1;
    let trust =
        Trust { proxies: vec!["10.0.0.0/8".parse().unwrap()], forwarded, ..Trust::default() };
    let peer = |text: &str| text.parse::<IpAddr>().unwrap();

    let mut told = headers(lines);
    let behind = tell_forwarded(&mut told, peer(PROXY), &trust);
    let list = only(&told, "x-forwarded-for").expect("it is always there");
    let chain: Vec<&[u8]> = list.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).collect();
    assert!(chain.iter().all(|element| is_address(element)), "{}", list.escape_ascii());
    assert_eq!(chain.last(), Some(&PROXY.as_bytes()));
    assert!(chain.len() <= 33, "{} hops", chain.len());
    if let Some(line) = only(&told, "forwarded") {
        let last = elements(line).pop().unwrap_or_default();
        let ours = b"for=10.0.0.1;host=\"shop.example\";proto=http";
        assert_eq!(last, ours, "{}", line.escape_ascii());
    }
    assert!(!forwarded || told.contains_key("forwarded"));
    assert!(only(&told, "x-forwarded-proto").is_some());
    let hosts = only(&told, "x-forwarded-host").expect("there is a host");
    let mut hosts = hosts.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    assert!(hosts.all(|host| host_of(host).is_some()));

    // The next one, as ours is, reads the same out of it.
    let again = tell_forwarded(&mut told, peer("10.0.0.2"), &trust);
    assert_eq!(again, behind.or(Some(peer(PROXY))));

    let mut told = headers(lines);
    assert_eq!(tell_forwarded(&mut told, peer(STRANGER), &trust), None);
    assert_eq!(only(&told, "x-forwarded-for"), Some(STRANGER.as_bytes()));
    assert_eq!(only(&told, "x-forwarded-proto"), Some(&b"http"[..]));
    assert_eq!(only(&told, "x-forwarded-host"), Some(&b"shop.example"[..]));
    let ours = b"for=192.0.2.9;host=\"shop.example\";proto=http";
    assert_eq!(only(&told, "forwarded"), forwarded.then_some(&ours[..]));
});
