//! Free ports, different ones for tests that run at the same time.
//!
//! They lie below the range the system takes for outgoing connections, so that no client of any
//! test takes one between its choice and its use.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// Where ports are taken from.
const POOL: Range<u16> = 10_240..32_240;
/// How many each process of tests begins with before it meets the next one's.
const SHARE: u16 = 200;

/// How many were tried in this process.
static TRIED: AtomicU16 = AtomicU16::new(0);

/// The first of `count` ports in a row that are free and that no other test is given.
///
/// # Panics
/// When the whole pool is in use.
pub fn take(count: u16) -> u16 {
    for _ in 0..POOL.len() {
        let first = begin().wrapping_add(TRIED.fetch_add(count, Ordering::Relaxed)) % size();
        let first = POOL.start + first.min(size() - count);
        if (first..first + count).all(is_free) {
            return first;
        }
    }
    panic!("no {count} free ports in a row in {POOL:?}");
}

fn begin() -> u16 {
    let shares = u32::from(size() / SHARE);
    (process::id() % shares) as u16 * SHARE
}

const fn size() -> u16 {
    POOL.end - POOL.start
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_do_not_overlap() {
        let (first, second) = (take(3), take(3));
        assert!(first.abs_diff(second) >= 3, "{first} {second}");
    }
}
