//! What the end-to-end tests share: a load client with its own exact counts, the daemon and its
//! configuration in a folder of its own, and what the fixture backend agrees on with both.
//!
//! Reading order: [`contract`] (what the backend answers), [`load`] (who counts), [`setup`] and
//! [`daemon`] (who is tested).

pub mod backend;
pub mod binaries;
pub mod command;
pub mod contract;
pub mod daemon;
pub mod http;
pub mod load;
pub mod look;
pub mod ports;
pub mod process;
pub mod prometheus;
pub mod record;
pub mod setup;
pub mod terminal;
pub mod tls;
pub mod wait;
