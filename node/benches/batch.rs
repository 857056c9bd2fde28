//! How long a provider takes to build a batch of 1,000 notifications: read what waits, draw up,
//! prepare, sign, publish. The store is in memory, so this is the work without the disk.

use std::hint::black_box;

use bellwether_formats::descriptor::{Descriptor, KeyWindow};
use bellwether_formats::id::{Level, Scheme, Zone};
use bellwether_formats::signed::Signed;
use bellwether_node::batcher::{self, Place, Policy};
use bellwether_node::keys;
use bellwether_node::store::{Mode, NewCode, Store, SubmittedUnit};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ed25519_dalek::SigningKey;
use redb::backends::InMemoryBackend;

const NOW: u64 = 1_800_000_000;

/// Codes, and what each of them admits.
const CODES: u8 = 10;
const UNITS_OF_CODE: u32 = 100;

fn build(c: &mut Criterion) {
    let zone: Zone = "gb".parse().expect("a zone");
    c.bench_function("batch build, 1000 notifications", |b| {
        b.iter_batched(
            || waiting(&zone),
            |store| publish(black_box(&store), &zone),
            BatchSize::PerIteration,
        );
    });
}

fn root() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

/// A store in which 1,000 notifications wait.
fn waiting(zone: &Zone) -> Store {
    let store = Store::with_backend(InMemoryBackend::new()).expect("a store in memory");
    for code in 0..CODES {
        let new = NewCode {
            hash: [code; 32],
            zone: zone.clone(),
            level: Level::DIAGNOSED,
            expires_at: NOW + 60,
            issuer: None,
        };
        store.issue_codes(&[new], NOW).expect("a new code");
        let units: Vec<SubmittedUnit> = (0..UNITS_OF_CODE)
            .map(|unit| {
                let mut seed = vec![code; 24];
                seed.splice(..4, unit.to_be_bytes());
                SubmittedUnit {
                    scheme: Scheme::CX1,
                    unit: seed,
                    key: [1; 32],
                    mode: Mode::Open,
                }
            })
            .collect();
        let accepted = store.accept(&[code; 32], &units, NOW);
        accepted.expect("a report under a good code");
    }
    store
}

fn publish(store: &Store, zone: &Zone) {
    let policy = Policy {
        interval_s: 3600,
        k: 150,
        max_notifications: 40_000,
        window_s: 14 * 86_400,
        retain_s: 14 * 86_400,
        filter_bits: 18,
    };
    let descriptor = descriptor(zone);
    let place = Place {
        provider: descriptor.provider,
        zone,
        key: keys::public(&root()),
        desc: (1, descriptor.cid()),
        head: None,
        at: NOW,
        salt: [1; 16],
    };
    let pending = store.pending_notes(zone, policy.max_notifications, u64::MAX);
    let pending = pending.expect("what waits");
    let draft = batcher::draft(&policy, place, &pending, |_| {}).expect("a batch");
    store.prepare(&draft).expect("the first batch");
    let batch = Signed::sign(&draft.batch, &root()).expect("a signed batch");
    store.publish(&batch).expect("the batch that was prepared");
}

fn descriptor(zone: &Zone) -> Signed<Descriptor> {
    let key = keys::public(&root());
    let descriptor = Descriptor {
        provider: key,
        epoch: 1,
        issued_at: NOW,
        expires_at: NOW + 60,
        name: "P".to_owned(),
        keys: vec![KeyWindow {
            key,
            not_before: NOW,
            not_after: NOW + 60,
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

criterion_group! {
    name = benches;
    // An iteration takes milliseconds, and its store is made anew.
    config = Criterion::default().sample_size(20);
    targets = build
}
criterion_main!(benches);
