//! The rounds: now and then, everything is looked at that may have waited for too long.
//!
//! Connections to instances that nobody used, and clients from whom or to whom nothing comes. One
//! look at all of them costs less than a timer for each.

use std::sync::Weak;
use std::time::{Duration, Instant};

use super::Proxy;

/// Between two rounds; shorter if a limit is so short that this would be long.
const PAUSE: Duration = Duration::from_secs(1);
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// How much time has passed in which something could have come.
///
/// A round that is late is as if it had been on time: while the whole daemon stood still, clients
/// and instances did nothing wrong.
struct Clock {
    now: Duration,
    looked: Instant,
}

impl Clock {
    fn advance(&mut self, now: Instant, pause: Duration) {
        self.now += now.saturating_duration_since(self.looked).min(pause * 2);
        self.looked = now;
    }
}

/// Makes the rounds as long as the proxy lives.
pub(crate) async fn rounds(proxy: Weak<Proxy>) {
    let mut clock = Clock { now: Duration::ZERO, looked: Instant::now() };
    while let Some(pause) = proxy.upgrade().map(|proxy| pause(&proxy)) {
        tokio::time::sleep(pause).await;
        let Some(proxy) = proxy.upgrade() else { return };
        let now = Instant::now();
        clock.advance(now, pause);
        for service in proxy.table().services() {
            service.sweep(now);
        }
        proxy.doors().look_round(clock.now, &proxy.limits());
    }
}

/// A quarter of the shortest limit, so that none is missed by much.
fn pause(proxy: &Proxy) -> Duration {
    let clients = proxy.limits();
    let shortest = clients.header_timeout.min(clients.idle_timeout);
    let shortest = proxy.table().services().iter().fold(shortest, |shortest, service| {
        let requests = &service.config().requests;
        let instance = [requests.response_timeout, requests.upstream_body_timeout];
        let client = [requests.body_timeout, requests.write_timeout];
        instance.into_iter().flatten().chain(client).fold(shortest, Duration::min)
    });
    (shortest / 4).clamp(SHORTEST_PAUSE, PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_stood_still_blames_nobody_for_it() {
        let start = Instant::now();
        let mut clock = Clock { now: Duration::ZERO, looked: start };
        clock.advance(start + PAUSE, PAUSE);
        assert_eq!(clock.now, PAUSE);
        clock.advance(start + PAUSE * 100, PAUSE);
        assert_eq!(clock.now, PAUSE * 3);
    }
}
