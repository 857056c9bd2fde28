//! A disk that is full: nothing acknowledged is lost, phones and relays are served, monitors are red,
//! and all goes on when there is room again. A log that cannot be written stops nobody.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use bellwether_tests::feed::Feed;
use bellwether_tests::shim::Shim;
use bellwether_tests::{Provider, Relay, Running, World, command, eventually, web};

/// Tells whether a report of a new phone under this code is accepted.
fn is_accepted(world: &World, provider: &Provider, node: &Running, code: &str) -> bool {
    let device = world.device(&format!("device-{code}.json"));
    let said = device.report(provider, &node.text("intake"), code);
    let refused = said.stderr.contains("503") || said.stdout.contains("503");
    assert!(said.code == 0 || refused, "{said:?}");
    said.code == 0
}

/// Feed as its gateway shows it.
fn batches(node: &Running, provider: &Provider) -> Feed {
    Feed::after(&node.gateway(), &provider.feed(), 0).unwrap()
}

#[test]
fn store_whose_write_failed_ends_the_node_which_comes_back_read_only_and_then_whole() {
    let world = World::new();
    let provider = world.provider("board").init();
    let shim = Shim::of(&provider.dir);
    let codes = provider.codes(3);
    let node = provider.run();
    assert!(is_accepted(&world, &provider, &node, &codes[0]));
    let first = provider.publish();

    shim.fill_disk(&provider.dir);
    let device = world.device("unlucky.json");
    let said = device.report(&provider, &node.text("intake"), &codes[1]);
    assert_ne!(said.code, 0, "{said:?}");
    assert_ne!(node.ends(), 0, "a supervisor restarts what failed");

    // Still full.
    let node = provider.run();
    assert!(node.has(&first), "{}", node.log());
    assert_eq!(provider.conditions().0, ["disk-full"]);
    let before = batches(&node, &provider).batches.len();
    assert!(!is_accepted(&world, &provider, &node, &codes[1]));
    let closed = provider.verb(&["publish"]);
    assert_ne!(closed.code, 0, "{closed:?}");

    // Room again: a supervisor starts it anew.
    shim.free_disk();
    assert_ne!(node.ends(), 0);
    let node = provider.run();
    let again = world.device("device-again.json");
    let again = again.report(&provider, &node.text("intake"), &codes[1]);
    assert_eq!(again.code, 0, "the code was not used up: {again:?}");
    assert!(is_accepted(&world, &provider, &node, &codes[2]));
    provider.publish();
    let feed = batches(&node, &provider);
    assert_eq!(feed.batches.len(), before + 1, "the chain goes on");
    assert_eq!(provider.conditions().0, Vec::<String>::new());
    node.stop();
}

#[test]
fn disk_that_fills_up_stops_writes_before_one_fails_and_room_lets_them_go_on() {
    let world = World::new();
    let provider = world.provider("board").init();
    let shim = Shim::of(&provider.dir);
    let codes = provider.codes(1);
    let node = provider.run();
    provider.publish();
    shim.fill_disk(&provider.dir);
    eventually("the node to notice", || {
        let health = web::get(&format!("{}/health", node.gateway())).unwrap();
        (health.status == 503 && health.json().to_string().contains("disk-full")).then_some(())
    });
    assert!(provider.conditions().0.contains(&"disk-full".to_owned()));
    assert!(!is_accepted(&world, &provider, &node, &codes[0]));
    shim.free_disk();
    let device = world.device("device-later.json");
    eventually("the node to write again", || {
        let said = device.report(&provider, &node.text("intake"), &codes[0]);
        (said.code == 0).then_some(())
    });
    provider.publish();
    assert!(!provider.conditions().0.contains(&"disk-full".to_owned()));
    node.stop();
}

