//! The gossiped object: "these parts are published". Source: spec §4.

use alloc::vec::Vec;

use crate::cbor::{Reader, Writer};
use crate::cid::{Cid, Codec};
use crate::descriptor::{positive, public_key, time, version, zone};
use crate::error::DecodeError;
use crate::id::{FeedId, ObjectId, ProviderId, PublicKey, Scheme, Zone};
use crate::limit;
use crate::sealed::{Place, SealedError};
use crate::signed::Content;

mod part;

pub use part::{BlockRef, OpenPart, Part, SealedPart, UnknownPart, Window};

/// A numbered, chained, expiring statement of a provider in a zone. Without parts it is a
/// heartbeat.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Batch {
    /// Whose feed it is in.
    pub provider: ProviderId,
    /// The feed's zone.
    pub zone: Zone,
    /// The key that signs it.
    pub key: PublicKey,
    /// Epoch of the descriptor that `desc` names.
    pub epoch: u64,
    /// Number in the feed: 1, 2, 3 ….
    pub seq: u64,
    /// Id of the batch before; absent in the first.
    pub prev: Option<ObjectId>,
    /// When it was published, in seconds of UTC.
    pub published_at: u64,
    /// Polite hint not to ask for the next one earlier, in seconds of UTC.
    pub next_after: u64,
    /// A newer batch will exist by then, in seconds of UTC.
    pub next_by: u64,
    /// Oldest publication that the provider keeps; information only.
    pub retain_from: u64,
    /// The descriptor's envelope.
    pub desc: Cid,
    /// Drawn after the batch closed, never used twice. Salts the hashes of sealed parts.
    pub salt: [u8; 16],
    /// First and last seq whose live content this batch repeats (a *fold*).
    pub covers: Option<(u64, u64)>,
    /// The notifications, by scheme.
    pub parts: Vec<Part>,
}

impl Batch {
    /// The feed it is in.
    pub fn feed(&self) -> FeedId {
        FeedId {
            provider: self.provider,
            zone: self.zone.clone(),
        }
    }

    /// Every block that it commits to, the descriptor aside, in order.
    pub fn links(&self) -> Vec<Cid> {
        self.parts.iter().flat_map(Part::links).collect()
    }

    /// The bodies of its open parts: what every client of the zone fetches.
    pub fn open_bodies(&self) -> impl Iterator<Item = &BlockRef> {
        self.parts.iter().filter_map(|part| match part {
            Part::Open(part) => Some(&part.body),
            Part::Sealed(_) | Part::Unknown(_) => None,
        })
    }

    /// The batches whose live content its sealed parts hold, first and last: those that it covers,
    /// or itself. A later batch of the same range replaces it. Source: spec §4.5.
    pub fn range(&self) -> (u64, u64) {
        self.covers.unwrap_or((self.seq, self.seq))
    }

    /// Which of its scheme's sealed parts the one at `position` of [`parts`](Self::parts) is.
    ///
    /// # Errors
    ///
    /// [`SealedError::Parts`] if there is no sealed part at that position, or if the scheme's sealed
    /// parts differ in `ids` or do not stand side by side: no client reads any of them then.
    pub fn place(&self, position: usize) -> Result<Place, SealedError> {
        let Some(Part::Sealed(wanted)) = self.parts.get(position) else {
            return Err(SealedError::Parts);
        };
        let mut siblings = (0..).zip(&self.parts).filter_map(|(at, part)| match part {
            Part::Sealed(part) if part.scheme == wanted.scheme => Some((at, part.ids)),
            _ => None,
        });
        let (first, ids) = siblings.next().ok_or(SealedError::Parts)?;
        let mut parts = 1;
        for (at, more) in siblings {
            if at != first + parts || more != ids {
                return Err(SealedError::Parts);
            }
            parts += 1;
        }
        let part = position.checked_sub(first).ok_or(SealedError::Parts)?;
        Ok(Place { parts, part })
    }
}

