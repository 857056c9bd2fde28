//! What the node does in the test, one commit a step, with invented keys, times and randomness:
//! two runs write the same bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bellwether_formats::batch::{Batch, BlockRef, OpenPart, Part, Window};
use bellwether_formats::body::open::{OpenBody, Terms};
use bellwether_formats::chain::Head;
use bellwether_formats::cid::{Block, Codec};
use bellwether_formats::descriptor::{Anchor, Descriptor, KeyWindow};
use bellwether_formats::id::{FeedId, Level, ObjectId, Scheme, Zone};
use bellwether_formats::signed::{Signed, Unverified};
use bellwether_node::batcher::{self, Content, Place, Policy};
use bellwether_node::keys;
use bellwether_node::signer::{Signer, SignerPlace};
use bellwether_node::store::{Draft, Mode, NewCode, Range, RetainPolicy, Store, SubmittedUnit};
use ed25519_dalek::SigningKey;

/// When it begins, in seconds of UTC.
const START: u64 = 1_800_000_000;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// One commit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Descriptor(u8),
    Codes,
    Accept(u8),
    /// The same for zones of sealed parts.
    AcceptSealed(u8),
    Prepare(&'static str, u64),
    /// The same of a revision or a fold of batches, first to last.
    Repeat(&'static str, (u64, u64), u64),
    /// Keeps some blocks of a batch before it is prepared, as the publisher does.
    Stage(&'static str, u64),
    /// Drops what was staged and not prepared.
    Unstage(&'static str),
    /// Drops what is prepared and was never signed.
    Discard(&'static str),
    /// Signs what is prepared, as the publisher does, and makes it the head.
    Publish(&'static str),
    Level(u8, Level),
    Replicate(u8, u64),
    Fork,
    Truncate,
    /// Takes a descriptor of this epoch that disowns the batches of a zone from a number on.
    Disown(&'static str, u64, u64),
    Expire,
    /// Deletes blocks that nothing names.
    Sweep,
    Prune,
}

/// Two zones, a change of level before and after publication, a heartbeat, batches that are disowned
/// twice, one prepared among them, a foreign feed that turns out to be forked, and all that is deleted.
pub(crate) const SCRIPT: [Step; 33] = [
    Step::Descriptor(OWN),
    Step::Codes,
    Step::Accept(0),
    Step::Accept(1),
    Step::Accept(2),
    Step::Prepare("gb", 0),
    Step::Publish("gb"),
    Step::Level(0, Level(0)),
    Step::Level(1, Level(0)),
    Step::Prepare("gb", 10),
    Step::Level(1, Level(4)),
    Step::Publish("gb"),
    Step::Prepare("fr", 20),
    Step::Publish("fr"),
    Step::Prepare("gb", 30),
    Step::Publish("gb"),
    Step::Prepare("gb", 31),
    Step::Disown("gb", 2, 2),
    Step::Prepare("gb", 32),
    Step::Publish("gb"),
    Step::Disown("gb", 1, 3),
    Step::Prepare("gb", 33),
    Step::Publish("gb"),
    Step::Descriptor(FOREIGN),
    Step::Replicate(0, 1),
    Step::Replicate(0, 2),
    Step::Fork,
    Step::Truncate,
    Step::Replicate(1, 2),
    Step::Sweep,
    Step::Prune,
    Step::Expire,
    Step::Prepare("gb", 40),
];

/// Sealed batches, a change of level between the preparation of a revision and its publication, a
/// fold, what is dropped before and after it was prepared, what is disowned, and all that is deleted.
pub(crate) const SEALED: [Step; 34] = [
    Step::Descriptor(OWN),
    Step::Codes,
    Step::AcceptSealed(0),
    Step::Stage("gb", 1),
    Step::Prepare("gb", 1),
    Step::Publish("gb"),
    Step::AcceptSealed(1),
    Step::Prepare("gb", 10),
    Step::Discard("gb"),
    Step::Prepare("gb", 11),
    Step::Publish("gb"),
    Step::Level(1, Level(0)),
    Step::Repeat("gb", (1, 1), 20),
    Step::Level(1, Level(4)),
    Step::Publish("gb"),
    Step::Repeat("gb", (1, 1), 30),
    Step::Publish("gb"),
    Step::Repeat("gb", (2, 2), 31),
    Step::Publish("gb"),
    Step::Repeat("gb", (1, 2), 86_400),
    Step::Publish("gb"),
    Step::Disown("gb", 4, 2),
    Step::Disown("gb", 2, 3),
    Step::Prepare("gb", 86_401),
    Step::Publish("gb"),
    Step::AcceptSealed(2),
    Step::Stage("fr", 40),
    Step::Unstage("fr"),
    Step::Prepare("fr", 41),
    Step::Publish("fr"),
    Step::Sweep,
    Step::Prune,
    Step::Expire,
    Step::Prepare("gb", 86_500),
];

const OWN: u8 = 1;
const FOREIGN: u8 = 2;

impl Step {
    /// Whether a person or a peer may ask for it again without knowing that it was done.
    pub(crate) fn is_repeatable(self) -> bool {
        !matches!(
            self,
            Self::Prepare(..)
                | Self::Repeat(..)
                | Self::Stage(..)
                | Self::Discard(_)
                | Self::Publish(_)
                | Self::Replicate(..)
        )
    }
}

/// A provider with a store on an invented disk and a signer in a real directory.
pub(crate) struct Provider {
    dir: PathBuf,
    /// The id of every batch that the signer ever signed, over all lives of the node.
    pub(crate) signed: BTreeMap<(String, u64, u64), ObjectId>,
}

impl Provider {
    pub(crate) fn new(dir: &Path) -> Self {
        let keys = dir.join("keys");
        std::fs::create_dir_all(&keys).unwrap();
        std::fs::write(keys.join("a.key"), "03".repeat(32)).unwrap();
        // The signer knows the store by a file; the store itself is elsewhere.
        std::fs::write(dir.join("store.redb"), b"").unwrap();
        Self {
            dir: dir.to_owned(),
            signed: BTreeMap::new(),
        }
    }

    /// Does one step as the node does it.
    pub(crate) fn run(&mut self, step: Step, store: &Store) -> Outcome {
        match step {
            Step::Descriptor(whose) => {
                store.put_descriptor(&descriptor(whose))?;
            }
            Step::Codes => {
                let codes = [("gb", 0), ("gb", 1), ("fr", 2)].map(|(zone, which)| NewCode {
                    hash: [which; 32],
                    zone: self::zone(zone),
                    level: Level::DIAGNOSED,
                    expires_at: START + 86_400,
                    issuer: None,
                });
                store.issue_codes(&codes, START)?;
            }
            // The third report has a seed of the first, in another zone.
            Step::Accept(which) => {
                store.accept(&[which; 32], &units(which, Mode::Open), START)?;
            }
            Step::AcceptSealed(which) => {
                store.accept(&[which; 32], &units(which, Mode::Sealed), START)?;
            }
            Step::Prepare(zone, after) => {
                store.prepare(&draft(store, zone, None, after)?)?;
            }
            Step::Repeat(zone, range, after) => {
                store.prepare(&draft(store, zone, Some(range), after)?)?;
            }
            Step::Stage(zone, after) => {
                let blocks = draft(store, zone, None, after)?.blocks;
                store.stage(&self::zone(zone), blocks.split_at(blocks.len() / 2).0)?;
            }
            Step::Unstage(zone) => store.unstage(&self::zone(zone))?,
            Step::Discard(zone) => {
                let zone = self::zone(zone);
                let prepared = store.prepared(&zone)?.ok_or("nothing is prepared")?;
                store.discard(&zone, prepared.seq)?;
            }
            Step::Publish(zone) => self.publish(store, zone)?,
            Step::Level(which, level) => {
                store
                    .set_level(&[which; 32], level)?
                    .ok_or("no such code")?;
            }
            Step::Replicate(branch, seq) => {
                let (batch, block) = foreign(branch, seq);
                store.replicate(&batch, &[block])?;
            }
            Step::Fork => store.put_fork(&foreign(0, 2).0, &foreign(1, 2).0)?,
            Step::Disown(zone, from, epoch) => disown(store, &self::zone(zone), from, epoch)?,
            Step::Truncate => store.truncate(&foreign(0, 1).0.feed(), 1)?,
            Step::Expire => {
                store.expire(START + 1_000_000)?;
            }
            // A prune deletes blocks first, then batches, each in a transaction of its own.
            Step::Sweep => prune(store, 0)?,
            Step::Prune => prune(store, START + 15)?,
        }
        Ok(())
    }

    fn publish(&mut self, store: &Store, zone: &str) -> Outcome {
        let zone = self::zone(zone);
        let prepared = store.prepared(&zone)?.ok_or("nothing is prepared")?;
        let place = SignerPlace {
            dir: &self.dir.join("signer"),
            provider: keys::public(&key(OWN)),
            store: &self.dir.join("store.redb"),
            keys: &self.dir.join("keys"),
        };
        let published = !self.signed.is_empty();
        let mut signer = Signer::open(place, published)?;
        let descriptor = held(store)?;
        let anchor = descriptor.anchor(&zone);
        let envelope = signer.sign(&prepared.batch()?, &prepared.inner, anchor)?;
        let batch = Unverified::<Batch>::decode(&envelope)?.verify()?;
        let before = self
            .signed
            .insert((zone.to_string(), batch.epoch, batch.seq), batch.id());
        assert!(
            before.is_none_or(|before| before == batch.id()),
            "batch {} of {zone} was signed with two contents",
            batch.seq
        );
        store.publish(&batch)?;
        Ok(())
    }
}

/// What a draft is known by: the head that it follows, its zone, its time.
type Drawn = (Option<ObjectId>, String, u64);

/// Every draft that was drawn up: a sealed one takes long, and the same state always gives the same.
/// (The first batches have times of their own in each script.)
static DRAFTS: Mutex<BTreeMap<Drawn, Draft>> = Mutex::new(BTreeMap::new());

/// Draws up the next batch of a zone, or one that holds the content of a range again.
fn draft(
    store: &Store,
    zone: &str,
    covers: Option<(u64, u64)>,
    after: u64,
) -> Result<Draft, Box<dyn std::error::Error>> {
    let zone = self::zone(zone);
    let policy = Policy {
        interval_s: 3600,
        k: 5,
        max_notifications: 100,
        window_s: 86_400,
        retain_s: 86_400,
        filter_bits: 18,
    };
    let head = store.head(&own_feed(&zone))?.map(|head| head.head);
    let known = (head.map(|head| head.id), zone.to_string(), after);
    let content = match covers {
        None => Content::new(&store.pending_notes(&zone, policy.max_notifications, u64::MAX)?),
        Some((first, last)) => {
            let notes = store.sealed_notes(&zone, first, last)?;
            let mut ranges = store.ranges(&zone)?;
            ranges.retain(|range| range.first == first && range.last == first);
            let range = ranges.pop().ok_or("no such range")?;
            let range = Range { last, ..range };
            if range.is_fold() {
                Content::fold(&range, &notes)
            } else {
                Content::revision(&range, &notes)
            }
        }
    };
    if let Some(draft) = DRAFTS.lock().unwrap().get(&known) {
        return Ok(draft.clone());
    }
    let descriptor = held(store)?;
    let low = after.to_be_bytes()[7];
    let place = Place {
        provider: descriptor.provider,
        zone: &zone,
        key: keys::public(&key(3)),
        desc: (descriptor.epoch, descriptor.cid()),
        head: head.as_ref(),
        at: batcher::publication_time(head.as_ref(), START + after)?,
        salt: [low; 16],
    };
    let mut count = low;
    let draft = batcher::whole(&policy, place, &content, |bytes| {
        count += 1;
        bytes.fill(count);
    })?;
    DRAFTS.lock().unwrap().insert(known, draft.clone());
    Ok(draft)
}

/// The provider's newest descriptor.
fn held(store: &Store) -> Result<Signed<Descriptor>, Box<dyn std::error::Error>> {
    let held = store.descriptor(&keys::public(&key(OWN)))?;
    Ok(held.ok_or("no descriptor")?)
}

/// Does what `descriptor disown` does; again, if it was interrupted.
fn disown(store: &Store, zone: &Zone, from: u64, epoch: u64) -> Outcome {
    let mut next = Descriptor::clone(&*held(store)?);
    if next.epoch < epoch {
        let before = match from {
            1 => None,
            _ => Some(
                store
                    .row(&own_feed(zone), from - 1)?
                    .ok_or("no such batch")?,
            ),
        };
        next.epoch = epoch;
        next.anchors = vec![Anchor {
            zone: zone.clone(),
            epoch,
            seq: from - 1,
            id: before.map_or(Anchor::BEGINNING, |before| before.id()),
        }];
    }
    let next = Signed::sign(&next, &key(OWN))?;
    store.take_descriptor(&next, &[own_feed(zone)])?;
    Ok(())
}

/// Deletes what nothing names, and batches published before `before`.
fn prune(store: &Store, before: u64) -> Outcome {
    store.prune(RetainPolicy {
        before,
        loose_before: u64::MAX,
        fetching_since: u64::MAX,
        ..RetainPolicy::KEEP_ALL
    })?;
    Ok(())
}

fn own_feed(zone: &Zone) -> FeedId {
    FeedId {
        provider: keys::public(&key(OWN)),
        zone: zone.clone(),
    }
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

/// The seeds that a report brings: one of its own, and that of the report before.
fn units(which: u8, mode: Mode) -> [SubmittedUnit; 2] {
    [which, which.max(1) - 1].map(|which| SubmittedUnit {
        scheme: Scheme::CX1,
        unit: vec![0xa0 + which; 24],
        key: [which; 32],
        mode,
    })
}

fn key(which: u8) -> SigningKey {
    SigningKey::from_bytes(&[which; 32])
}

fn descriptor(whose: u8) -> Signed<Descriptor> {
    let descriptor = Descriptor {
        provider: keys::public(&key(whose)),
        epoch: 1,
        issued_at: START,
        expires_at: START + 86_400,
        name: "P".to_owned(),
        keys: vec![KeyWindow {
            key: keys::public(&key(3)),
            not_before: START,
            not_after: START + 86_400,
        }],
        zones: vec![zone("fr"), zone("gb")],
        gateways: Vec::new(),
        anchors: Vec::new(),
        next_root: [0; 32],
        upstream: None,
        peers: Vec::new(),
        successor: None,
    };
    Signed::sign(&descriptor, &key(whose)).unwrap()
}

/// A batch of another provider, on one of two branches.
fn foreign(branch: u8, seq: u64) -> (Signed<Batch>, Block) {
    let before: Option<Head> = (seq > 1).then(|| Head::from(&foreign(0, seq - 1).0));
    let at = START + seq;
    let terms = Terms {
        level: Level::DIAGNOSED,
        grade: None,
        observed_before: at,
    };
    let seed = vec![0xf0 + branch; 24];
    let body = OpenBody::build(Scheme::CX1, [(terms, seed)]).unwrap();
    let block = Block::of(Codec::DagCbor, body.encode()).unwrap();
    let part = OpenPart {
        scheme: Scheme::CX1,
        window: Window {
            from: START,
            to: at,
        },
        body: BlockRef {
            cid: block.cid(),
            size: u64::try_from(block.bytes().len()).unwrap(),
        },
        count: 1,
    };
    let descriptor = descriptor(FOREIGN);
    let batch = Batch {
        provider: descriptor.provider,
        zone: zone("fr"),
        key: keys::public(&key(3)),
        epoch: 1,
        seq,
        prev: before.map(|before| before.id),
        published_at: at,
        next_after: at + 60,
        next_by: at + 3600,
        retain_from: START,
        desc: descriptor.cid(),
        salt: [branch; 16],
        covers: None,
        parts: vec![Part::Open(part)],
    };
    (Signed::sign(&batch, &key(3)).unwrap(), block)
}
