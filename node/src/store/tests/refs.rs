//! What names a block, against a model that counts everything anew from the signed bytes alone.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_formats::batch::{Batch, BlockRef, OpenPart, Part, SealedPart, Window};
use bellwether_formats::chain::Head;
use bellwether_formats::cid::{Block, Cid, Codec};
use bellwether_formats::id::{FeedId, Scheme};
use bellwether_formats::sealed::{Index, Shape};
use bellwether_formats::signed::Signed;
use proptest::prelude::*;
use redb::ReadableTable;

use super::fixture::{NOW, draft, gb, key, public, publish, signed_descriptor, zone};
use super::*;

/// Identifiers of the smallest part: 64 chunks.
const IDS: u64 = 8192;

/// A sealed part and its blocks, the index last. Parts of neighbouring numbers share chunks.
pub(super) fn part(number: u8) -> (Part, Vec<Block>) {
    let shape = Shape::of(IDS).unwrap();
    let chunk = |i: usize| {
        let content = [usize::from(number) * 32 + i % 50].map(usize::to_le_bytes);
        Block::of(Codec::Raw, content.as_flattened().to_vec()).unwrap()
    };
    let mut blocks: Vec<Block> = (0..shape.chunks()).map(chunk).collect();
    let index = Index::of(blocks.iter().map(Block::cid).collect(), &shape).unwrap();
    let index = Block::of(Codec::DagCbor, index.encode()).unwrap();
    let filter = Block::of(Codec::Raw, vec![b'f', number]).unwrap();
    let part = sealed(&filter, &index);
    blocks.push(filter);
    blocks.push(index);
    (part, blocks)
}

/// A part whose index block lists nothing.
pub(super) fn malformed(number: u8) -> (Part, Vec<Block>) {
    let index = Block::of(Codec::DagCbor, vec![0x18, number]).unwrap();
    let filter = Block::of(Codec::Raw, vec![b'f', number]).unwrap();
    let part = sealed(&filter, &index);
    (part, vec![filter, index])
}

fn sealed(filter: &Block, index: &Block) -> Part {
    Part::Sealed(SealedPart {
        scheme: Scheme::CX1,
        window: Window { from: 1, to: NOW },
        filter: BlockRef {
            cid: filter.cid(),
            size: u64::try_from(filter.bytes().len()).unwrap(),
        },
        index: index.cid(),
        ids: IDS,
    })
}

fn open(number: u8) -> (Part, Vec<Block>) {
    let body = Block::of(Codec::DagCbor, vec![0x18, number]).unwrap();
    let part = Part::Open(OpenPart {
        scheme: Scheme::CX1,
        window: Window { from: 1, to: NOW },
        body: BlockRef {
            cid: body.cid(),
            size: 2,
        },
        count: 1,
    });
    (part, vec![body])
}

/// Feeds of provider 2; provider 1 is the node's own.
pub(super) fn feed(number: u8) -> FeedId {
    FeedId {
        provider: public(2),
        zone: zone(["gb", "fr"][usize::from(number % 2)]),
    }
}

/// The batch after the head of a feed of provider 2.
pub(super) fn next(
    store: &Store,
    number: u8,
    epoch: u64,
    at: u64,
    parts: Vec<Part>,
) -> Signed<Batch> {
    let feed = feed(number);
    let head = store.head(&feed).unwrap().map(|head| head.head);
    after(head, feed, epoch, at, parts)
}

fn after(head: Option<Head>, feed: FeedId, epoch: u64, at: u64, parts: Vec<Part>) -> Signed<Batch> {
    let batch = Batch {
        provider: feed.provider,
        zone: feed.zone,
        key: public(3),
        epoch,
        seq: head.map_or(1, |head| head.seq + 1),
        prev: head.map(|head| head.id),
        published_at: at,
        next_after: at,
        next_by: at + 86_400,
        retain_from: at,
        desc: signed_descriptor(2, epoch).cid(),
        salt: [0; 16],
        covers: None,
        parts,
    };
    Signed::sign(&batch, &key(3)).unwrap()
}

