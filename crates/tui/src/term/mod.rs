//! The terminal: what it can do, taking and giving it back, writing to it, noticing that it is gone.

pub mod caps;
pub mod clip;
pub mod guard;
pub mod hangup;
pub mod out;
pub mod paint;
