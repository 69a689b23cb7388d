//! What a single value may be: one constant per kind, with the words that tell an operator.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ignore::gitignore::GitignoreBuilder;
use smoothserve_protocol::id::ServiceName;
use smoothserve_protocol::plan::RestartOrder;
use smoothserve_protocol::snapshot::OnDrainTimeout;

use super::account::Account;
use super::host;
use super::quantity::{age, duration, size};
use crate::tls::MinVersion;

use super::{AccessLogFormat, Network, Pattern, Route, StopSignal, UpstreamProtocol};

/// A kind of value: how it is read, and what an operator may write.
pub(super) struct Kind<T> {
    /// Stands after "allowed:".
    pub(super) allowed: &'static str,
    pub(super) parse: fn(&str) -> Result<T, Hint>,
}

/// What to do about a value that is not allowed, where `allowed` does not already say it.
#[derive(Debug, Default)]
pub(super) struct Hint(pub(super) Option<String>);

impl From<String> for Hint {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

pub(super) const FLAG: Kind<bool> = Kind { allowed: "`true` or `false`", parse: flag };

/// Only `true`: `tcp: false` would be a readiness test that tests nothing.
pub(super) const TRUE: Kind<()> =
    Kind { allowed: "`true`", parse: |text| (text == "true").then_some(()).ok_or(Hint(None)) };

pub(super) const TEXT: Kind<String> = Kind { allowed: "a text", parse: content };

pub(super) const PATH: Kind<PathBuf> =
    Kind { allowed: "the path of a file or folder", parse: path };

pub(super) const NAME: Kind<ServiceName> = Kind {
    allowed: "1 to 64 characters without white space or `/`, not beginning with `-`, not `all`",
    parse: |text| ServiceName::new(text).map_err(|error| Hint::from(format!("the name {error}"))),
};

/// `server_name`; a list without a host is as good as none.
pub(super) const HOSTS: Kind<Vec<Route>> = Kind {
    allowed: "hosts with commas between them, each with a path if need be: `a.example/admin`",
    parse: host::routes,
};

pub(super) const ADDRESS: Kind<IpAddr> =
    Kind { allowed: "an IP address such as 127.0.0.1 or ::1", parse: address };

pub(super) const NETWORK: Kind<Network> = Kind {
    allowed: "an address or a network such as 10.0.0.0/8 or ::1",
    parse: |text| Ok(text.parse()?),
};

/// An address and a port to listen on.
pub(super) const SOCKET: Kind<SocketAddr> = Kind {
    allowed: "an IP address with a port, such as 127.0.0.1:9100 or [::1]:9100",
    parse: socket,
};

/// A port to listen on.
pub(super) const PORT: Kind<u16> =
    Kind { allowed: "a port from 1 to 65535, or 0 for any free one", parse: number };

pub(super) const FIRST_PORT: Kind<u16> = Kind {
    allowed: "a port from 1 to 65535",
    parse: |text| number::<NonZeroU16>(text).map(NonZeroU16::get),
};

pub(super) const INSTANCES: Kind<NonZeroU16> =
    Kind { allowed: "a whole number from 1 to 65535", parse: number };

pub(super) const HOLD_MAX: Kind<usize> =
    Kind { allowed: "a whole number from 0 to 1000000", parse: |text| between(text, 0, 1_000_000) };

pub(super) const STATUS: Kind<u16> = Kind {
    allowed: "an HTTP status from 100 to 599",
    parse: |text| number(text).and_then(|status| in_range(status, 100, 599)),
};

pub(super) const HTTP_PATH: Kind<String> = Kind {
    allowed: "a path that begins with `/`, such as `/healthz`",
    parse: |text| {
        let is_path = text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_path.then(|| text.to_owned()).ok_or(Hint(None))
    },
};

pub(super) const ACCESS_LOG_FORMAT: Kind<AccessLogFormat> = Kind {
    allowed: "`json` or `combined`",
    parse: |text| match text {
        "json" => Ok(AccessLogFormat::Json),
        "combined" => Ok(AccessLogFormat::Combined),
        _ => Err(Hint(None)),
    },
};

pub(super) const MIN_VERSION: Kind<MinVersion> = Kind {
    allowed: "`1.2` or `1.3`",
    parse: |text| match text {
        "1.2" => Ok(MinVersion::Tls12),
        "1.3" => Ok(MinVersion::Tls13),
        _ => Err(Hint(None)),
    },
};

/// A path of our own; a request's is compared without its query.
pub(super) const READY_PATH: Kind<String> = Kind {
    allowed: "a path that begins with `/`, without `?` and `#`, such as `/-/ready`",
    parse: |text| match text.contains(['?', '#']) {
        true => Err(Hint(None)),
        false => (HTTP_PATH.parse)(text),
    },
};

pub(super) const MEBIBYTES: Kind<u64> = Kind {
    allowed: "a whole number of MiB from 1 to 1048576",
    parse: |text| number(text).and_then(|size| in_range(size, 1, 1024 * 1024)),
};

pub(super) const BACKUPS: Kind<usize> = Kind {
    allowed: "a whole number from 0 (keep all) to 100000",
    parse: |text| between(text, 0, 100_000),
};

pub(super) const DAYS: Kind<u32> = Kind {
    allowed: "a whole number of days from 0 (keep for ever) to 36500",
    parse: |text| number(text).and_then(|days| in_range(days, 0, 36_500)),
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// Any time up to a day.
pub(super) const DURATION: Kind<Duration> = Kind {
    allowed: "whole seconds, or a number with ms, s, m or h; at most 24h",
    parse: |text| duration(text).and_then(|time| in_range(time, Duration::ZERO, DAY)),
};

/// A time-out that must leave some time.
pub(super) const TIMEOUT: Kind<Duration> = Kind {
    allowed: "whole seconds, or a number with ms, s, m or h; more than 0, at most 24h",
    parse: |text| duration(text).and_then(|time| in_range(time, Duration::from_millis(1), DAY)),
};

/// A time-out that may be switched off.
pub(super) const TIMEOUT_OR_NONE: Kind<Option<Duration>> = Kind {
    allowed: "whole seconds, or a number with ms, s, m or h; at most 24h, or 0 for none",
    parse: |text| (DURATION.parse)(text).map(|time| (!time.is_zero()).then_some(time)),
};

/// A time up to a minute.
pub(super) const SHORT_DURATION: Kind<Duration> = Kind {
    allowed: "whole seconds, or a number with ms, s or m; at most 60",
    parse: |text| duration(text).and_then(|time| in_range(time, Duration::ZERO, MINUTE)),
};

/// How long a browser remembers something.
pub(super) const AGE: Kind<Duration> = Kind {
    allowed: "whole seconds, or a number with h, d or y; at most 10y",
    parse: |text| age(text).and_then(|age| in_range(age, Duration::ZERO, DAY * 3650)),
};

/// Bytes that one file may hold.
pub(super) const FILE_SIZE: Kind<u64> = Kind {
    allowed: "bytes, or a number with kB, MB, GB, KiB, MiB or GiB; more than 0",
    parse: |text| size(text).and_then(|size| in_range(size, 1, LARGEST_SIZE)),
};

/// The most bytes that a body may hold.
pub(super) const BODY_SIZE: Kind<Option<u64>> = Kind {
    allowed: "bytes, or a number with kB, MB, GB, KiB, MiB or GiB; or 0 for any size",
    parse: |text| size(text).map(|size| (size > 0).then_some(size)),
};

/// Bytes of all header fields; more than the largest is no header but a body.
pub(super) const HEADER_SIZE: Kind<usize> = Kind {
    allowed: "bytes, or a number with kB or KiB; from 1KiB to 1024KiB",
    parse: |text| {
        let size = size(text).and_then(|size| in_range(size, 1 << 10, 1 << 20))?;
        usize::try_from(size).map_err(|_| Hint(None))
    },
};

/// How many clients may be connected at once.
pub(super) const CONNECTIONS: Kind<Option<usize>> = Kind {
    allowed: "a whole number from 1 to 10000000, or 0 for no bound of its own",
    parse: |text| between(text, 0, 10_000_000).map(|most| (most > 0).then_some(most)),
};

/// Bytes of memory; no program runs in less.
pub(super) const MEMORY: Kind<u64> = Kind {
    allowed: "bytes, or a number with kB, MB, GB, KiB, MiB or GiB; at least 1MiB",
    parse: |text| size(text).and_then(|size| in_range(size, 1 << 20, LARGEST_SIZE)),
};

/// What the system's own counters hold, with a sign.
const LARGEST_SIZE: u64 = i64::MAX.unsigned_abs();

pub(super) const OPEN_FILES: Kind<u64> = Kind {
    allowed: "a whole number from 16 to 1000000000",
    parse: |text| number(text).and_then(|count| in_range(count, 16, 1_000_000_000)),
};

pub(super) const ACCOUNT: Kind<Account> =
    Kind { allowed: "a name such as `www-data`, or a number", parse: Account::parse };

/// How many answers in a row may be missing.
pub(super) const FAILURES: Kind<u32> = Kind {
    allowed: "a whole number from 1 to 100",
    parse: |text| number(text).and_then(|count| in_range(count, 1, 100)),
};

/// How many requests in a row may fail.
pub(super) const MAX_FAILS: Kind<u32> = Kind {
    allowed: "a whole number from 0 (any number) to 10000",
    parse: |text| number(text).and_then(|count| in_range(count, 0, 10_000)),
};

pub(super) const REGEX: Kind<Pattern> =
    Kind { allowed: "a regular expression such as `listening on`", parse: pattern };

pub(super) const IGNORED: Kind<String> =
    Kind { allowed: "a pattern as in a .gitignore, such as `*.log`", parse: ignored };

pub(super) const RESTART_ORDER: Kind<RestartOrder> =
    Kind { allowed: "`stop-first` or `start-first`", parse: restart_order };

pub(super) const UPSTREAM_PROTOCOL: Kind<UpstreamProtocol> =
    Kind { allowed: "`http1` or `h2c`", parse: upstream_protocol };

pub(super) const ON_DRAIN_TIMEOUT: Kind<OnDrainTimeout> =
    Kind { allowed: "`abort`, `wait` or `cut`", parse: on_drain_timeout };

/// A key that may hold keys of its own, or be off.
pub(super) const SWITCH: Kind<bool> =
    Kind { allowed: "`true`, `false`, or indented lines such as `key: value`", parse: flag };

pub(super) const STOP_SIGNAL: Kind<StopSignal> =
    Kind { allowed: "TERM, INT, QUIT, HUP, USR1 or USR2", parse: stop_signal };

/// An argument of the program; the words it may hold in braces are in [`PLACEHOLDERS`].
pub(super) const ARGUMENT: Kind<String> = Kind {
    allowed: "a text that may hold {port}, {socket}, {slot}, {name} and {generation}",
    parse: argument,
};

const PLACEHOLDERS: [&str; 5] = ["port", "socket", "slot", "name", "generation"];

/// The paths of instances, one for each number.
pub(super) const SOCKET_PATH: Kind<String> = Kind {
    allowed: "a path that holds {slot}, such as `./run/{name}-{slot}.sock`",
    parse: socket_path,
};

fn flag(text: &str) -> Result<bool, Hint> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        "True" | "TRUE" | "yes" | "Yes" | "on" | "On" | "1" => {
            Err("write `true`".to_owned().into())
        }
        "False" | "FALSE" | "no" | "No" | "off" | "Off" | "0" => {
            Err("write `false`".to_owned().into())
        }
        _ => Err(Hint(None)),
    }
}

