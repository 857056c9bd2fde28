//! Batches that are deleted for want of room before their time.

use std::time::Duration;

use bellwether_tests::feed::Feed;
use bellwether_tests::{Relay, Running, World, eventually};

use super::{agree, has, has_not, pair};

#[test]
fn batches_deleted_within_the_retention_are_told_until_they_are_here_again() {
    let world = World::new();
    let provider = world.provider("board").init();
    let providing = provider.run();
    provider.publish();
    provider.publish();
    let newest = provider.publish();
    let relay = Relay::init(&world, "relay", &["--follow", &providing.text("share")]);
    relay.configure(|config| config.network.anti_entropy = Duration::from_secs(1));
    let running = relay.run();
    let kept = |node: &Running| {
        let feed = Feed::after(&node.gateway(), &provider.feed(), 0).ok()?;
        Some(feed.batches.len())
    };
    let count = kept(&providing).unwrap();
    assert!(count >= 3);
    eventually("all batches to arrive", || {
        (running.has(&newest) && kept(&running) == Some(count)).then_some(())
    });
    has_not(|verb| relay.verb(verb), "cap-in-retention");
    running.stop();

    let max_bytes = |bytes| relay.configure(|config| config.retain.max_bytes = bytes);
    max_bytes(1);
    let running = relay.run();
    let told = has(|verb| relay.verb(verb), "cap-in-retention");
    let text = told["text"].as_str().unwrap();
    let gone = format!("batches up to {} were deleted", count - 1);
    assert!(text.starts_with(&gone), "{text}");
    assert!(text.contains("missed until 20"), "{text}");
    assert_eq!(told["severity"], "warning");
    let all = agree(&running, |verb| relay.verb(verb));
    assert!(
        all.contains(&pair("cap-in-retention", "warning")),
        "{all:?}"
    );
    running.stop();

    // It is known after a restart, in which nothing is deleted.
    let running = relay.run();
    has(|verb| relay.verb(verb), "cap-in-retention");
    running.stop();

    max_bytes(1_000_000_000);
    let running = relay.run();
    has_not(|verb| relay.verb(verb), "cap-in-retention");
    assert_eq!(kept(&running), Some(count));
    running.stop();
    providing.stop();
}
