//! Who is believed, and what an instance reads then; whatever comes, it stays bounded and well formed.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn trust(networks: &[&str], forwarded: bool) -> Trust {
    let parse = |text: &&str| text.parse().unwrap();
    Trust { proxies: networks.iter().map(parse).collect(), forwarded, ..Trust::default() }
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// The only value of a header.
fn value(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    assert!(headers.get_all(&name).iter().count() < 2, "{name} is there twice");
    headers.get(name).map(|value| value.to_str().unwrap())
}

/// What an instance is told, and who asks behind the peer.
fn told(headers: &mut HeaderMap, peer: &str, trust: &Trust) -> Option<String> {
    let text = HeaderValue::from_str(peer).unwrap();
    let peer = Peer { addr: peer.parse().unwrap(), text: &text, scheme: Scheme::Http };
    tell(headers, &peer, trust).map(|addr| addr.to_string())
}

/// X-Forwarded-For, and who asks, when 10.0.0.1 says this and 10.0.0.0/8 is trusted.
fn by_addresses(lines: &[&str]) -> (String, Option<String>) {
    let lines: Vec<_> = lines.iter().map(|line| ("x-forwarded-for", *line)).collect();
    let mut headers = headers(&lines);
    let behind = told(&mut headers, "10.0.0.1", &trust(&["10.0.0.0/8"], false));
    assert_eq!(value(&headers, FORWARDED), None);
    (value(&headers, X_FORWARDED_FOR).unwrap().to_owned(), behind)
}

/// Forwarded, X-Forwarded-For and who asks, in the same case.
fn by_elements(lines: &[&str]) -> (Option<String>, String, Option<String>) {
    let lines: Vec<_> = lines.iter().map(|line| ("forwarded", *line)).collect();
    let mut headers = headers(&lines);
    let behind = told(&mut headers, "10.0.0.1", &trust(&["10.0.0.0/8"], false));
    let list = value(&headers, X_FORWARDED_FOR).unwrap().to_owned();
    (value(&headers, FORWARDED).map(str::to_owned), list, behind)
}

#[test]
fn what_a_client_says_of_itself_is_replaced() {
    for trusted in [&[][..], &["10.0.0.0/8", "::1"]] {
        let mut headers = headers(&[
            ("host", "shop:80"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "bank"),
            ("forwarded", "for=10.0.0.1"),
        ]);
        assert_eq!(told(&mut headers, "192.0.2.1", &trust(trusted, false)), None);
        assert_eq!(value(&headers, X_FORWARDED_FOR), Some("192.0.2.1"));
        assert_eq!(value(&headers, X_FORWARDED_PROTO), Some("http"));
        assert_eq!(value(&headers, X_FORWARDED_HOST), Some("shop:80"));
        assert_eq!(value(&headers, FORWARDED), None);
    }
}

#[test]
fn a_client_is_told_of_in_forwarded_where_that_is_wanted() {
    for (peer, element) in [
        ("192.0.2.1", "for=192.0.2.1;host=\"shop:80\";proto=http"),
        ("2001:db8::1", "for=\"[2001:db8::1]\";host=\"shop:80\";proto=http"),
    ] {
        let mut headers = headers(&[("host", "shop:80"), ("forwarded", "for=10.0.0.1")]);
        told(&mut headers, peer, &trust(&[], true));
        assert_eq!(value(&headers, FORWARDED), Some(element));
        assert_eq!(value(&headers, X_FORWARDED_FOR), Some(peer));
    }
}

