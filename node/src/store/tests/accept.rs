use bellwether_formats::id::Level;

use super::fixture::{DAY, NOW, code, gb, issue, publish, signed_descriptor, unit, unit_by, zone};
use super::*;

fn levels(store: &Store, zone: &str) -> Vec<u8> {
    let notes = store
        .pending_notes(&fixture::zone(zone), usize::MAX, u64::MAX)
        .unwrap();
    notes.iter().map(|(_, note)| note.level).collect()
}

fn accepted(new: usize, known: usize) -> (usize, usize) {
    (new, known)
}

fn counts(of: Accepted) -> (usize, usize) {
    (of.new, of.known)
}

#[test]
fn codes_are_issued_once() {
    let store = memory();
    let mut codes = [
        code(1, &gb(), Level::DIAGNOSED),
        code(2, &gb(), Level::SYMPTOMATIC),
        code(1, &gb(), Level::DEBUG),
    ];
    assert_eq!(store.issue_codes(&codes, NOW).unwrap(), 2);
    store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    let before = store.codes().unwrap();
    codes[0].level = Level::NO_ALERT;
    assert_eq!(store.issue_codes(&codes, NOW + 5).unwrap(), 0);
    let after = store.codes().unwrap();
    assert_eq!(after.len(), 2);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(
            (before.hash, &before.row),
            (after.hash, &after.row),
            "a known code keeps what it says"
        );
    }
    let new = [code(3, &gb(), Level::DEBUG)];
    assert_eq!(store.issue_codes(&new, NOW).unwrap(), 1);
    let issues: Vec<u64> = store.codes().unwrap().iter().map(|c| c.row.issue).collect();
    assert_eq!(issues, [1, 2, 3]);
}