fn content(text: &str) -> Result<String, Hint> {
    if text.contains('\0') {
        return Err("remove the NUL character; no program can be given one".to_owned().into());
    }
    Ok(text.to_owned())
}

fn path(text: &str) -> Result<PathBuf, Hint> {
    if text.is_empty() {
        return Err(Hint(None));
    }
    content(text).map(PathBuf::from)
}

fn address(text: &str) -> Result<IpAddr, Hint> {
    if text == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST.into());
    }
    text.parse().map_err(|_| {
        let has_port = text.parse::<SocketAddr>().is_ok();
        Hint(has_port.then(|| "the port has a key of its own".to_owned()))
    })
}

fn socket(text: &str) -> Result<SocketAddr, Hint> {
    if let Some(port) = text.strip_prefix("localhost:") {
        return Ok(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), number(port)?));
    }
    text.parse().map_err(|_| {
        let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
        Hint(port.ok().map(|port| format!("write `127.0.0.1:{port}`")))
    })
}

fn number<N: FromStr>(text: &str) -> Result<N, Hint> {
    text.parse().map_err(|_| Hint(None))
}

fn between(text: &str, least: usize, most: usize) -> Result<usize, Hint> {
    number(text).and_then(|value| in_range(value, least, most))
}

fn in_range<T: PartialOrd>(value: T, least: T, most: T) -> Result<T, Hint> {
    if value < least || value > most { Err(Hint(None)) } else { Ok(value) }
}