#[test]
fn relay_on_a_full_disk_serves_what_it_has_and_catches_up_when_there_is_room() {
    let world = World::new();
    let provider = world.provider("board").init();
    let board = provider.run();
    let follow = ["--follow", &board.text("share")];
    let relay = Relay::init(&world, "aid", &follow);
    let shim = Shim::of(&relay.dir);
    let node = relay.run();
    let first = provider.publish();
    eventually("the first batch", || node.has(&first).then_some(()));

    shim.fill_disk(&relay.dir);
    let second = provider.publish();
    assert_ne!(node.ends(), 0);
    let node = relay.run();
    assert!(node.has(&first) && !node.has(&second));
    let third = provider.publish();
    assert!(!node.has(&third));

    shim.free_disk();
    assert_ne!(node.ends(), 0);
    let node = relay.run();
    eventually("what was missed", || {
        (node.has(&second) && node.has(&third)).then_some(())
    });
    node.stop();
    board.stop();
}

#[test]
fn log_on_a_full_disk_is_lost_and_the_node_goes_on() {
    let world = World::new();
    let provider = world.provider("board").init();
    let shim = Shim::of(&provider.dir);
    let codes = provider.codes(1);
    let node = provider.run();
    shim.fill_stderr(true);
    assert!(is_accepted(&world, &provider, &node, &codes[0]));
    provider.publish();
    shim.fill_stderr(false);
    let (_, warnings) = provider.conditions();
    assert!(warnings.contains(&"log-lost".to_owned()), "{warnings:?}");
    node.stop();
}

#[test]
fn pipe_whose_reader_left_stops_neither_node_nor_verb() {
    let world = World::new();
    let provider = world.provider("board").init();
    let mut run = command::node();
    run.arg("run").arg("--data-dir").arg(&provider.dir);
    run.env("RUST_LOG", "trace").stdin(Stdio::null());
    run.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = run.spawn().unwrap();
    drop(child.stderr.take());
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    drop(stdout);
    let published = provider.verb(&["publish"]);
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let ended = command::wait(&mut child, Duration::from_secs(30));
    let _ = child.kill();
    assert_eq!(published.code, 0, "{published:?}");
    assert_eq!(ended.and_then(|status| status.code()), Some(0), "{line}");

    let mut verb = command::node();
    verb.args([
        "code",
        "issue",
        "--level",
        "x",
        "--zone",
        "gb/sct",
        "--data-dir",
    ]);
    verb.arg(&provider.dir);
    verb.stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = verb.spawn().unwrap();
    drop(child.stderr.take());
    let ended = command::wait(&mut child, Duration::from_secs(30));
    let _ = child.kill();
    assert_eq!(ended.and_then(|status| status.code()), Some(2), "an error");
}

#[test]
fn zone_that_node_toml_names_no_more_is_closed_and_the_others_go_on() {
    let world = World::new();
    let provider = world.provider("board").with(&["--zone", "gb/wls"]).init();
    let waiting = provider.codes_in("gb/sct", 2);
    let other = provider.codes_in("gb/wls", 1);
    let node = provider.run();
    assert!(is_accepted(&world, &provider, &node, &waiting[0]));
    let published = provider.publish_all();
    assert!(is_accepted(&world, &provider, &node, &waiting[1]));
    let before = batches(&node, &provider).batches.len();
    node.stop();

    let mut removed = None;
    provider.configure(|config| {
        let zones = &mut config.provider.as_mut().unwrap().zone;
        let at = zones.iter().position(|zone| zone.zone == "gb/sct").unwrap();
        removed = Some(zones.remove(at));
    });
    let more = provider.verb(&["code", "issue", "--level", "diagnosed", "--zone", "gb/sct"]);
    assert_ne!(more.code, 0, "{more:?}");
    let node = provider.run();
    assert!(
        node.has(&published[0]),
        "what was published is still served"
    );
    assert!(is_accepted(&world, &provider, &node, &other[0]));
    assert_eq!(provider.publish_all().len(), 1);
    node.stop();

    provider.configure(|config| {
        let zones = &mut config.provider.as_mut().unwrap().zone;
        zones.insert(0, removed.take().unwrap());
    });
    let node = provider.run();
    assert_eq!(provider.publish_all().len(), 2);
    let feed = batches(&node, &provider);
    assert_eq!(feed.batches.len(), before + 1, "the chain goes on");
    assert_eq!(
        feed.batches[before].parts.len(),
        1,
        "what waited is published"
    );
    node.stop();
}
