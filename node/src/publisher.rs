//! The provider's hand: draws up a batch, has it signed, makes it the head.
//!
//! Every step is durable before the next begins, and each can be run again: what is prepared and
//! not published when the node starts is signed and published as it stands, so no number is ever
//! used twice and none is blocked. Source: spec §4.7.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bellwether_formats::batch::Batch;
use bellwether_formats::chain::Head;
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, ProviderId, PublicKey, Zone};
use bellwether_formats::signed::{OpenError, Signed, Unverified};

use crate::batcher::{self, MAX_RUN_AHEAD_S, Policy};
use crate::clock;
use crate::config::{self, Config, ConfigError};
use crate::keys;
use crate::signer::{End, Signer, SignerPlace};
use crate::store::{self, BatchRow, Disowned, PreparedRow, Store, StoreError};

mod attempts;
mod closing;
mod error;
mod task;

pub use error::PublishZoneError;
pub use task::{Command, Fences, PublisherHandle, Renewed, run};

/// Progress of peers in a provider's own zones: epoch and number.
pub type Seen = BTreeMap<Zone, (u64, u64)>;

/// What came of closing the batches of a zone, or of all.
#[derive(Debug, Default)]
pub struct Closed {
    /// The batches that were published.
    pub batches: Vec<Signed<Batch>>,
    /// Why the first zone whose batches were not all published has no more.
    pub failed: Option<PublishZoneError>,
}

/// Publishes the zones of one provider.
#[derive(Debug)]
pub struct Publisher {
    store: Store,
    signer: Signer,
    provider: ProviderId,
    zones: Vec<(Zone, Policy)>,
    /// Zones whose last closing has batches left that would have run ahead of the clock, and when
    /// that closing began, in seconds of UTC.
    unfinished: BTreeMap<Zone, u64>,
}

/// Where the pieces of a provider's data directory lie.
#[derive(Clone, Debug)]
pub struct Places {
    /// The store's file.
    pub store: PathBuf,
    /// The directory of the signing keys.
    pub keys: PathBuf,
}

impl Places {
    /// The places in a data directory.
    pub fn of(dir: &Path) -> Self {
        Self {
            store: dir.join("store.redb"),
            keys: dir.join(keys::SIGNING),
        }
    }
}

/// Ends of the store in the zones of a provider: at the head, or at what is prepared after it,
/// which may be signed already; or at the anchor, if that is the head or nothing is kept. Those of
/// `feeds`, and those in which it publishes no more.
///
/// # Errors
///
/// [`StoreError`]
pub fn ends(
    store: &Store,
    provider: ProviderId,
    feeds: Vec<FeedId>,
) -> Result<BTreeMap<Zone, End>, StoreError> {
    let mut ends = BTreeMap::new();
    let closed = closed(store, provider, &feeds)?;
    for feed in feeds.into_iter().chain(closed) {
        // In this order: what becomes the head in between is then seen twice, and not never.
        let prepared = match store.prepared(&feed.zone)? {
            Some(prepared) => Some(End {
                epoch: prepared.batch()?.epoch,
                seq: prepared.seq,
                id: Some(prepared.id()),
                anchor: None,
            }),
            None => None,
        };
        let head = store.head(&feed)?.map(|head| End {
            epoch: head.head.epoch,
            seq: head.head.seq,
            id: Some(head.head.id),
            anchor: None,
        });
        let newest = match (prepared, head) {
            (Some(prepared), Some(head)) if prepared.seq <= head.seq => Some(head),
            (prepared, head) => prepared.or(head),
        };
        let descriptor = store.descriptor(&feed.provider)?;
        let anchor = descriptor.and_then(|held| held.anchor(&feed.zone).cloned());
        ends.insert(feed.zone, End::of(newest, anchor));
    }
    Ok(ends)
}

/// The feeds of a provider that are closed: it published in them, or something waits there, and
/// `node.toml`, which names `feeds`, does not name their zones any more.
///
/// # Errors
///
/// [`StoreError`]
pub fn closed(
    store: &Store,
    provider: ProviderId,
    feeds: &[FeedId],
) -> Result<Vec<FeedId>, StoreError> {
    let heads = store.heads()?.into_iter().map(|head| head.feed);
    let waiting = store.waiting_zones()?.into_iter();
    let waiting = waiting.map(|zone| FeedId { provider, zone });
    let own = heads
        .chain(waiting)
        .filter(|feed| feed.provider == provider && !feeds.contains(feed));
    let own: BTreeSet<FeedId> = own.collect();
    Ok(own.into_iter().collect())
}

