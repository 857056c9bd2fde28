//! What systems submit, and what codes admit of schemes that prove nothing by themselves.

use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::scheme::record_id;

use bellwether_formats::signed::Signed;

use super::fixture::{self, DAY, NOW, code, gb, issue, publish, signed_descriptor, zone};
use super::units::{key, submitted};
use super::*;
use crate::store::{Fate, Item, ItemError, Mode, Statement, SubmittedUnit};

/// An item of owner 1 for zone `gb`.
fn item(unit: SubmittedUnit, level: Level) -> Item {
    Item {
        unit,
        zone: gb(),
        level,
        grade: None,
        public_at: None,
        owner: [1; 32],
        case: None,
        proven: false,
    }
}

fn one(store: &Store, item: &Item) -> Result<Fate, ItemError> {
    let fates = store.submit(std::slice::from_ref(item), NOW).unwrap();
    let [fate] = fates.try_into().unwrap();
    fate
}

/// The level, grade and mode of a notification in a zone.
fn note(store: &Store, zone_name: &str, unit: &SubmittedUnit) -> Option<NoteRow> {
    let record = record_id(unit.scheme, &unit.unit);
    let key = rows::note_key(&record, zone_name);
    let bytes = get(&store.read().unwrap(), NOTES, &key).unwrap()?;
    Some(row(&bytes).unwrap())
}

