//! The data plane against raw sockets: a client that writes bytes, instances that follow a script.

mod address;
mod answers;
mod crowd;
mod drain;
mod edge;
mod faults;
mod framing;
mod h2c;
mod harness;
mod health;
mod http2;
mod https;
mod lean;
mod limits;
pub(crate) mod mangled;
mod plain;
mod refused;
mod tls;
mod upgrade;
mod visits;

pub(crate) use harness::config;
use harness::{Backend, House, header, until};
