//! The shim itself: what it is told, a real process sees.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::fs;

use bellwether_tests::shim::Shim;
use bellwether_tests::{World, utc};

const DAY: u64 = 86_400;

#[test]
fn wall_clock_moved_while_a_node_runs_is_what_it_reads() {
    let world = World::new();
    let provider = world.provider("board").init();
    let shim = Shim::of(&provider.dir);
    shim.set_wall(-3600);
    let node = provider.run();
    let codes = |_: ()| provider.verb(&["code", "list", "--json"]).ok();
    provider.codes(1);
    let early = codes(());
    shim.set_wall(i64::try_from(DAY / 2).unwrap());
    provider.codes(1);
    let late = codes(());
    node.stop();
    assert_ne!(early.stdout, late.stdout);
    let clock = bellwether_client::time::format(utc() + DAY / 2);
    let (day_and_hour, _) = clock.split_at(13);
    let early_has = early
        .stdout
        .contains(&format!("\"issued_at\":\"{day_and_hour}"));
    let late_has = late
        .stdout
        .contains(&format!("\"issued_at\":\"{day_and_hour}"));
    assert!(!early_has && late_has, "{clock}: {early:?} {late:?}");
}

#[test]
fn disk_full_while_a_node_runs_fails_its_writes_and_nobody_elses() {
    let world = World::new();
    let provider = world.provider("board").init();
    let shim = Shim::of(&provider.dir);
    shim.fill_disk(&provider.dir);
    let issue = ["code", "issue", "--level", "diagnosed", "--zone", "gb/sct"];
    let full = provider.verb(&issue);
    assert_ne!(full.code, 0, "{full:?}");
    assert!(full.stderr.contains("No space left"), "{full:?}");
    fs::write(provider.dir.join("by-the-test"), "room").unwrap();
    shim.free_disk();
    provider.verb(&issue).ok();
}

#[test]
fn monotonic_clock_moved_lets_timers_of_a_running_node_go_on() {
    let world = World::new();
    let provider = world.provider("board").every("1h").init();
    let shim = Shim::of(&provider.dir);
    shim.pass(2 * 3600);
    let node = provider.run();
    provider.publish();
    node.stop();
}
