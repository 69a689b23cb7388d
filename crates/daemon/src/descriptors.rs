//! Who gets how many of the descriptors that the system allows the daemon.

use rustix::process::{Resource, getrlimit};

use crate::config::Config;
use crate::proxy::LEAVING;

/// For everything but clients and instances: the runtime, the log, the file watch, the command port
/// and its sessions, and clients that are turned away.
const KEPT: u64 = 32 + LEAVING as u64;

/// How many clients may be connected at once: as `config` says, and the descriptors allow.
///
/// A client takes two: its own and one to an instance. Each instance takes two pipes, a pidfd, the
/// file of its output and what its probe and its launch need for a moment; each service its listener
/// and a client that waits for a place. The rest is for the log and the operator, who must get in
/// when nobody else does.
pub(crate) fn client_places(config: &Config) -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let services = &config.services;
    let instances: u64 = services.iter().map(|service| u64::from(service.instances.get())).sum();
    let listeners = services.len() + config.https.redirected.len();
    let kept = KEPT + 6 * instances + 2 * listeners as u64;
    // With a limit that small, a few clients are better than none.
    let places = usize::try_from((limit.saturating_sub(kept) / 2).max(4)).unwrap_or(usize::MAX);
    match config.clients.max_connections {
        Some(most) if most > places => {
            tracing::warn!(
                "max_connections is {most}, but with a limit of {limit} descriptors there are \
                 places for {places} clients"
            );
            places
        }
        Some(most) => most,
        None => places,
    }
}
