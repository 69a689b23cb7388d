//! Who is inside a run: what was asked for, by which client, since when.
//!
//! Noted for every request, and shown only while a run drains. So noting copies nothing (the target
//! shares the memory of the request's head), and text is made of those alone that are shown.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::Method;
use http::request::Parts;
use http::uri::PathAndQuery;
use smoothserve_protocol::snapshot::Blocker;

use super::client::Client;

/// Bytes of a path that are shown.
const PATH_SHOWN: usize = 128;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct RequestLine {
    method: Method,
    target: Option<PathAndQuery>,
}

/// A request inside a run, or the tunnel it became.
#[derive(Clone)]
pub(crate) struct Visit {
    client: Arc<Client>,
    /// Who asks, if the client asks for somebody else.
    behind: Option<IpAddr>,
    line: RequestLine,
    /// When the request was accepted.
    began: Instant,
    is_tunnel: bool,
}

impl RequestLine {
    pub(crate) fn of(head: &Parts) -> Self {
        Self { method: head.method.clone(), target: head.uri.path_and_query().cloned() }
    }

    /// The path, as much of it as is shown; what follows the `?` may be a secret.
    fn path(&self) -> &str {
        let path = self.target.as_ref().map_or("", PathAndQuery::path);
        &path[..path.floor_char_boundary(PATH_SHOWN)]
    }
}

impl Visit {
    pub(crate) fn new(
        client: Arc<Client>,
        behind: Option<IpAddr>,
        line: RequestLine,
        began: Instant,
    ) -> Self {
        Self { client, behind, line, began, is_tunnel: false }
    }

    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// It stays, as a tunnel, perhaps for days: the head of its request need not stay with it.
    pub(crate) fn become_tunnel(&mut self) {
        self.is_tunnel = true;
        self.line.target = self.line.path().parse().ok();
    }

    /// Ends it with its client's connection. A tunnel has left that connection, and is told to end
    /// in its own way.
    pub(crate) fn cut(&self) {
        if !self.is_tunnel {
            self.client.cut();
        }
    }

    /// What an operator is shown of it.
    pub(crate) fn shown(&self, now: Instant) -> Blocker {
        let age = now.saturating_duration_since(self.began);
        Blocker {
            method: self.line.method.to_string(),
            path: self.line.path().to_owned(),
            age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            client: match self.behind {
                Some(addr) => addr.to_string(),
                None => self.client.addr().to_string(),
            },
            tunnel: self.is_tunnel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(target: &str) -> String {
        let request = http::Request::builder().uri(target).body(()).unwrap();
        RequestLine::of(&request.into_parts().0).path().to_owned()
    }

    #[test]
    fn a_path_is_shown_without_its_query_and_not_beyond_its_bound() {
        assert_eq!(path_of("/export?token=secret"), "/export");
        assert_eq!(path_of("*"), "*");
        let long = format!("/{}", "x".repeat(200));
        assert_eq!(path_of(&long), long[..PATH_SHOWN]);
    }

    #[test]
    fn a_path_is_never_cut_in_the_middle_of_a_character() {
        let path = format!("/{}", "ü".repeat(100));
        let shown = path_of(&path);
        assert_eq!(shown.len(), PATH_SHOWN - 1);
        assert!(path.starts_with(&shown));
    }
}