#[test]
fn the_nearest_address_that_is_not_trusted_asks() {
    for (lines, list, behind) in [
        (&[][..], "10.0.0.1", None),
        (&["192.0.2.1"], "192.0.2.1, 10.0.0.1", Some("192.0.2.1")),
        (&["1.1.1.1, 192.0.2.1"], "1.1.1.1, 192.0.2.1, 10.0.0.1", Some("192.0.2.1")),
        (&["192.0.2.1,10.9.9.9"], "192.0.2.1,10.9.9.9, 10.0.0.1", Some("192.0.2.1")),
        (&["192.0.2.1", "10.9.9.9"], "192.0.2.1, 10.9.9.9, 10.0.0.1", Some("192.0.2.1")),
        (&["10.8.8.8, 10.9.9.9"], "10.8.8.8, 10.9.9.9, 10.0.0.1", Some("10.8.8.8")),
        (&["192.0.2.1:4711"], "192.0.2.1:4711, 10.0.0.1", Some("192.0.2.1")),
        (&["[2001:db8::1]:4711"], "[2001:db8::1]:4711, 10.0.0.1", Some("2001:db8::1")),
        (&["[2001:db8::1]"], "[2001:db8::1], 10.0.0.1", Some("2001:db8::1")),
        (&["2001:db8::1"], "2001:db8::1, 10.0.0.1", Some("2001:db8::1")),
        (
            &["192.0.2.1, ::ffff:10.9.9.9"],
            "192.0.2.1, ::ffff:10.9.9.9, 10.0.0.1",
            Some("192.0.2.1"),
        ),
    ] {
        let expected = (list.to_owned(), behind.map(str::to_owned));
        assert_eq!(by_addresses(lines), expected, "{lines:?}");
    }
}

#[test]
fn what_lies_beyond_a_malformed_address_is_dropped() {
    for (lines, list, behind) in [
        (&[""][..], "10.0.0.1", None),
        (&["unknown"], "10.0.0.1", None),
        (&["192.0.2.1, "], "10.0.0.1", None),
        (&["1.1.1.1, garbage, 192.0.2.1"], "192.0.2.1, 10.0.0.1", Some("192.0.2.1")),
        (&["1.1.1.1, <script>", "10.9.9.9"], "10.9.9.9, 10.0.0.1", Some("10.9.9.9")),
        (&["1.1.1.1, 192.0.2.256"], "10.0.0.1", None),
        (&["1.1.1.1, 010.0.0.1"], "10.0.0.1", None),
        (&["1.1.1.1, [192.0.2.1]"], "10.0.0.1", None),
        (&["1.1.1.1, 192.0.2.1:99999"], "10.0.0.1", None),
        (&["192.0.2.1 10.0.0.1"], "10.0.0.1", None),
        (&["for=192.0.2.1"], "10.0.0.1", None),
    ] {
        let expected = (list.to_owned(), behind.map(str::to_owned));
        assert_eq!(by_addresses(lines), expected, "{lines:?}");
    }
}

#[test]
fn a_chain_is_kept_as_far_as_chains_are_long() {
    let chain = vec!["192.0.2.1"; 1000].join(", ");
    let (list, behind) = by_addresses(&[&chain]);
    assert_eq!(list.split(", ").count(), MAX_HOPS + 1);
    assert_eq!(behind.as_deref(), Some("192.0.2.1"));
    let wide = format!("192.0.2.1,{}10.9.9.9", " ".repeat(2 * MAX_KEPT));
    assert_eq!(by_addresses(&[&wide]), ("10.0.0.1".to_owned(), None));
}