impl Publisher {
    /// Opens the signer and finishes what was prepared when the node stopped. `now` is what the clock
    /// says, in seconds of UTC.
    ///
    /// # Errors
    ///
    /// [`PublishZoneError`], in particular when the signer refuses this directory.
    pub fn open(
        dir: &Path,
        config: &Config,
        store: Store,
        now: u64,
    ) -> Result<Self, PublishZoneError> {
        let provider = config
            .provider
            .as_ref()
            .ok_or(PublishZoneError::NotProvider)?;
        let places = Places::of(dir);
        let id = provider.id()?;
        let published = store.heads()?.iter().any(|head| head.feed.provider == id);
        let place = SignerPlace {
            dir: &provider.signer_dir,
            provider: id,
            store: &places.store,
            keys: &places.keys,
        };
        let signer = Signer::open(place, published)?;
        let own = config.own_feeds()?;
        store
            .settle_anchors(&own)?
            .iter()
            .for_each(warn_of_disowned);
        signer.check(&ends(&store, id, own)?)?;
        let mut publisher = Self {
            signer,
            store,
            provider: id,
            zones: zones(provider, config)?,
            unfinished: BTreeMap::new(),
        };
        // On a full disk it is finished by the next start, which comes when there is room.
        if publisher.store.is_writable() {
            for zone in publisher.zone_names() {
                publisher.resume(&zone, now)?;
            }
        }
        Ok(publisher)
    }

    /// The zones, in the configuration's order.
    pub fn zone_names(&self) -> Vec<Zone> {
        self.zones.iter().map(|(zone, _)| zone.clone()).collect()
    }

    /// When the next batch of what is new in a zone is due, in seconds of UTC: be it a heartbeat, or
    /// at once because there is enough. Revisions do not bring it forward; nor do they put it
    /// off for long, for while a closing is unfinished its interval counts from where it began.
    ///
    /// # Errors
    ///
    /// [`PublishZoneError`]
    pub fn due(&self, zone: &Zone) -> Result<u64, PublishZoneError> {
        let policy = self.policy(zone)?;
        let head = self.head(zone)?;
        let full = self
            .store
            .is_pending(zone, policy.max_notifications, clock::now())?;
        let epoch = self.descriptor()?.epoch;
        let renewed = head.as_ref().is_some_and(|head| head.epoch < epoch);
        let due = batcher::due(policy, head.as_ref(), full || renewed);
        let began = self.unfinished.get(zone);
        let next = began.map_or(due, |at| at.saturating_add(policy.interval_s));
        Ok(due.min(next))
    }

    /// Takes a renewed descriptor of this provider, and what its anchors disown. The next batches follow
    /// at once. Gives what was disowned, too.
    ///
    /// # Errors
    ///
    /// [`PublishZoneError::Descriptor`] if it does not fit this provider and its keys.
    pub fn renew(
        &mut self,
        envelope: &[u8],
    ) -> Result<(Signed<Descriptor>, Vec<Disowned>), PublishZoneError> {
        let descriptor = Signed::<Descriptor>::open(envelope)?;
        let known = self.descriptor()?;
        if !descriptor.replaces(&known) {
            let what = "it is not of this provider, or its epoch does not follow the known one";
            return Err(PublishZoneError::Descriptor { what });
        }
        if let Some((zone, _)) = self
            .zones
            .iter()
            .find(|(zone, _)| !descriptor.zones.contains(zone))
        {
            tracing::error!(%zone, "the descriptor does not name a zone of this node");
            let what = "it does not name every zone of this node";
            return Err(PublishZoneError::Descriptor { what });
        }
        self.key(&descriptor, descriptor.issued_at)?;
        let zones = self.zone_names();
        let own: Vec<FeedId> = zones.iter().map(|zone| self.feed(zone)).collect();
        let disowned = self.store.take_descriptor(&descriptor, &own)?;
        for gone in &disowned {
            warn_of_disowned(gone);
            self.unfinished.remove(&gone.zone);
        }
        Ok((descriptor, disowned))
    }

    /// Forgets the notifications whose window closed before `before`; gives how many.
    ///
    /// # Errors
    ///
    /// [`PublishZoneError::Store`]
    pub fn expire(&self, before: u64) -> Result<usize, PublishZoneError> {
        Ok(self.store.expire(before)?)
    }

