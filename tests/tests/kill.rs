//! `kill -9` at any moment: nothing that was acknowledged is lost or doubled, no number is used
//! twice. And a directory that is a copy does not sign.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bellwether_client::device::{Device, post::Intake};
use bellwether_formats::cid::Cid;
use bellwether_formats::scheme::cx::{Generator, Identifier, Seed};
use bellwether_node::admin::{Request, socket};
use bellwether_tests::feed::Feed;
use bellwether_tests::random::Random;
use bellwether_tests::{Provider, Running, World, sealed};

mod copies;

/// Reports that are made up front, for each kill: more than can be posted.
const REPORTS: usize = 30;

/// A report to post, under a code of its own.
struct Report {
    der: Vec<u8>,
    seed: Vec<u8>,
}

/// What the posting threads share with the one that kills.
#[derive(Default)]
struct Shared {
    /// Where the intake is, while it is up.
    intake: Mutex<Option<String>>,
    done: AtomicBool,
    next: AtomicUsize,
    /// Reports that were answered 2xx.
    accepted: Mutex<BTreeSet<usize>>,
    /// Reports that were sent and got no answer, for good.
    unanswered: Mutex<BTreeSet<usize>>,
    /// Answers that no report should have got.
    wrong: Mutex<Vec<String>>,
}

#[test]
fn a_hundred_kills_lose_nothing_and_double_nothing() {
    let world = World::new();
    let provider = world.provider("board").every("1s").init();
    kill(&provider, 100, open_batches);
}

/// In which batches of an open zone a seed is.
fn open_batches(_: &Running, feed: &Feed) -> Published {
    let mut published: BTreeMap<Vec<u8>, Vec<u64>> = BTreeMap::new();
    for said in feed.said() {
        published.entry(said.unit).or_default().push(said.seq);
    }
    Box::new(move |seed| published.get(seed).cloned().unwrap_or_default())
}

#[test]
#[ignore = "minutes: .ci/long"]
fn a_thousand_kills_lose_nothing_and_double_nothing() {
    let world = World::new();
    let provider = world.provider("board").every("1s").init();
    kill(&provider, 1000, open_batches);
}

/// The same where it publishes sealed parts: a report's identifiers are all in one of them.
#[test]
fn kills_while_parts_are_sealed_lose_nothing_and_double_nothing() {
    let world = World::new();
    let provider = world.provider("board").unlinkable().every("1s").init();
    kill(&provider, 30, |node, feed| {
        let mut parts = sealed::parts(&node.gateway(), &feed.batches).unwrap();
        // Of a day that ended during the test there is a fold, too.
        parts.retain(|part| part.covers.is_none());
        println!("{} sealed parts", parts.len());
        Box::new(move |seed| {
            let seed = Seed::new(Generator::Aes128, seed).unwrap();
            let ids: Vec<_> = seed.identifiers().step_by(89).collect();
            // A batch of many reports has several parts; identifiers lie in any of them.
            let mut batches: Vec<u64> = parts.iter().map(|part| part.seq).collect();
            batches.dedup();
            batches.retain(|seq| {
                let said = |id: &&Identifier| {
                    let mut of_batch = parts.iter().filter(|part| part.seq == *seq);
                    of_batch.any(|part| part.level(id.as_bytes()).is_some())
                };
                let found = ids.iter().filter(said).count();
                assert!(
                    [0, ids.len()].contains(&found),
                    "{found} of its identifiers are in batch {seq}"
                );
                found > 0
            });
            batches
        })
    });
}

/// In which batches a seed is.
type Published = Box<dyn Fn(&[u8]) -> Vec<u64>>;

/// Kills a provider so often while it takes reports and publishes them, and looks at what came of
/// them.
#[expect(
    clippy::print_stdout,
    reason = "what chance brought, for who reads of a failure"
)]
fn kill(provider: &Provider, kills: usize, published: fn(&Running, &Feed) -> Published) {
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let codes: Vec<String> = (0..kills * REPORTS)
        .map(|number| format!("code {number}"))
        .collect();
    provider.import_codes(&codes);
    let reports: Vec<Report> = codes
        .iter()
        .map(|code| report(provider, code, &mut random))
        .collect();
    let reports = Arc::new(reports);
    let shared = Arc::new(Shared::default());
    let posters: Vec<_> = (0..2)
        .map(|number| {
            let (shared, reports) = (Arc::clone(&shared), Arc::clone(&reports));
            let certificate = provider.certificate();
            let random = Random::new(seed ^ (number + 1));
            thread::spawn(move || post_all(&shared, &reports, &certificate, random))
        })
        .collect();

    let mut seen = Seen::default();
    let mut up = 0;
    for _ in 0..kills {
        up += usize::from(a_life(provider, &shared, &mut random, &mut seen));
    }
    shared.done.store(true, Ordering::SeqCst);
    posters
        .into_iter()
        .for_each(|poster| poster.join().unwrap());

    let node = provider.run();
    provider.publish();
    provider.publish();
    let feed = Feed::after(&node.gateway(), &provider.feed(), 0).unwrap();
    let accepted = shared.accepted.lock().unwrap().clone();
    let unanswered = shared.unanswered.lock().unwrap().clone();
    let resumed = node.log().matches("published after a stop").count();
    println!(
        "{kills} kills, {up} of them after the start; {} reports accepted, {} unanswered; {} \
         batches, {} seen on the way, {resumed} finished by the next start",
        accepted.len(),
        unanswered.len(),
        feed.batches.len(),
        seen.0.len(),
    );
    assert_eq!(*shared.wrong.lock().unwrap(), Vec::<String>::new());
    assert!(
        accepted.len() >= kills / 2,
        "too few reports to show anything"
    );
    assert!(up >= kills / 4, "too few kills of a node at work");
    let published = published(&node, &feed);
    exactly_once(&published, &reports, &accepted, &unanswered);
    numbers_are_used_once(&feed, &seen);
    let check = provider.look("check");
    assert_eq!(check["errors"], serde_json::json!([]), "{check}");
    node.stop();
    assert_eq!(provider.conditions().0, ["not-running"]);
}

