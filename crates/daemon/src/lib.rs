//! smoothserve: an HTTP reverse proxy that is also the parent of the services behind it.
//!
//! A pure core decides, one driver task carries out, a data plane without locks serves, complete
//! snapshots tell everyone. Inputs go in, effects come out, and nothing calls back:
//!
//! ```text
//! main ─▶ daemon ─▶ { supervisor, proxy, command, files, signal } ─▶ config
//!                     supervisor ─▶ core, proxy, files
//! ```
//! Start reading at `daemon` (the wiring), then `core` (every decision), `supervisor::driver`
//! (every effect) and `proxy::service` (one request).

mod accept;
mod access_log;
mod bind;
mod command;
pub mod config;
mod core;
mod daemon;
mod descriptors;
pub mod files;
#[doc(hidden)]
pub mod fuzzing;
pub mod logfile;
mod metrics;
pub mod proxy;
mod reload;
mod rotation;
mod signal;
mod supervisor;
pub mod tls;

pub use self::bind::ListenError;
pub use self::command::TokenError;
pub use self::daemon::{Addresses, BindError, Daemon, Options};
pub use self::supervisor::LockError;
