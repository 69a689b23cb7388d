//! What an instance printed, for scripts: part of the same contract.

use serde::Serialize;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::log::{self, Stream};

use super::{number, text, time};

#[derive(Serialize)]
struct LogLine<'a> {
    schema: &'static str,
    time: String,
    service: &'a str,
    instance: u32,
    generation: u64,
    stream: &'static str,
    text: &'a str,
    /// Only for a line that is no UTF-8: what `text` can only resemble.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<&'a [u8]>,
}

/// One line of `smoothtool logs --json`.
pub(crate) fn log_line(service: &ServiceName, line: &log::LogLine) -> String {
    let lossy = String::from_utf8_lossy(&line.bytes);
    text(&LogLine {
        schema: "smoothtool.log/1",
        time: time(line.unix_ms),
        service: service.as_str(),
        instance: number(line.slot),
        generation: line.generation.0,
        stream: match line.stream {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        },
        text: &lossy,
        bytes: std::str::from_utf8(&line.bytes).is_err().then_some(&line.bytes[..]),
    })
}
