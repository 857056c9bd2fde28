use bellwether_formats::cid::Codec;
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::pir::{Mask, combine};
use bellwether_formats::sealed::{Chunk, Entry, IdHash, Payload, Place, Plan, Shape};

use super::*;
use crate::gateway::tests::sealed::{Part, next, no_parts};
use crate::gateway::tests::world::World;
use crate::http::client::Reply;

mod bounds;

const CHUNKS: usize = 20;
const CHUNK_BYTES: usize = 4096;

fn path(part: &Part) -> String {
    format!("/v1/pir/{}", part.index.cid())
}

fn ask(world: &World, part: &Part, mask: &[u8]) -> Reply {
    world.served.post(&path(part), mask)
}

/// The XOR of the chunks whose bits are set, from the words of the spec.
fn expected(part: &Part, mask: &[u8]) -> Vec<u8> {
    let mut answer = vec![0; part.chunks[0].bytes().len()];
    for (number, chunk) in part.chunks.iter().enumerate() {
        if mask[number / 8] & (1 << (number % 8)) != 0 {
            for (at, byte) in chunk.bytes().iter().enumerate() {
                answer[at] ^= byte;
            }
        }
    }
    answer
}

#[test]
fn the_answer_is_the_xor_of_the_chunks_chosen() {
    let world = World::new();
    let part = Part::held(&world, CHUNKS, CHUNK_BYTES);
    for mask in [
        [0, 0, 0],
        [1, 0, 0],
        [0, 0, 8],
        [0x5a, 0xc3, 5],
        [255, 255, 15],
    ] {
        let reply = ask(&world, &part, &mask);
        assert_eq!((reply.status, &reply.body), (200, &expected(&part, &mask)));
        for (name, value) in [
            ("content-type", "application/octet-stream"),
            ("cache-control", "no-store"),
            ("content-length", "4096"),
            ("access-control-allow-origin", "*"),
            ("x-content-type-options", "nosniff"),
            ("etag", ""),
        ] {
            assert_eq!(reply.field(name), value, "{name}");
        }
    }
    assert_eq!(ask(&world, &part, &[1, 0, 0]).body, part.chunks[0].bytes());
}

#[test]
fn two_halves_are_the_chunk() {
    let (one, other) = (World::new(), World::new());
    let part = Part::held(&one, 53, 16 * 1024);
    part.put(&other);
    let mask = Mask::of_bytes(b"random!", 53).unwrap();
    for wanted in [0, 7, 8, 52] {
        let flipped = mask.flipped(wanted).unwrap();
        let [a, b] = [(&one, &mask), (&other, &flipped)]
            .map(|(world, mask)| ask(world, &part, mask.as_bytes()).body);
        assert_eq!(combine(&a, &b).unwrap(), part.chunks[wanted].bytes());
    }
}

#[test]
fn an_entry_of_a_sealed_part_is_found_by_two_relays() {
    let hashes: Vec<IdHash> = (0..100_u64)
        .map(|id| IdHash::of(Scheme::CX1, &[7; 16], None, &[id.to_be_bytes(); 2].concat()))
        .collect();
    let payload = Payload {
        level: Level::DIAGNOSED,
        grade_step: 0,
        observed_before: 1_800_000_000,
        span: None,
    };
    let entries = hashes.iter().map(|hash| Entry::seal(hash, payload));
    let plan = Plan::new(entries.collect()).unwrap();
    let mut state = 1;
    let mut random = |bytes: &mut [u8]| bytes.fill_with(|| next(&mut state));
    let built = plan.part(0, 18, &mut random).unwrap();
    let shape = Shape::of(built.ids).unwrap();
    let part = Part {
        index: built.index,
        chunks: built.chunks,
    };
    let (one, other) = (World::new(), World::new());
    part.put(&one);
    part.put(&other);

    let wanted = hashes[42].tag().chunk(1, shape.chunks());
    let mask = Mask::of_bytes(&[0x9c; 8], shape.chunks()).unwrap();
    let a = ask(&one, &part, mask.as_bytes()).body;
    let b = ask(&other, &part, mask.flipped(wanted).unwrap().as_bytes()).body;
    let chunk = combine(&a, &b).unwrap();
    let chunk = Chunk::decode(&chunk, &shape, Place::ONLY, wanted).unwrap();
    assert_eq!(chunk.open(&hashes[42]), Some(Ok(payload)));
}

