//! Sealed parts, from identifiers to blocks and back (spec §5).
//!
//! `cargo test -p bellwether-formats --test all sealed:: -- --nocapture` prints what a part costs.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, and prints its table"
)]

use std::collections::BTreeSet;

use crate::common::{NOW, random};
use bellwether_formats::cid::{Block, Codec};
use bellwether_formats::filter::Filter;
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::pir::{Mask, combine, xor_into};
use bellwether_formats::sealed::{
    Again, BuildError, BuiltPart, Chunk, Entry, IdHash, Index, LADDER, Payload, Place, Plan,
    RebuildError, SealedError, Shape, rebuild_filter,
};
use sha2::{Digest, Sha256};

const SALT: [u8; 16] = [0x5a; 16];
const BITS: u8 = 18;

fn wide(number: usize) -> u64 {
    number.try_into().unwrap()
}

fn float(number: usize) -> f64 {
    u32::try_from(number).unwrap().into()
}

/// The identifier with a number, 16 bytes.
fn identifier(number: u64) -> [u8; 16] {
    Sha256::digest(number.to_be_bytes())[..16]
        .try_into()
        .unwrap()
}

fn hash(number: u64) -> IdHash {
    IdHash::of(Scheme::CX1, &SALT, None, &identifier(number))
}

fn payload(number: u64) -> Payload {
    Payload {
        level: Level(u8::try_from(3 + number % 4).unwrap()),
        grade_step: u8::try_from(number % 5).unwrap(),
        observed_before: NOW + number,
        span: None,
    }
}

fn plan(ids: u64) -> Plan {
    let entries = (0..ids).map(|number| Entry::seal(&hash(number), payload(number)));
    Plan::new(entries.collect()).unwrap()
}

/// All parts, as a provider makes them: other random bytes until it is none too full.
fn build(plan: &Plan, bits: u8) -> Vec<BuiltPart> {
    let build = |seed: u64| {
        let part = |number| plan.part(number, bits, &mut random(seed * 100 + wide(number)));
        (0..plan.parts()).map(part).collect::<Result<Vec<_>, _>>()
    };
    let tries = (0..20).map(build).inspect(|built| {
        assert!(!matches!(built, Err(error) if !matches!(error, BuildError::Again(_))));
    });
    tries.flatten().next().expect("one of twenty")
}

/// A part as a client reads it.
struct Read<'a> {
    shape: Shape,
    place: Place,
    index: Index,
    filter: Filter,
    chunks: Vec<Chunk<'a>>,
}

fn read(parts: &[BuiltPart]) -> Vec<Read<'_>> {
    let numbers = 0..parts.len();
    let place = |part| Place {
        parts: parts.len(),
        part,
    };
    numbers
        .map(|part| read_part(&parts[part], place(part)))
        .collect()
}

fn read_part(built: &BuiltPart, place: Place) -> Read<'_> {
    let shape = Shape::of(built.ids).unwrap();
    let index = Index::decode(built.index.bytes(), &shape).unwrap();
    assert_eq!(index.encode(), built.index.bytes());
    let cids: Vec<_> = built.chunks.iter().map(Block::cid).collect();
    assert_eq!(index.cids(), cids);
    let mut chunks = Vec::new();
    for (number, block) in built.chunks.iter().enumerate() {
        chunks.push(Chunk::decode(block.bytes(), &shape, place, number).unwrap());
    }
    let entries: usize = chunks.iter().map(Chunk::len).sum();
    assert_eq!(wide(entries), built.ids, "padded to the rung exactly");
    let filter = Filter::decode(built.filter.bytes(), built.ids, 12).unwrap();
    Read {
        shape,
        place,
        index,
        filter,
        chunks,
    }
}