#[test]
fn each_scheme_is_accepted_once_and_changed_by_its_owner_alone() {
    for scheme in Scheme::ALL {
        let store = memory();
        let unit = submitted(scheme, 7, Mode::Open);
        let first = Item {
            grade: Some(60),
            ..item(unit.clone(), Level::SYMPTOMATIC)
        };
        assert_eq!(one(&store, &first), Ok(Fate::New), "{scheme}");
        assert_eq!(one(&store, &first), Ok(Fate::Known), "{scheme}: again");
        let kept = note(&store, "gb", &unit).unwrap();
        assert_eq!((kept.level, kept.grade), (4, Some(60)), "{scheme}");
        let rules = scheme.rules().unwrap();
        let mode = if rules.always_sealed() {
            Mode::Sealed
        } else {
            Mode::Open
        };
        assert_eq!(kept.mode, mode, "{scheme}");

        // A stranger copies it: into this zone and another, by another level.
        for to in [gb(), zone("fr")] {
            let copy = Item {
                owner: [2; 32],
                zone: to,
                proven: true,
                ..item(unit.clone(), Level::NO_ALERT)
            };
            assert_eq!(one(&store, &copy), Ok(Fate::Others), "{scheme}");
        }
        assert_eq!(note(&store, "fr", &unit), None, "{scheme}");
        assert_eq!(note(&store, "gb", &unit).as_ref(), Some(&kept), "{scheme}");

        let confirmed = item(unit.clone(), Level::DIAGNOSED);
        assert_eq!(one(&store, &confirmed), Err(ItemError::RevisionNeeded));
        let proven = Item {
            proven: true,
            ..confirmed
        };
        assert_eq!(one(&store, &proven), Ok(Fate::Changed), "{scheme}");
        assert_eq!(note(&store, "gb", &unit).unwrap().level, 5, "{scheme}");
        assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn an_owner_may_say_it_in_another_zone() {
    let store = memory();
    let unit = submitted(Scheme::GAEN, 7, Mode::Open);
    assert_eq!(
        one(&store, &item(unit.clone(), Level::DIAGNOSED)),
        Ok(Fate::New)
    );
    let elsewhere = Item {
        zone: zone("fr"),
        ..item(unit.clone(), Level::DIAGNOSED)
    };
    assert_eq!(one(&store, &elsewhere), Ok(Fate::New));
    let both = ["gb", "fr"].map(|name| note(&store, name, &unit).unwrap().issue);
    assert_eq!(both[0], both[1], "one patient");
}

#[test]
fn a_grade_is_changed_by_its_owner_alone() {
    let store = memory();
    let unit = submitted(Scheme::TCN, 7, Mode::Open);
    let graded = |grade, level| Item {
        grade,
        proven: true,
        ..item(unit.clone(), level)
    };
    let now = || note(&store, "gb", &unit).unwrap().statement();
    let said = |level: Level, grade| Statement {
        level: level.0,
        grade,
    };
    let first = graded(Some(10), Level::SYMPTOMATIC);
    assert_eq!(one(&store, &first), Ok(Fate::New));
    let unproven = Item {
        proven: false,
        ..graded(Some(90), Level::SYMPTOMATIC)
    };
    assert_eq!(one(&store, &unproven), Err(ItemError::RevisionNeeded));
    assert_eq!(now(), said(Level::SYMPTOMATIC, Some(10)));
    for (grade, level, fate, expected) in [
        (Some(90), Level::SYMPTOMATIC, Fate::Changed, Some(90)),
        (Some(90), Level::SYMPTOMATIC, Fate::Known, Some(90)),
        (None, Level::DIAGNOSED, Fate::Changed, Some(90)),
        (Some(0), Level::UNKNOWN, Fate::Changed, Some(0)),
    ] {
        assert_eq!(one(&store, &graded(grade, level)), Ok(fate));
        assert_eq!(now(), said(level, expected));
    }
}

#[test]
fn another_grade_is_published_again() {
    for mode in [Mode::Open, Mode::Sealed] {
        let store = memory();
        store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
        let unit = submitted(Scheme::TCN, 7, mode);
        let graded = |grade| Item {
            grade: Some(grade),
            proven: true,
            ..item(unit.clone(), Level::DIAGNOSED)
        };
        let kept = || note(&store, "gb", &unit).unwrap();
        let waits = || {
            let revisions = store.to_revise(&gb()).unwrap().len();
            let notes = store.pending_notes(&gb(), 10, NOW + DAY).unwrap();
            (notes.len(), revisions)
        };
        let pending = match mode {
            Mode::Open => (1, 0),
            Mode::Sealed => (0, 1),
        };
        one(&store, &graded(10)).unwrap();
        publish(&store, &gb(), NOW + DAY);
        assert_eq!((kept().grade, waits()), (Some(10), (0, 0)));
        // There and back is nothing to say.
        assert_eq!(one(&store, &graded(90)), Ok(Fate::Changed));
        assert_eq!((kept().grade, waits()), (Some(10), pending));
        assert_eq!(one(&store, &graded(10)), Ok(Fate::Changed));
        assert_eq!(waits(), (0, 0));
        assert_eq!(one(&store, &graded(90)), Ok(Fate::Changed));

        // Changed once more while a batch is on its way, it stays pending.
        let drawn = fixture::draft(&store, &gb(), NOW + DAY + 1);
        store.prepare(&drawn).unwrap();
        let elsewhere = Item {
            zone: zone("fr"),
            ..graded(70)
        };
        assert_eq!(one(&store, &elsewhere), Ok(Fate::New));
        let batch = Signed::sign(&drawn.batch, &fixture::key(3)).unwrap();
        store.publish(&batch).unwrap();
        if mode == Mode::Open {
            assert_eq!((kept().grade, waits()), (Some(90), (1, 0)));
            publish(&store, &gb(), NOW + DAY + 2);
            assert_eq!((kept().grade, waits()), (Some(70), (0, 0)));
        }
        assert_eq!(kept().statement().grade, Some(70));
        let there = note(&store, "fr", &unit).unwrap();
        assert_eq!(there.statement().grade, Some(70), "in every zone");

        // Withdrawn and published so, it has no grade that anybody would be told.
        let withdrawn = |grade| Item {
            level: Level::NO_ALERT,
            ..graded(grade)
        };
        assert_eq!(one(&store, &withdrawn(20)), Ok(Fate::Changed));
        if mode == Mode::Open {
            publish(&store, &gb(), NOW + DAY + 3);
            assert_eq!(one(&store, &withdrawn(30)), Ok(Fate::Changed));
            assert_eq!(waits(), (0, 0));
        }
        assert_eq!(store.faults().unwrap(), Vec::<String>::new());
    }
}

#[test]
fn what_others_published_is_observed_before_they_did() {
    for mode in [Mode::Open, Mode::Sealed] {
        let store = memory();
        store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
        let [ours, theirs, later] = [7, 8, 9].map(|which| submitted(Scheme::GAEN, which, mode));
        let at = NOW + DAY;
        for (unit, public_at) in [
            (&ours, None),
            (&theirs, Some(NOW - 5)),
            (&later, Some(at + 5)),
        ] {
            let import = Item {
                public_at,
                ..item(unit.clone(), Level::DIAGNOSED)
            };
            assert_eq!(one(&store, &import), Ok(Fate::New));
        }
        // The same from an earlier export, before and after it is published here.
        let earlier = |public_at| Item {
            public_at: Some(public_at),
            ..item(later.clone(), Level::DIAGNOSED)
        };
        assert_eq!(one(&store, &earlier(NOW - 2)), Ok(Fate::Known));
        assert_eq!(one(&store, &earlier(NOW + 2)), Ok(Fate::Known));
        publish(&store, &gb(), at);
        assert_eq!(one(&store, &earlier(NOW - 9)), Ok(Fate::Known));
        let closes = |unit| note(&store, "gb", unit).unwrap().observed_before;
        assert_eq!(
            [closes(&ours), closes(&theirs), closes(&later)],
            [at, NOW - 5, NOW - 2]
        );
    }
}

#[test]
fn a_key_keeps_its_time_and_may_get_another_onset() {
    let store = memory();
    let unit = |key: bellwether_formats::scheme::gaen::Key| SubmittedUnit {
        unit: key.encode(),
        ..submitted(Scheme::GAEN, 7, Mode::Open)
    };
    let first = key(7);
    let proven = |key, level| Item {
        proven: true,
        ..item(unit(key), level)
    };
    assert_eq!(
        one(&store, &proven(first, Level::SYMPTOMATIC)),
        Ok(Fate::New)
    );
    let mut longer = first;
    longer.rolling_period = 100;
    let refused = one(&store, &proven(longer, Level::DIAGNOSED));
    assert_eq!(refused, Err(ItemError::UnitChanged));
    let mut later = first;
    later.days_since_onset = Some(3);
    assert_eq!(
        one(&store, &proven(later, Level::DIAGNOSED)),
        Ok(Fate::Changed)
    );
    assert_eq!(
        note(&store, "gb", &unit(first)).unwrap().unit,
        later.encode()
    );
}

#[test]
fn exposure_keys_change_as_the_scheme_allows() {
    let levels: Vec<Level> = (0..=6).map(Level).collect();
    let mut allowed = Vec::new();
    for (from, to) in levels
        .iter()
        .flat_map(|from| levels.iter().map(move |to| (*from, *to)))
    {
        let store = memory();
        let unit = submitted(Scheme::GAEN, 7, Mode::Open);
        one(&store, &item(unit.clone(), from)).unwrap();
        let revision = Item {
            proven: true,
            ..item(unit.clone(), to)
        };
        let changed = one(&store, &revision);
        let now = note(&store, "gb", &unit).unwrap().level;
        match changed {
            Ok(Fate::Changed) => allowed.push((from.0, to.0)),
            Ok(Fate::Known) => assert_eq!(from, to),
            Err(error) => assert_eq!((error, now), (ItemError::Transition { from, to }, from.0)),
            other => panic!("{other:?}"),
        }
    }
    let any = |from| {
        let others = (0..=6).filter(move |to| *to != from);
        others.map(move |to| (from, to))
    };
    let mut expected: Vec<(u8, u8)> = any(1).chain(any(3)).collect();
    expected.extend([(4, 0), (4, 5), (4, 6), (6, 0), (6, 5)]);
    expected.sort_unstable();
    assert_eq!(allowed, expected);
}

#[test]
fn a_code_admits_what_no_other_code_admitted() {
    for scheme in Scheme::ALL {
        let store = memory();
        issue(&store, &gb(), &[1]);
        let revoked = code(2, &gb(), Level::NO_ALERT);
        store.issue_codes(&[revoked], NOW).unwrap();
        let unit = submitted(scheme, 7, Mode::Open);
        let report = [unit.clone()];
        let first = store.accept(&[1; 32], &report, NOW).unwrap();
        assert_eq!(first.fates, [Fate::New], "{scheme}");
        let again = store.accept(&[1; 32], &report, NOW).unwrap();
        assert_eq!(again.fates, [Fate::Known], "{scheme}");
        let other = store.accept(&[2; 32], &report, NOW).unwrap();
        let level = note(&store, "gb", &unit).unwrap().level;
        if matches!(scheme, Scheme::CX1 | Scheme::CX2) {
            assert_eq!(
                (level, other.fates[0]),
                (0, Fate::Known),
                "its report is the proof"
            );
        } else {
            assert_eq!((level, other.fates[0]), (5, Fate::Others), "{scheme}");
            // The other code was not used up.
            assert_eq!(store.code(&[2; 32]).unwrap().unwrap().used_at, None);
        }
        // The code's owner revokes.
        let changed = store.set_level(&[1; 32], Level::NO_ALERT).unwrap();
        let is_cx = level == 0;
        assert_eq!(changed, Some(usize::from(!is_cx)), "{scheme}");
    }
}

#[test]
fn what_can_still_be_broadcast_waits() {
    let store = memory();
    store.put_descriptor(&signed_descriptor(1, 1)).unwrap();
    let mut today = key(7);
    today.rolling_start = u32::try_from(NOW / 86_400 * 144).unwrap();
    let open_at = (u64::from(today.rolling_start) + 144 + 12) * 600;
    let unit = SubmittedUnit {
        unit: today.encode(),
        ..submitted(Scheme::GAEN, 7, Mode::Open)
    };
    one(&store, &item(unit.clone(), Level::SYMPTOMATIC)).unwrap();
    assert_eq!(store.pending(&gb()).unwrap(), 1);
    for (at, expected) in [(NOW, 0), (open_at - 1, 0), (open_at, 1)] {
        let notes = store.pending_notes(&gb(), 10, at).unwrap();
        assert_eq!(notes.len(), expected, "{at}");
        assert_eq!(
            store.is_pending(&gb(), 1, at).unwrap(),
            expected == 1,
            "{at}"
        );
    }
    publish(&store, &gb(), open_at);
    assert_eq!(store.pending(&gb()).unwrap(), 0);
    // Once it is published, a change of its level does not wait.
    let revoked = Item {
        proven: true,
        ..item(unit, Level::NO_ALERT)
    };
    assert_eq!(one(&store, &revoked), Ok(Fate::Changed));
    assert_eq!(store.pending_notes(&gb(), 10, NOW).unwrap().len(), 1);
    assert_eq!(store.faults().unwrap(), Vec::<String>::new());
}

#[test]
fn single_identifiers_do_not_fill_a_batch_as_seeds_do() {
    let store = memory();
    let items: Vec<Item> = (0..100)
        .map(|which| {
            item(
                submitted(Scheme::FANNY, which, Mode::Sealed),
                Level::DIAGNOSED,
            )
        })
        .collect();
    store.submit(&items, NOW).unwrap();
    assert!(!store.is_pending(&gb(), 1, NOW).unwrap());
    assert_eq!(store.pending_notes(&gb(), 1, NOW).unwrap().len(), 100);
    let heavy = submitted(Scheme::CX1, 1, Mode::Sealed);
    one(&store, &item(heavy, Level::DIAGNOSED)).unwrap();
    assert!(store.is_pending(&gb(), 1, NOW).unwrap());
}
