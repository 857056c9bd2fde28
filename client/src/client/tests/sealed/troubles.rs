//! What is wrong inside of chunks, for an app that drives the sync by itself.

use bellwether_formats::batch::Part;
use bellwether_formats::cid::Codec;
use bellwether_formats::sealed::{Index, Shape};

use super::*;

/// Changes a chunk.
type Spoil = fn(&mut [u8]);

/// A world in which seed 7 was published in chunks that `spoil` changed before they were listed.
fn spoilt(spoil: Spoil) -> World {
    let mut world = World::new();
    let (batch, blocks) = world
        .provider
        .sealed(world.chain.last(), world.now - 300, &diagnosed(7));
    let chunks = blocks[2..].iter().map(|chunk| {
        let mut bytes = chunk.bytes().to_vec();
        spoil(&mut bytes);
        Block::of(Codec::Raw, bytes).unwrap()
    });
    let chunks: Vec<Block> = chunks.collect();
    let mut batch = (*batch).clone();
    let Some(Part::Sealed(part)) = batch.parts.first_mut() else {
        panic!("it is sealed");
    };
    let shape = Shape::of(part.ids).unwrap();
    let index = Index::of(chunks.iter().map(Block::cid).collect(), &shape).unwrap();
    let index = Block::of(Codec::DagCbor, index.encode()).unwrap();
    part.index = index.cid();
    world
        .chain
        .push(Signed::sign(&batch, &world.provider.keys[0]).unwrap());
    world.blocks.extend([blocks[0].clone(), index]);
    world.blocks.extend(chunks);
    world
}

/// Sets a reserved bit of every entry's payload.
fn reserve(chunk: &mut [u8]) {
    let (count, entries) = chunk.split_at_mut(2);
    let count = usize::from(u16::from_le_bytes([count[0], count[1]]));
    for entry in entries.chunks_mut(Shape::ENTRY_BYTES).take(count) {
        *entry.last_mut().unwrap() ^= 1;
    }
}

#[test]
fn the_end_of_a_sync_tells_what_is_wrong_inside_of_chunks() {
    let many = |chunk: &mut [u8]| chunk[..2].fill(0xff);
    let cases: [(Spoil, &str); 2] = [(reserve, "reserved"), (many, "chunk-count")];
    for (spoil, rule) in cases {
        let world = spoilt(spoil);
        let (now, mirror) = (world.now, world.mirror());
        let mut phone = Phone::new(&world, 2);
        phone.observe(7, now - 3600, now);
        phone.sync(&[Some(&mirror), Some(&mirror)], now);
        assert_eq!(phone.report.chunks, 1);
        let rules = |problems: Vec<Problem>| -> Vec<&str> {
            problems.into_iter().map(|problem| problem.rule).collect()
        };
        assert_eq!(rules(phone.client.end_sync().unwrap()), [rule]);
        assert!(phone.client.end_sync().unwrap().is_empty(), "told once");
        assert_eq!(phone.levels(now), []);
        assert_eq!(phone.doubts(now), [uncovered(now - 300, Cause::Broken)]);
    }
}
