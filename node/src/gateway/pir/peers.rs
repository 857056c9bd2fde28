//! How many queries one peer has under way, and how fast one follows another.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;

use crate::http::network_of;

/// What one peer may take.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway) struct Share {
    /// Queries at once.
    pub(in crate::gateway) places: usize,
    /// How long a query takes its place at least, however soon it is answered.
    pub(in crate::gateway) pace: Duration,
    /// Longest wait for a place.
    pub(in crate::gateway) patience: Duration,
}

/// Counts queries by peer: an IPv4 address, an IPv6 /64. Loopback is not counted: a proxy stands
/// there.
pub(super) struct Peers {
    share: Share,
    /// Of peers that have a query under way; the others' are gone.
    places: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
}

/// A query's place, given back when the last clone is dropped.
#[derive(Clone)]
pub(super) struct Place(#[expect(dead_code, reason = "held")] Option<Arc<OwnedSemaphorePermit>>);

impl Peers {
    pub(super) fn new(share: Share) -> Self {
        Self {
            share,
            places: Mutex::default(),
        }
    }

    /// Waits for a place, in order of asking, and gives up in the end. So a peer that asks again
    /// and again costs no more than one that asks in time: it is kept waiting, not answered "no".
    pub(super) async fn enter(&self, peer: IpAddr) -> Option<Place> {
        let peer = network_of(peer);
        if peer.is_loopback() {
            return Some(Place(None));
        }
        let entered = self.places_of(peer).acquire_owned();
        let permit = time::timeout(self.share.patience, entered)
            .await
            .ok()?
            .ok()?;
        let place = Place(Some(Arc::new(permit)));
        let (paced, pace) = (place.clone(), self.share.pace);
        tokio::spawn(async move {
            time::sleep(pace).await;
            drop(paced);
        });
        Some(place)
    }

    fn places_of(&self, peer: IpAddr) -> Arc<Semaphore> {
        // Nothing that holds it panics half-way.
        let mut all = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = all.get(&peer).and_then(Weak::upgrade) {
            return places;
        }
        // As many are left as have a query under way: connections bound them.
        all.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(self.share.places));
        all.insert(peer, Arc::downgrade(&places));
        places
    }
}
