//! 560,000 GAEN keys, a large country's day, into signed batches: how long, and how much memory.
//! The store is a file, as a provider's is. `cargo bench -p bellwether-node --bench gaen`.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures time and tells it"
)]

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use bellwether_formats::descriptor::{Descriptor, KeyWindow};
use bellwether_formats::id::{FeedId, Level, Scheme, Zone};
use bellwether_formats::scheme::gaen::Key;
use bellwether_formats::signed::Signed;
use bellwether_node::batcher::{self, Place, Policy};
use bellwether_node::keys;
use bellwether_node::store::{Item, Mode, Store, SubmittedUnit};
use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};

const NOW: u64 = 1_800_000_000;
const KEYS: u32 = 560_000;

fn main() {
    // `cargo test --benches` only wants to know whether it runs.
    let tried = std::env::args().any(|argument| argument == "--test");
    let keys = if tried { 2_000 } else { KEYS };
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::create(&dir.path().join("store.redb")).expect("a store");
    let zone: Zone = "gb".parse().expect("a zone");

    let start = Instant::now();
    for first in (0..keys).step_by(10_000) {
        let items: Vec<Item> = (first..keys.min(first + 10_000))
            .map(|number| item(number, &zone))
            .collect();
        let fates = store.submit(&items, NOW).expect("a disk");
        assert!(fates.iter().all(Result::is_ok));
    }
    println!(
        "{keys} keys accepted: {:.2} s",
        start.elapsed().as_secs_f64()
    );

    let start = Instant::now();
    let (mut batches, mut bytes) = (0, 0);
    let descriptor = descriptor(&zone);
    store.put_descriptor(&descriptor).expect("a disk");
    while let Some(envelope) = publish(&store, &zone, &descriptor) {
        batches += 1;
        bytes += black_box(envelope);
    }
    let took = start.elapsed().as_secs_f64();
    println!("{keys} keys into {batches} signed batches ({bytes} bytes of bodies): {took:.2} s");
    println!("peak memory of the process: {} kB", peak_kb());
}

fn item(number: u32, zone: &Zone) -> Item {
    let hash = Sha256::digest(number.to_be_bytes());
    let key = Key {
        tek: hash.first_chunk().copied().expect("16 of 32 bytes"),
        rolling_start: u32::try_from(NOW / 600).expect("an interval") / 144 * 144
            - 144 * (1 + number % 13),
        rolling_period: 144,
        transmission_risk: 0,
        days_since_onset: Some(0),
    };
    Item {
        unit: SubmittedUnit {
            scheme: Scheme::GAEN,
            unit: key.encode(),
            key: [0; 32],
            mode: Mode::Open,
        },
        zone: zone.clone(),
        level: Level::DIAGNOSED,
        grade: None,
        public_at: None,
        owner: [1; 32],
        case: None,
        proven: false,
    }
}

/// Publishes the next batch, as the publisher does; gives the bytes of its bodies, nothing if
/// nothing waits.
fn publish(store: &Store, zone: &Zone, descriptor: &Signed<Descriptor>) -> Option<usize> {
    let policy = Policy {
        interval_s: 3600,
        k: 150,
        max_notifications: 40_000,
        window_s: 14 * 86_400,
        retain_s: 14 * 86_400,
        filter_bits: 18,
    };
    let feed = FeedId {
        provider: descriptor.provider,
        zone: zone.clone(),
    };
    let head = store.head(&feed).expect("a disk").map(|head| head.head);
    let at = NOW + head.as_ref().map_or(0, |head| head.seq);
    let pending = store.pending_notes(zone, policy.max_notifications, at);
    let pending = pending.expect("what waits");
    if pending.is_empty() {
        return None;
    }
    let place = Place {
        provider: descriptor.provider,
        zone,
        key: keys::public(&root()),
        desc: (1, descriptor.cid()),
        head: head.as_ref(),
        at,
        salt: [1; 16],
    };
    let draft = batcher::draft(&policy, place, &pending, |_| {}).expect("a batch");
    store.prepare(&draft).expect("the next batch");
    let batch = Signed::sign(&draft.batch, &root()).expect("a signed batch");
    store.publish(&batch).expect("the batch that was prepared");
    Some(draft.blocks.iter().map(|block| block.bytes().len()).sum())
}

fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

fn root() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn descriptor(zone: &Zone) -> Signed<Descriptor> {
    let key = keys::public(&root());
    let descriptor = Descriptor {
        provider: key,
        epoch: 1,
        issued_at: NOW,
        expires_at: NOW + 86_400,
        name: "P".to_owned(),
        keys: vec![KeyWindow {
            key,
            not_before: NOW,
            not_after: NOW + 86_400,
        }],
        zones: vec![zone.clone()],
        gateways: Vec::new(),
        anchors: Vec::new(),
        next_root: [0; 32],
        upstream: None,
        peers: Vec::new(),
        successor: None,
    };
    Signed::sign(&descriptor, &root()).expect("a signed descriptor")
}
