use std::sync::atomic::Ordering;

use bellwether_formats::car::Car;
use bellwether_formats::cid::{Block, Codec};
use bellwether_formats::id::FeedId;
use ed25519_dalek::SigningKey;

use super::*;
use crate::condition::{ConditionKind, Subject};
use crate::http::client::Reply;

pub(super) mod sealed;
pub(super) mod world;

use world::{CAP, LIMIT, Provider, START, World};

/// A body that no reader here decodes.
fn body(fill: u8, len: usize) -> Block {
    Block::of(Codec::DagCbor, vec![fill; len]).unwrap()
}

fn cids(car: &Car) -> Vec<Cid> {
    car.blocks.iter().map(Block::cid).collect()
}

#[test]
fn a_block_is_served_for_ever() {
    let world = World::new();
    let mut provider = world.provider(1, "gb/sct");
    let body = body(7, 10);
    world.publish(&mut provider, std::slice::from_ref(&body));
    let cid = body.cid();
    let path = format!("/ipfs/{cid}?format=raw");

    let reply = world.get(&path, &[]);
    assert_eq!((reply.status, &reply.body), (200, &body.bytes().to_vec()));
    for (name, value) in [
        ("content-type", "application/vnd.ipld.raw"),
        ("cache-control", "public, max-age=29030400, immutable"),
        ("etag", &*format!("\"{cid}.raw\"")),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
        ("content-length", "10"),
        ("access-control-allow-origin", "*"),
    ] {
        assert_eq!(reply.field(name), value, "{name}");
    }

    let head = world.ask("HEAD", &path, &[]);
    let without_date = |mut reply: Reply| {
        reply.fields.remove("date");
        reply.fields
    };
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(without_date(head), without_date(reply.clone()));

    let known = world.get(&path, &[("If-None-Match", reply.field("etag"))]);
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.field("etag"), reply.field("etag"));
    assert_eq!(known.field("cache-control"), reply.field("cache-control"));
    let other = world.get(&path, &[("If-None-Match", "\"other\"")]);
    assert_eq!(other.status, 200);

    let bare = format!("/ipfs/{cid}");
    let named = world.get(&bare, &[("Accept", "application/vnd.ipld.raw")]);
    assert_eq!((named.status, named.body), (200, reply.body));
    assert_eq!(world.get(&bare, &[]).rule(), "format");
}

#[test]
fn a_block_is_served_in_parts() {
    let world = World::new();
    let mut provider = world.provider(1, "gb");
    let bytes: Vec<u8> = (0..10).collect();
    let body = Block::of(Codec::DagCbor, bytes.clone()).unwrap();
    world.publish(&mut provider, std::slice::from_ref(&body));
    let path = format!("/ipfs/{}?format=raw", body.cid());
    let etag = format!("\"{}.raw\"", body.cid());

    let part = world.get(&path, &[("Range", "bytes=2-4")]);
    assert_eq!((part.status, &part.body[..]), (206, &bytes[2..5]));
    assert_eq!(part.field("content-range"), "bytes 2-4/10");
    assert_eq!(part.field("content-length"), "3");
    assert_eq!(part.field("etag"), etag);
    let end = world.get(&path, &[("Range", "bytes=-3")]);
    assert_eq!((end.status, &end.body[..]), (206, &bytes[7..]));
    let beyond = world.get(&path, &[("Range", "bytes=10-")]);
    assert_eq!((beyond.status, beyond.body.len()), (416, 0));
    assert_eq!(beyond.field("content-range"), "bytes */10");
    for fields in [
        [("Range", "bytes=0-1,4-5"), ("X", "y")],
        [("Range", "bytes=0-1"), ("If-Range", "\"other\"")],
    ] {
        assert_eq!(world.get(&path, &fields).body, bytes);
    }
    let fields = [("Range", "bytes=0-1"), ("If-Range", &*etag)];
    assert_eq!(world.get(&path, &fields).status, 206);
    let head = world.ask("HEAD", &path, &[("Range", "bytes=0-1")]);
    assert_eq!(head.status, 200);
}