impl Content for Batch {
    const KIND: &'static str = "batch";
    const MAX_BYTES: usize = limit::MAX_BATCH_BYTES;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut map = reader.map()?;
        version(&mut map)?;
        let start = map.offset();
        let key = map.field("key", |r| public_key(r))?;
        let seq = map.field("seq", |r| positive(r, "seq"))?;
        let desc = map.field("desc", dag_cbor_link)?;
        let prev = map.optional("prev", |r| r.fixed("prev is not 32 bytes long"))?;
        let salt = map.field("salt", |r| r.fixed("salt is not 16 bytes long"))?;
        let zone = map.field("zone", zone)?;
        let epoch = map.field("epoch", |r| positive(r, "epoch"))?;
        let parts = map.field("parts", |r| r.list("parts", limit::MAX_PARTS, Part::read))?;
        let covers = map.optional("covers", |r| covers(r))?;
        let next_by = map.field("next_by", |r| time(r, "next_by"))?;
        let provider = map.field("provider", |r| public_key(r))?;
        let next_after = map.field("next_after", |r| time(r, "next_after"))?;
        let retain_from = map.field("retain_from", |r| time(r, "retain_from"))?;
        let published_at = map.field("published_at", |r| time(r, "published_at"))?;
        map.end()?;
        let batch = Self {
            provider,
            zone,
            key,
            epoch,
            seq,
            prev: prev.map(ObjectId::from_bytes),
            published_at,
            next_after,
            next_by,
            retain_from,
            desc,
            salt,
            covers,
            parts,
        };
        match batch.broken_relation() {
            Some(what) => Err(DecodeError::Value {
                what,
                offset: start,
            }),
            None => Ok(batch),
        }
    }

    fn write(&self, w: &mut Writer) {
        let optional = usize::from(self.prev.is_some()) + usize::from(self.covers.is_some());
        w.map(13 + optional);
        w.text("v").uint(1);
        w.text("key").bytes(self.key.as_bytes());
        w.text("seq").uint(self.seq);
        w.text("desc").link(&self.desc);
        if let Some(prev) = &self.prev {
            w.text("prev").bytes(prev.as_bytes());
        }
        w.text("salt").bytes(&self.salt);
        w.text("zone").text(self.zone.as_str());
        w.text("epoch").uint(self.epoch);
        w.text("parts").array(self.parts.len());
        for part in &self.parts {
            part.write(w);
        }
        if let Some((first, last)) = self.covers {
            w.text("covers").array(2).uint(first).uint(last);
        }
        w.text("next_by").uint(self.next_by);
        w.text("provider").bytes(self.provider.as_bytes());
        w.text("next_after").uint(self.next_after);
        w.text("retain_from").uint(self.retain_from);
        w.text("published_at").uint(self.published_at);
    }

    fn signer(&self) -> PublicKey {
        self.key
    }
}

impl Batch {
    /// The relation between its fields that does not hold, if any. Source: spec §4.2.
    fn broken_relation(&self) -> Option<&'static str> {
        let by = self.next_by.checked_sub(self.published_at);
        let after = self.next_after.checked_sub(self.published_at);
        if self.prev.is_some() != (self.seq > 1) {
            return Some("prev is absent in batch 1 and there alone");
        }
        if by.is_none_or(|by| !(1..=limit::MAX_NEXT_BY_S).contains(&by)) {
            return Some("next_by is later than published_at, by 7 days at most");
        }
        if after.is_none_or(|after| after > limit::MAX_NEXT_AFTER_S)
            || self.next_after > self.next_by
        {
            return Some("next_after lies from published_at to next_by, 24 hours on at most");
        }
        if self.retain_from > self.published_at {
            return Some("retain_from is later than published_at");
        }
        if self
            .covers
            .is_some_and(|(first, last)| first == 0 || first > last || last >= self.seq)
        {
            return Some("covers names batches before this one, first and last");
        }
        None
    }
}

fn covers(reader: &mut Reader<'_>) -> Result<(u64, u64), DecodeError> {
    let offset = reader.offset();
    match reader.array("covers", 2)? {
        2 => Ok((positive(reader, "covers")?, positive(reader, "covers")?)),
        _ => Err(DecodeError::Value {
            what: "covers is two numbers",
            offset,
        }),
    }
}

/// Reads a link to a dag-cbor block.
fn dag_cbor_link(reader: &mut Reader<'_>) -> Result<Cid, DecodeError> {
    link_of(reader, Codec::DagCbor)
}

/// Reads a link to a block of `codec`.
fn link_of(reader: &mut Reader<'_>, codec: Codec) -> Result<Cid, DecodeError> {
    let offset = reader.offset();
    let cid = reader.link()?;
    if cid.codec() == codec {
        Ok(cid)
    } else {
        Err(DecodeError::Cid { offset })
    }
}
