//! A provider's statement about itself, signed by its root key. Source: spec §1.3.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::cbor::{MapReader, Reader, Writer, ascending};
use crate::chain::Head;
use crate::error::DecodeError;
use crate::id::{ObjectId, ProviderId, PublicKey, Zone};
use crate::limit;
use crate::signed::Content;

/// Who the provider is, which keys sign its batches, which zones it speaks for, where it is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Descriptor {
    /// The root key, which signs this.
    pub provider: ProviderId,
    /// Grows with every descriptor of the provider; the highest one known counts.
    pub epoch: u64,
    /// When it was signed, in seconds of UTC.
    pub issued_at: u64,
    /// When it stops counting, in seconds of UTC; at most 400 days later.
    pub expires_at: u64,
    /// The name that people know it by; seed reports are addressed to it.
    pub name: String,
    /// The keys that may sign batches, sorted.
    pub keys: Vec<KeyWindow>,
    /// The zones it publishes in, sorted.
    pub zones: Vec<Zone>,
    /// Where its feeds are served, in order of preference.
    pub gateways: Vec<Gateway>,
    /// Batches that are true whatever a stolen key signed, sorted by zone.
    pub anchors: Vec<Anchor>,
    /// Commitment to the next root key (pre-rotation): sha2-256 of its 32 bytes.
    pub next_root: [u8; 32],
    /// The provider whose zones contain this one's.
    pub upstream: Option<ProviderId>,
    /// Providers that it exchanges notifications with, sorted.
    pub peers: Vec<ProviderId>,
    /// The provider that took over from this one.
    pub successor: Option<ProviderId>,
}

/// A signing key and when it may sign.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct KeyWindow {
    /// The key.
    pub key: PublicKey,
    /// First second at which it may sign.
    pub not_before: u64,
    /// First second at which it may no longer sign.
    pub not_after: u64,
}

/// A node that serves the provider's feeds over HTTP.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gateway {
    /// Its address, without a path: `https://host[:port]`.
    pub url: String,
    /// Who ends TLS there. Two gateways of one operator are one witness.
    pub operator: String,
}

/// A batch that is on the true chain of its feed; or, with number 0 and a zero id, the beginning of
/// the feed: then none of the batches of lower epochs is true. Source: spec §1.5.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Anchor {
    /// The feed's zone.
    pub zone: Zone,
    /// Epoch of the descriptor that first carried the anchor: it acts on heads of lower epochs.
    pub epoch: u64,
    /// The batch's number; 0 for the beginning.
    pub seq: u64,
    /// The batch's id; zeros for the beginning.
    pub id: ObjectId,
}

impl Anchor {
    /// The id of the beginning of a feed.
    pub const BEGINNING: ObjectId = ObjectId::from_bytes([0; 32]);

    /// Tells whether it is on the beginning of a feed.
    pub const fn is_beginning(&self) -> bool {
        self.seq == 0
    }

    /// Tells whether it stands against a head, as far as that can be told without what the head descends
    /// from: the head is of a lower epoch, and another batch.
    pub fn opposes(&self, head: &Head) -> bool {
        head.epoch < self.epoch && head.id != self.id
    }
}

impl Descriptor {
    /// Whether `key` may sign a batch that was published at `at`.
    pub fn lists(&self, key: &PublicKey, at: u64) -> bool {
        self.keys
            .iter()
            .any(|window| window.key == *key && (window.not_before..window.not_after).contains(&at))
    }

    /// Whether this descriptor replaces `known`, one of the same provider: its epoch is higher, by
    /// a bounded step, so that a thief cannot use up all epochs at once; and it promises the same
    /// next root, so that a thief of the root cannot promise another.
    pub fn replaces(&self, known: &Self) -> bool {
        self.provider == known.provider
            && self.next_root == known.next_root
            && self.epoch > known.epoch
            && self.epoch - known.epoch <= limit::MAX_EPOCH_STEP
    }

    /// The anchor of `zone`, if any.
    pub fn anchor(&self, zone: &Zone) -> Option<&Anchor> {
        self.anchors.iter().find(|anchor| anchor.zone == *zone)
    }
}