#[derive(Clone, Debug)]
enum Op {
    /// A batch with parts: open, sealed, malformed; which of its blocks come ahead; whether the
    /// chunks of the first are broken.
    Batch {
        feed: u8,
        parts: Vec<(u8, u8)>,
        ahead: u8,
        broken: bool,
    },
    /// Blocks that no batch will name.
    Ahead(u8),
    /// The batch of a feed lacks a block.
    Lacking(u8),
    Truncate(u8, u64),
    Descriptor,
    Fork(u8),
    Prepare,
    Discard,
    Publish,
    /// By age, counted back from now; by bytes, as a share of those used; whether loose blocks go.
    Prune(u64, u64, bool),
    LookUp(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let parts = prop::collection::vec((0..3_u8, 0..4_u8), 0..4);
    prop_oneof![
        6 => (0..2_u8, parts, 0..3_u8, any::<bool>()).prop_map(|(feed, parts, ahead, broken)| {
            Op::Batch { feed, parts, ahead, broken }
        }),
        1 => (0..4_u8).prop_map(Op::Ahead),
        1 => (0..2_u8).prop_map(Op::Lacking),
        1 => (0..2_u8, 0..6_u64).prop_map(|(feed, seq)| Op::Truncate(feed, seq)),
        1 => Just(Op::Descriptor),
        1 => (0..2_u8).prop_map(Op::Fork),
        1 => Just(Op::Prepare),
        1 => Just(Op::Discard),
        1 => Just(Op::Publish),
        2 => (0..8_u64, 0..5_u64, any::<bool>()).prop_map(|(age, share, loose)| {
            Op::Prune(age, share, loose)
        }),
        1 => (0..4_u8).prop_map(Op::LookUp),
    ]
}

/// A store, and what the model has to remember of it.
struct World {
    store: Store,
    epoch: u64,
    now: u64,
    /// Batches whose first part's chunks are not kept, and which block is in their place.
    broken: BTreeMap<Cid, Cid>,
}

impl World {
    fn new() -> Self {
        let store = memory();
        store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
        store.put_descriptor(&signed_descriptor(2, 1)).unwrap();
        Self {
            store,
            epoch: 1,
            now: NOW,
            broken: BTreeMap::new(),
        }
    }

    fn run(&mut self, op: Op) {
        self.now += 60;
        let store = &self.store;
        match op {
            Op::Batch {
                feed,
                parts,
                ahead,
                broken,
            } => {
                let made = parts.into_iter().map(|(kind, number)| match kind {
                    0 => open(number),
                    1 => part(number),
                    _ => malformed(number),
                });
                let (parts, blocks): (Vec<_>, Vec<_>) = made.unzip();
                let blocks = blocks.concat();
                let (ahead, later) = blocks.split_at(blocks.len() * usize::from(ahead) / 2);
                store.put_blocks(ahead).unwrap();
                let batch = next(store, feed, self.epoch, self.now, parts);
                let proof = blocks.first().filter(|_| broken).map(Block::cid);
                let proofs = proof.map(|cid| (0, cid)).into_iter().collect();
                store.replicate_without(&batch, later, &proofs).unwrap();
                if let Some(proof) = proof {
                    self.broken.insert(batch.cid(), proof);
                }
            }
            Op::Ahead(number) => store.put_blocks(&part(number).1).unwrap(),
            Op::Lacking(feed) => {
                let (part, blocks) = part(200);
                let batch = next(store, feed, self.epoch, self.now, vec![part]);
                let (lost, here) = (blocks[1].cid(), blocks[2].cid());
                let but_one: Vec<Block> = blocks.into_iter().filter(|b| b.cid() != lost).collect();
                let missing = store.replicate(&batch, &but_one);
                assert!(matches!(missing, Err(ReplicateError::Missing { cid }) if cid == lost));
                assert_eq!(store.block(&here).unwrap(), None);
            }
            Op::Truncate(number, seq) => store.truncate(&feed(number), seq).unwrap(),
            Op::Descriptor => {
                self.epoch += 1;
                let descriptor = signed_descriptor(2, self.epoch);
                assert!(store.put_descriptor(&descriptor).unwrap());
            }
            Op::Fork(number) => {
                let one = next(store, number, self.epoch, self.now, vec![]);
                let other = next(store, number, self.epoch, self.now + 1, vec![]);
                store.put_fork(&one, &other).unwrap();
            }
            Op::Prepare if store.prepared(&gb()).unwrap().is_none() => {
                store.prepare(&draft(store, &gb(), self.now)).unwrap();
            }
            Op::Discard => {
                if let Some(prepared) = store.prepared(&gb()).unwrap() {
                    store.discard(&gb(), prepared.seq).unwrap();
                }
            }
            Op::Publish if store.prepared(&gb()).unwrap().is_none() => {
                publish(store, &gb(), self.now);
            }
            Op::Prepare | Op::Publish => {}
            Op::Prune(age, share, loose) => self.prune(age, share, loose),
            Op::LookUp(number) => {
                let cids: Vec<Cid> = part(number).1.iter().map(Block::cid).collect();
                let lacking = store.look_up(&cids).unwrap();
                assert_eq!(lacking, store.lacking(&cids).unwrap());
            }
        }
    }