fn restart_order(text: &str) -> Result<RestartOrder, Hint> {
    match text {
        "stop-first" => Ok(RestartOrder::StopFirst),
        "start-first" => Ok(RestartOrder::StartFirst),
        _ => Err(Hint(None)),
    }
}

fn upstream_protocol(text: &str) -> Result<UpstreamProtocol, Hint> {
    match text {
        "http1" => Ok(UpstreamProtocol::Http1),
        "h2c" => Ok(UpstreamProtocol::H2c),
        _ => Err(Hint(None)),
    }
}

fn on_drain_timeout(text: &str) -> Result<OnDrainTimeout, Hint> {
    match text {
        "abort" => Ok(OnDrainTimeout::Abort),
        "wait" => Ok(OnDrainTimeout::Wait),
        "cut" => Ok(OnDrainTimeout::Cut),
        _ => Err(Hint(None)),
    }
}

/// The library draws an arrow below the expression, in several lines; its last one says why.
fn pattern(text: &str) -> Result<Pattern, Hint> {
    if text.is_empty() {
        return Err("an empty one would match any line".to_owned().into());
    }
    Pattern::new(text).map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => "it needs too much memory".to_owned().into(),
        error => {
            let text = error.to_string();
            let line = text.lines().last().unwrap_or_default();
            line.strip_prefix("error: ").unwrap_or(line).to_owned().into()
        }
    })
}

