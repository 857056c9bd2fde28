//! What a client says when it cannot be sure.

use bellwether_tests::{World, eventually, invented, server, utc};

/// The provider is invented, so that its batches may be
/// as short-lived, and as new, as no configuration allows.
#[test]
fn stale_and_update_needed_are_told() {
    let world = World::new();
    let provider = invented::Invented::new(7);
    let now = utc();
    let first = provider.batch(None, now - 20, now + 4, Vec::new());
    let gateway = server::Server::start(invented::gateway(
        &provider.descriptor,
        std::slice::from_ref(&first),
        &[],
    ));
    let phone = world.phone("phone");
    let share = format!(
        "bellwether:{}?zone=gb/sct&gateway={}",
        provider.id(),
        gateway.url
    );
    phone.follow(&share).observed(&[invented::identifier(1, 5)]);
    phone.sync();
    if utc() < now + 4 {
        let fresh = phone.alerts();
        assert!(fresh.code == 0 || utc() >= now + 4, "{fresh:?}");
    }
    let stale = eventually("the batch to go stale", || {
        let alerts = phone.alerts();
        (alerts.code == 3).then_some(alerts)
    });
    assert!(stale.told.contains("stale since"), "{stale:?}");

    // A part of a scheme that this version does not read, beside one that it does.
    let now = utc();
    let (open, body) = invented::part(now - 3, &[1, 2, 3]);
    let newer = provider.batch(
        Some(&first),
        now - 3,
        now + 900,
        vec![open, invented::unread(now - 3)],
    );
    gateway.answer(invented::gateway(
        &provider.descriptor,
        &[first, newer],
        &[body],
    ));
    phone.sync();
    let some = phone.alerts();
    assert_eq!(
        (some.code, some.levels()),
        (1, vec!["diagnosed"]),
        "{some:?}"
    );
    assert!(some.told.contains("update needed"), "{some:?}");
    let other = world.phone("other");
    other.follow(&share).observed(&[invented::identifier(9, 5)]);
    other.sync();
    let none = other.alerts();
    assert_eq!(none.code, 3, "{none:?}");
    assert!(none.told.contains("update needed"), "{none:?}");
}
