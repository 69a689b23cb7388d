//! A name for each request, by which it is found in the logs of everybody it passed.
//!
//! It is 128 bits in hex, made of a count and a key that the system gave each thread: no two
//! requests share one, and who has seen some cannot tell the next. Still it is a name and no secret,
//! since it is written into logs.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::Trust;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer than any that is in use.
const LONGEST: usize = 128;

thread_local! {
    static KEY: RandomState = RandomState::new();
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The name of a request that `peer` sent: the one it came with, if that is somebody to be trusted,
/// or else a new one. None if requests have no names.
pub(crate) fn of(headers: &HeaderMap, peer: IpAddr, trust: &Trust) -> Option<HeaderValue> {
    if !trust.request_id {
        return None;
    }
    let given = if trust.includes(peer) { given(headers) } else { None };
    Some(given.unwrap_or_else(new))
}

/// Names a request to an instance, or an answer to a client.
pub(crate) fn tell(headers: &mut HeaderMap, id: &HeaderValue) {
    headers.insert(X_REQUEST_ID, id.clone());
}

/// The one name in a request, if it is fit for a line of a log.
fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut ids = headers.get_all(X_REQUEST_ID).iter();
    let (Some(id), None) = (ids.next(), ids.next()) else { return None };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(byte);
    let is_fit = (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(is_plain);
    is_fit.then(|| id.clone())
}

fn new() -> HeaderValue {
    let count = COUNT.get();
    COUNT.set(count.wrapping_add(1));
    let [high, low] = KEY.with(|key| [0_u8, 1].map(|half| key.hash_one((half, count))));
    let bits = u128::from(high) << 64 | u128::from(low);
    let mut text = [0; 32];
    for (place, digit) in text.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(bits >> (4 * place)) as usize & 0xf];
    }
    HeaderValue::from_bytes(&text).expect("digits are visible ASCII")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn id(ids: &[&str], peer: &str) -> String {
        let proxies = vec![PROXY.parse().unwrap()];
        let trust = Trust { proxies, request_id: true, ..Trust::default() };
        let mut headers = HeaderMap::new();
        for id in ids {
            headers.append(X_REQUEST_ID, HeaderValue::from_str(id).unwrap());
        }
        of(&headers, peer.parse().unwrap(), &trust).unwrap().to_str().unwrap().to_owned()
    }

    fn is_new(id: &str) -> bool {
        id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    }

    #[test]
    fn a_trusted_proxy_names_its_requests_and_nobody_else_does() {
        for name in ["a", "0b3e-4c", "Root=1-67891233-abcdef", "YWJj+/8=", &"x".repeat(LONGEST)] {
            assert_eq!(id(&[name], PROXY), name);
            assert!(is_new(&id(&[name], "192.0.2.1")));
        }
    }

    #[test]
    fn what_is_no_name_gets_a_new_one() {
        let long = "x".repeat(LONGEST + 1);
        for ids in [&[][..], &[""], &["a b"], &["a\tb"], &["a\""], &["é"], &[&long], &["a", "a"]] {
            assert!(is_new(&id(ids, PROXY)), "{ids:?}");
        }
    }

    #[test]
    fn without_the_key_there_is_no_name() {
        let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static("a"))]);
        assert_eq!(of(&headers, PROXY.parse().unwrap(), &Trust::default()), None);
    }

    #[test]
    fn no_two_requests_share_a_name_on_whichever_thread() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..1000).map(|_| new()).collect::<Vec<_>>()))
            .collect();
        let all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 4000);
        assert!(all.iter().all(|id| is_new(id.to_str().unwrap())));
    }
}
