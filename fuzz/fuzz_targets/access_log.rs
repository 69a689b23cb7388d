//! Lines of the access log: whatever a client sends, it is one line of printable ASCII, that gives
//! back what the client sent and has as many fields as any other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use smoothserve::config::AccessLogFormat;
use smoothserve::fuzzing::access_line;

const KEYS: [&str; 6] = ["method", "host", "path", "request_id", "referer", "user_agent"];
/// Bytes that are kept of each text.
const KEPT: [usize; 6] = [32, 256, 2048, 128, 512, 512];

fn one_line(line: &[u8]) -> &str {
    let text = str::from_utf8(line).expect("it is ASCII").strip_suffix('\n').expect("a line");
    assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text:?}");
    text
}

/// What is no UTF-8 reads as Latin-1.
fn as_text(bytes: &[u8]) -> String {
    let latin = || bytes.iter().map(|byte| char::from(*byte)).collect();
    str::from_utf8(bytes).map_or_else(|_| latin(), str::to_owned)
}

/// The texts in quotes, with their escapes undone.
fn quoted(line: &str) -> Vec<Vec<u8>> {
    let mut bytes = line.bytes();
    let mut texts = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'"' {
            continue;
        }
        let mut text = Vec::new();
        loop {
            match bytes.next().expect("the quote is closed") {
                b'"' => break,
                b'\\' => {
                    assert_eq!(bytes.next(), Some(b'x'));
                    let mut digit = || {
                        let digit = bytes.next().and_then(|byte| char::from(byte).to_digit(16));
                        digit.expect("a digit") as u8
                    };
                    text.push(digit() * 16 + digit());
                }
                plain => text.push(plain),
            }
        }
        texts.push(text);
    }
    texts
}

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(6, |&byte| byte == 0);
    let texts: [&[u8]; 6] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let kept: [&[u8]; 6] = std::array::from_fn(|at| &texts[at][..texts[at].len().min(KEPT[at])]);

    let line = access_line(texts, AccessLogFormat::Json);
    let object: Value = serde_json::from_str(one_line(&line)).expect("it is JSON");
    assert_eq!(object.as_object().expect("an object").len(), 19);
    for (key, text) in KEYS.into_iter().zip(kept) {
        let expected = (!text.is_empty()).then(|| as_text(text));
        assert_eq!(object[key].as_str(), expected.as_deref(), "{key}");
    }

    let line = access_line(texts, AccessLogFormat::Combined);
    let line = one_line(&line);
    let dash = |text: &[u8]| if text.is_empty() { b"-".to_vec() } else { text.to_vec() };
    let [method, _, path, _, referer, agent] = kept;
    let request = match method {
        b"" => b"-".to_vec(),
        _ => [method, b" ", path, b" HTTP/1.1"].concat(),
    };
    assert_eq!(quoted(line), [request, dash(referer), dash(agent)], "{line}");
});
