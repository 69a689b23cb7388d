//! smoothserve: an HTTP reverse proxy that is also the parent of the services behind it.

pub mod config;
mod core;
pub mod files;
pub mod logfile;
pub mod proxy;