    /// Signs and publishes what is prepared in a zone, if anything; or drops it, if it can no
    /// longer be published and was never signed. Its notifications are then still pending.
    fn resume(&mut self, zone: &Zone, now: u64) -> Result<(), PublishZoneError> {
        let given_back = self.store.settle(&self.provider)?;
        if given_back > 0 {
            tracing::warn!(%zone, given_back, "batches of this provider came back from relays");
        }
        let Some(prepared) = self.store.prepared(zone)? else {
            return Ok(());
        };
        let seq = prepared.seq;
        let kept = self.store.row(&self.feed(zone), seq)?;
        if let Some(row) = kept.filter(|row| row.id() == prepared.id())
            && let Some(batch) = self.store.batch(&row)?
        {
            self.store.publish(&batch)?;
            tracing::info!(%zone, seq, "prepared batch was given back by a relay");
            return Ok(());
        }
        let may_be_signed = self.signer.may_have_signed(zone, seq, &prepared.id());
        if !may_be_signed && self.is_void(zone, &prepared, now)? {
            self.store.discard(zone, seq)?;
            tracing::warn!(%zone, seq, "prepared batch dropped: it no longer fits, nobody signed it");
            return Ok(());
        }
        self.sign_and_publish(zone, &prepared)?;
        tracing::info!(%zone, seq, "prepared batch published after a stop");
        Ok(())
    }

    /// Whether a prepared batch no longer fits what came after it: a renewed descriptor, another
    /// head (a relay gave back what this store had lost), keys that were taken away, a clock that
    /// was ahead when it was prepared.
    fn is_void(
        &self,
        zone: &Zone,
        prepared: &PreparedRow,
        now: u64,
    ) -> Result<bool, PublishZoneError> {
        let batch = prepared.batch()?;
        let moved = self.head(zone)?.map(|head| head.id) != batch.prev;
        let renewed = batch.epoch != self.descriptor()?.epoch;
        let no_key = !self.signer.keys().any(|key| key == batch.key);
        let ahead = batch.published_at > now.saturating_add(MAX_RUN_AHEAD_S);
        Ok(no_key || moved || renewed || ahead)
    }

    fn sign_and_publish(
        &mut self,
        zone: &Zone,
        prepared: &PreparedRow,
    ) -> Result<Signed<Batch>, PublishZoneError> {
        let batch = prepared.batch()?;
        let descriptor = self.descriptor()?;
        let anchor = descriptor.anchor(zone);
        let envelope = self.signer.sign(&batch, &prepared.inner, anchor)?;
        let batch = Unverified::<Batch>::decode(&envelope)
            .map_err(OpenError::from)?
            .verify()
            .map_err(OpenError::from)?;
        let _: BatchRow = self.store.publish(&batch)?;
        Ok(batch)
    }

    /// The first key that the descriptor lists for `at` and that is on this machine.
    fn key(&self, descriptor: &Descriptor, at: u64) -> Result<PublicKey, PublishZoneError> {
        let here: Vec<PublicKey> = self.signer.keys().collect();
        keys::usable(descriptor, &here, at).map_err(|why| PublishZoneError::NoKey { at, why })
    }

    /// The provider's current descriptor.
    ///
    /// # Errors
    ///
    /// [`PublishZoneError::NoDescriptor`] if `init` did not finish.
    pub fn descriptor(&self) -> Result<Signed<Descriptor>, PublishZoneError> {
        self.store
            .descriptor(&self.provider)?
            .ok_or(PublishZoneError::NoDescriptor)
    }

    /// Place that the zone's next batch follows: the newest one, or the anchor of a feed of which nothing is
    /// kept.
    fn head(&self, zone: &Zone) -> Result<Option<Head>, PublishZoneError> {
        if let Some(head) = self.store.head(&self.feed(zone))? {
            return Ok(Some(head.head));
        }
        Ok(self.descriptor()?.anchor(zone).and_then(store::base))
    }

    fn feed(&self, zone: &Zone) -> FeedId {
        FeedId {
            provider: self.provider,
            zone: zone.clone(),
        }
    }

    fn policy(&self, zone: &Zone) -> Result<&Policy, PublishZoneError> {
        let found = self.zones.iter().find(|(name, _)| name == zone);
        let (_, policy) = found.ok_or_else(|| PublishZoneError::Zone { zone: zone.clone() })?;
        Ok(policy)
    }
}

fn warn_of_disowned(gone: &Disowned) {
    let Disowned {
        zone,
        from,
        batches,
        again,
    } = gone;
    tracing::warn!(%zone, from, batches, again, "an anchor disowns batches; what they said is pending");
}

fn zones(provider: &config::Provider, config: &Config) -> Result<Vec<(Zone, Policy)>, ConfigError> {
    let policy = |zone: &config::ZonePolicy| Policy {
        interval_s: zone.interval.as_secs(),
        k: usize::try_from(zone.k).unwrap_or(usize::MAX),
        max_notifications: usize::try_from(zone.max_notifications()).unwrap_or(usize::MAX),
        window_s: zone.window.as_secs(),
        retain_s: config.retain.max_age.as_secs(),
        filter_bits: zone.filter_bits,
    };
    provider
        .zone
        .iter()
        .map(|zone| Ok((zone.zone()?, policy(zone))))
        .collect()
}

#[cfg(test)]
mod tests;
