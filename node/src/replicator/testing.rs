//! Providers and nodes for tests: real signatures, a real store in memory, an invented clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bellwether_formats::batch::{Batch, BlockRef, OpenPart, Part, Window};
use bellwether_formats::chain::Head;
use bellwether_formats::cid::{Block, Codec};
use bellwether_formats::descriptor::{Anchor, Descriptor, KeyWindow};
use bellwether_formats::id::{FeedId, ObjectId, PublicKey, Scheme, Zone};
use bellwether_formats::signed::Signed;
use ed25519_dalek::SigningKey;
use redb::backends::InMemoryBackend;

use super::*;
use crate::network::{SyncRequest, SyncResponse, Verdict};
use crate::relay::RefuseError;
use crate::relay::perform::{known, perform};
use crate::relay::server::answer;
use crate::relay::verify::verify;
use crate::store::Store;

/// When the first descriptor was issued, in seconds of UTC.
pub(crate) const T0: u64 = 1_600_000_000;

pub(crate) mod sealed;

fn public(key: &SigningKey) -> PublicKey {
    PublicKey::from_bytes(key.verifying_key().to_bytes())
}

/// A provider with one zone.
pub(crate) struct Author {
    root: SigningKey,
    pub(crate) key: SigningKey,
    pub(crate) descriptor: Signed<Descriptor>,
    /// All that were issued before.
    older: Vec<Signed<Descriptor>>,
    pub(crate) zone: Zone,
}

impl Author {
    pub(crate) fn new(number: u8) -> Self {
        let root = SigningKey::from_bytes(&[number; 32]);
        let key = SigningKey::from_bytes(&[number ^ 0x80; 32]);
        let zone: Zone = "gb/sct".parse().unwrap();
        let descriptor = Descriptor {
            provider: public(&root),
            epoch: 1,
            issued_at: T0,
            expires_at: T0 + 300 * 86_400,
            name: "Example".to_owned(),
            keys: vec![window(&key)],
            zones: vec![zone.clone()],
            gateways: Vec::new(),
            anchors: Vec::new(),
            next_root: [7; 32],
            upstream: None,
            peers: Vec::new(),
            successor: None,
        };
        Self {
            descriptor: Signed::sign(&descriptor, &root).unwrap(),
            older: Vec::new(),
            root,
            key,
            zone,
        }
    }

    pub(crate) fn feed(&self) -> FeedId {
        FeedId {
            provider: self.descriptor.provider,
            zone: self.zone.clone(),
        }
    }

    /// Renews the descriptor: one epoch more, and what `change` does.
    pub(crate) fn renew(&mut self, change: impl FnOnce(&mut Descriptor)) {
        let mut descriptor = Descriptor::clone(&self.descriptor);
        descriptor.epoch += 1;
        change(&mut descriptor);
        let descriptor = Signed::sign(&descriptor, &self.root).unwrap();
        let older = std::mem::replace(&mut self.descriptor, descriptor);
        self.older.push(older);
    }

    /// Signs with a new key from now on; the old one is no longer listed.
    pub(crate) fn replace_key(&mut self, seed: u8) {
        self.key = SigningKey::from_bytes(&[seed; 32]);
        let window = window(&self.key);
        self.renew(|descriptor| descriptor.keys = vec![window]);
    }

    /// Replaces the key and disowns what does not lead to `batch`.
    pub(crate) fn revoke(&mut self, seed: u8, batch: &Signed<Batch>) {
        self.key = SigningKey::from_bytes(&[seed; 32]);
        let window = window(&self.key);
        let zone = self.zone.clone();
        self.renew(|descriptor| {
            descriptor.keys = vec![window];
            descriptor.anchors = vec![Anchor {
                zone,
                epoch: descriptor.epoch,
                seq: batch.seq,
                id: batch.id(),
            }];
        });
    }

    /// Disowns what follows the batch `seq` of this id.
    pub(crate) fn disown(&mut self, seq: u64, id: ObjectId) {
        let zone = self.zone.clone();
        self.renew(|descriptor| {
            descriptor.anchors = vec![Anchor {
                zone,
                epoch: descriptor.epoch,
                seq,
                id,
            }];
        });
    }

