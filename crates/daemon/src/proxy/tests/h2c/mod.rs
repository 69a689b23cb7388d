//! Instances that speak HTTP/2 in the clear: served by h2, or by a test that writes frames.

mod calls;
mod faults;
mod frames;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::{ServiceConfig, UpstreamProtocol};
use crate::proxy::{Choice, Endpoint, WhenNone};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";

fn h2c() -> ServiceConfig {
    ServiceConfig { upstream_protocol: UpstreamProtocol::H2c, ..config("test") }
}

/// A run at `addr`, offered alone; a request that it refuses waits no longer than this for another.
fn serve(house: &House, addr: SocketAddr, wait: Duration) -> Arc<Endpoint> {
    let endpoint = house.endpoint(addr);
    let endpoints = vec![Arc::clone(&endpoint)];
    house.service.offer(Choice { endpoints, when_none: WhenNone::Hold(wait) });
    endpoint
}
