//! The elements of a Forwarded header: their syntax (RFC 7239 4), and whom they name.

use std::net::IpAddr;

use super::address;
use crate::proxy::guard::is_token;

/// Whom each element of a line names in `for`; none if the line is malformed.
///
/// An element may name nobody, or hide whom (RFC 7239 6.2 and 6.3); but a line without any says
/// nothing, and joined with others it would not be seen that something is missing.
pub(super) fn nodes(line: &[u8]) -> Option<Vec<Option<IpAddr>>> {
    if line.trim_ascii().is_empty() {
        return None;
    }
    let (mut nodes, mut rest) = (Vec::new(), line);
    loop {
        let (node, after) = element(rest)?;
        nodes.push(node);
        match after {
            [] => return Some(nodes),
            [b',', after @ ..] => rest = after,
            _ => return None,
        }
    }
}

/// Reads pairs up to a comma or the end. A pair may be missing between two semicolons.
fn element(mut rest: &[u8]) -> Option<(Option<IpAddr>, &[u8])> {
    let mut named = None;
    loop {
        rest = rest.trim_ascii_start();
        if !matches!(rest.first(), None | Some(b',' | b';')) {
            let (name, value, after) = pair(rest)?;
            if name.eq_ignore_ascii_case(b"for") && named.replace(address(value)).is_some() {
                return None;
            }
            rest = after.trim_ascii_start();
        }
        match rest {
            [b';', after @ ..] => rest = after,
            _ => return Some((named.flatten(), rest)),
        }
    }
}

type Bytes<'a> = &'a [u8];

/// Reads `token "=" (token | quoted-string)`.
fn pair(bytes: &[u8]) -> Option<(Bytes<'_>, Bytes<'_>, Bytes<'_>)> {
    let (name, rest) = token(bytes)?;
    let rest = rest.strip_prefix(b"=")?;
    let (value, rest) = match rest.strip_prefix(b"\"") {
        Some(rest) => quoted(rest)?,
        None => token(rest)?,
    };
    Some((name, value, rest))
}

fn token(bytes: &[u8]) -> Option<(Bytes<'_>, Bytes<'_>)> {
    let end = bytes.iter().position(|&byte| !is_token(byte)).unwrap_or(bytes.len());
    (end > 0).then(|| bytes.split_at(end))
}

/// Reads what follows a quote up to the next one. What is escaped stays so: no address has to be.
fn quoted(bytes: &[u8]) -> Option<(Bytes<'_>, Bytes<'_>)> {
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some((&bytes[..at], &bytes[at + 1..])),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
