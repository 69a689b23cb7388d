//! What a drain waits for.

use smoothserve_protocol::snapshot::{Blocker, OnDrainTimeout};

use super::escape;
use crate::fmt::so_far;

/// One request or tunnel: `GET /export 41s from 10.0.0.7:4312`.
pub fn blocker(blocker: &Blocker) -> String {
    let Blocker { method, path, age_ms, client, tunnel } = blocker;
    let kind = if *tunnel { "tunnel " } else { "" };
    let (method, path, client) = (escape(method), escape(path), escape(client));
    format!("{kind}{method} {path} {} from {client}", so_far(*age_ms))
}

/// The oldest of them, and how many there are beside it: `GET /export 41s from 10.0.0.7:4312 and
/// 2 more`; none: none is known. `inside` is how many there are in all.
pub fn blockers(known: &[Blocker], inside: u32) -> Option<String> {
    let oldest = blocker(known.first()?);
    let named = u32::try_from(known.len()).unwrap_or(u32::MAX);
    Some(match inside.max(named) - 1 {
        0 => oldest,
        more => format!("{oldest} and {more} more"),
    })
}

/// What becomes of requests that outlive the drain deadline, in one word.
pub const fn on_drain_timeout(policy: OnDrainTimeout) -> &'static str {
    match policy {
        OnDrainTimeout::Abort => "abort",
        OnDrainTimeout::Wait => "wait",
        OnDrainTimeout::Cut => "cut",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_named_and_the_others_are_counted() {
        let request = Blocker {
            method: "GET".into(),
            path: "/export\u{1b}[2J".into(),
            age_ms: 41_000,
            client: "10.0.0.7:4312".into(),
            tunnel: false,
        };
        let tunnel =
            Blocker { path: "/socket".into(), age_ms: 700, tunnel: true, ..request.clone() };
        let export = r"GET /export\x1b[2J 41s from 10.0.0.7:4312";
        assert_eq!(blocker(&tunnel), "tunnel GET /socket 0.7s from 10.0.0.7:4312");
        assert_eq!(blockers(&[], 2), None);
        assert_eq!(blockers(std::slice::from_ref(&request), 1).as_deref(), Some(export));
        let three = format!("{export} and 2 more");
        assert_eq!(blockers(&[request.clone(), tunnel.clone()], 3), Some(three));
        // What was counted a moment earlier may be less than what is named.
        assert_eq!(blockers(&[request, tunnel], 0), Some(format!("{export} and 1 more")));
    }
}
