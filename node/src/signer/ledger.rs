//! The signer's memory, and whether a store has it. Pure, but for a look at the store's file.
//! Source: spec §4.7, decision 0002.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use bellwether_formats::descriptor::Anchor;
use bellwether_formats::id::{ObjectId, ProviderId, Zone};
use serde::{Deserialize, Serialize};

use super::SignerError;

/// The signer's memory.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ledger {
    format: u8,
    provider: String,
    /// The store's file.
    pub(super) store: StoreFile,
    pub(super) zones: BTreeMap<String, Last>,
}

/// End of a store in a zone: its head, or what is prepared to follow it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct End {
    /// Epoch of the batch; 0 if there is none.
    pub epoch: u64,
    /// Its number; 0 if there is none.
    pub seq: u64,
    /// Its id, if it is to be compared.
    pub id: Option<ObjectId>,
    /// The zone's anchor, if there is one.
    pub anchor: Option<Anchor>,
}

impl End {
    /// The end of a zone with an anchor. A store that ends at the anchor has what the anchor says.
    pub fn of(newest: Option<Self>, anchor: Option<Anchor>) -> Self {
        let end = newest.unwrap_or_default();
        match &anchor {
            Some(at) if end.id.is_none_or(|id| id == at.id) => Self {
                epoch: at.epoch,
                seq: at.seq,
                id: Some(at.id),
                anchor,
            },
            _ => Self { anchor, ..end },
        }
    }
}

/// Marks of the store's file that a copy of it does not have.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreFile {
    pub(super) inode: u64,
    /// Time when the file was made, in nanoseconds, where the file system says so. File systems give
    /// the inode of a deleted file to the next one, so a directory that is deleted and restored
    /// may well get its inodes back; nothing sets the time of birth. (The device number would
    /// tell disks apart, but it changes when a machine is started with its disks in other order.)
    pub(super) born_ns: Option<u64>,
}

impl StoreFile {
    pub(super) fn of(store: &Path) -> Result<Self, SignerError> {
        let metadata = fs::metadata(store);
        let metadata = metadata.map_err(|source| SignerError::Io {
            path: store.to_owned(),
            source,
        })?;
        let born = metadata.created().ok();
        let born = born.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Ok(Self {
            inode: metadata.ino(),
            born_ns: born.and_then(|since| u64::try_from(since.as_nanos()).ok()),
        })
    }

    /// Tells whether both are one file, as far as the file system tells.
    pub(super) fn is(self, other: Self) -> bool {
        let born = self.born_ns.zip(other.born_ns);
        self.inode == other.inode && born.is_none_or(|(one, other)| one == other)
    }
}

/// The newest batch that was signed in a zone, or the one that an anchor left, in the anchor's epoch.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Last {
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) id: String,
}

impl Last {
    pub(super) fn order(&self) -> (u64, u64) {
        (self.epoch, self.seq)
    }
}

impl Ledger {
    /// One that nothing was signed by.
    pub(super) fn new(provider: &ProviderId, store: StoreFile) -> Self {
        Self {
            format: FORMAT,
            provider: provider.to_string(),
            store,
            zones: BTreeMap::new(),
        }
    }

    /// Reads a ledger; none if it is damaged or another provider's.
    pub(super) fn read(bytes: &[u8], provider: &ProviderId) -> Option<Self> {
        let ledger: Self = serde_json::from_slice(bytes).ok()?;
        let fits = ledger.format == FORMAT && ledger.provider == provider.to_string();
        fits.then_some(ledger)
    }

    /// The newest that counts in a zone. Where an anchor is of a later epoch than what was signed, what
    /// was signed after the anchored batch is disowned, and its numbers are free again.
    pub(super) fn last(&self, zone: &str, anchor: Option<&Anchor>) -> Option<Last> {
        let last = self.zones.get(zone);
        match anchor {
            Some(anchor) if last.is_some_and(|last| last.epoch < anchor.epoch) => Some(Last {
                epoch: anchor.epoch,
                seq: anchor.seq,
                id: anchor.id.to_string(),
            }),
            _ => last.cloned(),
        }
    }

    /// Errors where a store that ends at `ends` does not have what was signed.
    pub(super) fn clashes(&self, ends: &BTreeMap<Zone, End>) -> impl Iterator<Item = SignerError> {
        self.zones.keys().filter_map(|zone| {
            let end = ends.iter().find(|(name, _)| name.as_str() == zone);
            let end = end.map_or_else(End::default, |(_, end)| end.clone());
            let last = self.last(zone, end.anchor.as_ref())?;
            let (zone, seq) = (zone.clone(), last.seq);
            let same = end.id.is_some_and(|id| id.to_string() == last.id);
            if same && seq == end.seq {
                return None;
            }
            if last.order() > (end.epoch, end.seq) {
                return Some(SignerError::Ahead {
                    zone,
                    signed: seq,
                    head: end.seq,
                });
            }
            let other = last.order() == (end.epoch, end.seq) && end.id.is_some();
            other.then_some(SignerError::Used {
                zone,
                seq,
                last: seq,
            })
        })
    }
}

/// The version of the ledger.
const FORMAT: u8 = 2;