impl Content for Descriptor {
    const KIND: &'static str = "descriptor";
    const MAX_BYTES: usize = limit::MAX_DESCRIPTOR_BYTES;

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut map = reader.map()?;
        version(&mut map)?;
        let keys = map.field("keys", |r| {
            r.sorted("signing keys", limit::MAX_KEYS, key_window)
        })?;
        let name = map.field("name", |r| {
            nonempty(r, "name in bytes", limit::MAX_NAME_BYTES)
        })?;
        let epoch = map.field("epoch", |r| positive(r, "epoch"))?;
        let peers = map.field("peers", |r| {
            r.sorted("peers", limit::MAX_ZONES, |r| public_key(r))
        })?;
        let zones = map.field("zones", |r| r.sorted("zones", limit::MAX_ZONES, zone))?;
        let anchors = map.optional("anchors", anchors)?.unwrap_or_default();
        let gateways = map.field("gateways", |r| {
            r.list("gateways", limit::MAX_GATEWAYS, gateway)
        })?;
        let provider = map.field("provider", |r| public_key(r))?;
        let upstream = map.optional("upstream", |r| public_key(r))?;
        let issued_at = map.field("issued_at", |r| time(r, "issued_at"))?;
        let next_root = map.field("next_root", |r| r.fixed("next_root is not 32 bytes long"))?;
        let successor = map.optional("successor", |r| public_key(r))?;
        let offset = map.offset();
        let expires_at = map.field("expires_at", |r| time(r, "expires_at"))?;
        map.end()?;
        if keys.is_empty() || zones.is_empty() {
            return Err(DecodeError::Value {
                what: "a descriptor has a key and a zone",
                offset,
            });
        }
        let same_key = |pair: &[KeyWindow]| matches!(pair, [a, b] if a.key == b.key);
        if keys.windows(2).any(same_key) {
            return Err(DecodeError::Duplicate {
                what: "a signing key",
                offset,
            });
        }
        if anchors.iter().any(|anchor| anchor.epoch > epoch) {
            let what = "an anchor is of a later epoch than the descriptor";
            return Err(DecodeError::Value { what, offset });
        }
        if expires_at <= issued_at || expires_at - issued_at > limit::MAX_DESCRIPTOR_LIFE_S {
            let what = "expires_at is later than issued_at, by 400 days at most";
            return Err(DecodeError::Value { what, offset });
        }
        Ok(Self {
            provider,
            epoch,
            issued_at,
            expires_at,
            name,
            keys,
            zones,
            gateways,
            anchors,
            next_root,
            upstream,
            peers,
            successor,
        })
    }

    fn write(&self, w: &mut Writer) {
        let optional = [
            !self.anchors.is_empty(),
            self.upstream.is_some(),
            self.successor.is_some(),
        ];
        w.map(11 + optional.iter().filter(|present| **present).count());
        w.text("v").uint(1);
        w.text("keys").array(self.keys.len());
        for key in &self.keys {
            w.map(3).text("key").bytes(key.key.as_bytes());
            w.text("not_after").uint(key.not_after);
            w.text("not_before").uint(key.not_before);
        }
        w.text("name").text(&self.name);
        w.text("epoch").uint(self.epoch);
        w.text("peers").array(self.peers.len());
        for peer in &self.peers {
            w.bytes(peer.as_bytes());
        }
        w.text("zones").array(self.zones.len());
        for zone in &self.zones {
            w.text(zone.as_str());
        }
        if !self.anchors.is_empty() {
            w.text("anchors").array(self.anchors.len());
            for anchor in &self.anchors {
                w.map(4).text("id").bytes(anchor.id.as_bytes());
                w.text("seq").uint(anchor.seq);
                w.text("zone").text(anchor.zone.as_str());
                w.text("epoch").uint(anchor.epoch);
            }
        }
        w.text("gateways").array(self.gateways.len());
        for gateway in &self.gateways {
            w.map(2).text("url").text(&gateway.url);
            w.text("operator").text(&gateway.operator);
        }
        w.text("provider").bytes(self.provider.as_bytes());
        if let Some(upstream) = &self.upstream {
            w.text("upstream").bytes(upstream.as_bytes());
        }
        w.text("issued_at").uint(self.issued_at);
        w.text("next_root").bytes(&self.next_root);
        if let Some(successor) = &self.successor {
            w.text("successor").bytes(successor.as_bytes());
        }
        w.text("expires_at").uint(self.expires_at);
    }

    fn signer(&self) -> PublicKey {
        self.provider
    }
}

