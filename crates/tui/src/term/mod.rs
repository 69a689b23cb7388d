//! The terminal: what it can do, taking and giving it back, writing to it, noticing that it is gone.

pub mod ask;
pub mod beyond;
pub mod caps;
pub mod clip;
pub mod guard;
pub mod hangup;
pub mod late;
pub mod out;
pub mod pace;
pub mod paint;
pub mod probe;
pub mod signals;