#[test]
fn who_may_use_a_code() {
    let store = memory();
    issue(&store, &gb(), &[1, 2]);
    let rule = |code: u8, units: &[SubmittedUnit], now: u64| {
        let found = store.accept(&[code; 32], units, now);
        found.map(counts).map_err(|error| format!("{error:?}"))
    };
    let err = |name: &str| Err(name.to_owned());

    assert_eq!(rule(7, &[unit(1)], NOW), err("UnknownCode"));
    assert_eq!(rule(1, &[unit(1)], NOW + DAY), err("ExpiredCode"));
    assert_eq!(rule(1, &[unit_by(1, 1)], NOW + DAY - 1), Ok(accepted(1, 0)));

    let late = NOW + 3 * DAY;
    assert_eq!(rule(1, &[unit_by(2, 2)], NOW), err("UsedCode"));
    assert_eq!(rule(1, &[unit_by(2, 2)], late), err("UsedCode"));
    let shared = [unit_by(2, 2), unit_by(3, 1)];
    assert_eq!(
        rule(1, &shared, late),
        Ok(accepted(2, 0)),
        "the code is its device's"
    );
    assert_eq!(
        rule(1, &[unit_by(4, 2)], late),
        Ok(accepted(1, 0)),
        "the new key too"
    );
    assert_eq!(
        rule(1, &[unit_by(5, 3), unit_by(1, 1)], late),
        Ok(accepted(1, 1))
    );

    // What stands twice counts once, and what failed left nothing behind.
    assert_eq!(rule(2, &[unit(8), unit(8)], NOW), Ok(accepted(1, 0)));
    assert_eq!(rule(2, &[unit(8), unit(8)], NOW), Ok(accepted(0, 1)));
    assert_eq!(store.pending(&gb()).unwrap(), 6);
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn a_key_that_is_not_known_is_shared_by_nobody() {
    let store = memory();
    issue(&store, &gb(), &[1]);
    store.accept(&[1; 32], &[unit_by(1, 0)], NOW).unwrap();
    let other = store.accept(&[1; 32], &[unit_by(2, 0)], NOW);
    assert!(matches!(other, Err(AcceptError::UsedCode)));
}

#[test]
fn the_same_report_again_is_accepted_again() {
    let store = memory();
    issue(&store, &gb(), &[1]);
    let report = [unit(1), unit(2)];
    assert_eq!(
        counts(store.accept(&[1; 32], &report, NOW).unwrap()),
        accepted(2, 0)
    );
    let row = store.code(&[1; 32]).unwrap();
    assert_eq!(
        counts(store.accept(&[1; 32], &report, NOW + 30 * DAY).unwrap()),
        accepted(0, 2)
    );
    assert_eq!(store.code(&[1; 32]).unwrap(), row);
    assert_eq!(store.pending(&gb()).unwrap(), 2);
}

#[test]
fn a_code_admits_so_many_and_no_more() {
    let store = memory();
    issue(&store, &gb(), &[1]);
    let report = |range: std::ops::Range<u32>| range.map(unit).collect::<Vec<_>>();
    assert_eq!(
        store.accept(&[1; 32], &report(0..200), NOW).unwrap().new,
        200
    );
    let full = store.accept(&[1; 32], &report(200..257), NOW);
    assert!(matches!(full, Err(AcceptError::FullCode)));
    assert_eq!(store.pending(&gb()).unwrap(), 200, "all or nothing");
    assert_eq!(
        counts(store.accept(&[1; 32], &report(150..256), NOW).unwrap()),
        accepted(56, 50)
    );
    assert_eq!(
        store.accept(&[1; 32], &report(0..256), NOW).unwrap().known,
        256
    );
}

#[test]
fn the_code_issued_last_speaks_whichever_report_came_last() {
    for order in [[1, 2], [2, 1]] {
        for zones in [["gb", "gb"], ["gb", "fr"]] {
            let store = memory();
            let codes = [
                code(1, &zone(zones[0]), Level::SYMPTOMATIC),
                code(2, &zone(zones[1]), Level::DIAGNOSED),
            ];
            store.issue_codes(&codes, NOW).unwrap();
            let mut new = 0;
            for which in order {
                let outcome = store.accept(&[which; 32], &[unit(1)], NOW).unwrap();
                assert_eq!(outcome.new + outcome.known, 1);
                new += outcome.new;
            }
            assert_eq!(new, if zones[0] == zones[1] { 1 } else { 2 });
            let name = format!("{order:?} {zones:?}");
            for zone in zones {
                assert_eq!(levels(&store, zone), [5], "{name}");
            }
            // A change of the older code changes nothing, one of the newer all.
            let changed = store.set_level(&[1; 32], Level::DEBUG).unwrap();
            assert_eq!(changed, Some(0), "{name}");
            let changed = store.set_level(&[2; 32], Level::UNKNOWN).unwrap();
            assert_eq!(changed, Some(1), "{name}");
            for zone in zones {
                assert_eq!(levels(&store, zone), [3], "{name}");
            }
            assert_eq!(store.faults().unwrap(), Vec::<String>::new());
        }
    }
}

#[test]
fn a_level_set_before_the_report_is_the_level_of_the_report() {
    let store = memory();
    issue(&store, &gb(), &[1]);
    assert_eq!(store.set_level(&[1; 32], Level::DEBUG).unwrap(), Some(0));
    assert_eq!(store.set_level(&[2; 32], Level::DEBUG).unwrap(), None);
    store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    assert_eq!(levels(&store, "gb"), [1]);
}

#[test]
fn what_waits_is_what_a_batch_must_say() {
    let store = memory();
    store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
    issue(&store, &gb(), &[1]);
    store.accept(&[1; 32], &[unit(1)], NOW).unwrap();
    let level = |level| {
        store.set_level(&[1; 32], level).unwrap();
        store.pending(&gb()).unwrap()
    };
    assert_eq!(store.pending(&gb()).unwrap(), 1);
    assert_eq!(
        level(Level::NO_ALERT),
        0,
        "never published, never withdrawn"
    );
    publish(&store, &gb(), NOW);
    assert_eq!(level(Level::DIAGNOSED), 1);
    publish(&store, &gb(), NOW + 5);
    assert_eq!(store.pending(&gb()).unwrap(), 0);
    assert_eq!(level(Level::DIAGNOSED), 0);
    assert_eq!(level(Level::EXPIRED), 1);
    assert_eq!(level(Level::NO_ALERT), 1);
    assert_eq!(level(Level::DIAGNOSED), 0, "back to what was said");
    assert_eq!(level(Level::NO_ALERT), 1);
    publish(&store, &gb(), NOW + 10);
    assert_eq!(store.pending(&gb()).unwrap(), 0);
    assert_eq!(level(Level::SYMPTOMATIC), 1);
    let notes = store.pending_notes(&gb(), 10, u64::MAX).unwrap();
    assert_eq!(
        notes[0].1.observed_before,
        NOW + 5,
        "of its first publication"
    );
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn zones_with_a_common_beginning_are_apart() {
    let store = memory();
    for (which, name) in ["gb", "gb/sct", "gb-x", "g"].into_iter().enumerate() {
        let which = u8::try_from(which).unwrap();
        issue(&store, &zone(name), &[which]);
        for n in 0..=u32::from(which) {
            store.accept(&[which; 32], &[unit(n)], NOW).unwrap();
        }
        assert_eq!(store.pending(&zone(name)).unwrap(), usize::from(which) + 1);
    }
    assert_eq!(store.pending(&gb()).unwrap(), 1);
    assert_eq!(
        store
            .pending_notes(&zone("gb/sct"), 1, u64::MAX)
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn forty_thousand_may_wait() {
    let store = memory();
    for block in 0..160_u32 {
        let which = u8::try_from(block).unwrap();
        issue(&store, &gb(), &[which]);
        let units: Vec<_> = (block * 250..(block + 1) * 250).map(unit).collect();
        store.accept(&[which; 32], &units, NOW).unwrap();
        assert!(!store.is_pending(&gb(), 40_001, u64::MAX).unwrap());
    }
    assert!(store.is_pending(&gb(), 40_000, u64::MAX).unwrap());
    assert!(!store.is_pending(&zone("fr"), 1, u64::MAX).unwrap());
    assert_eq!(store.pending(&gb()).unwrap(), 40_000);
    assert_eq!(
        store.pending_notes(&gb(), 40_001, u64::MAX).unwrap().len(),
        40_000
    );
    assert_eq!(store.pending_notes(&gb(), 17, u64::MAX).unwrap().len(), 17);
}