    fn prune(&self, age: u64, share: u64, loose: bool) {
        let store = &self.store;
        let before = self.now - age * 60;
        let max_bytes = match share {
            4 => u64::MAX,
            share => store.used_bytes().unwrap() * share / 4,
        };
        let since = if loose { u64::MAX } else { 0 };
        let heads = store.heads().unwrap();
        let policy = RetainPolicy {
            before,
            max_bytes,
            loose_before: since,
            fetching_since: since,
        };
        store.prune(policy).unwrap();
        assert_eq!(store.heads().unwrap(), heads, "heads stay");
        let keys = |table| keys(store, table);
        if loose {
            let absent: Vec<_> = keys(REFS).difference(&keys(BLOCKS)).cloned().collect();
            assert_eq!(absent, Vec::<Vec<u8>>::new());
            assert_eq!(keys(LOOSE), BTreeSet::new());
        }
        for head in heads {
            let rows = store.rows_after(&head.feed, 0, usize::MAX).unwrap();
            let old = rows.iter().filter(|row| row.published_at < before);
            assert!(old.count() <= 1, "all but the head go");
            if store.used_bytes().unwrap() > max_bytes {
                assert_eq!(rows.len(), 1, "nothing is left that may go");
            }
        }
    }

    /// How often each block is named, from the envelopes that are kept.
    fn names(&self) -> BTreeMap<Vec<u8>, u64> {
        let store = &self.store;
        let mut names: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        let mut name = |cid: Cid| *names.entry(cid.to_bytes().to_vec()).or_default() += 1;
        for head in store.heads().unwrap() {
            for row in store.rows_after(&head.feed, 0, usize::MAX).unwrap() {
                let batch = store.batch(&row).unwrap().unwrap();
                name(batch.cid());
                name(batch.desc);
                batch.links().into_iter().for_each(&mut name);
                for (at, part) in batch.parts.iter().enumerate() {
                    let Part::Sealed(part) = part else { continue };
                    if let Some(proof) = self.broken.get(&batch.cid()).filter(|_| at == 0) {
                        name(*proof);
                        continue;
                    }
                    let index = store.block(&part.index).unwrap().unwrap();
                    let index = Index::decode(&index, &Shape::of(part.ids).unwrap());
                    for cid in index.iter().flat_map(Index::cids) {
                        name(*cid);
                    }
                }
            }
        }
        for provider in [1, 2] {
            name(store.descriptor(&public(provider)).unwrap().unwrap().cid());
        }
        if let Some(prepared) = store.prepared(&gb()).unwrap() {
            name(prepared.batch().unwrap().desc);
        }
        let tx = store.read().unwrap();
        for entry in tx.open_table(FORKS).unwrap().iter().unwrap() {
            for cid in entry.unwrap().1.value().chunks(Cid::LEN) {
                name(Cid::from_bytes(cid).unwrap());
            }
        }
        names
    }

