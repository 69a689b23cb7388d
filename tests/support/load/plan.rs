//! What the clients do, and how often.

use std::time::Duration;

use crate::tls::Transport;
use crate::wait;

/// What the clients do.
#[derive(Clone, Debug)]
pub struct LoadPlan {
    /// How many, each with one request at a time.
    pub clients: usize,
    /// How many share a connection of HTTP/2; 0: each has its own, of HTTP/1.1.
    pub sharing: usize,
    /// What they ask for.
    pub mix: Mix,
    /// The `Host` they name; none: the address.
    pub host: Option<String>,
    /// How they connect.
    pub transport: Transport,
    /// Between the end of a request and the next one.
    pub pause: Duration,
    /// How long the server takes to send a stream.
    pub stream: Duration,
    /// How long a client takes to send a slow upload.
    pub upload: Duration,
    /// How long a WebSocket conversation takes.
    pub conversation: Duration,
    /// After which a request counts as lost.
    pub limit: Duration,
}

impl Default for LoadPlan {
    fn default() -> Self {
        Self {
            clients: 64,
            sharing: 0,
            mix: Mix::default(),
            host: None,
            transport: Transport::Plain,
            pause: Duration::from_millis(10),
            stream: Duration::from_secs(2),
            upload: Duration::from_secs(1),
            conversation: Duration::from_millis(300),
            limit: wait::LIMIT,
        }
    }
}

impl LoadPlan {
    /// Everything that takes long takes a quarter of it: for tests that restart often.
    #[must_use]
    pub fn brisk() -> Self {
        let plan = Self::default();
        Self { stream: plan.stream / 4, upload: plan.upload / 4, ..plan }
    }

    /// The same by clients of HTTP/2, 16 on a connection. They have no WebSockets.
    #[must_use]
    pub fn over_http2(self) -> Self {
        Self { sharing: 16, mix: Mix { web_socket: 0, ..self.mix }, ..self }
    }

    /// Nothing but short requests.
    #[must_use]
    pub fn short_requests() -> Self {
        let mix = Mix { stream: 0, upload: 0, web_socket: 0, ..Mix::default() };
        Self { mix, ..Self::default() }
    }
}

/// How many of each kind are in one round of a client.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// `GET /`.
    pub get: usize,
    /// `POST /once/ID`, each with an id of its own.
    pub post: usize,
    /// `POST /echo`.
    pub echo: usize,
    /// `GET /big`.
    pub big: usize,
    /// `GET /stream`.
    pub stream: usize,
    /// `POST /upload`, dribbled.
    pub upload: usize,
    /// A conversation on `/ws`.
    pub web_socket: usize,
}

impl Default for Mix {
    fn default() -> Self {
        Self { get: 10, post: 10, echo: 3, big: 1, stream: 1, upload: 1, web_socket: 1 }
    }
}

/// One thing a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Post,
    Echo,
    Big,
    Stream,
    Upload,
    WebSocket,
}

impl Mix {
    /// One round of client `number`: the same at each test, and another one for each client.
    pub(crate) fn round(&self, number: usize) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = [
            (self.get, Kind::Get),
            (self.post, Kind::Post),
            (self.echo, Kind::Echo),
            (self.big, Kind::Big),
            (self.stream, Kind::Stream),
            (self.upload, Kind::Upload),
            (self.web_socket, Kind::WebSocket),
        ]
        .into_iter()
        .flat_map(|(count, kind)| std::iter::repeat_n(kind, count))
        .collect();
        shuffle(&mut kinds, number as u64 + 1);
        kinds
    }
}

/// Fisher and Yates, with the numbers of a small generator: repeatable without a dependency.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for last in (1..items.len()).rev() {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(last, (state >> 33) as usize % (last + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_holds_what_the_mix_says() {
        let round = Mix::default().round(3);
        let posts = round.iter().filter(|kind| **kind == Kind::Post).count();
        assert_eq!((round.len(), posts), (27, 10));
        assert_eq!(round, Mix::default().round(3));
        assert_ne!(round, Mix::default().round(4));
    }
}
