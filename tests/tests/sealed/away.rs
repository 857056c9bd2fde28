//! Days that have passed: folds for who was away, and relays that come late.
//!
//! The provider's past is made in this process, with its publisher and invented times; what follows
//! are real processes, now.

use std::thread;
use std::time::Duration;

use bellwether_formats::id::{Level, Zone};
use bellwether_formats::signed::Signed;
use bellwether_formats::{batch::Batch, id::Scheme};
use bellwether_node::clock;
use bellwether_node::config::Config;
use bellwether_node::gateway::{self, GatewayState};
use bellwether_node::http::{self, Limits};
use bellwether_node::publisher::Publisher;
use bellwether_node::store::{Mode, NewCode, Store, SubmittedUnit};
use bellwether_tests::feed::Feed;
use bellwether_tests::gate::Gate;
use bellwether_tests::{Phone, Provider, Relay, Running, World, invented, sealed, utc};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use super::{DAY, alerted, everywhere, relay, run_tied, said};

/// Days of the past with batches, before today.
const DAYS: u64 = 5;

/// A provider's hand, whose clock is the test's.
struct Hand {
    store: Store,
    publisher: Publisher,
    zone: Zone,
}

impl Hand {
    fn of(provider: &Provider) -> Self {
        let store = Store::open(&provider.dir.join("store.redb")).unwrap();
        let config = Config::load(&provider.dir).unwrap();
        let publisher = Publisher::open(&provider.dir, &config, store.clone(), u64::MAX).unwrap();
        let zone = provider.zone.parse().unwrap();
        Self {
            store,
            publisher,
            zone,
        }
    }

    /// A patient reports, whose seed and code are made of a number.
    fn accept(&self, number: u8, now: u64) {
        let code = NewCode {
            hash: [number; 32],
            zone: self.zone.clone(),
            level: Level::DIAGNOSED,
            expires_at: now + DAY,
            issuer: None,
        };
        self.store.issue_codes(&[code], now).unwrap();
        let unit = SubmittedUnit {
            scheme: Scheme::CX1,
            unit: vec![number; 24],
            key: [number; 32],
            mode: Mode::Sealed,
        };
        self.store.accept(&[number; 32], &[unit], now).unwrap();
    }

    fn close(&mut self, now: u64) -> Vec<Signed<Batch>> {
        let closed = self.publisher.close(&self.zone, now);
        assert!(closed.failed.is_none(), "{:?}", closed.failed);
        closed.batches
    }

    /// Serves what there is at a gateway in this process, until that is dropped.
    fn serve(&self) -> Serving {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = gateway::router(GatewayState {
            store: self.store.clone(),
            clock: std::sync::Arc::new(clock::now),
            max_bytes: u64::MAX,
            conditions: std::sync::Arc::new(|_| Ok(Vec::new())),
        });
        let stop = CancellationToken::new();
        runtime.spawn(http::serve(listener, None, router, Limits::default(), stop));
        Serving {
            url,
            runtime: Some(runtime),
        }
    }
}

/// A gateway in this process.
struct Serving {
    url: String,
    runtime: Option<Runtime>,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

/// The time of this test, and what its days are.
struct Past {
    now: u64,
    midnight: u64,
}

impl Past {
    /// When batch `which` (of 3) of a day comes, in seconds of UTC. Day 0 is the first.
    const fn time(&self, day: u64, which: u64) -> u64 {
        self.midnight - (DAYS - day) * DAY + (6 * 3600) * (which + 1)
    }

    /// The patient in that batch.
    fn patient(day: u64, which: u64) -> u8 {
        u8::try_from(1 + day * 3 + which).unwrap()
    }

    /// A day of three batches.
    fn day(&self, hand: &mut Hand, day: u64) -> Vec<Signed<Batch>> {
        let mut batches = Vec::new();
        for which in 0..3 {
            let at = self.time(day, which);
            hand.accept(Self::patient(day, which), at - 60);
            batches.extend(hand.close(at));
        }
        batches
    }

    /// Two batches of today, the last one now.
    fn today(&self, hand: &mut Hand) -> Vec<Signed<Batch>> {
        let mut batches = Vec::new();
        for (number, at) in [(201, self.midnight.midpoint(self.now)), (202, self.now)] {
            hand.accept(number, at);
            batches.extend(hand.close(at));
        }
        batches
    }

