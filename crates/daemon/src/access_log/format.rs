//! How a request is written down: as JSON, or as Apache and nginx do it.
//!
//! Whatever a client sent is escaped to printable ASCII, so that a line does nothing to a terminal
//! and stays one line.

use std::io::Write;
use std::time::{Duration, Instant};

use http::{StatusCode, Version};
use jiff::{SignedDuration, Timestamp};

use crate::config::AccessLogFormat;
use crate::proxy::{Access, Text};

/// The time of day, for moments of the other clock.
pub(crate) struct Clock {
    now: Instant,
    time: Timestamp,
}

impl Clock {
    pub(crate) fn now() -> Self {
        Self { now: Instant::now(), time: Timestamp::now() }
    }

    #[cfg(test)]
    pub(super) fn at(now: Instant, time: Timestamp) -> Self {
        Self { now, time }
    }

    fn time_of(&self, moment: Instant) -> Timestamp {
        let ago = SignedDuration::try_from(self.now.saturating_duration_since(moment));
        ago.ok().and_then(|ago| self.time.checked_sub(ago).ok()).unwrap_or(self.time)
    }
}

/// Appends a line.
pub(crate) fn line(text: &mut Vec<u8>, format: AccessLogFormat, clock: &Clock, access: &Access) {
    match format {
        AccessLogFormat::Json => json(text, clock, access),
        AccessLogFormat::Combined => combined(text, clock, access),
    }
}

fn json(text: &mut Vec<u8>, clock: &Clock, access: &Access) {
    let time = clock.time_of(access.ended);
    push(text, format_args!("{{\"time\":\"{time:.3}\",\"client\":\"{}\"", access.client));
    for (key, which) in [("host", Text::Host), ("method", Text::Method), ("path", Text::Path)] {
        json_text(text, key, access.text(which));
    }
    let version = version(access.version);
    push(text, format_args!(",\"protocol\":\"{version}\",\"status\":"));
    match access.status {
        Some(status) => push(text, format_args!("{}", status.as_u16())),
        None => push(text, format_args!("null")),
    }
    let took = millis(access.ended.saturating_duration_since(access.began));
    push(text, format_args!(",\"bytes\":{},\"duration_ms\":{took}", access.bytes));
    let service = access.service.as_ref().map(|service| service.name().as_str());
    json_text(text, "service", service.unwrap_or_default().as_bytes());
    match (service, access.instance) {
        (Some(name), Some(launched)) => {
            json_text(text, "instance", format!("{name}-{}", launched.slot).as_bytes());
            push(text, format_args!(",\"generation\":{}", launched.generation.0));
        }
        _ => push(text, format_args!(",\"instance\":null,\"generation\":null")),
    }
    match access.upstream {
        Some(upstream) => push(text, format_args!(",\"upstream_ms\":{}", millis(upstream))),
        None => push(text, format_args!(",\"upstream_ms\":null")),
    }
    let Access { retries, outcome, .. } = access;
    let held = millis(access.held);
    push(text, format_args!(",\"retries\":{retries},\"held_ms\":{held},\"outcome\":\"{outcome}\""));
    for (key, which) in [
        ("request_id", Text::RequestId),
        ("referer", Text::Referer),
        ("user_agent", Text::UserAgent),
    ] {
        json_text(text, key, access.text(which));
    }
    push(text, format_args!("}}\n"));
}

fn json_text(text: &mut Vec<u8>, key: &str, value: &[u8]) {
    push(text, format_args!(",\"{key}\":"));
    if value.is_empty() {
        return push(text, format_args!("null"));
    }
    text.push(b'"');
    // What is no UTF-8 is shown as what the bytes would be in Latin-1, which is what it mostly is.
    let latin = || value.iter().map(|byte| u16::from(*byte)).collect::<Vec<_>>();
    let units =
        str::from_utf8(value).map_or_else(|_| latin(), |text| text.encode_utf16().collect());
    for unit in units {
        match u8::try_from(unit) {
            Ok(letter @ (b'"' | b'\\')) => text.extend([b'\\', letter]),
            Ok(letter @ b' '..=b'~') => text.push(letter),
            _ => push(text, format_args!("\\u{unit:04x}")),
        }
    }
    text.push(b'"');
}

/// `client - - [time] "request" status bytes "referer" "user agent"`.
fn combined(text: &mut Vec<u8>, clock: &Clock, access: &Access) {
    let time = clock.time_of(access.ended).strftime("%d/%b/%Y:%H:%M:%S +0000").to_string();
    push(text, format_args!("{} - - [{time}] \"", access.client));
    match access.text(Text::Method) {
        b"" => text.push(b'-'),
        method => {
            escape(text, method);
            text.push(b' ');
            escape(text, access.text(Text::Path));
            push(text, format_args!(" {}", version(access.version)));
        }
    }
    let status = access.status.map_or_else(|| no_answer(access.outcome), |status| status.as_u16());
    push(text, format_args!("\" {status} {}", access.bytes));
    for which in [Text::Referer, Text::UserAgent] {
        text.extend(b" \"");
        match access.text(which) {
            b"" => text.push(b'-'),
            value => escape(text, value),
        }
        text.push(b'"');
    }
    text.push(b'\n');
}

