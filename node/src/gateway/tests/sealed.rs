//! Sealed parts in one answer: an index and its chunks.

use bellwether_formats::car::Car;
use bellwether_formats::cbor::Writer;
use bellwether_formats::cid::{Block, Cid, Codec};

use super::world::World;
use crate::gateway::sealed::{CAR_BYTES, MAX_BODY_BYTES};
use bellwether_formats::limit::MAX_SEALED_CHUNKS;

/// An index and its chunks, which nobody sealed.
pub(crate) struct Part {
    pub(crate) index: Block,
    pub(crate) chunks: Vec<Block>,
}

impl Part {
    /// Chunks of bytes that look random and are the same in every run.
    pub(crate) fn new(seed: u64, chunks: usize, chunk_bytes: usize) -> Self {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        let chunks = (0..chunks).map(|_| {
            let bytes = (0..chunk_bytes).map(|_| next(&mut state));
            Block::of(Codec::Raw, bytes.collect()).unwrap()
        });
        Self::of(chunks.collect())
    }

    pub(crate) fn of(chunks: Vec<Block>) -> Self {
        let index = index(&chunks.iter().map(Block::cid).collect::<Vec<_>>());
        Self { index, chunks }
    }

    /// A part that the store of a world holds.
    pub(crate) fn held(world: &World, chunks: usize, chunk_bytes: usize) -> Self {
        let part = Self::new(1, chunks, chunk_bytes);
        part.put(world);
        part
    }

    pub(crate) fn put(&self, world: &World) {
        world.store.put_blocks(&self.chunks).unwrap();
        world
            .store
            .put_blocks(std::slice::from_ref(&self.index))
            .unwrap();
    }

    fn path(&self) -> String {
        format!("/ipfs/{}?format=car", self.index.cid())
    }
}

/// The next byte of a sequence that looks random.
pub(crate) fn next(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    state.to_be_bytes()[0]
}

fn index(cids: &[Cid]) -> Block {
    let mut w = Writer::new();
    w.array(cids.len());
    for cid in cids {
        w.link(cid);
    }
    Block::of(Codec::DagCbor, w.finish()).unwrap()
}

/// What a gateway does not take for the index of a part that it holds.
pub(crate) fn no_parts(world: &World) -> Vec<(&'static str, Cid)> {
    let part = Part::new(2, 4, 64);
    world.store.put_blocks(&part.chunks).unwrap();
    let held: Vec<Cid> = part.chunks.iter().map(Block::cid).collect();
    let short = Block::of(Codec::Raw, vec![7; 63]).unwrap();
    let empty = Block::of(Codec::Raw, vec![]).unwrap();
    let large = Block::of(Codec::Raw, vec![7; 16 * 1024 + 1]).unwrap();
    let cbor = Block::of(Codec::DagCbor, part.chunks[0].bytes().to_vec()).unwrap();
    let others = [short, empty, large, cbor];
    world.store.put_blocks(&others).unwrap();
    let [short, empty, large, cbor] = others.map(|block| block.cid());
    let absent = Cid::of(Codec::Raw, b"absent");
    let mut trailing = index(&held).bytes().to_vec();
    trailing.push(0);
    let many = MAX_SEALED_CHUNKS + 1;
    let text = Block::of(Codec::Raw, index(&held).bytes().to_vec()).unwrap();
    let cases = [
        ("a chunk", part.chunks[0].clone()),
        ("an index under another codec", text),
        ("no chunks", index(&[])),
        ("too many chunks", index(&vec![held[0]; many])),
        ("a chunk that is not held", index(&[held[0], absent])),
        ("a first chunk that is not held", index(&[absent, held[0]])),
        ("a chunk of another size", index(&[held[0], short])),
        ("chunks of no bytes", index(&[empty, empty])),
        ("a chunk too large", index(&[large])),
        ("a chunk that is not raw", index(&[cbor, held[0]])),
        (
            "more after the list",
            Block::of(Codec::DagCbor, trailing).unwrap(),
        ),
        (
            "not a list",
            Block::of(Codec::DagCbor, b"\x00".to_vec()).unwrap(),
        ),
    ];
    let mut cids = Vec::new();
    for (what, block) in cases {
        cids.push((what, block.cid()));
        world.store.put_blocks(&[block]).unwrap();
    }
    cids.push(("nothing held", index(&[absent]).cid()));
    cids
}

#[test]
fn a_part_comes_whole_index_first() {
    let world = World::new();
    let part = Part::held(&world, 9, 4096);
    let reply = world.get(&part.path(), &[]);
    assert_eq!(reply.status, 200);
    let cid = part.index.cid();
    for (name, value) in [
        ("content-type", "application/vnd.ipld.car; version=1"),
        ("cache-control", "public, max-age=29030400, immutable"),
        ("etag", &*format!("\"{cid}.car\"")),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "none"),
        ("content-length", &*reply.body.len().to_string()),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(reply.field(name), value, "{name}");
    }
    let car = Car::decode(&reply.body, MAX_BODY_BYTES).unwrap();
    let blocks: Vec<Block> = [&part.index]
        .into_iter()
        .chain(&part.chunks)
        .cloned()
        .collect();
    assert_eq!((car.roots, car.blocks), (vec![cid], blocks));

    let head = world.ask("HEAD", &part.path(), &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.field("content-length"), reply.field("content-length"));
    let known = world.get(&part.path(), &[("If-None-Match", reply.field("etag"))]);
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.field("cache-control"), reply.field("cache-control"));
    let part_of_it = world.get(&part.path(), &[("Range", "bytes=0-1")]);
    assert_eq!((part_of_it.status, &part_of_it.body), (200, &reply.body));

    let named = [("Accept", "application/vnd.ipld.car")];
    let path = format!("/ipfs/{cid}");
    assert_eq!(world.get(&path, &named).body, reply.body);
    let path = format!("{}&dag-scope=all", part.path());
    assert_eq!(world.get(&path, &[]).body, reply.body);
    let path = format!("{}&dag-scope=block", part.path());
    let reply = world.get(&path, &[]);
    assert_eq!((reply.status, &*reply.rule()), (400, "dag-scope"));
}

#[test]
fn the_largest_part_fits_the_memory_set_aside() {
    let world = World::new();
    let part = Part::held(&world, MAX_SEALED_CHUNKS, 16 * 1024);
    let reply = world.get(&part.path(), &[]);
    assert!(reply.body.len() > MAX_BODY_BYTES);
    assert!(reply.body.len() + 16 * 1024 <= CAR_BYTES);
    let car = Car::decode(&reply.body, reply.body.len()).unwrap();
    assert_eq!(car.blocks.len(), MAX_SEALED_CHUNKS + 1);
}

#[test]
fn what_is_no_part_or_not_whole_is_not_bundled() {
    let world = World::new();
    for (what, cid) in no_parts(&world) {
        let reply = world.get(&format!("/ipfs/{cid}?format=car"), &[]);
        assert_eq!((reply.status, &*reply.rule()), (404, "not-found"), "{what}");
    }
}
