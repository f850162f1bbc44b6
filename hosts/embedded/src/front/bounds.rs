//! How many connections there are, in all and by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::Limits;

/// Why a connection was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// There are as many as may be, and none of them is idle.
    All,
    /// There are as many of its address as may be.
    Address,
}

/// The connections that there are.
pub(super) struct Bounds {
    limits: Limits,
    /// Idleness is told in milliseconds since then.
    begin: Instant,
    inner: Mutex<Inner>,
    ended: Notify,
}

#[derive(Default)]
struct Inner {
    next: u64,
    by_address: HashMap<IpAddr, usize>,
    connections: HashMap<u64, Arc<Place>>,
}

/// What others see of a connection.
#[derive(Default)]
pub(super) struct Place {
    /// Since when it has no request under way; 0 while it has one, or has not had any.
    idle_since: AtomicU64,
    /// Its place is needed.
    pub(super) wanted: Notify,
}

/// A connection's place. It is free again when this is dropped.
pub(super) struct Admitted {
    bounds: Arc<Bounds>,
    id: u64,
    address: IpAddr,
    pub(super) place: Arc<Place>,
}

impl Bounds {
    #[expect(clippy::disallowed_methods, reason = "a server waits by the machine's clock")]
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let (begin, inner) = (Instant::now(), Mutex::default());
        Arc::new(Self { limits, begin, inner, ended: Notify::new() })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from this address.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admitted, Bound> {
        let address = network(address);
        let mut inner = self.inner();
        let of_address = inner.by_address.get(&address).copied().unwrap_or(0);
        if of_address >= self.limits.connections_by_address {
            return Err(Bound::Address);
        }
        if inner.connections.len() >= self.limits.connections {
            let idle = |place: &Place| match place.idle_since.load(Ordering::Relaxed) {
                0 => None,
                since => Some(since),
            };
            let (id, _) = inner
                .connections
                .iter()
                .filter_map(|(id, place)| Some((*id, idle(place)?)))
                .min_by_key(|(_, since)| *since)
                .ok_or(Bound::All)?;
            // Its task ends it. Until then there is one more than the bound.
            if let Some(place) = inner.connections.remove(&id) {
                place.wanted.notify_one();
            }
        }
        let id = inner.next;
        inner.next += 1;
        let place = Arc::new(Place::default());
        inner.connections.insert(id, place.clone());
        *inner.by_address.entry(address).or_insert(0) += 1;
        Ok(Admitted { bounds: self.clone(), id, address, place })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.inner().by_address.values().sum()
    }

    /// Returns when there are none.
    pub(super) async fn empty(&self) {
        loop {
            let ended = self.ended.notified();
            if self.len() == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Admitted {
    /// It has nothing under way from now on.
    pub(super) fn set_idle(&self) {
        let since = u64::try_from(self.bounds.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.place.idle_since.store(since.max(1), Ordering::Relaxed);
    }

    /// It has a request under way from now on.
    pub(super) fn set_busy(&self) {
        self.place.idle_since.store(0, Ordering::Relaxed);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut inner = self.bounds.inner();
        inner.connections.remove(&self.id);
        if let Some(count) = inner.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                inner.by_address.remove(&self.address);
            }
        }
        drop(inner);
        self.bounds.ended.notify_waiters();
    }
}

/// What counts as one address: a provider gives an IPv6 network of 64 bits to each of its clients.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() >> 64 << 64).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(connections: usize, connections_by_address: usize) -> Arc<Bounds> {
        Bounds::new(Limits { connections, connections_by_address, ..Limits::default() })
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let bounds = bounds(10, 2);
        let [one, two] = ["10.0.0.1", "::ffff:10.0.0.1"].map(|text| bounds.admit(address(text)));
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(bounds.admit(address("10.0.0.1")).err(), Some(Bound::Address));
        assert!(bounds.admit(address("10.0.0.2")).is_ok());
        drop(one);
        assert!(bounds.admit(address("10.0.0.1")).is_ok());
        let networks = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"];
        let admitted = networks.map(|text| bounds.admit(address(text)));
        assert_eq!(admitted.map(|one| one.is_ok()), [true, true, false, true]);
    }

    #[test]
    fn the_connection_that_has_been_idle_for_the_longest_makes_room() {
        let bounds = bounds(2, 10);
        let old = bounds.admit(address("10.0.0.1")).unwrap();
        let busy = bounds.admit(address("10.0.0.2")).unwrap();
        assert_eq!(bounds.admit(address("10.0.0.3")).err(), Some(Bound::All), "none is idle");
        old.set_idle();
        let new = bounds.admit(address("10.0.0.3")).unwrap();
        assert_eq!(bounds.len(), 3, "the old one has not ended yet");
        drop(old);
        assert_eq!(bounds.len(), 2);
        busy.set_idle();
        busy.set_busy();
        assert!(bounds.admit(address("10.0.0.4")).is_err());
        drop((busy, new));
        assert_eq!(bounds.len(), 0);
    }
}