#[test]
fn forwarded_is_continued_where_it_came() {
    let ours = "for=10.0.0.1;proto=http";
    for (lines, kept, list, behind) in [
        (&["for=192.0.2.1"][..], "for=192.0.2.1, ", "192.0.2.1, ", Some("192.0.2.1")),
        (
            &["For=192.0.2.1;proto=https"],
            "For=192.0.2.1;proto=https, ",
            "192.0.2.1, ",
            Some("192.0.2.1"),
        ),
        (
            &["for=1.1.1.1, by=x ; for=\"192.0.2.1:80\"", "for=10.9.9.9;"],
            "for=1.1.1.1, by=x ; for=\"192.0.2.1:80\", for=10.9.9.9;, ",
            "1.1.1.1, 192.0.2.1, 10.9.9.9, ",
            Some("192.0.2.1"),
        ),
        (
            &["for=\"[2001:db8::1]:80\""],
            "for=\"[2001:db8::1]:80\", ",
            "2001:db8::1, ",
            Some("2001:db8::1"),
        ),
        (&["for=1.1.1.1, for=_hidden"], "for=1.1.1.1, for=_hidden, ", "", None),
        (
            &["for=1.1.1.1, for=unknown, for=10.9.9.9"],
            "for=1.1.1.1, for=unknown, for=10.9.9.9, ",
            "10.9.9.9, ",
            Some("10.9.9.9"),
        ),
        (
            &["host=\"a, b\\\"\";for=192.0.2.1"],
            "host=\"a, b\\\"\";for=192.0.2.1, ",
            "192.0.2.1, ",
            Some("192.0.2.1"),
        ),
        (&["for=\"1.1.1.1", "for=10.9.9.9"], "for=10.9.9.9, ", "10.9.9.9, ", Some("10.9.9.9")),
        (&["for=1.1.1.1", "", "for=10.9.9.9"], "for=10.9.9.9, ", "10.9.9.9, ", Some("10.9.9.9")),
    ] {
        let expected =
            (Some(format!("{kept}{ours}")), format!("{list}10.0.0.1"), behind.map(str::to_owned));
        assert_eq!(by_elements(lines), expected, "{lines:?}");
    }
}

#[test]
fn a_malformed_forwarded_is_dropped() {
    for line in [
        "",
        "for",
        "for=",
        "=1.1.1.1",
        "for =1.1.1.1",
        "for= 1.1.1.1",
        "for=[2001:db8::1]",
        "for=1.1.1.1 proto=http",
        "for=1.1.1.1;for=2.2.2.2",
        "for=\"1.1.1.1",
        "for=\"1.1.1.1\\",
        "for=\"1.1.1.1\"x",
        "f\u{e9}r=1.1.1.1",
    ] {
        assert_eq!(by_elements(&[line]), (None, "10.0.0.1".to_owned(), None), "{line:?}");
    }
    assert_eq!(by_elements(&["for=1.1.1.1", ""]), (None, "10.0.0.1".to_owned(), None));
    let long = format!("for=1.1.1.1;x={}", "y".repeat(MAX_KEPT));
    assert_eq!(by_elements(&[&long]), (None, "10.0.0.1".to_owned(), None));
}

#[test]
fn of_two_stories_one_is_believed() {
    let lines = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=6.6.6.6;proto=https")];
    let mut found = headers(&lines);
    let behind = told(&mut found, "10.0.0.1", &trust(&["10.0.0.1"], false));
    assert_eq!(behind.as_deref(), Some("192.0.2.1"));
    assert_eq!(value(&found, X_FORWARDED_FOR), Some("192.0.2.1, 10.0.0.1"));
    assert_eq!(value(&found, FORWARDED), None);

    let mut found = headers(&lines);
    let behind = told(&mut found, "10.0.0.1", &trust(&["10.0.0.1"], true));
    assert_eq!(behind.as_deref(), Some("6.6.6.6"));
    assert_eq!(value(&found, X_FORWARDED_FOR), Some("6.6.6.6, 10.0.0.1"));
    let both = "for=6.6.6.6;proto=https, for=10.0.0.1;proto=http";
    assert_eq!(value(&found, FORWARDED), Some(both));

    for forwarded in [false, true] {
        let lines = [("x-forwarded-for", "192.0.2.1:80"), ("forwarded", "for=192.0.2.1")];
        let mut found = headers(&lines);
        told(&mut found, "10.0.0.1", &trust(&["10.0.0.1"], forwarded));
        assert_eq!(value(&found, X_FORWARDED_FOR), Some("192.0.2.1:80, 10.0.0.1"));
        assert_eq!(value(&found, FORWARDED), Some("for=192.0.2.1, for=10.0.0.1;proto=http"));
    }
}

