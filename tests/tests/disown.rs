//! A clock that was two hours ahead had batches of the future signed; it is right again.

use bellwether_tests::shim::Shim;
use bellwether_tests::{Phone, Provider, Relay, Running, World, eventually};
use serde_json::Value;

const AHEAD_S: i64 = 7200;

/// Starts the relay, then the provider with the relay as its peer.
fn start(relay: &Relay, provider: &Provider) -> (Running, Running) {
    let relaying = relay.run();
    provider.configure(|config| config.network.bootstrap = vec![relaying.p2p()]);
    (relaying, provider.run())
}

/// Has a phone use the relay where it listens now.
fn follow(phone: &Phone, provider: &Provider, relaying: &Running) {
    phone.follow(&provider.share(&[(&relaying.gateway(), "relay")]));
}

fn disown(provider: &Provider, from: &str) -> Value {
    let root = provider.dir.join("root.key");
    let verb = [
        "descriptor",
        "disown",
        "--zone",
        &provider.zone,
        "--from",
        from,
    ];
    let root = ["--root", root.to_str().unwrap()];
    provider
        .verb(&[&verb[..], &root].concat())
        .ok()
        .json()
        .remove(0)
}

#[test]
fn batches_of_the_future_are_disowned_and_relay_and_phone_follow() {
    let world = World::new();
    let provider = world.provider("board").init();
    let running = provider.run();
    let relay = Relay::init(&world, "relay", &["--follow", &running.text("share")]);
    running.stop();
    let phone = world.phone("phone");
    let shims = [&provider.dir, &relay.dir, &phone.state].map(|dir| Shim::of(dir));
    let set_clocks = |seconds| shims.iter().for_each(|shim| shim.set_wall(seconds));

    let (relaying, running) = start(&relay, &provider);
    let right = provider.publish();
    eventually("the relay to have it", || {
        relaying.has(&right).then_some(())
    });
    running.stop();
    relaying.stop();

    // A clock that is ahead is in doubt at first; nobody contradicts it, and it is believed in the end.
    set_clocks(AHEAD_S);
    let (relaying, running) = start(&relay, &provider);
    let patient = world.device("patient");
    let near = patient.ids(1);
    let code = provider.codes(1).remove(0);
    patient
        .report(&provider, &running.text("intake"), &code)
        .ok();
    shims[0].set_monotonic(700);
    let wrong = eventually("the clock to be believed", || {
        let said = provider.verb(&["publish"]);
        (said.code == 0).then(|| said.lines()[0].to_owned())
    });
    eventually("the relay to have it", || {
        relaying.has(&wrong).then_some(())
    });
    follow(&phone, &provider, &relaying);
    phone.observed(&near);
    phone.sync();
    assert_eq!(phone.alerts().levels(), ["diagnosed"]);
    running.stop();
    relaying.stop();

    set_clocks(0);
    let (relaying, running) = start(&relay, &provider);
    // Nothing can be published: the clock leapt back, and a batch is ahead of it.
    provider.verb(&["publish"]).exit(2);
    let done = disown(&provider, "2");
    assert_eq!(done["epoch"], 2, "{done}");
    assert_eq!(done["disowned"][0]["zone"], "gb/sct");
    assert_eq!(done["disowned"][0]["from"], 2);
    let again = done["published"][0].clone();
    assert_eq!(again["seq"], 2, "{done}");
    let cid = again["cid"].as_str().unwrap();
    eventually("the relay to have it", || relaying.has(cid).then_some(()));

    follow(&phone, &provider, &relaying);
    let told = phone.verb(&["sync"]);
    assert!(told.stderr.contains("(anchor)"), "{told:?}");
    assert_eq!(
        phone.alerts().levels(),
        ["diagnosed"],
        "it is published again"
    );
    let fresh = world.phone("fresh");
    follow(&fresh, &provider, &relaying);
    fresh.observed(&near);
    fresh.sync();
    assert_eq!(fresh.alerts().levels(), ["diagnosed"]);

    // What was disowned is nowhere any more, and both go on.
    let next = provider.publish();
    eventually("the relay to have it", || relaying.has(&next).then_some(()));
    provider
        .verb(&["level", "--code", &code, "--level", "no-alert"])
        .ok();
    let next = provider.publish();
    eventually("the relay to have it", || relaying.has(&next).then_some(()));
    for phone in [&phone, &fresh] {
        phone.verb(&["sync"]);
        assert_eq!(phone.alerts().levels(), [""; 0]);
    }
    running.stop();
    relaying.stop();
}

#[test]
fn a_provider_that_was_made_by_a_wrong_clock_disowns_all_and_publishes_again() {
    let world = World::new();
    let dir = world.path("board");
    let shim = Shim::of(&dir);
    shim.set_wall(AHEAD_S);
    let provider = world.provider("board").init();
    let running = provider.run();
    let patient = world.device("patient");
    let near = patient.ids(1);
    let code = provider.codes(1).remove(0);
    patient
        .report(&provider, &running.text("intake"), &code)
        .ok();
    provider.publish();
    running.stop();

    shim.set_wall(0);
    provider.verb(&["publish"]).exit(2);
    // Nobody runs: the verb does it by itself.
    let done = disown(&provider, "1");
    assert_eq!(done["disowned"][0]["from"], 1, "{done}");
    assert_eq!(done["published"][0]["seq"], 1, "{done}");
    let root = provider.dir.join("root.key");
    let verb = [
        "descriptor",
        "disown",
        "--zone",
        "gb/sct",
        "--from",
        "2",
        "--root",
    ];
    let refused = provider
        .verb(&[&verb[..], &[root.to_str().unwrap()]].concat())
        .exit(2);
    assert!(refused.stderr.contains("the newest is 1"), "{refused:?}");
    let running = provider.run();
    let phone = world.phone("phone");
    phone.follow(&running.text("share"));
    phone.observed(&near);
    phone.sync();
    assert_eq!(phone.alerts().levels(), ["diagnosed"]);
    running.stop();
}