#[test]
fn what_is_no_mask_is_refused() {
    let world = World::new();
    let part = Part::held(&world, CHUNKS, CHUNK_BYTES);
    for mask in [
        &[0, 0, 16][..],
        &[0, 0, 128],
        &[],
        &[0; 2],
        &[0; 4],
        &[0; 61],
    ] {
        let reply = ask(&world, &part, mask);
        assert_eq!((reply.status, &*reply.rule()), (400, "mask"), "{mask:?}");
        assert_eq!(reply.field("cache-control"), "no-store");
    }
    let reply = ask(&world, &part, &[0; 62]);
    assert_eq!((reply.status, &*reply.rule()), (413, "too-large"));

    // The body is not awaited when its length is known, nor beyond what a mask has.
    let path = path(&part);
    for head in [
        format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 9999999999\r\n\r\n"),
        format!(
            "POST {path} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3e\r\n{}\r\n",
            "x".repeat(62)
        ),
    ] {
        let mut client = world.served.connect();
        client.send(head.as_bytes());
        let reply = client.reply("POST").unwrap();
        assert_eq!((reply.status, &*reply.rule()), (413, "too-large"));
        assert!(client.is_closed());
    }
    let mut client = world.served.connect();
    let head = format!("POST {path} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(head.as_bytes());
    for _ in 0..3 {
        client.send(b"1\r\n\x01\r\n");
    }
    client.send(b"0\r\n\r\n");
    assert_eq!(client.reply("POST").unwrap().body, expected(&part, &[1; 3]));
}

#[test]
fn a_mask_does_not_take_for_ever() {
    let world = World::with_limits(Limits {
        patience: Duration::from_millis(100),
        ..Limits::default()
    });
    let part = Part::held(&world, CHUNKS, CHUNK_BYTES);
    let mut client = world.served.connect();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nx",
        path(&part)
    );
    client.send(head.as_bytes());
    let reply = client.reply("POST").unwrap();
    assert_eq!((reply.status, &*reply.rule()), (408, "timeout"));
    assert!(client.is_closed());
}

#[test]
fn only_parts_that_are_held_are_asked() {
    let world = World::new();
    for (what, cid) in no_parts(&world) {
        for mask in [&[0][..], &[1], &[2], &[0; 61], b""] {
            let reply = world.served.post(&format!("/v1/pir/{cid}"), mask);
            assert_eq!((reply.status, &*reply.rule()), (404, "not-found"), "{what}");
        }
    }
    let raw = Cid::of(Codec::Raw, b"x").to_string();
    for (path, status, rule) in [
        (format!("/v1/pir/{raw}"), 404, "not-found"),
        ("/v1/pir/x".to_owned(), 400, "cid"),
        ("/v1/pir/".to_owned(), 400, "cid"),
        (format!("/v1/pir/{raw}/x"), 400, "cid"),
        ("/v1/pir".to_owned(), 405, "method"),
    ] {
        let reply = world.served.post(&path, &[0]);
        assert_eq!((reply.status, &*reply.rule()), (status, rule), "{path}");
    }
}

#[test]
fn a_part_in_memory_is_answered_while_the_store_has_its_index() {
    let (world, pruned) = (World::new(), World::new());
    let part = Part::held(&world, CHUNKS, 64);
    let bodies = Bodies::new(1 << 20);
    let has = |world: &World| {
        let body = bodies.of(&world.store, part.index.cid());
        body.unwrap().is_some()
    };
    assert!(!has(&pruned));
    assert!(has(&world));
    assert!(!has(&pruned));
    assert!(has(&world));
}

