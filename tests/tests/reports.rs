//! Seed reports over HTTPS: each is answered as its vector says, and the accepted ones alert.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bellwether_formats::scheme::cx::{Generator, Seed, calculate_seed};
use bellwether_node::intake::report::{self, SeedReport};
use bellwether_tests::vectors::{self, Vector};
use bellwether_tests::{Provider, Running, World, web};

/// Longest time that an answer takes.
const QUICK: Duration = Duration::from_secs(2);

/// The status of each rule. Source: spec §10.1.
fn status(rule: &str) -> u16 {
    match rule {
        "valid" => 200,
        "publisher" | "code-unknown" | "code-expired" | "code-used" => 403,
        "too-large" => 413,
        _ => 400,
    }
}

/// Posts, and holds what is true of every answer.
fn post(node: &Running, provider: &Provider, what: &str, bytes: &[u8]) -> web::Answer {
    let answer = web::post(&node.text("intake"), &provider.certificate(), bytes).unwrap();
    assert!(answer.status < 500, "{what}: {answer:?}");
    assert!(answer.took < QUICK, "{what}: {answer:?}");
    if answer.status != 200 {
        let told = answer.json();
        assert!(told["error"].is_string() && told["message"].is_string(), "{what}: {told}");
        assert!(told["message"].as_str().unwrap().len() < 200, "{what}: {told}");
    }
    answer
}

/// Codes that the vectors use, where they can be read.
fn codes(vectors: &[Vector]) -> Vec<String> {
    let code = |vector: &Vector| Some(SeedReport::parse(&vector.bytes).ok()?.code().to_owned());
    let codes: BTreeSet<String> = vectors.iter().filter_map(code).collect();
    codes.into_iter().collect()
}

/// The seeds of a report that was accepted.
fn seeds(vector: &Vector) -> Vec<Seed> {
    let report = report::verify(&vector.bytes, vector.header("publisher")).unwrap();
    let seed = |item: &report::Item| {
        let generator = Generator::from_code(item.generator.into()).unwrap();
        calculate_seed(generator, &item.preseed, &item.spki).unwrap()
    };
    report.items.iter().map(seed).collect()
}

/// The vectors use some codes with several keys, and a code belongs to the key that used it first.
/// What is refused for that alone is posted to a further provider of the same name, until every
/// valid report was accepted somewhere.
#[test]
fn every_vector_is_answered_as_expected_and_the_accepted_alert() {
    let vectors = vectors::folder("seed-reports");
    let codes = codes(&vectors);
    let publisher = vectors[0].header("publisher").to_owned();
    let world = World::new();
    let mut round = 0;
    let mut left: Vec<&Vector> = vectors.iter().collect();
    let mut slowest = (Duration::ZERO, String::new());
    while !left.is_empty() {
        round += 1;
        let provider = world.provider(&format!("board-{round}")).named(&publisher).init();
        provider.import_codes(&codes);
        let node = provider.run();
        let mut accepted = BTreeSet::new();
        let mut next = Vec::new();
        for vector in std::mem::take(&mut left) {
            let expect = vector.header("expect");
            let answer = post(&node, &provider, &vector.file, &vector.bytes);
            slowest = slowest.max((answer.took, vector.file.clone()));
            let told = answer.json();
            if expect == "valid" && answer.status == 403 && told["error"] == "code-used" {
                next.push(vector);
                continue;
            }
            assert_eq!(answer.status, status(expect), "{}: {told}", vector.file);
            if expect == "valid" {
                let fresh: Vec<Seed> = seeds(vector);
                let count = told["accepted"].as_u64().unwrap();
                let known = told["known"].as_u64().unwrap_or_default();
                let distinct: BTreeSet<&Seed> = fresh.iter().collect();
                assert_eq!(count + known, distinct.len() as u64, "{}: {told}", vector.file);
                accepted.extend(fresh);
                // The same again does no harm.
                let again = post(&node, &provider, &vector.file, &vector.bytes);
                assert_eq!(again.status, 200, "{}", vector.file);
                assert_eq!(again.json()["accepted"], 0, "{}", vector.file);
            } else {
                assert_eq!(told["error"], *expect, "{}", vector.file);
            }
        }
        assert!(!accepted.is_empty(), "round {round} accepted nothing of {next:?}");
        alerted(&world, round, &provider, &node, &accepted);
        left = next;
    }
    println!("{} reports, {round} providers, slowest {slowest:?}", vectors.len());
}

/// After `publish`, who was near is alerted of each, and who was not is not.
fn alerted(
    world: &World,
    round: usize,
    provider: &Provider,
    node: &Running,
    accepted: &BTreeSet<Seed>,
) {
    provider.publish();
    let gateway = node.gateway();
    let share = provider.share(&[(&gateway, "the board")]);
    let near = world.phone(&format!("near-{round}"));
    let heard: Vec<String> = accepted
        .iter()
        .zip([0, 1, 141, 1226, 2047].into_iter().cycle())
        .map(|(seed, nth)| seed.identifiers().nth(nth).unwrap().to_string())
        .collect();
    near.follow(&share).observed(&heard).sync();
    let alerts = near.alerts();
    assert_eq!(alerts.code, 1);
    assert_eq!(alerts.levels(), vec!["diagnosed"; accepted.len()]);
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for line in &alerts.lines {
        for observation in line["observations"].as_array().unwrap() {
            *seen.entry(observation["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    let heard: BTreeMap<String, usize> = heard.into_iter().map(|id| (id, 1)).collect();
    assert_eq!(seen, heard);

    let far = world.phone(&format!("far-{round}"));
    far.follow(&share).observed(&["d5662e6f-56be-42c1-8881-4234c2f7bbdc".to_owned()]).sync();
    assert_eq!(far.alerts().code, 0);
}

#[test]
fn a_body_that_is_too_large_is_answered_readably() {
    let world = World::new();
    let provider = world.provider("board").init();
    let node = provider.run();
    for len in [64 * 1024 + 1, 1 << 20, 4 << 20] {
        let answer = post(&node, &provider, "zeros", &vec![0; len]);
        assert_eq!((answer.status, answer.json()["error"].as_str()), (413, Some("too-large")));
    }
    // And the intake goes on.
    let answer = post(&node, &provider, "nothing", &[]);
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("der")));
}