fn ignored(text: &str) -> Result<String, Hint> {
    if text.trim().is_empty() {
        return Err(Hint(None));
    }
    let checked = GitignoreBuilder::new("/").add_line(None, text).map(drop);
    checked.map_err(|error| Hint::from(error.to_string()))?;
    content(text)
}

fn stop_signal(text: &str) -> Result<StopSignal, Hint> {
    let name = text.to_ascii_uppercase();
    match name.strip_prefix("SIG").unwrap_or(&name) {
        "TERM" => Ok(StopSignal::Term),
        "INT" => Ok(StopSignal::Int),
        "QUIT" => Ok(StopSignal::Quit),
        "HUP" => Ok(StopSignal::Hup),
        "USR1" => Ok(StopSignal::Usr1),
        "USR2" => Ok(StopSignal::Usr2),
        "KILL" => {
            Err("an instance that does not exit gets KILL after `stop_timeout`".to_owned().into())
        }
        _ => Err(Hint(None)),
    }
}

/// Braces around anything but a word are the program's own, as in `{"level": 1}`.
fn argument(text: &str) -> Result<String, Hint> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('{') {
        let end = after.find(|c: char| !c.is_ascii_alphabetic() && c != '_');
        let (word, tail) = after.split_at(end.unwrap_or(after.len()));
        if !word.is_empty() && tail.starts_with('}') && !PLACEHOLDERS.contains(&word) {
            return Err(format!("smoothserve does not know {{{word}}}").into());
        }
        rest = after;
    }
    content(text)
}

fn socket_path(text: &str) -> Result<String, Hint> {
    let rest = text.replace("{name}", "").replace("{slot}", "");
    if !text.contains("{slot}") || text.ends_with('/') {
        return Err(Hint(None));
    }
    if rest.contains(['{', '}']) {
        return Err("only {name} and {slot} are filled in".to_owned().into());
    }
    content(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_bounds() {
        assert!((SHORT_DURATION.parse)("1m").is_ok());
        assert!((SHORT_DURATION.parse)("61").is_err());
        assert!((TIMEOUT.parse)("0").is_err());
    }

    #[test]
    fn a_wrong_expression_is_told_in_one_line() {
        for (text, reason) in [
            ("a(b", "unclosed group"),
            ("*", "repetition operator missing expression"),
            ("[z-a]", "invalid character class range, the start must be <= the end"),
            ("(a{1000}){1000}", "it needs too much memory"),
            ("", "an empty one would match any line"),
        ] {
            assert_eq!(pattern(text).unwrap_err().0.as_deref(), Some(reason), "{text}");
        }
        assert!(pattern(r"^listening on \S+:\d+$").is_ok());
    }

    #[test]
    fn only_known_words_in_braces_are_placeholders() {
        for good in ["-port={port}", "{name}-{slot}-{generation}", "{\"a\":1}", "{}", "{", "${HOME"]
        {
            assert_eq!(argument(good).unwrap(), good);
        }
        for bad in ["{prot}", "{{x}", "a{port}{pid}"] {
            assert!(argument(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_signal_may_carry_its_prefix_and_any_case() {
        assert_eq!(stop_signal("SIGTERM").unwrap(), StopSignal::Term);
        assert_eq!(stop_signal("usr1").unwrap(), StopSignal::Usr1);
        assert!(stop_signal("KILL").is_err());
    }
}
