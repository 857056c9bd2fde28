//! How much later heads come while a peer floods the gateway.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bellwether_formats::batch::Batch;
use bellwether_formats::descriptor::{Descriptor, KeyWindow};
use bellwether_formats::signed::Signed;
use bellwether_node::keys;
use bellwether_node::store::Store;
use ed25519_dalek::SigningKey;

use super::{NOW, Part, RUNGS, Served, get};

/// Providers of the zone whose heads are asked for.
const FEEDS: u8 = 10;

/// What heads are asked for beside.
const KINDS: [&str; TURNS] = [
    "nothing",
    "chunks by GET",
    "queries of a proxy",
    "queries of a peer",
];
const TURNS: usize = 4;

/// Connections of the peer that floods.
const FLOODERS: usize = 8;

/// Tells how much later heads come while one peer floods the gateway.
pub(super) fn flood(rounds: usize, of_round: usize) {
    let served = Served::new();
    publish(&served.store);
    let [small, _, large] = RUNGS.map(|ids| Part::put(&served.store, ids));
    for part in [small, large] {
        let chunk = part.chunks.first().expect("a part has chunks");
        let chunk = get(&format!("/ipfs/{chunk}?format=raw"));
        let query = part.query("X-Afar: 1\r\n");
        let nearby = part.query("");
        // Once, so that no turn has the first reading of the chunks.
        served.connect().ask(&query);
        eprintln!(
            "body of {}, {FLOODERS} connections flood:",
            part.megabytes()
        );
        let requests = [None, Some(&*chunk), Some(&*nearby), Some(&*query)];
        let turns = by_turns(&served, &requests, rounds, of_round);
        told(&turns);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = |line: &&str| line.starts_with("VmRSS:") || line.starts_with("VmHWM:");
    for line in status.lines().filter(memory) {
        eprintln!("memory of gateway and bench, {line}");
    }
}

/// Heads beside one kind of flood.
#[derive(Default)]
struct Turn {
    /// How long each took.
    heads: Vec<Duration>,
    /// What the flood was answered, and what it was refused.
    flood: [AtomicUsize; 2],
    /// How long it went on.
    lasted: Duration,
}

/// Measures heads beside each flood by turns, so that what else the machine does meets all alike.
fn by_turns(
    served: &Served,
    requests: &[Option<&[u8]>; TURNS],
    rounds: usize,
    of_round: usize,
) -> [Turn; TURNS] {
    let counts: [[AtomicUsize; 2]; TURNS] = Default::default();
    let turn = AtomicUsize::new(0);
    let mut turns: [Turn; TURNS] = Default::default();
    thread::scope(|scope| {
        for _ in 0..FLOODERS {
            scope.spawn(|| {
                let mut client = served.connect();
                while let Some(request) = requests.get(turn.load(Ordering::Relaxed)) {
                    let Some(request) = request else {
                        thread::sleep(Duration::from_millis(1));
                        continue;
                    };
                    let at = turn.load(Ordering::Relaxed);
                    let (status, _) = client.ask(request);
                    let refused = usize::from(status != 200);
                    if let Some(count) = counts.get(at).and_then(|both| both.get(refused)) {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let mut client = served.connect();
        let heads = get("/v1/zones/gb/heads");
        for _ in 0..rounds {
            for (at, measured) in turns.iter_mut().enumerate() {
                turn.store(at, Ordering::Relaxed);
                let start = now();
                thread::sleep(Duration::from_millis(20));
                for _ in 0..of_round {
                    let start = now();
                    let (status, _) = client.ask(&heads);
                    measured.heads.push(start.elapsed());
                    assert_eq!(status, 200, "heads are answered beside a flood");
                    thread::sleep(Duration::from_millis(1));
                }
                measured.lasted += start.elapsed();
            }
        }
        turn.store(requests.len(), Ordering::Relaxed);
    });
    for (turn, counts) in turns.iter_mut().zip(counts) {
        turn.heads.sort();
        turn.flood = counts;
    }
    turns
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn told(turns: &[Turn; TURNS]) {
    let at = |turn: &Turn, percent: usize| {
        let at = turn.heads.len() * percent / 100;
        turn.heads.get(at).copied().unwrap_or_default()
    };
    let [alone, ..] = turns.each_ref().map(|turn| at(turn, 50));
    for (what, turn) in KINDS.iter().zip(turns) {
        let [answered, refused] = turn
            .flood
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed));
        let median = at(turn, 50);
        eprintln!(
            "  {what:18} {answered:7} answered, {refused} refused in {:.1?}; heads: median {median:.1?}, {:.2} times alone, 99 % within {:.1?}",
            turn.lasted,
            median.as_secs_f64() / alone.as_secs_f64(),
            at(turn, 99),
        );
    }
}

/// Heads of a zone with some feeds.
fn publish(store: &Store) {
    for seed in 1..=FEEDS {
        let root = SigningKey::from_bytes(&[seed; 32]);
        let provider = keys::public(&root);
        let descriptor = Descriptor {
            provider,
            epoch: 1,
            issued_at: NOW,
            expires_at: NOW + 60,
            name: "P".to_owned(),
            keys: vec![KeyWindow {
                key: provider,
                not_before: NOW,
                not_after: NOW + 60,
            }],
            zones: vec!["gb".parse().expect("a zone")],
            gateways: Vec::new(),
            anchors: Vec::new(),
            next_root: [0; 32],
            upstream: None,
            peers: Vec::new(),
            successor: None,
        };
        let descriptor = Signed::sign(&descriptor, &root).expect("a signed descriptor");
        store
            .put_descriptor(&descriptor)
            .expect("a store that writes");
        let batch = Batch {
            provider,
            zone: "gb".parse().expect("a zone"),
            key: provider,
            epoch: 1,
            seq: 1,
            prev: None,
            published_at: NOW,
            next_after: NOW,
            next_by: NOW + 3600,
            retain_from: NOW,
            desc: descriptor.cid(),
            salt: [0; 16],
            covers: None,
            parts: Vec::new(),
        };
        let batch = Signed::sign(&batch, &root).expect("a signed batch");
        store
            .replicate(&batch, &[])
            .expect("the first batch of its feed");
    }
}
