//! Relays: they serve when the provider is off, catch up when they were off, and recover when a
//! connection hangs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::time::{Duration, Instant};

use bellwether_tests::proxy::Proxy;
use bellwether_tests::{Relay, Running, World, eventually, feed::Feed};

/// Gossip is off; peers are asked every second.
fn without_gossip(config: &mut bellwether_node::config::Config) {
    config.network.gossip = false;
    config.network.anti_entropy = Duration::from_secs(1);
}

#[track_caller]
fn arrives(node: &Running, cid: &str) {
    eventually("a batch to arrive", || node.has(cid).then_some(()));
}

#[test]
fn a_relay_that_was_off_catches_up_without_gossip_and_serves_alone() {
    let world = World::new();
    let provider = world.provider("board").init();
    provider.configure(without_gossip);
    let running = provider.run();
    let relay = Relay::init(&world, "relay", &["--follow", &running.text("share")]);
    relay.configure(without_gossip);

    let device = world.device("device.json");
    let heard = device.ids(1);
    let relaying = relay.run();
    arrives(&relaying, &provider.publish());
    relaying.stop();

    // Three batches that the relay does not see, the report in the middle one.
    provider.publish();
    let code = provider.codes(1).remove(0);
    device.report(&provider, &running.text("intake"), &code).ok();
    provider.publish();
    let newest = provider.publish();
    let relaying = relay.run();
    arrives(&relaying, &newest);
    let theirs = Feed::after(&running.gateway(), &provider.feed(), 0).unwrap();
    running.stop();

    let ours = Feed::after(&relaying.gateway(), &provider.feed(), 0).unwrap();
    let ids = |feed: &Feed| feed.batches.iter().map(|batch| batch.cid()).collect::<Vec<_>>();
    assert_eq!(ids(&ours), ids(&theirs), "every batch, in order");
    assert_eq!(ours.said(), theirs.said(), "and its bodies");
    let phone = world.phone("phone");
    let gateway = relaying.gateway();
    phone.follow(&provider.share(&[(&gateway, "relay")])).observed(&heard).sync();
    assert_eq!(phone.alerts().code, 1);
    relaying.stop();
}

#[test]
fn a_new_relay_learns_from_a_relay() {
    let world = World::new();
    let provider = world.provider("board").init();
    let running = provider.run();
    let first = Relay::init(&world, "first", &["--follow", &running.text("share")]);
    let first = first.run();
    let newest = provider.publish();
    arrives(&first, &newest);
    running.stop();
    let of_first = ["--provider", &provider.id, "--zone", "gb/sct", "--bootstrap", &first.p2p()];
    let second = Relay::init(&world, "second", &of_first);
    let second = second.run();
    arrives(&second, &newest);
    first.stop();
    let phone = world.phone("phone");
    let gateway = second.gateway();
    phone.follow(&provider.share(&[(&gateway, "second")])).sync();
    assert_eq!(phone.alerts().code, 0);
}

/// The provider still believes in the connection of the relay's life before.
#[test]
fn a_relay_comes_back_while_its_old_connection_hangs() {
    let world = World::new();
    let provider = world.provider("board").init();
    let running = provider.run();
    let address = running.p2p();
    let mut parts = address.split('/');
    let port: u16 = parts.nth(4).unwrap().parse().unwrap();
    let proxy = Proxy::before(([127, 0, 0, 1], port).into());
    let bootstrap = format!("/ip4/127.0.0.1/tcp/{}", proxy.address.port());
    let through = ["--provider", &provider.id, "--zone", "gb/sct", "--bootstrap", &bootstrap];
    let relay = Relay::init(&world, "relay", &through);
    let relaying = relay.run();
    let peer = relaying.text("peer_id");
    arrives(&relaying, &provider.publish());
    let before = proxy.connections();
    assert!(before > 0, "it goes through the proxy");

    proxy.hang();
    relaying.kill();
    let relaying = relay.run();
    assert_eq!(relaying.text("peer_id"), peer, "it is the same peer");
    let began = Instant::now();
    arrives(&relaying, &provider.publish());
    println!("recovered after {:?}", began.elapsed());
    assert!(proxy.connections() > before, "by a new connection");

    // And what comes now travels at once: both sides have let go of the dead connection.
    let cid = provider.publish();
    arrives(&relaying, &cid);
    running.stop();
    relaying.stop();
}

/// Nothing closes a connection that hangs under a relay that lives on, but the pings.
#[test]
fn a_connection_that_hangs_is_replaced() {
    let world = World::new();
    let provider = world.provider("board").init();
    let running = provider.run();
    let port: u16 = running.p2p().split('/').nth(4).unwrap().parse().unwrap();
    let proxy = Proxy::before(([127, 0, 0, 1], port).into());
    let bootstrap = format!("/ip4/127.0.0.1/tcp/{}", proxy.address.port());
    let through = ["--provider", &provider.id, "--zone", "gb/sct", "--bootstrap", &bootstrap];
    let relay = Relay::init(&world, "relay", &through);
    let relaying = relay.run();
    arrives(&relaying, &provider.publish());
    proxy.hang();
    let began = Instant::now();
    arrives(&relaying, &provider.publish());
    println!("recovered after {:?}", began.elapsed());
}
