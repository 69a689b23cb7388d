//! `server_name`: hosts, each with an optional path prefix, separated by commas.

use super::scalar::Hint;
use super::{Host, Route};

/// Reads the whole list; a route given twice counts once.
///
/// # Errors
/// What to do about the first part that is no host.
pub(super) fn routes(text: &str) -> Result<Vec<Route>, Hint> {
    let mut routes = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let route = route(part).map_err(|advice| Hint::from(format!("`{part}`: {advice}")))?;
        if !routes.contains(&route) {
            routes.push(route);
        }
    }
    Ok(routes)
}

fn route(text: &str) -> Result<Route, String> {
    if let Some((_, rest)) = text.split_once("://") {
        return Err(format!("write it without the scheme: `{rest}`"));
    }
    let (name, path) = text.find('/').map_or((text, ""), |slash| text.split_at(slash));
    Ok(Route { host: host(name)?, prefix: prefix(path)? })
}

fn host(text: &str) -> Result<Host, String> {
    let name = text.to_ascii_lowercase();
    if name == "*" {
        return Err("leave `server_name` out, or add `default: true`".to_owned());
    }
    if let Some(end) = name.strip_prefix('*') {
        let domain = end.strip_prefix('.').unwrap_or_default();
        return check_name(domain).map(|()| Host::Wildcard(end.to_owned()));
    }
    exact(&name).map(Host::Exact)
}

/// One host without a port, in lower case.
///
/// # Errors
/// What to do about a text that is none.
pub(super) fn exact(text: &str) -> Result<String, String> {
    let name = text.to_ascii_lowercase();
    if !is_ipv6(&name) {
        check_name(&name)?;
    }
    Ok(name)
}

/// In the brackets that a `Host` header puts around it.
fn is_ipv6(text: &str) -> bool {
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inner.is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok())
}

fn check_name(name: &str) -> Result<(), String> {
    if let Some((host, port)) = name.rsplit_once(':')
        && port.parse::<u16>().is_ok()
    {
        return Err(format!("write `{host}` here and the port under `port`"));
    }
    if name.contains('*') {
        return Err("`*` is allowed only in front, as in `*.example.com`".to_owned());
    }
    if !name.is_ascii() {
        return Err("write the name in its ASCII form, which begins with `xn--`".to_owned());
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err("a host is letters, digits, `-` and `_`, with dots between".to_owned());
    }
    Ok(())
}

/// A path without the `/` it may end with; empty: every path.
///
/// # Errors
/// What to do about one that no path of a request can begin with.
pub(super) fn prefix(path: &str) -> Result<String, String> {
    let prefix = path.trim_end_matches('/');
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"?#*".contains(&byte);
    if prefix.contains("//") || !prefix.bytes().all(is_plain) {
        return Err("a path holds no white space, `?`, `#`, `*` or `//`".to_owned());
    }
    Ok(prefix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_lower_case_and_prefixes_have_no_slash_at_the_end() {
        let names = "Example.com, *.shop.example/api/ ,,[::1]/,127.0.0.1, example.com";
        let exact = |name: &str, prefix: &str| Route {
            host: Host::Exact(name.into()),
            prefix: prefix.into(),
        };
        let wildcard =
            Route { host: Host::Wildcard(".shop.example".into()), prefix: "/api".into() };
        let expected =
            vec![exact("example.com", ""), wildcard, exact("[::1]", ""), exact("127.0.0.1", "")];
        assert_eq!(routes(names).unwrap(), expected);
    }

    #[test]
    fn what_is_no_host_is_refused_with_advice() {
        for bad in [
            "http://a.example",
            "a.example:80",
            "*",
            "a.*.example",
            "zürich.example",
            "a b",
            "a..b",
            "a/x?y",
            "/admin",
        ] {
            let hint = routes(&format!("ok.example, {bad}")).unwrap_err();
            assert!(hint.0.unwrap().starts_with(&format!("`{bad}`: ")));
        }
    }
}
