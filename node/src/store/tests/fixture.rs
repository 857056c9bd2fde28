//! Invented providers, reports and batches; the publisher's and signer's tests use them too.

use bellwether_formats::batch::{Batch, BlockRef, OpenPart, Part, Window};
use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::chain::Head;
use bellwether_formats::cid::{Block, Codec};
use bellwether_formats::descriptor::{Descriptor, KeyWindow};
use bellwether_formats::id::{Level, PublicKey, Scheme, Zone};
use bellwether_formats::sealed::BuildError;
use bellwether_formats::signed::Signed;
use ed25519_dalek::SigningKey;

use crate::batcher::{self, DraftError, Place, Policy};
use crate::store::{Draft, Mode, NewCode, Store, SubmittedUnit};

/// When everything happens, in seconds of UTC.
pub(crate) const NOW: u64 = 1_800_000_000;

pub(crate) const DAY: u64 = 86_400;

/// A root or signing key.
pub(crate) fn key(which: u8) -> SigningKey {
    SigningKey::from_bytes(&[which; 32])
}

pub(crate) fn public(which: u8) -> PublicKey {
    crate::keys::public(&key(which))
}

pub(crate) fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

pub(crate) fn gb() -> Zone {
    zone("gb")
}

pub(crate) fn unit(which: u32) -> SubmittedUnit {
    let mut unit = vec![0x55; 24];
    unit[..4].copy_from_slice(&which.to_be_bytes());
    SubmittedUnit {
        scheme: Scheme::CX1,
        unit,
        key: [9; 32],
        mode: Mode::Open,
    }
}

/// A unit that another key signed for.
pub(crate) fn unit_by(which: u32, key: u8) -> SubmittedUnit {
    SubmittedUnit {
        key: [key; 32],
        ..unit(which)
    }
}

/// A unit that comes for a zone of sealed parts.
pub(crate) fn sealed_unit(which: u32) -> SubmittedUnit {
    SubmittedUnit {
        mode: Mode::Sealed,
        ..unit(which)
    }
}

pub(crate) fn code(which: u8, zone: &Zone, level: Level) -> NewCode {
    NewCode {
        hash: [which; 32],
        zone: zone.clone(),
        level,
        expires_at: NOW + DAY,
        issuer: None,
    }
}

/// Issues codes for a zone, at level diagnosed.
pub(crate) fn issue(store: &Store, zone: &Zone, codes: &[u8]) {
    let codes: Vec<NewCode> = codes
        .iter()
        .map(|which| code(*which, zone, Level::DIAGNOSED))
        .collect();
    store.issue_codes(&codes, NOW).unwrap();
}

/// The descriptor of provider `root`, with signing keys.
pub(crate) fn descriptor(root: u8, epoch: u64, signing: &[u8]) -> Descriptor {
    let mut keys: Vec<KeyWindow> = signing
        .iter()
        .map(|which| KeyWindow {
            key: public(*which),
            not_before: NOW - DAY,
            not_after: NOW + 300 * DAY,
        })
        .collect();
    keys.sort();
    Descriptor {
        provider: public(root),
        epoch,
        issued_at: NOW - 60,
        expires_at: NOW + 300 * DAY,
        name: "P".to_owned(),
        keys,
        zones: vec![zone("fr"), gb()],
        gateways: Vec::new(),
        anchors: Vec::new(),
        next_root: [0; 32],
        upstream: None,
        peers: Vec::new(),
        successor: None,
    }
}

pub(crate) fn signed_descriptor(root: u8, epoch: u64) -> Signed<Descriptor> {
    Signed::sign(&descriptor(root, epoch, &[3, 4]), &key(root)).unwrap()
}

pub(crate) fn policy() -> Policy {
    Policy {
        interval_s: 3600,
        k: 4,
        max_notifications: 100,
        window_s: 14 * DAY,
        retain_s: 14 * DAY,
        filter_bits: 18,
    }
}

/// Draws up the next batch of provider 1 in a zone, as the publisher does.
pub(crate) fn draft(store: &Store, zone: &Zone, now: u64) -> Draft {
    let desc = signed_descriptor(1, 1);
    let feed = bellwether_formats::id::FeedId {
        provider: public(1),
        zone: zone.clone(),
    };
    let head = store.head(&feed).unwrap().map(|head| head.head);
    let place = Place {
        provider: public(1),
        zone,
        key: public(3),
        desc: (1, desc.cid()),
        head: head.as_ref(),
        at: batcher::publication_time(head.as_ref(), now).unwrap(),
        salt: [1; 16],
    };
    let pending = store.pending_notes(zone, 100, u64::MAX).unwrap();
    // A small sealed part fails by chance, once in a hundred times.
    let mut drafts = std::iter::repeat_with(|| {
        batcher::draft(&policy(), place.clone(), &pending, |bytes| {
            getrandom::fill(bytes).unwrap();
        })
    });
    let drawn = drafts.find(|draft| !matches!(draft, Err(DraftError::Build(BuildError::Again(_)))));
    drawn.unwrap().unwrap()
}

/// Prepares and publishes the next batch of provider 1.
pub(crate) fn publish(store: &Store, zone: &Zone, now: u64) -> Signed<Batch> {
    let draft = draft(store, zone, now);
    store.prepare(&draft).unwrap();
    let batch = Signed::sign(&draft.batch, &key(3)).unwrap();
    store.publish(&batch).unwrap();
    batch
}

/// A batch of provider 2 after `before`, with a body that holds `unit`.
pub(crate) fn foreign(
    before: Option<&Signed<Batch>>,
    unit: u32,
    at: u64,
) -> (Signed<Batch>, Block) {
    let before = before.map(Head::from);
    let terms = Terms {
        level: Level::DIAGNOSED,
        grade: None,
        observed_before: NOW,
    };
    let body = OpenBody::build(Scheme::CX1, [(terms, self::unit(unit).unit)]).unwrap();
    let block = Block::of(Codec::DagCbor, body.encode()).unwrap();
    let part = OpenPart {
        scheme: Scheme::CX1,
        window: Window {
            from: at - DAY,
            to: at,
        },
        body: BlockRef {
            cid: block.cid(),
            size: u64::try_from(block.bytes().len()).unwrap(),
        },
        count: 1,
    };
    let batch = Batch {
        provider: public(2),
        zone: gb(),
        key: public(3),
        epoch: 1,
        seq: before.map_or(1, |before| before.seq + 1),
        prev: before.map(|before| before.id),
        published_at: at,
        next_after: at,
        next_by: at + DAY,
        retain_from: at,
        desc: signed_descriptor(2, 1).cid(),
        salt: [0; 16],
        covers: None,
        parts: vec![Part::Open(part)],
    };
    (Signed::sign(&batch, &key(3)).unwrap(), block)
}
