//! The console without a terminal: what it does, what it draws, how much it writes.

#![expect(clippy::unwrap_used, reason = "what a test cannot do without, it may insist on")]

#[path = "../support/mod.rs"]
mod support;

mod behaviour;
mod bytes;
mod events;
mod fuzz;
mod history;
mod keep;
mod keys;
mod logs;
mod look;
mod mouse;
mod names;
mod palette;
mod questions;
mod screens;
mod service;
mod stage;
mod walk;
