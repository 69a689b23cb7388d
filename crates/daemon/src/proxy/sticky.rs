//! `sticky`: who was served by an instance is served by it again, where that is possible.
//!
//! A cookie holds the instance's slot and nothing else: it outlives the run, says nothing of the
//! client, and whoever makes one up gains nothing. It is a wish. An instance that drains, is away or
//! fails is not waited for; another one is chosen, and the answer has a new cookie.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use smoothserve_protocol::id::Slot;

/// The slot that the cookie `name` of a request asks for.
pub(crate) fn wish(headers: &HeaderMap, name: &str) -> Option<Slot> {
    let lines = headers.get_all(COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b';'));
    pairs.find_map(|pair| {
        let value = pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        // `+1` would be a number as well.
        let digits = str::from_utf8(value).ok().filter(|it| it.bytes().all(|c| c.is_ascii_digit()));
        digits?.parse().ok().map(Slot)
    })
}

/// The cookie by which the client asks for `slot` again (RFC 6265 4.1); it lasts as long as the
/// browser does.
pub(crate) fn cookie(name: &str, slot: Slot, is_secure: bool) -> Option<HeaderValue> {
    let secure = if is_secure { "; Secure" } else { "" };
    let text = format!("{name}={}; Path=/; HttpOnly; SameSite=Lax{secure}", slot.0);
    // Made of a token and of our own words, it always is a value.
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_wish_is_that_of_a_whole_cookie(
            lines in vec(r"((at|a|cat|AT) ?=? ?[0-9+\x22]{0,6}[;,]? ?){0,4}", 0..3),
            slot: u16,
        ) {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(COOKIE, HeaderValue::from_str(line).unwrap());
            }
            if let Some(Slot(slot)) = wish(&headers, "at") {
                let pairs = lines.iter().flat_map(|line| line.split(';')).map(str::trim);
                let is_ours = |pair: &str| {
                    let digits = pair.strip_prefix("at=");
                    digits.is_some_and(|digits| digits.parse::<u16>() == Ok(slot))
                };
                prop_assert!(pairs.into_iter().any(is_ours), "{lines:?}");
            }
            // What we gave is found, before whatever else there is.
            let given = cookie("at", Slot(slot), true).unwrap();
            let given = given.to_str().unwrap().split(';').next().unwrap();
            let mut returned = HeaderMap::new();
            returned.append(COOKIE, HeaderValue::from_str(given).unwrap());
            for line in &lines {
                returned.append(COOKIE, HeaderValue::from_str(line).unwrap());
            }
            prop_assert_eq!(wish(&returned, "at"), Some(Slot(slot)));
        }
    }

    #[test]
    fn a_wish_is_found_among_other_cookies_and_anything_else_is_none() {
        for (lines, slot) in [
            (&["at=2"][..], Some(2)),
            (&["a=b; at=0;c=d"], Some(0)),
            (&["a=b", "at=65535"], Some(65535)),
            (&["at=x; at=3"], Some(3)),
            (&["cat=1", "at2=1", "at", "AT=1"], None),
            (&["at=65536"], None),
            (&["at=+1"], None),
            (&["at="], None),
            (&["at=\"1\""], None),
            (&["at=1 2"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_static(line));
            }
            assert_eq!(wish(&headers, "at"), slot.map(Slot), "{lines:?}");
        }
    }

    #[test]
    fn a_cookie_is_for_the_whole_site_and_no_script() {
        let text = "at=2; Path=/; HttpOnly; SameSite=Lax";
        assert_eq!(cookie("at", Slot(2), false).unwrap(), text);
        assert_eq!(cookie("at", Slot(2), true).unwrap(), format!("{text}; Secure"));
    }
}