    /// The phone was near the second patient of each day, an hour before the batch, and today near
    /// both.
    fn near_one_a_day(&self, phone: &Phone) {
        for day in 0..DAYS {
            let id = invented::identifier(Self::patient(day, 1), 141);
            phone.observed_at(&[id], self.time(day, 1) - 3600);
        }
        let today = [201, 202].map(|number| invented::identifier(number, 7));
        phone.observed_at(&today, self.midnight.midpoint(self.now) - 1);
    }
}

/// What there is of every batch with sealed parts: its number and range.
fn ranges(batches: &[Signed<Batch>]) -> Vec<(u64, Option<(u64, u64)>)> {
    let sealed = batches.iter().filter(|batch| !batch.parts.is_empty());
    sealed.map(|batch| (batch.seq, batch.covers)).collect()
}

#[test]
fn who_was_away_for_days_catches_up_through_folds() {
    let world = World::new();
    let now = utc();
    let past = Past {
        now,
        midnight: now / DAY * DAY,
    };
    let provider = world
        .provider("board")
        .unlinkable()
        .init_at(past.time(0, 0) - 3600);
    let mut hand = Hand::of(&provider);
    let first = past.day(&mut hand, 0);
    assert_eq!(ranges(&first), [(1, None), (2, None), (3, None)]);

    // One phone syncs at the end of the first day, and then no more.
    let serving = hand.serve();
    let gate = Gate::before(&serving.url);
    let two = [(serving.url.as_str(), "one"), (gate.url.as_str(), "two")];
    let away = world.phone("away");
    away.follow(&provider.share(&two));
    past.near_one_a_day(&away);
    assert_eq!(said(&away.sync()), [3, 6, 3, 1]);
    drop(serving);

    // Each day's first closing folds the day before.
    let mut folds = Vec::new();
    let mut sealed = ranges(&first);
    for day in 1..DAYS {
        sealed.extend(ranges(&past.day(&mut hand, day)));
    }
    sealed.extend(ranges(&past.today(&mut hand)));
    folds.extend(sealed.iter().filter_map(|(_, covers)| *covers));
    let expected = [(1, 3), (4, 7), (8, 11), (12, 15), (16, 19)];
    assert_eq!(folds.len(), expected.len(), "{sealed:?}");
    assert_eq!(folds[0], (1, 3));
    drop(hand);

    // Relays that come late, and are killed in the midst of it.
    let running = provider.run();
    let share = running.text("share");
    let homes = ["relay-1", "relay-2"].map(|name| relay(&world, name, &share));
    let relays = homes.each_ref().map(|home| {
        let early = home.run();
        thread::sleep(Duration::from_millis(150));
        early.kill();
        home.run()
    });
    everywhere(&relays, &[newest(&provider)]);
    for (home, relay) in homes.iter().zip(&relays) {
        mirrors(&provider, &running, home, relay);
    }
    running.stop();

    // The first days in folds, today's by themselves; who has been here skips the first day's fold.
    let gateways = relays.each_ref().map(Running::gateway);
    let two = [(gateways[0].as_str(), "one"), (gateways[1].as_str(), "two")];
    let new = world.phone("new");
    new.follow(&provider.share(&two));
    past.near_one_a_day(&new);
    let synced = new.sync();
    assert_eq!(said(&synced), [7, 14, 7, 7], "{synced}");
    alerted(&new, &["diagnosed"; 7]);
    away.follow(&provider.share(&two));
    let synced = away.sync();
    assert_eq!(said(&synced), [6, 12, 6, 7], "{synced}");
    alerted(&away, &["diagnosed"; 7]);

    // An identifier that was replayed after it was published: inside the fold's window, and too late.
    let replayed = world.phone("replayed");
    replayed.follow(&provider.share(&two));
    let id = invented::identifier(Past::patient(2, 0), 141);
    replayed.observed_at(&[id], past.time(2, 0) + 3600);
    assert_eq!(said(&replayed.sync()), [7, 14, 7, 0]);
    alerted(&replayed, &[]);

    // Patients of a first day and of a day in a fold are revoked: who has the fold is told by the
    // fold, who has the batches by the batch.
    let mut hand = Hand::of(&provider);
    for day in [0, 2] {
        let changed = hand.store.set_level(&[Past::patient(day, 1); 32], Level(0));
        assert_eq!(changed.unwrap(), Some(1));
    }
    let revised = ranges(&hand.close(past.now + 1));
    assert_eq!(revised.len(), 4, "two revisions and two folds: {revised:?}");
    drop(hand);
    let running = run_tied(&provider, &relays);
    everywhere(&relays, &[newest(&provider)]);
    running.stop();
    for phone in [&new, &away] {
        let synced = phone.sync();
        assert_eq!(said(&synced), [2, 4, 2, 5], "{synced}");
        alerted(phone, &["diagnosed"; 5]);
    }
}

/// The CID of a provider's newest batch.
fn newest(provider: &Provider) -> String {
    let status = provider.look("status");
    status["feeds"][0]["cid"].as_str().unwrap().to_owned()
}

/// A relay has every batch and every block of its parts, and finds nothing wrong with them.
#[track_caller]
fn mirrors(provider: &Provider, from: &Running, relay: &Relay, running: &Running) {
    let theirs = Feed::after(&from.gateway(), &provider.feed(), 0).unwrap();
    let ours = Feed::after(&running.gateway(), &provider.feed(), 0).unwrap();
    let ids = |feed: &Feed| {
        feed.batches
            .iter()
            .map(|batch| batch.cid())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&ours), ids(&theirs));
    let parts = sealed::parts(&running.gateway(), &ours.batches).unwrap();
    assert_eq!(parts.len(), 22);
    let patient = invented::identifier(Past::patient(2, 1), 2000);
    let patient: bellwether_formats::scheme::cx::Identifier = patient.parse().unwrap();
    let holding = parts
        .iter()
        .filter(|part| part.level(patient.as_bytes()).is_some());
    let ranges: Vec<bool> = holding.map(|part| part.covers.is_some()).collect();
    assert_eq!(ranges, [false, true], "its batch, and its day's fold");
    let status = relay.verb(&["status", "--json"]).ok().json().remove(0);
    assert_eq!(status["feeds"][0]["faults"], json!([]), "{status}");
    let check = relay.verb(&["check", "--json"]).ok().json().remove(0);
    assert_eq!(check["errors"], json!([]), "{check}");
}
