//! How many queries of one peer are under way.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http::network_of;

/// Counts queries by peer: an IPv4 address, an IPv6 /64. Loopback is not counted: a proxy stands
/// there. Clones are the same.
#[derive(Clone)]
pub(super) struct Peers {
    most: usize,
    under_way: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A query's place, given back when dropped.
pub(super) struct Place(Option<(Peers, IpAddr)>);

impl Peers {
    /// `most` queries of a peer at once.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            under_way: Arc::default(),
        }
    }

    /// Counts one more, unless the peer has its share.
    pub(super) fn enter(&self, peer: IpAddr) -> Option<Place> {
        let peer = network_of(peer);
        if peer.is_loopback() {
            return Some(Place(None));
        }
        let mut under_way = self.under_way();
        let count = under_way.entry(peer).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place(Some((self.clone(), peer))))
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // Nothing that holds it panics half-way.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((peers, peer)) = &self.0 else { return };
        let mut under_way = peers.under_way();
        if let Some(count) = under_way.get_mut(peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                under_way.remove(peer);
            }
        }
    }
}
