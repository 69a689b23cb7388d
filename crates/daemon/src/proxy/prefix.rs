//! `strip_prefix`: an instance that knows nothing of the path it is reached at.
//!
//! The rest of the target, its query included, arrives byte for byte. What the instance says of its
//! own paths, in `Location` or in a page, is its affair: X-Forwarded-Prefix tells it what to begin
//! them with.

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::route;
use crate::config::PathPrefix;

const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Bytes of what a trusted proxy says that are kept.
const LONGEST: usize = 1024;

/// Takes `prefix` off the path of a request that begins with it, and tells the instance.
///
/// A request that does not begin with it stays as it is; only what a client says of prefixes does
/// not, unless it is trusted.
pub(crate) fn strip(head: &mut Parts, prefix: &PathPrefix, is_trusted: bool) {
    let before = if is_trusted { before(&head.headers) } else { None };
    match stripped(&head.uri, prefix) {
        Some(target) => {
            head.uri = Uri::from(target);
            let told = before.map(|before| before + prefix.as_str());
            let told = told.map_or_else(
                || prefix.as_header().clone(),
                |told| HeaderValue::try_from(told).expect("both parts are visible ASCII"),
            );
            head.headers.insert(X_FORWARDED_PREFIX, told);
        }
        None if is_trusted => {}
        None => drop(head.headers.remove(X_FORWARDED_PREFIX)),
    }
}

/// The target without the prefix; none if it does not begin with it.
fn stripped(uri: &Uri, prefix: &PathPrefix) -> Option<PathAndQuery> {
    route::below(uri.path(), prefix.as_str())?;
    let rest = uri.path_and_query()?.as_str().get(prefix.as_str().len()..)?;
    // `/api` and `/api?x` ask for the root.
    if rest.starts_with('/') { rest.parse().ok() } else { format!("/{rest}").parse().ok() }
}

/// What a proxy in front took off already, if it is a path.
fn before(headers: &HeaderMap) -> Option<String> {
    let mut told = headers.get_all(X_FORWARDED_PREFIX).iter();
    let (told, None) = (told.next()?.to_str().ok()?, told.next()) else { return None };
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#,".contains(&byte);
    let is_path = told.starts_with('/') && told.len() <= LONGEST && told.bytes().all(is_plain);
    is_path.then(|| told.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    /// The target and X-Forwarded-Prefix of a request once `/api` was taken off it.
    fn check(target: &str, told: &[&str], is_trusted: bool) -> (String, Option<String>) {
        let mut request = Request::builder().uri(target);
        for told in told {
            request = request.header(X_FORWARDED_PREFIX, *told);
        }
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        strip(&mut head, &PathPrefix::sample("/api"), is_trusted);
        let told = head.headers.get(X_FORWARDED_PREFIX);
        (head.uri.to_string(), told.map(|told| told.to_str().unwrap().to_owned()))
    }

    #[test]
    fn the_rest_stays_byte_for_byte() {
        for (target, rest) in [
            ("/api", "/"),
            ("/api/", "/"),
            ("/api?x=/api", "/?x=/api"),
            ("/api/a%2Fb/../c//d?e=%7B{}|[]", "/a%2Fb/../c//d?e=%7B{}|[]"),
            ("/api/api/x", "/api/x"),
            ("/api//x", "//x"),
            ("/api?", "/?"),
        ] {
            assert_eq!(check(target, &[], false), (rest.into(), Some("/api".into())), "{target}");
        }
    }

    #[test]
    fn what_does_not_begin_with_the_prefix_stays_as_it_is() {
        for target in ["/", "/apis", "/API/x", "/%61pi/x", "/x/api", "//api", "*"] {
            assert_eq!(check(target, &["/evil"], false), (target.into(), None));
            assert_eq!(check(target, &["/a"], true), (target.into(), Some("/a".into())));
        }
    }

    #[test]
    fn only_a_trusted_proxy_is_believed_and_only_if_it_names_a_path() {
        let told = |told: &[&str], is_trusted| check("/api/x", told, is_trusted).1.unwrap();
        assert_eq!(told(&["/outer/"], true), "/outer/api");
        assert_eq!(told(&["/"], true), "/api");
        assert_eq!(told(&["/outer"], false), "/api");
        let long = format!("/{}", "x".repeat(LONGEST));
        for bad in [&["outer"][..], &["/a", "/b"], &["/a, /b"], &["/a b"], &["/a?b"], &[&long]] {
            assert_eq!(told(bad, true), "/api", "{bad:?}");
        }
    }
}
