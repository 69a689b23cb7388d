//! How many connections come from one address.
//!
//! Asked for once a connection, never for a request. The counts are spread over several locks, so
//! that a flood from one address keeps nobody else waiting at the door.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The addresses that are connected now, while there is a bound.
pub(crate) struct Origins {
    /// Connections that one address may have; 0: any.
    most: AtomicUsize,
    shards: [Mutex<HashMap<IpAddr, usize>>; SHARDS],
    hasher: RandomState,
}

const SHARDS: usize = 32;
/// What a provider gives to one customer: the rest of the address is the customer's own choice.
const IPV6_NETWORK: u128 = u128::MAX << 64;

/// One connection of an address, until dropped.
pub(crate) struct Origin {
    origins: Arc<Origins>,
    addr: IpAddr,
}

impl Origins {
    pub(crate) fn new(most: Option<usize>) -> Arc<Self> {
        Arc::new(Self {
            most: AtomicUsize::new(most.unwrap_or(0)),
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        })
    }

    /// From now on an address may have so many. Those that came while there was no bound are not
    /// counted.
    pub(crate) fn limit(&self, most: Option<usize>) {
        self.most.store(most.unwrap_or(0), Ordering::Relaxed);
    }

    /// Counts one more connection from `addr`; nothing to count without a bound.
    ///
    /// # Errors
    /// It has as many as it may have.
    pub(crate) fn enter(self: &Arc<Self>, addr: IpAddr) -> Result<Option<Origin>, TooMany> {
        let most = self.most.load(Ordering::Relaxed);
        if most == 0 {
            return Ok(None);
        }
        let addr = network(addr);
        let mut shard = self.shard(addr);
        let count = shard.entry(addr).or_insert(0);
        if *count >= most {
            return Err(TooMany);
        }
        *count += 1;
        Ok(Some(Origin { origins: Arc::clone(self), addr }))
    }

    fn shard(&self, addr: IpAddr) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Which is which must not be known outside, or a flood could aim at one of them.
        let shard = self.hasher.hash_one(addr) as usize % SHARDS;
        // Nothing under this lock can panic half-way.
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address has as many connections as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Drop for Origin {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.origins.shard(self.addr).entry(self.addr) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// The address itself, or for IPv6 the network of 64 bits that it is in.
fn network(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V6(addr) => Ipv6Addr::from_bits(addr.to_bits() & IPV6_NETWORK).into(),
        addr @ IpAddr::V4(_) => addr,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_connections_and_another_has_its_own() {
        let origins = Origins::new(Some(2));
        let first = origins.enter(addr("192.0.2.1"));
        let second = origins.enter(addr("::ffff:192.0.2.1"));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(origins.enter(addr("192.0.2.1")).err(), Some(TooMany));
        assert!(origins.enter(addr("192.0.2.2")).is_ok());
        drop(first);
        assert!(origins.enter(addr("192.0.2.1")).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let origins = Origins::new(Some(1));
        let _first = origins.enter(addr("2001:db8::1")).unwrap();
        assert_eq!(origins.enter(addr("2001:db8::ffff:1")).err(), Some(TooMany));
        assert!(origins.enter(addr("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn nothing_is_remembered_of_whoever_is_gone() {
        let origins = Origins::new(Some(2));
        let one = origins.enter(addr("192.0.2.1"));
        origins.limit(None);
        assert!(origins.enter(addr("192.0.2.1")).unwrap().is_none(), "without a bound");
        drop(one);
        assert!(origins.shards.iter().all(|shard| shard.lock().unwrap().is_empty()));
    }
}