    /// A batch after `prev`, a minute later, with these bodies.
    pub(crate) fn batch_of(
        &self,
        prev: Option<&Signed<Batch>>,
        bodies: &[&Block],
        change: impl FnOnce(&mut Batch),
    ) -> Signed<Batch> {
        let at = prev.map_or(T0, |prev| prev.published_at) + 60;
        let mut batch = Batch {
            provider: self.descriptor.provider,
            zone: self.zone.clone(),
            key: public(&self.key),
            epoch: self.descriptor.epoch,
            seq: prev.map_or(0, |prev| prev.seq) + 1,
            prev: prev.map(Signed::id),
            published_at: at,
            next_after: at,
            next_by: at + 3600,
            retain_from: T0,
            desc: self.descriptor.cid(),
            salt: [0; 16],
            covers: None,
            parts: bodies.iter().map(|body| part(body)).collect(),
        };
        change(&mut batch);
        Signed::sign(&batch, &self.key).unwrap()
    }

    /// A heartbeat.
    pub(crate) fn beat(&self, prev: Option<&Signed<Batch>>) -> Signed<Batch> {
        self.batch_of(prev, &[], |_| {})
    }

    /// Heartbeats 1 to `count`.
    pub(crate) fn chain(&self, count: usize) -> Vec<Signed<Batch>> {
        let mut chain: Vec<Signed<Batch>> = Vec::new();
        for _ in 0..count {
            chain.push(self.beat(chain.last()));
        }
        chain
    }

    /// Puts batches into a store, with what they need.
    pub(crate) fn fill(&self, store: &Store, batches: &[Signed<Batch>], blocks: &[Block]) {
        for descriptor in self.older.iter().chain([&self.descriptor]) {
            store.put_descriptor(descriptor).unwrap();
        }
        for batch in batches {
            store.replicate(batch, blocks).unwrap();
        }
    }
}

fn window(key: &SigningKey) -> KeyWindow {
    KeyWindow {
        key: public(key),
        not_before: T0 - 1000,
        not_after: T0 + 300 * 86_400,
    }
}

fn part(body: &Block) -> Part {
    Part::Open(OpenPart {
        scheme: Scheme::CX1,
        window: Window { from: 1, to: T0 },
        body: BlockRef {
            cid: body.cid(),
            size: u64::try_from(body.bytes().len()).unwrap(),
        },
        count: 1,
    })
}

/// Some block.
pub(crate) fn block(content: &[u8]) -> Block {
    Block::of(Codec::DagCbor, content.to_vec()).unwrap()
}

pub(crate) fn memory() -> Store {
    Store::with_backend(InMemoryBackend::new()).unwrap()
}

pub(crate) fn peer(number: u8) -> PeerId {
    let mut seed = [number; 32];
    let key = libp2p::identity::Keypair::ed25519_from_bytes(&mut seed).unwrap();
    key.public().to_peer_id()
}

/// A replicator with its store; what it asks for waits in `asks`.
pub(crate) struct Node {
    pub(crate) replicator: Replicator,
    pub(crate) store: Store,
    pub(crate) feeds: BTreeSet<FeedId>,
    pub(crate) now: Moment,
    pub(crate) asks: VecDeque<(PeerId, u64, SyncRequest)>,
    pub(crate) judged: BTreeMap<u64, Result<(), RefuseError>>,
    pub(crate) fences: Vec<u64>,
    pub(crate) notes: Vec<Note>,
    tokens: u64,
}

impl Node {
    /// Carries these feeds; its clock stands a day after [`T0`].
    pub(crate) fn new(store: Store, feeds: &[FeedId]) -> Self {
        Self::with(store, feeds, &[])
    }

    pub(crate) fn with(store: Store, feeds: &[FeedId], own: &[FeedId]) -> Self {
        let now = Moment {
            utc: T0 + 86_400,
            at: Duration::ZERO,
        };
        let (known, descriptors) = known(&store, feeds, own).unwrap();
        let interval = Duration::from_secs(60);
        let mut node = Self {
            replicator: Replicator::new(known, descriptors, interval, now),
            store,
            feeds: feeds.iter().chain(own).cloned().collect(),
            now,
            asks: VecDeque::new(),
            judged: BTreeMap::new(),
            fences: Vec::new(),
            notes: Vec::new(),
            tokens: 0,
        };
        node.settle();
        node
    }

