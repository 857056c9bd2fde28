//! `kill -9` at any moment: nothing that was acknowledged is lost or doubled, no number is used
//! twice. And a directory that is a copy does not sign.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bellwether_client::device::{Device, post::Intake};
use bellwether_formats::cid::Cid;
use bellwether_formats::scheme::cx::Generator;
use bellwether_node::admin::{Request, socket};
use bellwether_node::store::Store;
use bellwether_tests::feed::Feed;
use bellwether_tests::random::Random;
use bellwether_tests::{Provider, Running, World, eventually};

/// How often the provider is killed.
const KILLS: usize = 100;

/// Reports that are made up front: more than can be posted.
const REPORTS: usize = 3000;

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
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    println!("seed {seed}");
    let mut random = Random::new(seed);
    let world = World::new();
    let provider = world.provider("board").every("1s").init();
    let codes: Vec<String> = (0..REPORTS)
        .map(|number| format!("code {number}"))
        .collect();
    provider.import_codes(&codes);
    let reports: Vec<Report> = codes
        .iter()
        .map(|code| report(&provider, code, &mut random))
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
    for _ in 0..KILLS {
        up += usize::from(a_life(&provider, &shared, &mut random, &mut seen));
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
        "{KILLS} kills, {up} of them after the start; {} reports accepted, {} unanswered; {} \
         batches, {} seen on the way, {resumed} finished by the next start",
        accepted.len(),
        unanswered.len(),
        feed.batches.len(),
        seen.0.len(),
    );
    assert_eq!(*shared.wrong.lock().unwrap(), Vec::<String>::new());
    assert!(
        accepted.len() >= KILLS / 2,
        "too few reports to show anything"
    );
    assert!(up >= KILLS / 4, "too few kills of a node at work");
    exactly_once(&feed, &reports, &accepted, &unanswered);
    numbers_are_used_once(&feed, &seen);
    let check = provider.look("check");
    assert_eq!(check["errors"], serde_json::json!([]), "{check}");
    node.stop();
    let check = provider.look("check");
    assert_eq!(check["errors"], serde_json::json!([]), "{check}");
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
    feed: &Feed,
    reports: &[Report],
    accepted: &BTreeSet<usize>,
    unanswered: &BTreeSet<usize>,
) {
    let mut published: BTreeMap<Vec<u8>, Vec<u64>> = BTreeMap::new();
    for said in feed.said() {
        published.entry(said.unit).or_default().push(said.seq);
    }
    for (number, report) in reports.iter().enumerate() {
        let batches = published.get(&report.seed).map_or(&[][..], Vec::as_slice);
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

/// Copies a directory as `cp -a` does.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}

/// What refuses to sign says why, with exit 2.
#[track_caller]
fn refuses(world: &World, dir: &Path, verb: &[&str], why: &str) {
    let said = world.node(dir, verb).exit(2);
    assert!(said.stdout.is_empty(), "{said:?}");
    assert!(
        said.stderr.contains(why) && said.stderr.contains("hint: "),
        "{said:?}"
    );
}

#[test]
fn a_copied_or_restored_directory_does_not_sign() {
    let world = World::new();
    let provider = world.provider("board").init();
    provider.publish();
    provider.publish();
    let backup = world.path("backup");
    copy(&provider.dir, &backup);

    // A copy, as good as the original: there must not be two.
    refuses(&world, &backup, &["publish"], "copy or was restored");
    refuses(&world, &backup, &["run"], "copy or was restored");
    world.node(&backup, &["check"]).exit(2);
    // The original goes on; the copy is now old.
    provider.publish();
    refuses(&world, &backup, &["signer", "adopt"], "the store ends at 2");
    refuses(&world, &backup, &["publish"], "copy or was restored");

    // The old content in the original's very files: no copy by its looks, and yet it is old.
    let newest = world.path("newest");
    copy(&provider.dir, &newest);
    fs::copy(backup.join("store.redb"), provider.dir.join("store.redb")).unwrap();
    refuses(&world, &provider.dir, &["publish"], "the store ends at 2");
    refuses(&world, &provider.dir, &["run"], "the store ends at 2");
    world.node(&provider.dir, &["check"]).exit(2);

    // An up-to-date copy can be adopted, and then it alone signs.
    world.node(&newest, &["signer", "adopt"]).ok();
    let published = world.node(&newest, &["publish"]).ok();
    assert_eq!(published.lines().len(), 1);
    let status = world
        .node(&newest, &["status", "--json"])
        .ok()
        .json()
        .remove(0);
    assert_eq!(status["feeds"][0]["seq"], 4, "{status}");
    world.node(&newest, &["check"]).ok();
    refuses(&world, &provider.dir, &["publish"], "copy or was restored");
}

/// A signer without its memory does not begin anew.
#[test]
fn a_lost_memory_of_the_signer_is_not_made_up() {
    let world = World::new();
    let provider = world.provider("board").init();
    provider.publish();
    let memory = provider.dir.with_extension("signer");
    fs::rename(&memory, world.path("elsewhere")).unwrap();
    refuses(&world, &provider.dir, &["publish"], "memory");
    fs::remove_dir_all(&memory).unwrap();
    fs::rename(world.path("elsewhere"), &memory).unwrap();
    provider.publish();
}

/// The second fence: relays know more than this directory, and the signer's memory is as old. It
/// signs nothing in the place of what they have: it refuses, or goes on after the newest.
#[test]
fn a_provider_behind_its_relays_signs_nothing_twice() {
    let world = World::new();
    let provider = world.provider("board").init();
    let node: Running = provider.run();
    let relay = bellwether_tests::Relay::init(&world, "relay", &["--follow", &node.text("share")]);
    let relaying = relay.run();
    let first = provider.publish();
    eventually("the relay to have it", || {
        relaying.has(&first).then_some(())
    });
    node.stop();
    // Both the directory and the signer's memory are put back later.
    let (dir, memory) = (provider.dir.clone(), provider.dir.with_extension("signer"));
    let stored = fs::read(dir.join("store.redb")).unwrap();
    let signer = world.path("signer-backup");
    copy(&memory, &signer);

    provider.configure(|config| config.network.bootstrap = vec![relaying.p2p()]);
    let node = provider.run();
    let newest = provider.publish();
    eventually("the relay to have it", || {
        relaying.has(&newest).then_some(())
    });
    node.stop();
    // In place, so that the store's file is the one that the signer knows.
    fs::write(dir.join("store.redb"), stored).unwrap();
    fs::remove_dir_all(&memory).unwrap();
    copy(&signer, &memory);

    // The node is down: the verb itself asks the relay, and so does a node that runs.
    for running in [false, true] {
        let node = running.then(|| provider.run());
        let said = provider.verb(&["publish"]);
        let fenced = said.code == 2 && said.stderr.contains("relays have batch");
        assert!(fenced || said.code == 0, "{said:?}");
        drop(node);
    }
    let feed = Feed::after(&relaying.gateway(), &provider.feed(), 0).unwrap();
    let kept: Vec<String> = feed.batches.iter().map(|b| b.cid().to_string()).collect();
    assert!(kept.contains(&newest), "{kept:?}");
    let status = relay.verb(&["status", "--json"]).ok().json().remove(0);
    assert_eq!(status["feeds"][0]["forked"], false, "{status}");
    // What it signed since stands on what the relay had, in its own store too.
    let store = Store::open(&dir.join("store.redb")).unwrap();
    let feed = store.heads().unwrap().remove(0).feed;
    let own = store.rows_after(&feed, 0, 100).unwrap();
    let own: Vec<String> = own
        .iter()
        .map(|row| row.cid().unwrap().to_string())
        .collect();
    let shared = kept.len().min(own.len());
    assert_eq!(own[..shared], kept[..shared], "nothing was signed twice");
}