/// The format demands a number: that of nginx for a client that went away.
fn no_answer(outcome: &str) -> u16 {
    if outcome == "client_aborted" { 499 } else { StatusCode::BAD_GATEWAY.as_u16() }
}

fn escape(text: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        match byte {
            b'"' | b'\\' | ..b' ' | 0x7f.. => push(text, format_args!("\\x{byte:02X}")),
            plain => text.push(*plain),
        }
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    }
}

/// Milliseconds to the microsecond.
fn millis(time: Duration) -> String {
    let micros = time.as_micros();
    format!("{}.{:03}", micros / 1000, micros % 1000)
}

fn push(text: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // A Vec takes everything.
    let _ = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_sent_is_one_line_that_says_so(
            texts in vec(vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(b'\n')], 0..30), 6),
        ) {
            let sent: [&[u8]; 6] = std::array::from_fn(|at| texts[at].as_slice());
            let access = Access::sample(sent, Instant::now());
            let json = written(AccessLogFormat::Json, &access);
            let combined = written(AccessLogFormat::Combined, &access);
            for line in [&json, &combined] {
                let text = line.strip_suffix('\n').unwrap();
                prop_assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", line);
            }
            let line: serde_json::Value = serde_json::from_str(&json).unwrap();
            let keys = ["method", "host", "path", "request_id", "referer", "user_agent"];
            for (key, sent) in keys.into_iter().zip(sent) {
                let latin = sent.iter().map(|byte| char::from(*byte)).collect::<String>();
                let text = str::from_utf8(sent).unwrap_or(&latin);
                prop_assert_eq!(line[key].as_str().unwrap_or_default(), text);
            }
            prop_assert_eq!(combined.matches('"').count(), 6, "{}", combined);
        }
    }

    fn written(format: AccessLogFormat, access: &Access) -> String {
        let time = "2026-11-22T23:13:48.5Z".parse().unwrap();
        let clock = Clock::at(access.ended + Duration::from_millis(377), time);
        let mut text = Vec::new();
        line(&mut text, format, &clock, access);
        String::from_utf8(text).unwrap()
    }

    fn access() -> Access {
        let began = Instant::now();
        let texts: [&[u8]; 6] = [
            b"GET",
            b"shop.example:80",
            "/a\"b\\c\u{1b}[31m/ü".as_bytes(),
            b"",
            b"http://a/\xff\xfe",
            "x\u{202e}\u{7f}😀\r\n".as_bytes(),
        ];
        let mut access = Access::sample(texts, began);
        access.ended = began + Duration::from_micros(12_345);
        access.status = Some(StatusCode::OK);
        access.bytes = 678;
        access
    }

    #[test]
    fn a_line_of_json_is_read_back_as_what_the_client_sent() {
        let text = written(AccessLogFormat::Json, &access());
        assert!(text.trim_end().bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["time"], "2026-11-22T23:13:48.123Z");
        assert_eq!(line["client"], "192.0.2.1");
        assert_eq!(line["path"], "/a\"b\\c\u{1b}[31m/ü");
        assert_eq!(line["referer"], "http://a/\u{ff}\u{fe}");
        assert_eq!(line["user_agent"], "x\u{202e}\u{7f}😀\r\n");
        assert_eq!((&line["status"], &line["bytes"]), (&200.into(), &678.into()));
        assert_eq!(line["duration_ms"], 12.345);
        for absent in ["request_id", "service", "instance", "generation", "upstream_ms"] {
            assert!(line[absent].is_null() && line.get(absent).is_some(), "{text}");
        }
    }

    #[test]
    fn a_combined_line_is_what_other_servers_write() {
        let text = written(AccessLogFormat::Combined, &access());
        let request = "GET /a\\x22b\\x5Cc\\x1B[31m/\\xC3\\xBC HTTP/1.1";
        let agent = "x\\xE2\\x80\\xAE\\x7F\\xF0\\x9F\\x98\\x80\\x0D\\x0A";
        let expected = format!(
            "192.0.2.1 - - [22/Nov/2026:23:13:48 +0000] \"{request}\" 200 678 \
             \"http://a/\\xFF\\xFE\" \"{agent}\"\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_request_of_which_nothing_is_known_is_a_line_too() {
        let access = Access::sample([b""; 6], Instant::now());
        let text = written(AccessLogFormat::Combined, &access);
        assert!(text.ends_with("\"-\" 499 0 \"-\" \"-\"\n"), "{text}");
        let line: serde_json::Value =
            serde_json::from_str(&written(AccessLogFormat::Json, &access)).unwrap();
        assert!(line["status"].is_null() && line["method"].is_null());
    }
}