fn report(provider: &Provider, code: &str, random: &mut Random) -> Report {
    let mut device = Device::new(Generator::Aes128, &random.bytes());
    let seed = device.seed().as_bytes().to_vec();
    let der = device
        .report(&provider.name, code, &random.bytes())
        .unwrap();
    Report { der, seed }
}

/// Posts report after report to whatever intake is up. One without an answer is posted again, as
/// an app would, or now and then given up.
fn post_all(shared: &Shared, reports: &[Report], certificate: &Path, mut random: Random) {
    let mut number = shared.next.fetch_add(1, Ordering::SeqCst);
    while !shared.done.load(Ordering::SeqCst) && number < reports.len() {
        let Some(url) = shared.intake.lock().unwrap().clone() else {
            thread::sleep(Duration::from_millis(2));
            continue;
        };
        let intake = Intake::new(&url, Some(certificate)).unwrap();
        match intake.post(&reports[number].der) {
            Ok(answer) if answer.accepted => {
                shared.accepted.lock().unwrap().insert(number);
            }
            Ok(answer) if answer.status == 503 => continue,
            Ok(answer) => {
                let wrong = format!("report {number}: {} {}", answer.status, answer.text);
                shared.wrong.lock().unwrap().push(wrong);
            }
            Err(_) if random.below(4) > 0 => continue,
            Err(_) => {
                shared.unanswered.lock().unwrap().insert(number);
            }
        }
        thread::sleep(Duration::from_millis(random.below(20)));
        number = shared.next.fetch_add(1, Ordering::SeqCst);
    }
}

/// Batches that were seen through the gateway: by number, what they were.
#[derive(Default)]
struct Seen(BTreeMap<u64, BTreeSet<Cid>>);

impl Seen {
    fn add(&mut self, feed: &Feed) {
        for batch in &feed.batches {
            self.0.entry(batch.seq).or_default().insert(batch.cid());
        }
    }
}

/// One life of the provider, from its start to its sudden end; gives whether it was up by then.
fn a_life(provider: &Provider, shared: &Shared, random: &mut Random, seen: &mut Seen) -> bool {
    // A third of the kills come into the start, a third into a publication, a third anywhere.
    let kind = random.below(3);
    if kind == 0 {
        let after = Duration::from_millis(random.below(60));
        let mut start = provider.start();
        thread::sleep(after);
        return start.line(Duration::ZERO).is_some();
    }
    let node = provider.run();
    let began = Instant::now();
    let life = Duration::from_millis(20 + random.below(380));
    *shared.intake.lock().unwrap() = Some(node.text("intake"));
    let before = Duration::from_millis(if kind == 1 { random.below(30) } else { 400 });
    let publishing = (kind == 1).then(|| {
        let (dir, wait) = (provider.dir.clone(), life.saturating_sub(before));
        thread::spawn(move || {
            thread::sleep(wait);
            // The node may be killed under it.
            let _ = socket::ask(&dir, &Request::Publish);
        })
    });
    let last = seen.0.keys().last().copied().unwrap_or_default();
    if let Ok(feed) = Feed::after(&node.gateway(), &provider.feed(), last.saturating_sub(2)) {
        seen.add(&feed);
    }
    thread::sleep(life.saturating_sub(began.elapsed()));
    if kind == 2
        && let Ok(feed) = Feed::after(&node.gateway(), &provider.feed(), last.saturating_sub(2))
    {
        seen.add(&feed);
    }
    node.kill();
    *shared.intake.lock().unwrap() = None;
    if let Some(publishing) = publishing {
        publishing.join().unwrap();
    }
    true
}

/// Every accepted report is in one batch, once; one without an answer in one at most.
fn exactly_once(
    published: &Published,
    reports: &[Report],
    accepted: &BTreeSet<usize>,
    unanswered: &BTreeSet<usize>,
) {
    for (number, report) in reports.iter().enumerate() {
        let batches = published(&report.seed);
        let right = match (accepted.contains(&number), unanswered.contains(&number)) {
            (true, _) => batches.len() == 1,
            // Also the last ones, which were under way when the test ended.
            (false, _) => batches.len() <= 1,
        };
        assert!(right, "report {number} is in the batches {batches:?}");
    }
}

/// The chain is whole, and nothing else was ever seen under a number of it.
fn numbers_are_used_once(feed: &Feed, seen: &Seen) {
    let mut prev = None;
    for (batch, seq) in feed.batches.iter().zip(1..) {
        assert_eq!((batch.seq, batch.prev), (seq, prev), "the chain");
        prev = Some(batch.id());
        if let Some(seen) = seen.0.get(&seq) {
            assert_eq!(*seen, BTreeSet::from([batch.cid()]), "batch {seq}");
        }
    }
    assert!(
        seen.0
            .keys()
            .last()
            .is_none_or(|last| prev.is_some() && *last <= feed.batches.last().unwrap().seq)
    );
}
