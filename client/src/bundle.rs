//! Bundles: what a client holds, in one file, for another without a network. Source: spec §11.6.
//!
//! A bundle is an answer of a gateway that nobody vouches for: it is verified as one, and brings
//! something only for providers that are followed already.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::batch::Batch;
use bellwether_formats::car::Car;
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, ObjectId};
use bellwether_formats::sealed::Index;
use bellwether_formats::signed::{OpenError, Signed};

use crate::error::ClientError;
use crate::horizon::Times;
use crate::sealed::{SealedPart, Stage, Trouble};
use crate::state::{Followed, State};
use crate::sync::{Keep, parts};
use crate::trust::{self, Feed, Place, Wanted};

/// Largest bundle, in bytes (256 MiB). Source: spec §11.6.
pub const MAX_BUNDLE_BYTES: usize = 256 * 1024 * 1024;

/// Most roots written, in items; of a larger bundle the newest batches are roots. Source: spec §2.5.
const MAX_ROOTS: usize = 4096;

/// First bytes of every signed envelope: a map of two, first `sig`.
const ENVELOPE: &[u8] = b"\xa2\x63sig";

/// What a bundle brought.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Imported {
    /// Batches that are new.
    pub batches: u64,
    /// Bodies that are new.
    pub bodies: u64,
    /// Filters that are new.
    pub filters: u64,
}

/// Everything held of the feeds followed.
pub(crate) fn export(state: &State, block: impl Fn(&Cid) -> Option<Block>) -> Car {
    let mut car = Car::default();
    let mut followed: Vec<&Followed> = state.followed.iter().collect();
    followed.sort_by_key(|followed| followed.provider);
    for followed in followed {
        let descriptor = followed.descriptor.as_ref();
        car.blocks.extend(
            descriptor.and_then(|held| Block::of(Codec::DagCbor, held.envelope().to_vec()).ok()),
        );
        let mut feeds: Vec<&Feed> = followed.feeds.iter().collect();
        feeds.sort_by_key(|feed| feed.id());
        for batch in feeds.into_iter().flat_map(Feed::batches) {
            let Some(envelope) = block(&batch.cid) else {
                continue;
            };
            car.roots.push(batch.cid);
            car.blocks.push(envelope);
            let bodies = batch.parts.iter().flat_map(|part| part.body.blocks());
            car.blocks.extend(bodies.filter_map(|cid| block(&cid)));
            for sealed in batch.sealed().filter(|sealed| sealed.stage == Stage::Held) {
                let whole = state.whole.iter().find(|whole| whole.index == sealed.index);
                // Half a body settles nothing.
                let chunks = whole.map(|whole| whole.chunks().map(|cid| block(&cid)));
                let chunks = chunks.and_then(|chunks| chunks.collect::<Option<Vec<Block>>>());
                car.blocks.extend(chunks.unwrap_or_default());
            }
        }
    }
    car.roots.drain(..car.roots.len().saturating_sub(MAX_ROOTS));
    car
}

/// A bundle's blocks, by what they are. The signatures hold.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    descriptors: Vec<Signed<Descriptor>>,
    batches: Vec<Signed<Batch>>,
    others: BTreeMap<Cid, Block>,
}

