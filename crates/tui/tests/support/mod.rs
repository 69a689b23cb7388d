//! A world to look at, and a daemon that serves it.

#![allow(clippy::allow_attributes, dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod daemon;
pub(crate) mod terminal;
pub(crate) mod world;