#[test]
fn the_oldest_bodies_leave_memory() {
    let world = World::new();
    let parts: Vec<Part> = (1..5).map(|seed| Part::new(seed, CHUNKS, 64)).collect();
    let bodies = Bodies::new(2 * CHUNKS * 64);
    let ask = |part: &Part| bodies.of(&world.store, part.index.cid()).unwrap().unwrap();
    parts.iter().for_each(|part| part.put(&world));
    let first = ask(&parts[0]);
    for part in [1, 0, 2, 0, 3] {
        ask(&parts[part]);
    }
    // Asked for again and again: still the same in memory.
    assert!(std::sync::Arc::ptr_eq(&first, &ask(&parts[0])));
    ask(&parts[1]);
    ask(&parts[2]);
    let again = ask(&parts[0]);
    assert!(!std::sync::Arc::ptr_eq(&first, &again));
    // One larger than all of the memory is answered, and not kept.
    let none = Bodies::new(1);
    let [one, other] = [(); 2].map(|()| none.of(&world.store, parts[0].index.cid()).unwrap());
    assert!(!std::sync::Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
}

#[test]
fn methods_are_those_of_the_path() {
    let world = World::new();
    let part = Part::held(&world, CHUNKS, CHUNK_BYTES);
    for method in ["GET", "HEAD", "PUT", "OPTIONS"] {
        let reply = world.ask(method, &path(&part), &[]);
        assert_eq!((reply.status, reply.field("allow")), (405, "POST"));
    }
    let fields = [
        ("Origin", "https://a"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type"),
    ];
    let reply = world.ask("OPTIONS", &path(&part), &fields);
    assert_eq!(reply.status, 204);
    assert_eq!(reply.field("access-control-allow-methods"), "POST");
    let allowed = reply.field("access-control-allow-headers");
    assert!(allowed.contains("Content-Type"));
}

/// Hostile queries in one run: quick, and enough to meet every branch.
const CASES: usize = 100_000;

#[test]
fn whatever_is_posted_is_answered_or_refused() {
    let world = World::new();
    let part = Part::held(&world, 13, 8);
    let bodies = Bodies::new(1 << 20);
    let mut state = 1;
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..CASES {
        let len = usize::from(next(&mut state) % 4);
        let mut mask: Vec<u8> = (0..len).map(|_| next(&mut state)).collect();
        if let (Some(last), 0) = (mask.get_mut(1), next(&mut state) % 2) {
            *last &= 0x1f;
        }
        let valid = len == 2 && mask[1] < 0x20;
        let body = bodies.of(&world.store, part.index.cid()).unwrap().unwrap();
        match body.answer(&mask) {
            Ok(answer) => {
                assert!(valid && answer == expected(&part, &mask));
                answered += 1;
            }
            Err(error) => {
                assert!(!valid && error == PirError::Mask);
                refused += 1;
            }
        }
    }
    assert!(answered > CASES / 10 && refused > CASES / 10);
}

#[test]
fn whatever_is_asked_for_is_a_path_or_is_refused() {
    let cid = Cid::of(Codec::DagCbor, b"x");
    let fields = axum::http::HeaderMap::new();
    let seeds = [
        format!("/v1/pir/{cid}"),
        format!("/ipfs/{cid}?format=car&dag-scope=all"),
    ];
    let mut state = 1;
    let mut named = 0;
    for case in 0..CASES {
        let mut text = seeds[case % 2].clone().into_bytes();
        for _ in 0..next(&mut state) % 3 {
            let at = usize::from(next(&mut state)) % text.len();
            match next(&mut state) % 3 {
                0 => text[at] = next(&mut state),
                1 => text.insert(at, next(&mut state)),
                _ => text.truncate(at.max(1)),
            }
        }
        let Ok(uri) = axum::http::Uri::try_from(text) else {
            continue;
        };
        if let Some(Ok(index)) = super::super::path::query(&uri) {
            assert!(uri.path().ends_with(&index.to_string()));
            named += 1;
        }
        if super::super::path::parse(&uri, &fields).is_ok() {
            named += 1;
        }
    }
    assert!(named > CASES / 10);
}
