//! The words smoothserve and smoothtool exchange over the command port.
//!
//! Reading order: [`id`] (what things are called), [`snapshot`] (what a console may know),
//! [`moved`] (what of it moved since), [`event`] and [`failure`] (what happened, and why), [`plan`] (what would happen), [`log`] (what
//! instances print), [`message`] (everything that can be asked and answered), [`auth`] (who may ask), [`frame`] (bytes to messages and back) and, with the
//! feature `io`, [`io`] (a connection).
//!
//! bincode is positional: the only harmless change to a message is a new enum variant at the end
//! that an old peer is never sent. Anything else raises [`VERSION`].
#![warn(missing_docs)]

pub mod auth;
pub mod event;
pub mod failure;
pub mod frame;
pub mod id;
#[cfg(feature = "io")]
pub mod io;
pub mod log;
pub mod message;
pub mod moved;
pub mod plan;
pub mod snapshot;

/// Version of everything in this crate; both ends must have the same.
pub const VERSION: u16 = 3;
