use std::net::Ipv4Addr;

use super::*;
use crate::intake::code::guesses::{PREFIX_BURST, PREFIX_REFILL};

#[expect(
    clippy::disallowed_methods,
    reason = "an arbitrary origin; nothing waits"
)]
fn start() -> Instant {
    Instant::now()
}

/// The n-th of many addresses.
fn nth(n: u32) -> Asker {
    Asker::at(Ipv4Addr::from(n.to_be_bytes()).into())
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A wrong password, if it is looked at.
fn wrong(attempts: &mut Attempts, name: &str, asker: Asker, now: Instant) -> Result<(), Duration> {
    let begun = attempts.begin(name, asker, now);
    begun.map_err(|slowed| slowed.retry_after)?;
    attempts.failed(name, asker, now);
    Ok(())
}

#[test]
fn the_pause_doubles_up_to_a_minute() {
    let mut now = start();
    let mut attempts = Attempts::new(false, now);
    for _ in 0..FREE {
        assert_eq!(wrong(&mut attempts, "anna", nth(1), now), Ok(()));
    }
    for pause in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let refused = wrong(&mut attempts, "anna", nth(1), now);
        assert_eq!(refused, Err(seconds(pause)));
        let almost = now + seconds(pause) - Duration::from_millis(1);
        let refused = wrong(&mut attempts, "anna", nth(1), almost);
        assert_eq!(refused, Err(seconds(1)), "an early one lengthens nothing");
        now += seconds(pause);
        assert_eq!(wrong(&mut attempts, "anna", nth(1), now), Ok(()));
    }
    now += FORGET;
    for _ in 0..FREE {
        assert_eq!(wrong(&mut attempts, "anna", nth(1), now), Ok(()));
    }
}

#[test]
fn the_right_password_ends_the_pauses() {
    let now = start();
    let mut attempts = Attempts::new(false, now);
    for _ in 0..FREE - 1 {
        wrong(&mut attempts, "anna", nth(1), now).unwrap();
    }
    attempts.begin("anna", nth(1), now).unwrap();
    attempts.succeeded("anna", nth(1));
    for _ in 0..FREE {
        assert_eq!(wrong(&mut attempts, "anna", nth(1), now), Ok(()));
    }
    assert!(wrong(&mut attempts, "anna", nth(1), now).is_err());
}

#[test]
fn many_at_once_are_as_many() {
    let now = start();
    let mut attempts = Attempts::new(false, now);
    let begun = (0..100).filter(|_| attempts.begin("anna", nth(1), now).is_ok());
    assert_eq!(begun.count(), 3);
}

#[test]
fn one_asker_does_not_slow_another_nor_another_name() {
    let now = start();
    let mut attempts = Attempts::new(false, now);
    for _ in 0..50 {
        let _ = wrong(&mut attempts, "anna", nth(1), now);
    }
    assert!(wrong(&mut attempts, "anna", nth(1), now).is_err());
    assert_eq!(attempts.begin("anna", nth(2), now), Ok(()));
    assert_eq!(attempts.begin("bo", nth(1), now), Ok(()));
}

/// A flood from everywhere on one name: it guesses once a minute, and the browser that its owner
/// always uses logs in at once.
#[test]
fn a_flood_on_a_name_does_not_keep_its_owner_out() {
    let mut now = start();
    let mut attempts = Attempts::new(false, now);
    let mut looked_at = 0;
    for n in 0..10_000 {
        looked_at += u32::from(wrong(&mut attempts, "anna", nth(n), now).is_ok());
    }
    assert_eq!(looked_at, OF_NAME.burst);
    for n in 0..600 {
        now += seconds(1);
        let flood = wrong(&mut attempts, "anna", nth(20_000 + n), now);
        looked_at += u32::from(flood.is_ok());
    }
    assert_eq!(looked_at, OF_NAME.burst + 10);
    let owner = Asker::Browser([1; 16]);
    assert!(attempts.begin("anna", nth(50_000), now).is_err());
    assert_eq!(attempts.begin("anna", owner, now), Ok(()));
    // Nor does it slow others.
    assert_eq!(attempts.begin("bo", nth(50_000), now), Ok(()));
    // And a stolen browser is slowed as any asker.
    let stolen = (0..100).filter(|_| wrong(&mut attempts, "anna", owner, now).is_ok());
    assert_eq!(stolen.count(), 2);
    // Once the flood ends, everybody may try again within a minute.
    assert_eq!(
        wrong(&mut attempts, "anna", nth(50_000), now + OF_NAME.refill),
        Ok(())
    );
}

#[test]
fn an_address_is_limited_whatever_the_names() {
    let now = start();
    let mut attempts = Attempts::new(false, now);
    let mut proxied = Attempts::new(true, now);
    let proxy = Asker::at(Ipv4Addr::LOCALHOST.into());
    for n in 0..PREFIX_BURST {
        assert_eq!(wrong(&mut attempts, &n.to_string(), nth(1), now), Ok(()));
        assert_eq!(wrong(&mut proxied, &n.to_string(), proxy, now), Ok(()));
    }
    let refused = wrong(&mut attempts, "another", nth(1), now);
    assert_eq!(refused, Err(PREFIX_REFILL));
    assert_eq!(wrong(&mut proxied, "another", proxy, now), Ok(()));
}

#[test]
fn the_tables_are_bounded_and_keep_the_worst() {
    let now = start();
    let mut attempts = Attempts::new(false, now);
    for _ in 0..FREE {
        wrong(&mut attempts, "anna", nth(1), now).unwrap();
    }
    for n in 0..6000 {
        let _ = wrong(&mut attempts, &n.to_string(), nth(1000 + n), now);
    }
    assert_eq!(attempts.pairs.len(), MAX_ENTRIES);
    assert_eq!(attempts.names.len(), MAX_ENTRIES);
    assert!(wrong(&mut attempts, "anna", nth(1), now).is_err());
    let later = now + FORGET;
    wrong(&mut attempts, "bo", nth(1), later).unwrap();
    assert_eq!((attempts.pairs.len(), attempts.names.len()), (1, 1));
}

#[test]
fn an_ipv6_network_is_one_asker() {
    let at = |text: &str| Asker::at(text.parse().unwrap());
    assert_eq!(at("2001:db8:1:2::1"), at("2001:db8:1:2:ffff::9"));
    assert_ne!(at("2001:db8:1:2::1"), at("2001:db8:1:3::1"));
    assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
}