impl Bundle {
    /// Reads a bundle. One bad block or signature is one too many: somebody meddled with it.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, ClientError> {
        let mut bundle = Self::default();
        let car = Car::decode(bytes, MAX_BUNDLE_BYTES)?;
        for block in car.blocks {
            if block.cid().codec() != Codec::DagCbor || !block.bytes().starts_with(ENVELOPE) {
                bundle.others.insert(block.cid(), block);
                continue;
            }
            match Signed::open(block.bytes()) {
                Ok(batch) => bundle.batches.push(batch),
                Err(no_batch) => match Signed::open(block.bytes()) {
                    Ok(descriptor) => bundle.descriptors.push(descriptor),
                    Err(no_descriptor) => return Err(refused(&block, no_batch, no_descriptor)),
                },
            }
        }
        let batches: BTreeSet<Cid> = bundle.batches.iter().map(Signed::cid).collect();
        if let Some(root) = car.roots.iter().find(|root| !batches.contains(root)) {
            return Err(ClientError::Refused {
                rule: "car",
                reason: format!("the root {root} is not a batch in the bundle"),
            });
        }
        bundle
            .descriptors
            .sort_by_key(|descriptor| descriptor.epoch);
        Ok(bundle)
    }

    /// What the bundle brings for a provider: nothing, or one commit for each feed and whether the
    /// feed is complete. `held` gives bodies that are kept already.
    pub(crate) fn offer(
        &self,
        followed: &Followed,
        times: Times,
        held: impl Fn(&Cid) -> Option<Block>,
    ) -> Result<Vec<Offer>, ClientError> {
        let provider = followed.provider;
        let mut descriptor = followed.descriptor.clone();
        for new in self
            .descriptors
            .iter()
            .filter(|new| new.provider == provider)
        {
            let refuse = |error: trust::DescriptorError| ClientError::Refused {
                rule: error.rule(),
                reason: error.to_string(),
            };
            if trust::replaces(descriptor.as_ref(), provider, new, times.now).map_err(refuse)? {
                descriptor = Some(new.clone());
            }
        }
        let Some(descriptor) = descriptor else {
            return Ok(Vec::new());
        };
        let offers = followed
            .feeds
            .iter()
            .map(|feed| self.offer_feed(feed, &descriptor, times, &held));
        Ok(offers
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    fn offer_feed(
        &self,
        feed: &Feed,
        descriptor: &Signed<Descriptor>,
        times: Times,
        held: impl Fn(&Cid) -> Option<Block>,
    ) -> Result<Option<Offer>, ClientError> {
        let id = feed.id();
        let mine = self.batches.iter().filter(|batch| batch.feed() == id);
        let candidates: BTreeMap<ObjectId, Signed<Batch>> =
            mine.map(|batch| (batch.id(), batch.clone())).collect();
        let Some(newest) = candidates
            .values()
            .max_by_key(|batch| (batch.epoch, batch.seq))
        else {
            return Ok(None);
        };
        let mut offer = Offer::new(feed.clone(), descriptor.clone());
        let now = times.now;
        offer.feed.expire(times.horizon);
        offer.apply_anchor(now);
        let believed = trust::believed(&candidates, descriptor, now);
        for ahead in { candidates.values() }.filter(|b| trust::is_ahead(descriptor, b, now)) {
            offer.feed.see(ahead);
        }
        let newest_known = { believed.iter() }
            .filter_map(|id| candidates.get(id))
            .map(|batch| batch.published_at)
            .chain(offer.feed.head().map(|head| head.published_at))
            .max();
        let times = newest_known.map_or(times, |at| times.beside(at));
        let older = |offer: &Offer| offer.older(&candidates, times.horizon).cloned();
        if believed.is_empty() && older(&offer).is_none() {
            let reason = trust::vouches(descriptor, newest).err();
            return Err(ClientError::Refused {
                rule: reason.map_or("future", |reason| reason.rule()),
                reason: reason.map_or_else(
                    || "published in the future".to_owned(),
                    |reason| reason.to_string(),
                ),
            });
        }
        for cid in offer.feed.lost(times.horizon) {
            if let Some(block) = self.others.get(&cid) {
                // What is wrong with it stays in doubt.
                let _: Option<Trouble> = offer.feed.restore(block);
                offer.blocks.push(block.clone());
            }
        }
        for batch in believed.iter().filter_map(|id| candidates.get(id)) {
            let place = offer
                .feed
                .place(batch)
                .map_err(|error| ClientError::Refused {
                    rule: error.rule(),
                    reason: error.to_string(),
                })?;
            if place == Place::Known || place == Place::Before {
                continue;
            }
            if !offer.take(batch, place, times, |cid| self.body(cid, &held)) {
                // The bundle vouches for all of them.
                for left in believed.iter().filter_map(|id| candidates.get(id)) {
                    offer.feed.see(left);
                }
                break;
            }
        }
        while let Some(batch) = older(&offer) {
            let sound = offer.feed.place(&batch) == Ok(Place::Before);
            if !sound || !offer.take(&batch, Place::Before, times, |cid| self.body(cid, &held)) {
                break;
            }
        }
        offer.feed.choose();
        for wanted in offer.feed.wanted(times.horizon) {
            let block = |cid| self.body(cid, &held);
            if let (Some(filter), Some(index)) = (block(&wanted.filter), block(&wanted.index)) {
                offer.take_sealed(&wanted, filter, index);
            }
        }
        Ok(Some(offer))
    }

    /// The chunks of a part's body with their numbers, if the bundle has all of them.
    pub(crate) fn whole(
        &self,
        sealed: &SealedPart,
        held: impl Fn(&Cid) -> Option<Block>,
    ) -> Option<Vec<(usize, Vec<u8>)>> {
        let shape = sealed.shape().ok()?;
        let index = self.body(&sealed.index, held)?;
        let index = Index::decode(index.bytes(), &shape).ok()?;
        let chunk = |(number, cid)| Some((number, self.others.get(cid)?.bytes().to_vec()));
        index.cids().iter().enumerate().map(chunk).collect()
    }

    fn body(&self, cid: &Cid, held: impl Fn(&Cid) -> Option<Block>) -> Option<Block> {
        self.others.get(cid).cloned().or_else(|| held(cid))
    }
}

/// What a bundle brings for a feed.
#[derive(Debug)]
pub(crate) struct Offer {
    feed: Feed,
    descriptor: Signed<Descriptor>,
    blocks: Vec<Block>,
    pub(crate) imported: Imported,
    /// What is missing of the first batch that could not be taken.
    pub(crate) missing: Option<(FeedId, String)>,
}

impl Offer {
    const fn new(feed: Feed, descriptor: Signed<Descriptor>) -> Self {
        Self {
            feed,
            descriptor,
            blocks: Vec::new(),
            imported: Imported {
                batches: 0,
                bodies: 0,
                filters: 0,
            },
            missing: None,
        }
    }

    /// The next of `candidates` that lies before what is known, and that is worth having.
    fn older<'a>(
        &self,
        candidates: &'a BTreeMap<ObjectId, Signed<Batch>>,
        now: u64,
    ) -> Option<&'a Signed<Batch>> {
        let mut edges = self.feed.edges_to_ask(now).into_iter();
        edges.find_map(|edge| candidates.get(&edge.prev?))
    }

    fn apply_anchor(&mut self, now: u64) {
        let anchor = self.descriptor.anchor(&self.feed.id().zone).cloned();
        if let Some(anchor) = anchor {
            self.feed.apply_anchor(&anchor, now);
        }
    }

    /// Takes a believed batch in, if its bodies are there.
    fn take(
        &mut self,
        batch: &Signed<Batch>,
        place: Place,
        times: Times,
        body: impl Fn(&Cid) -> Option<Block>,
    ) -> bool {
        let mut bodies = BTreeMap::new();
        for cid in parts::wanted(batch, times.horizon) {
            let Some(block) = body(&cid) else {
                let reason = format!("the body {cid} of batch {} is missing", batch.seq);
                self.missing = Some((self.feed.id(), reason));
                return false;
            };
            bodies.insert(cid, block);
        }
        let (known, _) = parts::judge(batch, times.horizon, |cid| bodies.get(cid));
        self.feed.accept(batch, place, known);
        self.imported.batches += 1;
        self.imported.bodies += u64::try_from(bodies.len()).unwrap_or(u64::MAX);
        self.blocks.extend(bodies.into_values());
        self.blocks.extend(parts::envelope(batch));
        self.apply_anchor(times.now);
        true
    }

    /// Takes in filter and index of a sealed part.
    fn take_sealed(&mut self, wanted: &Wanted, filter: Block, index: Block) {
        if parts::check_sealed(wanted, filter.bytes(), index.bytes()).is_err() {
            return self.feed.set_stage(wanted, Stage::Broken);
        }
        self.feed.set_stage(wanted, Stage::Held);
        self.blocks.extend([filter, index]);
        self.imported.filters += 1;
    }

    /// The commit.
    pub(crate) fn into_keep(self) -> Keep {
        Keep {
            provider: self.descriptor.provider,
            descriptor: Some(self.descriptor),
            feed: Some(self.feed),
            blocks: self.blocks,
            look: None,
        }
    }
}

/// The rule that a signed block breaks: as a batch if it says that it is one.
fn refused(block: &Block, no_batch: OpenError, no_descriptor: OpenError) -> ClientError {
    let error = match no_descriptor {
        OpenError::Decode(_) => no_batch,
        OpenError::Verify(_) => no_descriptor,
    };
    ClientError::Refused {
        rule: error.rule(),
        reason: format!("the block {}: {error}", block.cid()),
    }
}
