//! What stands in the tables.

use std::collections::BTreeMap;

use bellwether_formats::batch::{Batch, Part};
use bellwether_formats::cbor::Reader;
use bellwether_formats::cid::Cid;
use bellwether_formats::id::{Level, ObjectId};
use bellwether_formats::signed::{Content as _, Signed};
use serde::{Deserialize, Serialize};

use super::StoreError;

mod keys;
mod note;

pub use note::{Mode, NoteRow, Statement};

pub(super) use note::OPEN_WEIGHT;

pub(super) use keys::{
    batch_key, batches_of, feed_key, first_key, note_key, parse_feed, pending_key, range_key,
    staged_key, zone_prefix,
};

/// A batch, as far as serving it needs no decoding. The envelope is the block `cid`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BatchRow {
    /// Its number.
    pub seq: u64,
    id: [u8; 32],
    cid: String,
    desc: String,
    /// Its epoch.
    pub epoch: u64,
    /// When it was published, in seconds of UTC.
    pub published_at: u64,
    /// When a newer one is due, in seconds of UTC.
    pub next_by: u64,
    bodies: Vec<String>,
    links: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sealed: Vec<SealedRow>,
}

/// A sealed part of a kept batch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SealedRow {
    /// Its position among all parts of the batch, counted from 0.
    pub part: usize,
    index: String,
    /// How many identifiers it has, padding included.
    pub ids: u64,
    /// Whether its chunks are kept. They are not if its index block is none, or its chunks are not
    /// of the one size: the provider is to blame, and what is well is served all the same.
    pub chunks: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

impl SealedRow {
    /// The block that lists its chunks.
    ///
    /// # Errors
    ///
    /// [`StoreError::Row`] if the row is damaged.
    pub fn index(&self) -> Result<Cid, StoreError> {
        parse(&self.index)
    }

    /// A listed block that is no chunk of its size, for which the others are not kept. It is, so
    /// that other relays see the same.
    ///
    /// # Errors
    ///
    /// [`StoreError::Row`] if the row is damaged.
    pub fn proof(&self) -> Result<Option<Cid>, StoreError> {
        self.proof.as_deref().map(parse).transpose()
    }
}

impl BatchRow {
    /// The row of a batch, as if all chunks of its sealed parts were kept.
    pub(super) fn of(batch: &Signed<Batch>) -> Self {
        let sealed = batch.parts.iter().enumerate();
        let sealed = sealed.filter_map(|(part, content)| match content {
            Part::Sealed(content) => Some(SealedRow {
                part,
                index: content.index.to_string(),
                ids: content.ids,
                chunks: true,
                proof: None,
            }),
            Part::Open(_) | Part::Unknown(_) => None,
        });
        Self {
            seq: batch.seq,
            id: *batch.id().as_bytes(),
            cid: batch.cid().to_string(),
            desc: batch.desc.to_string(),
            epoch: batch.epoch,
            published_at: batch.published_at,
            next_by: batch.next_by,
            bodies: batch
                .open_bodies()
                .map(|body| body.cid.to_string())
                .collect(),
            links: batch.links().iter().map(ToString::to_string).collect(),
            sealed: sealed.collect(),
        }
    }

    /// Whether the row says what a batch says.
    pub(super) fn tells(&self, batch: &Signed<Batch>) -> bool {
        let mut of = Self::of(batch);
        for (here, there) in of.sealed.iter_mut().zip(&self.sealed) {
            here.chunks = there.chunks;
            here.proof.clone_from(&there.proof);
        }
        of == *self
    }

    /// Notes that the chunks of a sealed part are not kept, and why, if its index does not tell.
    pub(super) fn without_chunks(&mut self, part: usize, proof: Option<Cid>) {
        for sealed in self.sealed.iter_mut().filter(|sealed| sealed.part == part) {
            sealed.chunks = false;
            sealed.proof = proof.map(|proof| proof.to_string());
        }
    }

    /// Its sealed parts, in order.
    pub fn sealed(&self) -> &[SealedRow] {
        &self.sealed
    }

    /// Its id.
    pub const fn id(&self) -> ObjectId {
        ObjectId::from_bytes(self.id)
    }

    /// Its envelope.
    ///
    /// # Errors
    ///
    /// [`StoreError::Row`] if the row is damaged, here and below.
    pub fn cid(&self) -> Result<Cid, StoreError> {
        parse(&self.cid)
    }