#[test]
fn addresses_become_elements_where_forwarded_is_wanted_and_did_not_come() {
    let mut headers = headers(&[("x-forwarded-for", "2001:db8::1, 192.0.2.1:80")]);
    told(&mut headers, "10.0.0.1", &trust(&["10.0.0.1"], true));
    let expected = "for=\"[2001:db8::1]\", for=192.0.2.1, for=10.0.0.1;proto=http";
    assert_eq!(value(&headers, FORWARDED), Some(expected));
}

#[test]
fn scheme_and_host_of_a_trusted_proxy_pass_if_they_are_some() {
    for (name, good, bad, ours) in [
        (
            X_FORWARDED_PROTO,
            ["https", "wss", "https, http"],
            ["", "1", "https,", "ht tp", "https://", "\"https\""],
            "http",
        ),
        (
            X_FORWARDED_HOST,
            ["shop.example", "shop.example:8443, inner", "[::1]:80"],
            ["", "a b", "a,", "a/b", "u@h", "h:x"],
            "front",
        ),
    ] {
        let after = |lines: &[&str]| {
            let lines = lines.iter().map(|line| (name.as_str(), *line)).chain([("host", "front")]);
            let mut headers = headers(&lines.collect::<Vec<_>>());
            told(&mut headers, "10.0.0.1", &trust(&["10.0.0.1"], false));
            value(&headers, name.clone()).unwrap().to_owned()
        };
        for good in good {
            assert_eq!(after(&[good]), good);
        }
        for bad in bad {
            assert_eq!(after(&[bad]), ours, "{bad:?}");
        }
        assert_eq!(after(&[]), ours);
        assert_eq!(after(&[good[0], good[0]]), ours, "two lines");
        assert_eq!(after(&[&vec![good[0]; MAX_KEPT].join(",")]), ours, "a long line");
    }
}

/// Pieces of what a proxy may send, well formed or not.
fn line() -> impl Strategy<Value = String> {
    let piece = select(vec![
        "192.0.2.1",
        "10.9.9.9",
        "2001:db8::1",
        "[::1]:80",
        "for=",
        "FOR=",
        "\"",
        "\\",
        ",",
        ", ",
        ";",
        " ",
        "=",
        "unknown",
        "_x",
        "proto=https",
        "host=\"a\"",
        "\u{e9}",
        "\t",
        "x",
    ]);
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// What is sent on reads the same when it is read again, as another proxy of ours would.
    #[test]
    fn what_is_sent_on_is_well_formed_and_names_the_same(
        lists in vec(line(), 0..3),
        elements in vec(line(), 0..3),
        forwarded: bool,
    ) {
        let mut headers = HeaderMap::new();
        for (name, lines) in [(X_FORWARDED_FOR, &lists), (FORWARDED, &elements)] {
            for line in lines {
                headers.append(name.clone(), HeaderValue::from_str(line).unwrap());
            }
        }
        let trust = trust(&["10.0.0.0/8"], forwarded);
        let behind = told(&mut headers, "10.0.0.1", &trust);
        let list = headers.get_all(X_FORWARDED_FOR).iter().collect::<Vec<_>>();
        prop_assert_eq!(list.len(), 1);
        let chain: Vec<_> = list[0].as_bytes().split(|&byte| byte == b',').collect();
        let chain: Option<Vec<IpAddr>> =
            chain.into_iter().map(|element| address(element.trim_ascii())).collect();
        prop_assert!(chain.is_some(), "{:?}", list);
        if let Some(line) = headers.get(FORWARDED) {
            let nodes = elements::nodes(line.as_bytes());
            let last = nodes.as_ref().and_then(|nodes| nodes.last().copied().flatten());
            prop_assert_eq!(last, Some("10.0.0.1".parse().unwrap()), "{:?}", line);
        }
        let again = told(&mut headers, "10.0.0.2", &trust);
        prop_assert_eq!(again, behind.or(Some("10.0.0.1".into())));
    }
}
