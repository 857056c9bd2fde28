//! What units say beyond their identifiers reaches the app.

use bellwether_formats::scheme::gaen::Key;

use super::samples::{gaen, gaen_key};
use super::*;
use crate::matcher::{Details, GaenDetails, Memo};

fn publish(world: &mut World, at: u64, key: &Key, level: Level) {
    let unit = key.encode();
    world.publish_open(at, open_at(at, Scheme::GAEN, &[(&unit, level)]));
}

fn details(phone: &mut Phone) -> Vec<(Level, Option<Details>)> {
    let matches = phone.alerts(NOW).matches;
    let of = |found: Match| (found.level, found.details);
    matches.into_iter().map(of).collect()
}

const fn said(days_since_onset: Option<i8>, transmission_risk: u8) -> Option<Details> {
    Some(Details::Gaen(GaenDetails {
        days_since_onset,
        transmission_risk,
    }))
}

/// A key that is told again with another onset is the same notification.
#[test]
fn the_newest_word_on_a_key_counts() {
    let mut world = World::at(NOW);
    let mut key = gaen_key();
    publish(&mut world, AT, &key, Level::SYMPTOMATIC);
    let mut phone = Phone::new(&world, 2);
    observe(&mut phone, &gaen(100).inside());
    sync(&mut phone, &world, NOW);
    assert_eq!(
        details(&mut phone),
        [(Level::SYMPTOMATIC, said(Some(-2), 3))]
    );

    (key.days_since_onset, key.transmission_risk) = (None, 0);
    publish(&mut world, NOW - 200, &key, Level::DIAGNOSED);
    sync(&mut phone, &world, NOW);
    assert_eq!(details(&mut phone), [(Level::DIAGNOSED, said(None, 0))]);

    // While the body is lost, what it said is remembered.
    let open: Vec<_> = world
        .chain
        .iter()
        .flat_map(|batch| batch.open_bodies())
        .collect();
    for body in open {
        let path = phone
            .folder
            .path()
            .join("blocks")
            .join(body.cid.to_string());
        std::fs::remove_file(path).unwrap();
    }
    let mut phone = phone.reopen();
    assert_eq!(details(&mut phone), [(Level::DIAGNOSED, said(None, 0))]);
    assert_eq!(phone.doubts(NOW), [uncovered(NOW - 200, Cause::Missing)]);
    sync(&mut phone, &world, NOW);

    key.days_since_onset = Some(14);
    publish(&mut world, NOW - 100, &key, Level::NO_ALERT);
    sync(&mut phone, &world, NOW);
    assert_eq!(details(&mut phone), []);
}

#[test]
fn a_memo_is_handed_on_as_it_is() {
    let sample = tcn();
    let world = world(&sample, true);
    let mut phone = Phone::new(&world, 2);
    observe(&mut phone, &sample.inside());
    sync(&mut phone, &world, NOW);
    let memo = Memo {
        memo_type: 2,
        bytes: b"memo".to_vec(),
    };
    let expected = Some(Details::Tcn(memo));
    assert_eq!(details(&mut phone), [(Level::DIAGNOSED, expected)]);
}

#[test]
fn what_is_sealed_says_no_more_than_its_entry() {
    for sample in [tcn(), gaen(100)] {
        let world = world(&sample, false);
        let mut phone = Phone::new(&world, 2);
        observe(&mut phone, &sample.inside());
        sync(&mut phone, &world, NOW);
        assert_eq!(details(&mut phone), [(Level::DIAGNOSED, None)]);
    }
}
