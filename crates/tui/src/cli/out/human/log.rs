//! What an instance printed, on a terminal.

use jiff::tz::TimeZone;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::log::{LogLine, Stream};

use crate::fmt::clock_and_millis;
use crate::words::escape;

/// One line of `smoothtool logs`: when, who, and `|` for stdout or `!` for stderr; nothing in it
/// but tabs can move the cursor.
pub(crate) fn log_line(service: &ServiceName, line: &LogLine, zone: &TimeZone) -> String {
    let LogLine { unix_ms, slot, stream, bytes, .. } = line;
    let mark = match stream {
        Stream::Out => '|',
        Stream::Err => '!',
    };
    let text = String::from_utf8_lossy(bytes);
    let pieces: Vec<_> = text.split('\t').map(escape).collect();
    let clock = clock_and_millis(*unix_ms, zone);
    format!("{clock}  {service}-{slot} {mark} {}", pieces.join("\t"))
}