    pub(crate) fn handle(&mut self, input: Input) {
        self.replicator.handle(input, self.now);
        self.settle();
    }

    fn settle(&mut self) {
        while let Some(output) = self.replicator.poll_output() {
            match output {
                Output::Ask { peer, tag, request } => self.asks.push_back((peer, tag, request)),
                Output::Judged { token, result } => {
                    assert_eq!(self.judged.insert(token, result), None, "judged once");
                }
                Output::Store(job) => {
                    if let Some(input) = perform(&self.store, job).unwrap() {
                        self.replicator.handle(input, self.now);
                    }
                }
                Output::Fence { order, .. } => self.fences.push(order.1),
                Output::Note(note) => self.notes.push(note),
            }
        }
    }

    /// Lets time pass, with every timeout in it.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.at + time;
        while let Some(at) = self.replicator.poll_timeout().filter(|at| *at <= end) {
            assert!(at > self.now.at, "no timeout is in the past");
            self.move_to(at);
            self.handle(Input::Tick);
        }
        self.move_to(end);
    }

    pub(crate) fn move_to(&mut self, at: Duration) {
        let start = self.now.utc - self.now.at.as_secs();
        self.now = Moment {
            utc: start + at.as_secs(),
            at,
        };
    }

    pub(crate) fn connect(&mut self, peer: PeerId) {
        let jitter = u32::MAX / 2;
        self.handle(Input::Connected { peer, jitter });
    }

    /// Hears a batch; gives the token of its verdict.
    pub(crate) fn hear(&mut self, peer: PeerId, batch: &Signed<Batch>) -> u64 {
        self.tokens += 1;
        let (token, batch) = (self.tokens, Box::new(batch.clone()));
        self.handle(Input::Gossip { peer, token, batch });
        token
    }

    /// Hears a batch that is judged at once.
    pub(crate) fn judge(&mut self, peer: PeerId, batch: &Signed<Batch>) -> Result<(), RefuseError> {
        let token = self.hear(peer, batch);
        self.judged.remove(&token).expect("judged at once")
    }

    pub(crate) fn answer(&mut self, tag: u64, answer: Answer) {
        self.handle(Input::Answer { tag, answer });
    }

    /// Takes the next question, which must be there.
    pub(crate) fn asked(&mut self) -> (PeerId, u64, SyncRequest) {
        self.asks.pop_front().expect("something is asked")
    }

    /// Answers the open questions, and those that follow, each from the store of whom it is for.
    pub(crate) fn serve(&mut self, stores: &[(PeerId, &Store)]) {
        while let Some((peer, tag, request)) = self.asks.pop_front() {
            let store = stores.iter().find(|(name, _)| *name == peer);
            let response = match store {
                Some((_, store)) => Ok(answer(store, &self.feeds, &request).unwrap()),
                None => Err(crate::network::RequestError::Timeout),
            };
            self.respond(tag, response);
        }
    }

    pub(crate) fn respond(
        &mut self,
        tag: u64,
        response: Result<SyncResponse, crate::network::RequestError>,
    ) {
        let answer = verify(&self.replicator.asked_blocks(tag), response);
        self.answer(tag, answer);
    }

    /// The newest batch in the store.
    pub(crate) fn head(&self, feed: &FeedId) -> Option<Head> {
        let head = self.store.head(feed).unwrap().map(|head| head.head);
        let status = self.replicator.status();
        assert_eq!(status.get(feed).and_then(|feed| feed.head), head);
        assert_eq!(self.store.faults().unwrap(), Vec::<String>::new());
        head
    }

    pub(crate) fn seq(&self, feed: &FeedId) -> u64 {
        self.head(feed).map_or(0, |head| head.seq)
    }
}

pub(crate) fn verdict(result: &Result<(), RefuseError>) -> Verdict {
    match result {
        Ok(()) => Verdict::Accept,
        Err(error) => error.verdict(),
    }
}