    fn holds(&self) {
        assert_eq!(counts(&self.store), self.names());
        assert_eq!(self.store.faults().unwrap(), Vec::<String>::new());
    }
}

fn keys(store: &Store, table: Table) -> BTreeSet<Vec<u8>> {
    let table = store.read().unwrap().open_table(table).unwrap();
    let keys = table.iter().unwrap();
    keys.map(|entry| entry.unwrap().0.value().to_vec())
        .collect()
}

fn counts(store: &Store) -> BTreeMap<Vec<u8>, u64> {
    let table = store.read().unwrap().open_table(REFS).unwrap();
    let counts = table.iter().unwrap().map(|entry| {
        let (cid, count) = entry.unwrap();
        let count = u64::from_be_bytes(count.value().try_into().unwrap());
        (cid.value().to_vec(), count)
    });
    counts.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn names_are_counted_whatever_happens(ops in prop::collection::vec(op(), 1..24)) {
        let mut world = World::new();
        for op in ops {
            world.run(op);
            world.holds();
        }
    }
}

#[test]
fn chunks_go_with_the_last_batch_that_leads_to_them() {
    let mut world = World::new();
    for parts in [vec![(1, 0), (2, 9)], vec![(1, 0), (1, 1)], vec![(1, 1)]] {
        world.run(Op::Batch {
            feed: 0,
            parts,
            ahead: 1,
            broken: false,
        });
        world.holds();
    }
    let store = &world.store;
    let chunk = |number: u8, i: usize| part(number).1[i].cid();
    let has = |cid: Cid| store.block(&cid).unwrap().is_some();
    let prune = |before| {
        let policy = RetainPolicy {
            before,
            ..RetainPolicy::KEEP_ALL
        };
        store.prune(policy).unwrap()
    };
    prune(NOW + 120);
    assert!(has(chunk(0, 0)), "the second batch leads to it");
    let pruned = prune(NOW + 180);
    assert_eq!(pruned.batches, 1);
    assert!(!has(chunk(0, 0)));
    assert!(has(chunk(0, 40)), "parts 0 and 1 share it");
    assert!(has(chunk(1, 0)));
    world.holds();
}

#[test]
fn a_batch_without_its_index_block_can_be_deleted() {
    let mut world = World::new();
    for number in 0..3 {
        world.run(Op::Batch {
            feed: 0,
            parts: vec![(1, number)],
            ahead: 0,
            broken: false,
        });
    }
    let store = &world.store;
    let index = part(0).1.last().unwrap().cid();
    let tx = store.write().unwrap();
    for (cid, damage) in [(index, None), (part(1).1.last().unwrap().cid(), Some(b"?"))] {
        let mut blocks = tx.open_table(BLOCKS).unwrap();
        match damage {
            None => drop(blocks.remove(cid.to_bytes().as_slice()).unwrap()),
            Some(bytes) => {
                let cid = cid.to_bytes();
                drop(blocks.insert(cid.as_slice(), bytes.as_slice()).unwrap());
            }
        }
    }
    tx.commit().unwrap();
    let policy = RetainPolicy {
        before: u64::MAX,
        ..RetainPolicy::KEEP_ALL
    };
    assert_eq!(store.prune(policy).unwrap().batches, 2);
    assert_eq!(store.rows_after(&feed(0), 0, 10).unwrap().len(), 1);
    // Their chunks stay, for nobody can say which they were; `check` tells.
    assert_ne!(store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn what_came_ahead_stays_while_it_is_young_or_being_fetched() {
    let store = memory();
    let (_, blocks) = part(0);
    store.put_blocks(&blocks).unwrap();
    let here = || store.block(&blocks[0].cid()).unwrap().is_some();
    let now = crate::clock::now();
    let young = RetainPolicy {
        loose_before: now - 3600,
        fetching_since: now + 10,
        ..RetainPolicy::KEEP_ALL
    };
    store.prune(young).unwrap();
    assert!(here());
    let fetching = RetainPolicy {
        loose_before: now + 10,
        fetching_since: now - 10,
        max_bytes: 0,
        ..RetainPolicy::KEEP_ALL
    };
    store.prune(fetching).unwrap();
    assert!(here(), "not even if there is no place");
    let full = RetainPolicy {
        max_bytes: 0,
        ..young
    };
    assert_eq!(store.prune(full).unwrap().blocks, 52);
    assert!(!here());
    assert_eq!(store.used_bytes().unwrap(), 0);

    // What is looked up begins to wait anew.
    store.put_blocks(&blocks).unwrap();
    set_loose(&store, 1000);
    let cids: Vec<Cid> = blocks.iter().take(1).map(Block::cid).collect();
    assert_eq!(store.look_up(&cids).unwrap(), []);
    assert_eq!(store.prune(young).unwrap().blocks, 51);
    assert!(here());
}

/// Makes all loose blocks as old as `since` says.
fn set_loose(store: &Store, since: u64) {
    let tx = store.write().unwrap();
    for cid in keys(store, LOOSE) {
        let mut loose = tx.open_table(LOOSE).unwrap();
        let since = since.to_be_bytes();
        loose.insert(cid.as_slice(), since.as_slice()).unwrap();
    }
    tx.commit().unwrap();
}

#[test]
fn what_was_found_in_sealed_parts_is_known_as_long_as_the_batch() {
    let mut world = World::new();
    for _ in 0..2 {
        world.run(Op::Batch {
            feed: 0,
            parts: vec![(0, 1), (1, 0), (2, 9)],
            ahead: 0,
            broken: false,
        });
    }
    let store = &world.store;
    let found = [PartFault {
        part: 1,
        rule: "filter-mismatch".to_owned(),
    }];
    for seq in [1, 2] {
        let (feed, row) = store.unchecked().unwrap().unwrap();
        assert_eq!((feed.clone(), row.seq), (self::feed(0), seq));
        let parts: Vec<_> = row.sealed().iter().map(|s| (s.part, s.chunks)).collect();
        assert_eq!(parts, [(1, true), (2, false)]);
        store.checked(&feed, &row, &found).unwrap();
    }
    assert!(store.unchecked().unwrap().is_none());
    assert_eq!(store.faulty().unwrap(), 2);
    let faulty = store.faulty_batches(&feed(0), 1).unwrap();
    assert_eq!(
        (faulty[0].seq, faulty[0].faults.as_slice()),
        (2, &found[..])
    );
    assert_eq!(store.faulty_batches(&feed(1), 9).unwrap(), []);
    let policy = RetainPolicy {
        before: u64::MAX,
        ..RetainPolicy::KEEP_ALL
    };
    store.prune(policy).unwrap();
    assert_eq!(store.faulty().unwrap(), 1);
    store.truncate(&feed(0), 0).unwrap();
    assert_eq!(store.faulty().unwrap(), 0);
    world.holds();
}