#[test]
fn what_is_refused_is_named_and_not_cached() {
    let world = World::new();
    let provider = world.provider(1, "gb");
    let absent = Cid::of(Codec::Raw, b"absent");
    for (method, path, status, rule) in [
        (
            "GET",
            format!("/ipfs/{absent}?format=raw"),
            404,
            "not-found",
        ),
        ("GET", "/ipfs/x?format=raw".to_owned(), 400, "cid"),
        ("GET", format!("/ipfs/{absent}/x?format=raw"), 400, "cid"),
        ("GET", "/".to_owned(), 404, "not-found"),
        ("GET", "/v1/zones/GB/heads".to_owned(), 400, "zone"),
        ("GET", provider.after(0), 404, "not-found"),
        ("GET", format!("{}0", provider.after(0)), 400, "value"),
        ("POST", "/health".to_owned(), 405, "method"),
        ("DELETE", provider.after(0), 405, "method"),
        ("OPTIONS", provider.after(0), 405, "method"),
    ] {
        let reply = world.ask(method, &path, &[]);
        assert_eq!((reply.status, &*reply.rule()), (status, rule), "{path}");
        assert_eq!(reply.field("cache-control"), "no-store");
        assert_eq!(reply.field("content-type"), "application/json");
        assert_eq!(reply.field("access-control-allow-origin"), "*");
        assert!(!reply.json()["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(world.ask("PUT", "/health", &[]).field("allow"), "GET, HEAD");
    let other = Provider {
        key: SigningKey::from_bytes(&[9; 32]),
        ..provider
    };
    let unknown = format!("/v1/providers/{}/descriptor", other.id());
    assert_eq!(world.get(&unknown, &[]).status, 404);
}

#[test]
fn a_page_may_ask_with_validators() {
    let fields = [
        ("Origin", "https://a"),
        ("Access-Control-Request-Method", "GET"),
    ];
    let reply = World::new().ask("OPTIONS", "/health", &fields);
    assert_eq!(reply.status, 204);
    assert_eq!(reply.field("access-control-allow-origin"), "*");
    assert_eq!(reply.field("access-control-allow-methods"), "GET, HEAD");
    let allowed = reply.field("access-control-allow-headers");
    assert!(allowed.contains("If-None-Match") && allowed.contains("Range"));
    assert_eq!(reply.field("access-control-max-age"), "86400");
}

#[test]
fn heads_are_those_of_the_zone_each_after_its_descriptor() {
    let world = World::new();
    assert_eq!(world.car("/v1/zones/gb/heads"), Car::default());

    let mut providers = [1, 2, 3].map(|seed| world.provider(seed, "gb"));
    let mut other = world.provider(4, "gb/sct");
    for provider in providers.iter_mut().chain([&mut other]) {
        world.heartbeats(provider, 2);
    }
    providers.sort_by_key(Provider::id);
    let car = world.car("/v1/zones/gb/heads");
    let head = |provider: &Provider| provider.head.as_ref().unwrap().cid();
    assert_eq!(car.roots, providers.iter().map(head).collect::<Vec<_>>());
    let expect = providers.iter().flat_map(|p| [p.desc.cid(), head(p)]);
    assert_eq!(cids(&car), expect.collect::<Vec<_>>());
    let car = world.car("/v1/zones/gb/sct/heads");
    assert_eq!(car.roots, [head(&other)]);
}

#[test]
fn heads_are_cached_for_a_minute_and_never_past_their_time() {
    let world = World::new();
    let mut provider = world.provider(1, "gb");
    let next_by = world.publish(&mut provider, &[]).next_by;
    let path = "/v1/zones/gb/heads";
    let first = world.get(path, &[]);
    let etag = first.field("etag");
    assert_eq!(
        etag,
        format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(&first.body)))
    );
    for (now, max_age) in [
        (START, 60),
        (next_by - 60, 60),
        (next_by - 10, 10),
        (next_by, 0),
        (next_by + 100, 0),
    ] {
        world.now.store(now, Ordering::Relaxed);
        for path in [path, &*provider.after(0)] {
            let reply = world.get(path, &[]);
            let expect = format!("public, max-age={max_age}");
            assert_eq!(reply.field("cache-control"), expect, "{path} at {now}");
        }
        let known = world.get(path, &[("If-None-Match", etag)]);
        assert_eq!((known.status, known.field("etag")), (304, etag));
    }
    world.publish(&mut provider, &[]);
    let changed = world.get(path, &[("If-None-Match", etag)]);
    assert_eq!(changed.status, 200);
    assert_ne!(changed.field("etag"), etag);
    assert_eq!(
        world.ask("HEAD", path, &[]).field("etag"),
        changed.field("etag")
    );
}

#[test]
fn batches_come_with_what_a_phone_needs() {
    let world = World::new();
    let mut provider = world.provider(1, "gb/sct");
    let bodies = [body(1, 100), body(2, 100)];
    let first = world.publish(&mut provider, &bodies);
    let second = world.publish(&mut provider, &[]);
    let old = provider.desc.cid();
    provider.renew(&world);
    let third = world.publish(&mut provider, &[body(3, 100)]);
    let new = provider.desc.cid();

    let all = world.car(&provider.after(0));
    assert_eq!(all.roots, [first.cid(), second.cid(), third.cid()]);
    let expect = [
        old,
        first.cid(),
        bodies[0].cid(),
        bodies[1].cid(),
        second.cid(),
        new,
        third.cid(),
        body(3, 100).cid(),
    ];
    assert_eq!(cids(&all), expect);

    // The asker has batch 1, and so its descriptor.
    let later = world.car(&provider.after(1));
    assert_eq!(later.roots, [second.cid(), third.cid()]);
    assert_eq!(cids(&later), expect[4..]);
    assert_eq!(cids(&world.car(&provider.after(2))), expect[5..]);
    for seq in [3, 4, (1 << 53) - 1] {
        assert_eq!(world.car(&provider.after(seq)), Car::default());
    }
}

#[test]
fn after_a_gap_the_descriptor_comes_first() {
    let world = World::new();
    let mut provider = world.provider(1, "gb");
    world.heartbeats(&mut provider, 3);
    // The store keeps nothing before batch 4.
    let next = provider.next(&[]);
    let feed = next.feed();
    world.store.truncate(&feed, 0).unwrap();
    provider.head = Some(next.clone());
    world.store.replicate(&next, &[]).unwrap();
    let car = world.car(&provider.after(0));
    assert_eq!(car.roots, [next.cid()]);
    assert_eq!(cids(&car), [provider.desc.cid(), next.cid()]);
}

#[test]
fn a_long_feed_is_cut_between_batches() {
    let world = World::new();
    let mut provider = world.provider(1, "gb");
    let mut batches = Vec::new();
    for fill in 0..6 {
        let bodies = [body(fill, 700_000), body(fill + 100, 700_000)];
        batches.push(world.publish(&mut provider, &bodies).cid());
    }
    let mut seq = 0;
    let mut roots = Vec::new();
    for expect in [2, 2, 2, 0] {
        let car = world.car(&provider.after(seq));
        assert_eq!(car.roots.len(), expect);
        let descriptor = usize::from(seq == 0);
        assert_eq!(car.blocks.len(), expect * 3 + descriptor);
        seq += u64::try_from(expect).unwrap();
        roots.extend(car.roots);
    }
    assert_eq!(roots, batches);
}

#[test]
fn a_batch_too_large_for_one_answer_comes_without_its_last_bodies() {
    let world = World::new();
    let mut provider = world.provider(1, "gb");
    let bodies: Vec<Block> = (0..8).map(|fill| body(fill, MAX_BLOCK_BYTES)).collect();
    let large = world.publish(&mut provider, &bodies);
    let next = world.publish(&mut provider, &[]);
    let reply = world.get(&provider.after(0), &[]);
    assert!(reply.body.len() <= MAX_CAR_BYTES);
    let car = Car::decode(&reply.body, LIMIT).unwrap();
    assert_eq!(car.roots, [large.cid()]);
    assert_eq!(car.blocks.len(), 2 + 3);
    assert_eq!(world.car(&provider.after(1)).roots, [next.cid()]);
}

/// More than the rows that are read at once.
const HEARTBEATS: usize = 300;

#[test]
fn heartbeats_come_in_one_answer() {
    let world = World::new();
    let mut provider = world.provider(1, "gb");
    let batches = world.heartbeats(&mut provider, HEARTBEATS);
    assert_eq!(world.car(&provider.after(0)).roots, batches);
}

#[test]
fn the_newest_descriptor_is_served() {
    let world = World::new();
    let mut provider = world.provider(1, "gb");
    let path = format!("/v1/providers/{}/descriptor", provider.id());
    let reply = world.get(&path, &[]);
    assert_eq!(reply.body, provider.desc.envelope());
    assert_eq!(reply.field("content-type"), "application/vnd.ipld.dag-cbor");
    assert_eq!(reply.field("cache-control"), "public, max-age=60");
    provider.renew(&world);
    let fields = [("If-None-Match", reply.field("etag"))];
    assert_eq!(world.get(&path, &fields).body, provider.desc.envelope());
}

#[test]
fn health_names_what_is_public_and_flags_the_rest() {
    let world = World::new();
    let mut provider = world.provider(1, "gb/sct");
    world.publish(&mut provider, &[]);
    let well = world.get("/health", &[]);
    assert_eq!((well.status, &well.json()["ok"]), (200, &true.into()));
    assert_eq!(well.json()["feeds"], 1);
    assert_eq!(well.json()["disk_cap_bytes"], CAP);
    assert_eq!(well.json()["conditions"], serde_json::json!([]));
    assert_eq!(well.json()["others"], false);
    assert_eq!(well.field("cache-control"), "no-store");

    let say = |kinds: &[ConditionKind]| {
        let feed = FeedId {
            provider: provider.id(),
            zone: "gb/sct".parse().unwrap(),
        };
        let of = |kind: &ConditionKind| {
            Condition::new(*kind, Subject::Feed(feed.clone()), "a private word")
        };
        *world.conditions.lock().unwrap() = kinds.iter().map(of).collect();
        let told = world.get("/health", &[]);
        assert!(!told.json().to_string().contains("private"));
        (told.status, told.json())
    };
    let entry = |name: &str, severity: &str| {
        serde_json::json!({
            "name": name, "severity": severity,
            "provider": provider.id().to_string(), "zone": "gb/sct",
        })
    };
    let (status, told) = say(&[ConditionKind::FeedStale, ConditionKind::FeedEmpty]);
    assert_eq!((status, &told["ok"]), (503, &false.into()));
    let both = [entry("feed-stale", "error"), entry("feed-empty", "warning")];
    assert_eq!(told["conditions"], serde_json::json!(both));
    assert_eq!(told["others"], false);

    let (status, told) = say(&[ConditionKind::StoreBroken]);
    assert_eq!((status, &told["ok"]), (503, &false.into()));
    assert_eq!(told["conditions"], serde_json::json!([]));
    assert_eq!(told["others"], true);

    // A warning does not turn the monitor red, and is told.
    let (status, told) = say(&[ConditionKind::RootKeyOnline]);
    assert_eq!((status, &told["ok"]), (200, &true.into()));
    assert_eq!(told["others"], true);
}

#[test]
fn health_counts_bytes_now_and_then() {
    let world = World::with_cap(100_000);
    let mut provider = world.provider(1, "gb");
    let bytes = || world.get("/health", &[]).json()["disk_bytes"].as_u64();
    let before = bytes().unwrap();
    world.publish(&mut provider, &[body(1, 90_000)]);
    // Anybody may ask.
    assert_eq!(bytes(), Some(before));
    world.now.fetch_add(10, Ordering::Relaxed);
    assert!(bytes().unwrap() >= before + 90_000);
}

#[tokio::test]
async fn memory_is_given_back_when_an_answer_is_gone() {
    let budget = Budget::new(4096);
    let answer = budget.reserve(4096).await.unwrap().hold(vec![0; 1025]);
    let part = answer.slice(0..1);
    drop(answer);
    let rest = budget.reserve(2048).await.unwrap();
    drop(part);
    assert!(budget.reserve(2048).await.is_some());
    drop(rest);
    assert!(budget.reserve(4096).await.is_some());
}
