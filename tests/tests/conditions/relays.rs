//! Relays that are away, and zones that none of them carries.

use std::time::Duration;

use bellwether_tests::shim::Shim;
use bellwether_tests::{Provider, Relay, Running, World};

use super::{agree, condition, has, has_not, pair};

/// A provider that stays connected with relays whatever port it gets.
fn tied(provider: &Provider, relays: &[&Running]) {
    let peers = relays.iter().map(|relay| relay.p2p()).collect();
    provider.configure(|config| config.network.bootstrap = peers);
}

#[test]
fn relay_without_peers_is_told_after_half_a_minute_until_one_is_back() {
    let world = World::new();
    let provider = world.provider("board").init();
    let providing = provider.run();
    let relay = Relay::init(&world, "relay", &["--follow", &providing.text("share")]);
    providing.stop();
    let shim = Shim::of(&relay.dir);
    let running = relay.run();
    // A node that starts is not ill.
    for _ in 0..5 {
        let checked = relay.verb(&["check", "--json"]);
        assert_eq!(condition(&checked, "no-peers"), None);
    }
    shim.pass(31);
    let told = has(|verb| relay.verb(verb), "no-peers");
    let all = agree(&running, |verb| relay.verb(verb));
    assert!(all.contains(&pair("no-peers", "error")), "{all:?}");
    // The text says what is wrong, since when, and what to do.
    let plain = relay.verb(&["check"]).exit(2).stdout;
    let since = told["since"].as_str().unwrap();
    let lines: Vec<&str> = plain.lines().collect();
    let line = format!("error: no-peers: 0 peers, 1 in `network.bootstrap`; since {since}");
    let at = lines.iter().position(|found| **found == line);
    let at = at.unwrap_or_else(|| panic!("no `{line}` in {plain}"));
    assert!(
        lines[at + 1].starts_with("  meaning: No other node"),
        "{plain}"
    );
    assert!(
        lines[at + 2].starts_with("  to do: Look at `network.boot"),
        "{plain}"
    );

    tied(&provider, &[&running]);
    let providing = provider.run();
    has_not(|verb| relay.verb(verb), "no-peers");
    providing.stop();
    running.stop();
}

#[test]
fn publish_says_that_no_relay_took_the_batch() {
    let world = World::new();
    let provider = world.provider("board").init();
    let first = provider.run();
    // Nobody is named: nobody is missed.
    let alone = provider.verb(&["publish"]).ok();
    assert_eq!(alone.stderr, "");
    let share = first.text("share");
    let relays = ["one", "two"].map(|name| Relay::init(&world, name, &["--follow", &share]));
    let [one, two] = relays.each_ref().map(Relay::run);
    tied(&provider, &[&one, &two]);
    first.stop();

    let down = provider.verb(&["publish"]).ok();
    assert_eq!(down.lines().len(), 1, "{down:?}");
    let why = "no relay took it: the node does not run";
    assert!(down.stderr.contains(why), "{down:?}");

    let running = provider.run();
    let cid = provider.publish();
    for relay in [&one, &two] {
        super::eventually("the batch to arrive", || relay.has(&cid).then_some(()));
    }
    let taken = provider.verb(&["publish"]).ok();
    assert_eq!(taken.stderr, "");
    one.stop();
    two.stop();
    super::eventually("the relays to be gone", || {
        let peers = &provider.look("status")["network"]["peers"];
        (*peers == 0).then_some(())
    });
    let away = provider.verb(&["publish"]).ok();
    assert_eq!(
        away.lines().len(),
        1,
        "it is published all the same: {away:?}"
    );
    let why = "no relay took it: none is connected";
    assert!(away.stderr.contains(why), "{away:?}");
    running.stop();
}

#[test]
fn zone_that_no_relay_carries_is_told_until_one_does() {
    let world = World::new();
    let other = world.provider("other").init();
    let others = other.run();
    // A relay is connected, and carries something else.
    let stranger = Relay::init(&world, "stranger", &["--follow", &others.text("share")]);
    let strange = stranger.run();
    let provider = world.provider("board").init();
    tied(&provider, &[&strange]);
    provider.configure(|config| config.network.anti_entropy = Duration::from_secs(1));
    let running = provider.run();
    provider.publish();
    let told = has(|verb| provider.verb(verb), "zone-not-relayed");
    assert_eq!(told["severity"], "error");
    let subject = told["subject"].as_str().unwrap();
    assert!(subject.contains("gb/sct"), "{told}");
    let all = agree(&running, |verb| provider.verb(verb));
    assert!(all.contains(&pair("zone-not-relayed", "error")), "{all:?}");

    let relay = Relay::init(&world, "relay", &["--follow", &running.text("share")]);
    let relaying = relay.run();
    has_not(|verb| provider.verb(verb), "zone-not-relayed");
    // The next batch, too.
    let cid = provider.publish();
    super::eventually("the batch to arrive", || relaying.has(&cid).then_some(()));
    for node in [relaying, running, strange, others] {
        node.stop();
    }
}