/// What a client finds: the filter's word, and the chunk's.
fn look(parts: &[Read<'_>], hash: &IdHash) -> (bool, Option<Payload>) {
    let (tag, shape) = (hash.tag(), parts[0].shape);
    let part = &parts[tag.part(parts.len())];
    assert!(part.place.holds(&tag));
    let chunk = tag.chunk(parts.len(), shape.chunks());
    assert!(part.index.cid(chunk).is_some());
    let opened = part.chunks[chunk].open(hash);
    (
        part.filter.contains(hash.key()),
        opened.map(|payload| payload.unwrap()),
    )
}

#[test]
fn every_identifier_is_found_and_no_other() {
    let sizes = [
        (0, 1, 8192),
        (100, 1, 8192),
        (8000, 1, 8192),
        (16_384, 1, 16_384),
    ];
    let larger = [
        (20_000, 1, 20_480),
        (1 << 17, 1, 1 << 17),
        (600_000, 3, 229_376),
    ];
    for (ids, parts, rung) in sizes.into_iter().chain(larger) {
        let plan = plan(ids);
        assert_eq!((plan.parts(), plan.shape().ids()), (parts, rung), "{ids}");
        let built = build(&plan, BITS);
        let read = read(&built);
        for number in 0..ids {
            let found = look(&read, &hash(number));
            assert_eq!(found, (true, Some(payload(number))), "{number} of {ids}");
        }
        let strangers = 50_000;
        let mut possible = 0;
        for number in ids..ids + strangers {
            let (filter, opened) = look(&read, &hash(number));
            assert_eq!(opened, None, "a stranger opens nothing");
            possible += u32::from(filter);
        }
        assert!(possible <= 8, "{possible} of 50000 at 2^-18");
        // The same identifier in another scheme or batch is another one.
        for other in [
            IdHash::of(Scheme::CX2, &SALT, None, &identifier(0)),
            IdHash::of(Scheme::CX1, &[0x5b; 16], None, &identifier(0)),
        ] {
            assert_eq!(look(&read, &other).1, None);
        }
    }
}

#[test]
fn parts_can_be_built_on_several_threads() {
    let plan = plan(300_000);
    let alone = build(&plan, 12);
    assert_eq!(alone.len(), 2);
    let part = |number: usize| plan.part(number, 12, &mut random(wide(number)));
    let both: Vec<_> = std::thread::scope(|scope| {
        let threads = [0, 1].map(|number| scope.spawn(move || part(number)));
        threads.map(|thread| thread.join().unwrap().unwrap()).into()
    });
    assert_eq!(both, alone);
}

#[test]
fn a_relay_makes_the_same_filter_of_the_body() {
    let built = build(&plan(300_000), 12);
    let shape = Shape::of(built[0].ids).unwrap();
    for (part, built) in built.iter().enumerate() {
        let place = Place { parts: 2, part };
        let rebuild =
            |chunks: &[Block]| rebuild_filter(chunks.iter().map(Block::bytes), &shape, place, 12);
        assert_eq!(rebuild(&built.chunks).unwrap(), built.filter.bytes());
        let mut swapped = built.chunks.clone();
        swapped.swap(3, 4);
        let refused = rebuild(&swapped).unwrap_err();
        assert_eq!(
            refused,
            RebuildError::Chunk(SealedError::Place { entry: 0 })
        );
        let short = rebuild(&built.chunks[1..]).unwrap_err();
        assert_eq!(short, RebuildError::Chunk(SealedError::Place { entry: 0 }));
        let short = rebuild(&built.chunks[..shape.chunks() - 1]).unwrap_err();
        assert!(matches!(short, RebuildError::Ids { .. }));
        let mut fewer = built.chunks.clone();
        let empty = vec![0; shape.chunk_bytes()];
        fewer[7] = Block::of(Codec::Raw, empty).unwrap();
        assert!(matches!(rebuild(&fewer), Err(RebuildError::Ids { .. })));
    }
}

#[test]
fn of_equal_identifiers_the_higher_level_counts() {
    let say = |level, grade_step, observed_before| Payload {
        level: Level(level),
        grade_step,
        observed_before,
        span: None,
    };
    // What submissions say of one identifier, and what is left, whatever their order.
    let cases = [
        (
            vec![say(4, 0, NOW), say(5, 1, NOW - 9), say(3, 4, NOW + 9)],
            say(5, 1, NOW - 9),
        ),
        (vec![say(5, 4, NOW), say(5, 0, NOW + 1)], say(5, 0, NOW + 1)),
        (
            vec![say(5, 2, NOW), say(5, 3, NOW), say(5, 3, NOW)],
            say(5, 3, NOW),
        ),
    ];
    for (said, left) in cases {
        for turn in 0..said.len() {
            let mut said = said.clone();
            said.rotate_left(turn);
            let mut entries: Vec<_> = (1..500)
                .map(|n| Entry::seal(&hash(n), payload(n)))
                .collect();
            entries.extend(said.iter().map(|said| Entry::seal(&hash(0), *said)));
            entries.extend((1..500).map(|n| Entry::seal(&hash(n), payload(n))));
            let plan = Plan::new(entries).unwrap();
            assert_eq!(plan.len(), 500);
            let built = build(&plan, BITS);
            assert_eq!(look(&read(&built), &hash(0)), (true, Some(left)));
        }
    }
}

/// Somebody chooses identifiers so that their hashes begin alike, with whatever he can know before
/// the batch closes: no salt, the salt of zeros, that of the batch before. The salt to come spreads
/// them as any others.
#[test]
fn prepared_identifiers_do_not_break_a_build() {
    let plain = |id: &[u8]| -> [u8; 32] { Sha256::digest(id).into() };
    let zero = |id: &[u8]| Sha256::digest([&b"bw1\x01"[..], &[0; 16], id].concat()).into();
    let before = |id: &[u8]| Sha256::digest([&b"bw1\x01"[..], &[0x59; 16], id].concat()).into();
    type Hash<'a> = &'a dyn Fn(&[u8]) -> [u8; 32];
    let hashes: [Hash<'_>; 3] = [&plain, &zero, &before];
    for prepared in hashes {
        let ids = (0..)
            .map(identifier)
            .filter(|id| prepared(id)[0] == 0)
            .take(4000);
        let ids: Vec<_> = ids.collect();
        let entries = |salt: &[u8; 16]| {
            let seal = |id| Entry::seal(&IdHash::of(Scheme::CX1, salt, None, id), payload(0));
            ids.iter().map(|id| seal(id)).collect::<Vec<_>>()
        };
        let built = build(&Plan::new(entries(&SALT)).unwrap(), BITS);
        assert_eq!(built[0].ids, 8192);
        if prepared(&ids[0]) == before(&ids[0]) {
            // The attack is real: under the salt that it was prepared for, a chunk overflows.
            let plan = Plan::new(entries(&[0x59; 16])).unwrap();
            let again = plan.part(0, BITS, &mut random(1));
            assert_eq!(again, Err(BuildError::Again(Again::Chunk)));
        }
    }
}

#[test]
fn what_chance_breaks_starts_again() {
    let plan = plan(10);
    let again = |random: &mut dyn FnMut(&mut [u8])| plan.part(0, BITS, random);
    // A source that gives one number gives equal dummies.
    let stuck = again(&mut |bytes| bytes.fill(7));
    assert_eq!(stuck, Err(BuildError::Again(Again::Keys)));
    // One whose numbers are small fills the first chunk.
    let mut count = 0_u64;
    let small = again(&mut |bytes| {
        for entry in bytes.chunks_exact_mut(24) {
            count += 1;
            entry[..8].copy_from_slice(&count.to_be_bytes());
        }
    });
    assert_eq!(small, Err(BuildError::Again(Again::Chunk)));
    // What is not chance is final.
    for bits in [0, 7, 31, 255] {
        let refused = plan.part(0, bits, &mut random(1));
        assert!(
            matches!(
                refused,
                Err(BuildError::Filter(_) | BuildError::Again(Again::Chunk))
            ),
            "{bits}"
        );
    }
    let missing = plan.part(1, BITS, &mut random(1));
    assert_eq!(
        missing,
        Err(BuildError::Number {
            number: 1,
            parts: 1
        })
    );
}

#[test]
fn a_changed_chunk_is_refused() {
    let built = build(&plan(8000), BITS);
    let shape = Shape::of(8192).unwrap();
    let block = &built[0].chunks[5];
    let mut by_rule = BTreeSet::new();
    for bit in 0..8 * block.bytes().len() {
        let mut mutant = block.bytes().to_vec();
        mutant[bit / 8] ^= 1 << (bit % 8);
        let verdict = Chunk::decode(&mutant, &shape, Place::ONLY, 5).map_err(|e| e.rule());
        by_rule.extend(verdict.err());
        let refused = Block::verify(block.cid(), mutant).map_err(|e| e.rule());
        assert_eq!(refused.map(drop), Err("block-hash"), "bit {bit}");
    }
    let rules = ["chunk-count", "chunk-tail", "tag-order", "tag-place"];
    assert_eq!(by_rule.into_iter().collect::<Vec<_>>(), rules);
}

/// One look at a chunk through two relays: what is sent and answered, in bytes.
fn query(chunks: &[Block], wanted: usize, shape: &Shape) -> usize {
    let mut drawn = vec![0; Mask::len_of(chunks.len())];
    random(wide(wanted))(&mut drawn);
    let one = Mask::of_bytes(&drawn, chunks.len()).unwrap();
    let halves = [one.clone(), one.flipped(wanted).unwrap()];
    let answers = halves.map(|half| {
        let sent = Mask::decode(half.as_bytes(), chunks.len()).unwrap();
        let mut answer = vec![0; shape.chunk_bytes()];
        for number in sent.chosen() {
            xor_into(&mut answer, chunks[number].bytes()).unwrap();
        }
        answer
    });
    let chunk = combine(&answers[0], &answers[1]).unwrap();
    let bytes = 2 * (drawn.len() + chunk.len());
    assert!(Block::verify(chunks[wanted].cid(), chunk).is_ok());
    bytes
}

/// The targets are the design's: filter, index and one query, an identifier of the rung.
#[test]
fn what_a_part_costs() {
    println!("    ids |  chunks |  filter |  index |  query |     body | B an id | with body");
    for ids in LADDER {
        let built = build(&plan(ids * 15 / 16), BITS).remove(0);
        assert_eq!(built.ids, ids);
        let shape = Shape::of(ids).unwrap();
        let query = query(&built.chunks, shape.chunks() / 2, &shape);
        let (filter, index) = (built.filter.bytes().len(), built.index.bytes().len());
        let per = |bytes: usize| float(bytes) / float(usize::try_from(ids).unwrap());
        let cost = per(filter + index + query);
        let (count, size, body) = (
            shape.chunks(),
            shape.chunk_bytes() / 1024,
            shape.body_bytes(),
        );
        println!(
            "{ids:>7} | {count:>3}x{size:>2}K | {filter:>7} | {index:>6} | {query:>6} | {body:>8} | {cost:>7.3} | {:>7.2}",
            per(filter + index + body),
        );
        match ids {
            0x2_0000 => assert!(cost <= 2.8, "{cost} B"),
            0x4_0000 => assert!(cost <= 2.65, "{cost} B"),
            _ => {}
        }
    }
}