    /// The descriptor that it names.
    ///
    /// # Errors
    ///
    /// [`StoreError::Row`]
    pub fn desc(&self) -> Result<Cid, StoreError> {
        parse(&self.desc)
    }

    /// The bodies of its open parts.
    ///
    /// # Errors
    ///
    /// [`StoreError::Row`]
    pub fn bodies(&self) -> Result<Vec<Cid>, StoreError> {
        self.bodies.iter().map(|cid| parse(cid)).collect()
    }

    /// Every block of its parts, but the chunks of sealed ones.
    ///
    /// # Errors
    ///
    /// [`StoreError::Row`]
    pub fn links(&self) -> Result<Vec<Cid>, StoreError> {
        self.links.iter().map(|cid| parse(cid)).collect()
    }
}

/// A confirmation code, known by its keyed hash alone.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct CodeRow {
    /// Counts the codes of this node: the most recently issued one decides a level.
    pub issue: u64,
    /// The zone of what it admits.
    pub zone: String,
    /// The level of what it admits.
    pub level: u8,
    /// When it was issued, in seconds of UTC.
    pub issued_at: u64,
    /// First second at which an unused code no longer works.
    pub expires_at: u64,
    /// When a report was first accepted with it.
    pub used_at: Option<u64>,
    /// Hashes of the keys that signed accepted reports: they may use the code again.
    pub keys: Vec<[u8; 32]>,
    /// How many notifications it admitted.
    pub admitted: u32,
    /// The professional who issued it; none: the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

impl CodeRow {
    pub(super) const fn level(&self) -> Level {
        Level(self.level)
    }
}

/// A range of batches whose sealed parts are published: one batch, or the batches of a fold.
/// Source: spec §4.5.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RangeRow {
    /// Number of the newest batch with the range's content.
    pub seq: u64,
    /// When the range was first published, in seconds of UTC.
    pub published_at: u64,
    /// The window of its parts: seconds of UTC.
    pub window: (u64, u64),
    /// Sealed notifications that are in it, or were before they were revoked, by scheme: as earlier
    /// versions counted them, which knew CX alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<u8, u32>,
    /// Their identifiers, by scheme.
    #[serde(default)]
    pub ids: BTreeMap<u8, u64>,
    /// It came back from a relay: seeds that were accepted after the backup may be missing here.
    #[serde(default)]
    pub came_back: bool,
}

impl RangeRow {
    /// Identifiers of its sealed notifications, revoked ones too, by scheme.
    pub fn identifiers(&self) -> BTreeMap<u8, u64> {
        let mut ids = self.ids.clone();
        for (scheme, count) in &self.counts {
            *ids.entry(*scheme).or_default() += u64::from(*count) * u64::from(OPEN_WEIGHT);
        }
        ids
    }
}

/// A batch drawn up and not yet signed. Its bytes never change: the signer may have seen them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct PreparedRow {
    /// The batch's number.
    pub seq: u64,
    /// When it will have been published, in seconds of UTC.
    pub published_at: u64,
    /// The inner map, to be signed as it stands.
    #[serde(with = "bytes")]
    pub inner: Vec<u8>,
    /// Raw bytes of its dag-cbor blocks, if the first version prepared it. Now they have a table of
    /// their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Block>,
    /// What it says: record, and level said.
    pub says: Vec<([u8; 16], u8)>,
    /// The grade said of each. An earlier version did not note it, and changed none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grades: Vec<Option<u8>>,
    /// The dummies that were made for it.
    pub dummies: Vec<NoteRow>,
}

impl PreparedRow {
    /// The batch, read from its inner bytes; nobody has signed it yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Row`] if the row is damaged.
    pub fn batch(&self) -> Result<Batch, StoreError> {
        Batch::read(&mut Reader::new(&self.inner)).map_err(|error| StoreError::Row {
            error: format!("what is prepared: {error}"),
        })
    }

    /// The id that the batch will have.
    pub fn id(&self) -> ObjectId {
        ObjectId::of(&self.inner)
    }
}

/// The bytes of a block.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Block(#[serde(with = "bytes")] pub Vec<u8>);

/// Byte strings as such, not as arrays of numbers.
mod bytes {
    use serde::{Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        d.deserialize_byte_buf(Visitor)
    }
}

fn parse(cid: &str) -> Result<Cid, StoreError> {
    cid.parse().map_err(|error| StoreError::Row {
        error: format!("{error}"),
    })
}
