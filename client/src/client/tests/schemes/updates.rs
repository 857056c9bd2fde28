//! What this version cannot read is said to be so, by its code; what the version before could not
//! read is read.

use bellwether_formats::cbor::{Reader, Writer};
use bellwether_formats::signed::Content;

use super::*;
use crate::answers::{Doubt, Unknown};
use crate::horizon::Moment;
use crate::trust::Body;

/// A heartbeat with the parts of another batch, the first of which is made one of another kind.
fn with_kind(world: &World, parts: Vec<Part>, kind: u8) -> Vec<Part> {
    let batch = world.provider.batch(None, AT, parts);
    let mut writer = Writer::new();
    batch.write(&mut writer);
    let mut bytes = writer.finish();
    let written = b"\x64kind\x00";
    let at = bytes.windows(written.len()).position(|at| at == written);
    bytes[at.unwrap() + 5] = kind;
    Batch::read(&mut Reader::new(&bytes)).unwrap().parts
}

fn unknown(schemes: &[u8], kinds: &[u64]) -> Unknown {
    Unknown {
        schemes: schemes.iter().copied().collect(),
        kinds: kinds.iter().copied().collect(),
    }
}

#[test]
fn an_update_is_asked_for_by_code() {
    let mut world = World::at(NOW);
    let (Part::Open(mut strange), body) = open_at(AT, Scheme::CX1, &[(&[7; 24], Level::DIAGNOSED)])
    else {
        panic!("an open part");
    };
    let kind = with_kind(&world, vec![Part::Open(strange.clone())], 5);
    strange.scheme = Scheme(9);
    let mut parts = vec![Part::Open(strange.clone())];
    strange.scheme = Scheme(200);
    parts.push(Part::Open(strange));
    parts.extend(kind);
    // What stands beside them is read.
    let (known, _) = open_at(AT, Scheme::CX1, &[(&[7; 24], Level::DIAGNOSED)]);
    parts.push(known);
    let batch = world.provider.batch(world.chain.last(), AT, parts);
    world.chain.push(batch);
    world.blocks.push(body);

    let mut phone = Phone::new(&world, 2);
    phone.observe(7, AT - 3600, NOW);
    sync(&mut phone, &world, NOW);
    let answer = Doubted::Update {
        unknown: unknown(&[9, 200], &[5]),
        parts: 3,
    };
    assert_eq!(
        answer.to_string(),
        "update needed for scheme 9, scheme 200, kind 5: 3 parts are of a kind, scheme or size \
         that this version does not read"
    );
    assert_eq!(phone.levels(NOW), [Level::DIAGNOSED]);
    assert_eq!(phone.doubts(NOW), [answer]);
    let status = &phone.client.status()[0];
    assert_eq!(status.unknown_parts, 3);
    assert_eq!(
        (&status.unknown_schemes[..], &status.unknown_kinds[..]),
        (&[9, 200][..], &[5][..])
    );
    assert!(
        status
            .doubts
            .iter()
            .any(|doubt| doubt.contains("scheme 200, kind 5"))
    );
    // It is no doubt any more when nothing can match it.
    phone.client.observe_at(&[], Moment::lived(AT)).unwrap();
    let later = Moment::lived(AT + RETENTION_S + 1);
    phone.client.alerts_at(later.clone()).unwrap();
    let doubts = phone.client.alerts_at(later).unwrap().doubts;
    let update = |doubt: &Doubt| matches!(doubt.answer, Doubted::Update { .. });
    assert!(!doubts.iter().any(update));
}

/// Has the phone forget how to read all parts, as a version before would have left them.
fn forget(phone: &mut Phone, kind: Option<u64>) {
    for batch in phone.client.state.followed[0].feeds[0].batches_mut() {
        batch.choice = None;
        for part in &mut batch.parts {
            part.body = Body::Unread;
            part.kind = kind;
        }
    }
    phone.client.state.hits.clear();
    phone.client.store.save(&phone.client.state).unwrap();
    phone.client.end_sync().unwrap();
}

/// Here the clock is the real one: a client reads parts again when it is opened.
#[test]
fn what_the_version_before_could_not_read_is_fetched_and_tested() {
    let sample = tcn();
    let mut world = World::new();
    let at = world.now - 300;
    let terms = Terms {
        level: Level::DIAGNOSED,
        grade: None,
        observed_before: at,
    };
    let open = part_of(Scheme::TCN, at, [(terms, sample.unit.clone())].into_iter());
    world.publish_open(at, open);
    let (mirror, now) = (world.mirror(), world.now);
    let bare = Mirror {
        bodies: [].into(),
        ..mirror.clone()
    };
    for (mirror, level, rules) in [
        (&mirror, Some(Level::DIAGNOSED), vec![]),
        (&bare, None, vec!["not-found", "not-found", "not-found"]),
    ] {
        let mut phone = Phone::new(&world, 2);
        let seen = sample.seen(at - 60);
        phone.client.observe_at(&[seen], now).unwrap();
        phone.sync(&[Some(&world.mirror()), Some(&world.mirror())], now);
        forget(&mut phone, None);
        assert_eq!(phone.levels(now), []);
        let mut phone = phone.reopen();
        assert_eq!(phone.doubts(now), [uncovered(at, Cause::Missing)]);
        phone.sync(&[Some(mirror), Some(mirror)], now);
        assert_eq!(phone.rules(), rules);
        assert_eq!(phone.levels(now), level.into_iter().collect::<Vec<_>>());
        assert_eq!(phone.doubts(now).is_empty(), level.is_some());
    }
}

/// A body that was never looked at is looked at when it comes, and by everybody alike.
#[test]
fn what_is_read_late_and_breaks_a_rule_is_in_doubt_whatever_was_observed() {
    let sample = tcn();
    let mut world = World::new();
    let (at, now) = (world.now - 300, world.now);
    let (Part::Open(mut open), body) =
        open_at(at, Scheme::TCN, &[(&sample.unit, Level::DIAGNOSED)])
    else {
        panic!("an open part");
    };
    open.count = 2;
    world.publish_open(at, (Part::Open(open), body));
    let mirror = world.mirror();
    for observes in [false, true] {
        let mut phone = Phone::new(&world, 2);
        if observes {
            let seen = sample.seen(at - 60);
            phone.client.observe_at(&[seen], now).unwrap();
        }
        phone.sync(&[Some(&mirror), Some(&mirror)], now);
        forget(&mut phone, None);
        let mut phone = phone.reopen();
        phone.sync(&[Some(&mirror), Some(&mirror)], now);
        assert_eq!(phone.rules(), ["count"]);
        assert_eq!(phone.doubts(now), [uncovered(at, Cause::Broken)]);
        phone.sync(&[Some(&mirror), Some(&mirror)], now);
        assert_eq!(phone.rules(), [""; 0], "it is not fetched again");
    }
}
