//! `request_headers` and `response_headers`: fixed headers, and those that are taken away.

use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderName, HeaderValue};

use super::super::error::Problem;
use super::super::scalar::{Hint, Kind};
use super::super::table::{Spot, Table};

/// Edits of the headers of a message; first some are removed, then some are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Each at most once, and none that has to do with the connection, the framing or the host.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// None that is set, and none of those.
    pub remove: Vec<HeaderName>,
}

const NAME: Kind<HeaderName> =
    Kind { allowed: "the name of a header, such as `X-Frame-Options`", parse: name };

const VALUE: Kind<HeaderValue> = Kind {
    allowed: "at most 4096 visible ASCII characters, with spaces between them if need be",
    parse: value,
};

/// Together they stay far below what a peer takes.
const MOST: usize = 64;
const LONGEST_VALUE: usize = 4096;

/// `{set: {Name: text}, remove: [Name]}`.
pub(super) fn edits(table: &mut Table) -> HeaderEdits {
    let pairs = table.take_pairs("set", &VALUE).unwrap_or_default();
    let remove = table.take_list("remove", &NAME).unwrap_or_default();
    let mut edits = HeaderEdits::default();
    let mut known: Vec<Spot<HeaderName>> = Vec::new();
    for (key, value) in pairs {
        let Some(name) = keep(table, name_of(&key)) else { continue };
        if keep(table, check_new(&known, &name)).is_some() {
            edits.set.push((name.value.clone(), value.value));
            known.push(name);
        }
    }
    for name in remove {
        if keep(table, check_new(&known, &name)).is_some() {
            edits.remove.push(name.value.clone());
            known.push(name);
        }
    }
    if let Some(name) = known.get(MOST) {
        let message = format!("{} headers are named", known.len());
        table.note(Problem::at(&name.site, message, format!("allowed: at most {MOST}")));
    }
    edits
}

fn name_of(key: &Spot<String>) -> Result<Spot<HeaderName>, Problem> {
    let site = key.site.clone();
    let name = name(&key.value).map_err(|Hint(hint)| {
        let message = format!("`{}` cannot be set", key.value);
        let problem = Problem::at(&site, message, format!("allowed: {}", NAME.allowed));
        match hint {
            Some(hint) => problem.help(hint),
            None => problem,
        }
    })?;
    Ok(Spot { value: name, site })
}

/// Header names are the same in any letter case.
fn check_new(known: &[Spot<HeaderName>], name: &Spot<HeaderName>) -> Result<(), Problem> {
    let Some(first) = known.iter().find(|known| known.value == name.value) else { return Ok(()) };
    let message = format!("header `{}` is named twice", name.value);
    let problem = Problem::at(&name.site, message, "again here");
    Err(problem
        .see(&first.site, "first named here")
        .help("remove one of the two; `set` replaces whatever was there"))
}

fn keep<T>(table: &mut Table, result: Result<T, Problem>) -> Option<T> {
    result.map_err(|problem| table.note(problem)).ok()
}

fn name(text: &str) -> Result<HeaderName, Hint> {
    let name: HeaderName = text.parse().map_err(|_| Hint(None))?;
    match untouchable(&name) {
        Some(reason) => Err(Hint::from(format!("`{text}` {reason}"))),
        None => Ok(name),
    }
}

/// Why a header is nobody's to edit: two ends would disagree on where a message ends, or on whom
/// it is for.
fn untouchable(name: &HeaderName) -> Option<&'static str> {
    match *name {
        CONTENT_LENGTH | TRANSFER_ENCODING => {
            Some("says where a message ends, which is as the client or the instance sent it")
        }
        HOST => Some("is passed on as the client sent it; instances may depend on that"),
        EXPECT => Some("is about how a body is sent, which is between client and instance"),
        CONNECTION | TE | TRAILER | UPGRADE => Some(OF_CONNECTION),
        _ if matches!(name.as_str(), "keep-alive" | "proxy-connection") => Some(OF_CONNECTION),
        _ => None,
    }
}

const OF_CONNECTION: &str = "is about a single connection, and smoothserve sees to it";

fn value(text: &str) -> Result<HeaderValue, Hint> {
    let is_trimmed = text.trim_ascii() == text;
    let is_plain = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if !is_trimmed || !is_plain || text.len() > LONGEST_VALUE {
        return Err(Hint(None));
    }
    HeaderValue::from_str(text).map_err(|_| Hint(None))
}