fn key_window(reader: &mut Reader<'_>) -> Result<KeyWindow, DecodeError> {
    let mut map = reader.map()?;
    let offset = map.offset();
    let key = map.field("key", |r| public_key(r))?;
    let not_after = map.field("not_after", |r| time(r, "not_after"))?;
    let not_before = map.field("not_before", |r| time(r, "not_before"))?;
    map.end()?;
    if not_before >= not_after {
        return Err(DecodeError::Value {
            what: "a key's window is empty",
            offset,
        });
    }
    Ok(KeyWindow {
        key,
        not_before,
        not_after,
    })
}

fn gateway(reader: &mut Reader<'_>) -> Result<Gateway, DecodeError> {
    let mut map = reader.map()?;
    let url = map.field("url", |r| nonempty(r, "url in bytes", limit::MAX_URL_BYTES))?;
    let operator = map.field("operator", |r| {
        nonempty(r, "operator in bytes", limit::MAX_OPERATOR_BYTES)
    })?;
    map.end()?;
    Ok(Gateway { url, operator })
}

fn anchors(reader: &mut Reader<'_>) -> Result<Vec<Anchor>, DecodeError> {
    let offset = reader.offset();
    let anchors = reader.list("anchors", limit::MAX_ZONES, anchor)?;
    if anchors.is_empty() {
        return Err(DecodeError::Value {
            what: "no anchors: the field is absent",
            offset,
        });
    }
    ascending("anchors", offset, anchors.iter().map(|anchor| &anchor.zone))?;
    Ok(anchors)
}

fn anchor(reader: &mut Reader<'_>) -> Result<Anchor, DecodeError> {
    let mut map = reader.map()?;
    let id = map.field("id", |r| r.fixed("an id is not 32 bytes long"))?;
    let id = ObjectId::from_bytes(id);
    let offset = map.offset();
    let seq = map.field("seq", |r| r.uint("seq", limit::MAX_NUMBER))?;
    let zone = map.field("zone", zone)?;
    let epoch = map.field("epoch", |r| positive(r, "epoch"))?;
    map.end()?;
    if (seq == 0) != (id == Anchor::BEGINNING) {
        let what = "an anchor's id is zeros if and only if its seq is 0";
        return Err(DecodeError::Value { what, offset });
    }
    Ok(Anchor {
        zone,
        epoch,
        seq,
        id,
    })
}

/// Reads the field `v`; this reader knows version 1.
pub(crate) fn version(map: &mut MapReader<'_, '_>) -> Result<(), DecodeError> {
    match map.field("v", |r| r.uint("version", u64::MAX))? {
        1 => Ok(()),
        found => Err(DecodeError::Version { found }),
    }
}

/// Reads a public key or provider id.
pub(crate) fn public_key(reader: &mut Reader<'_>) -> Result<PublicKey, DecodeError> {
    reader
        .fixed("a key is not 32 bytes long")
        .map(PublicKey::from_bytes)
}

/// Reads a zone.
pub(crate) fn zone(reader: &mut Reader<'_>) -> Result<Zone, DecodeError> {
    let offset = reader.offset();
    reader
        .text("zone in bytes", Zone::MAX_LEN)?
        .parse()
        .map_err(|_| DecodeError::Value {
            what: "not a zone",
            offset,
        })
}

/// Reads a time in seconds of UTC.
pub(crate) fn time(reader: &mut Reader<'_>, what: &'static str) -> Result<u64, DecodeError> {
    reader.uint(what, limit::MAX_NUMBER)
}

/// Reads a number from 1.
pub(crate) fn positive(reader: &mut Reader<'_>, what: &'static str) -> Result<u64, DecodeError> {
    let offset = reader.offset();
    match reader.uint(what, limit::MAX_NUMBER)? {
        0 => Err(DecodeError::Value {
            what: "a number that starts at 1 is 0",
            offset,
        }),
        number => Ok(number),
    }
}

fn nonempty(
    reader: &mut Reader<'_>,
    what: &'static str,
    max: usize,
) -> Result<String, DecodeError> {
    let offset = reader.offset();
    match reader.text(what, max)? {
        "" => Err(DecodeError::Value {
            what: "a text is empty",
            offset,
        }),
        text => Ok(text.to_string()),
    }
}
