//! `sticky`: clients that stay with their instance.

use super::super::error::Problem;
use super::super::scalar::{Hint, Kind};
use super::super::table::Table;

/// A client stays with the instance that served it, as long as that is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// The name of the cookie that tells which one it was: a token (RFC 6265 4.1.1).
    pub cookie: String,
}

const COOKIE: Kind<String> =
    Kind { allowed: "the name of a cookie: letters, digits, `-` and `_`", parse: cookie };

/// `{cookie: name}`; none with a problem noted.
pub(super) fn sticky(table: &mut Table) -> Option<Sticky> {
    let is_empty = table.is_empty();
    let cookie = table.take("cookie", &COOKIE);
    if is_empty {
        let message = "`sticky` names no cookie";
        table.note(Problem::at(table.site(), message, "needed: `{cookie: name}`"));
    }
    cookie.map(|cookie| Sticky { cookie: cookie.value })
}

fn cookie(text: &str) -> Result<String, Hint> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(is_plain) {
        return Err(Hint(None));
    }
    // Browsers take such a one by https alone, and clients may come by http as well.
    if ["__host-", "__secure-"].iter().any(|start| text.to_ascii_lowercase().starts_with(start)) {
        return Err("browsers would not take it by http; choose another name".to_owned().into());
    }
    Ok(text.to_owned())
}
