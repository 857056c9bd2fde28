//! Phones of every scheme: what they hand out is what their reports stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use bellwether_formats::scheme::{DAY_S, Units, fanny, record_id, text};
use data_encoding::HEXLOWER;

use super::*;
use crate::sealed::fixture::chance;

/// A noon of UTC.
const NOON: u64 = 20_778 * DAY_S + DAY_S / 2;

const WORDS: Words<'_> = Words {
    publisher: "P",
    code: "C",
    memo: (0, &[]),
    provider: Some(&PROVIDER),
};

/// For whom tokens are encrypted.
const PROVIDER: ProviderId = ProviderId::from_bytes([7; 32]);

fn phone(scheme: Scheme) -> Phone {
    Phone::new(scheme, &mut chance(1)).unwrap()
}

fn asked(count: usize, at: u64) -> Broadcast {
    Broadcast {
        count,
        at,
        peer: None,
        hour: 3,
    }
}

fn ids(phone: &mut Phone, count: usize, at: u64) -> Vec<String> {
    phone.ids(&asked(count, at), &mut chance(2)).unwrap()
}

fn report(phone: &mut Phone, seed: u64) -> Report {
    phone.report(&WORDS, &mut chance(seed)).unwrap()
}

/// What another phone of fanny broadcasts.
fn met() -> Identifier {
    "3945351c-e433-46e6-bd42-316e0efe5d16".parse().unwrap()
}

/// The unit of an item, as an intake reads it.
fn unit(scheme: Scheme, item: &[u8]) -> Vec<u8> {
    if scheme == Scheme::TCN && !item.starts_with(b"{") {
        return item.to_vec();
    }
    let item: serde_json::Value = serde_json::from_slice(item).unwrap();
    assert_eq!(item["scheme"], scheme.to_string());
    let mut unit = text::parse(scheme, item["unit"].as_str().unwrap()).unwrap();
    if scheme == Scheme::FANNY {
        unit.splice(32..32, [0; 16]);
    }
    unit
}

/// Schemes other than CX in which a phone broadcasts and reports without meeting another.
const ALONE: [Scheme; 5] = [
    Scheme::TCN,
    Scheme::DP3T_LOWCOST,
    Scheme::DP3T_UNLINKABLE,
    Scheme::DP3T_HYBRID,
    Scheme::GAEN,
];

/// Length of what one identifier is broadcast for, in seconds.
const fn step(scheme: Scheme) -> u64 {
    match scheme {
        Scheme::GAEN => 600,
        _ => 900,
    }
}

/// Whether one of the units stands for an identifier that is observed at a time.
fn stands_for(scheme: Scheme, units: &[Vec<u8>], id: &str, at: u64) -> bool {
    let rules = scheme.rules().unwrap();
    let observed = HEXLOWER.decode(id.as_bytes()).unwrap();
    let mut looked = BTreeSet::new();
    rules.look_ups(&observed, at, &PROVIDER, &mut |day, id| {
        looked.insert((day.filter(|_| rules.timed()), id.to_vec()));
    });
    let units = Units::of(rules.width(), units.iter().map(Vec::as_slice));
    let mut found = false;
    rules.expand(&units, &mut |_, id, span| {
        let day = span.map(|span| span.day).filter(|_| rules.timed());
        let in_time = span.is_none_or(|span| span.contains(at));
        found |= in_time && looked.contains(&(day, id.to_vec()));
    });
    found
}

#[test]
fn a_report_stands_for_what_was_broadcast_and_when() {
    for scheme in ALONE {
        let mut phone = phone(scheme);
        // Two days and a night, in two goes.
        let first = NOON - 2 * DAY_S;
        let count = usize::try_from(DAY_S / step(scheme)).unwrap();
        let mut broadcast = ids(&mut phone, count, first);
        let next = phone.ids(&asked(count, first + DAY_S), &mut chance(8));
        broadcast.extend(next.unwrap());
        let different: BTreeSet<&String> = broadcast.iter().collect();
        assert_eq!(different.len(), broadcast.len(), "{scheme}");

        let report = report(&mut phone, 3);
        let units: Vec<Vec<u8>> = report.items.iter().map(|item| unit(scheme, item)).collect();
        for unit in &units {
            scheme.rules().unwrap().check_at(unit, NOON).unwrap();
        }
        for (number, id) in (0..).zip(&broadcast) {
            let at = first + number * step(scheme);
            assert!(stands_for(scheme, &units, id, at), "{scheme} {number}");
            // An observation of another day is a replay, in schemes that know.
            let replayed = stands_for(scheme, &units, id, at + 4 * DAY_S);
            assert_eq!(replayed, scheme == Scheme::TCN, "{scheme} {number}");
        }
    }
}

#[test]
fn what_was_reported_is_not_broadcast_any_more_and_is_reported_until_it_is_accepted() {
    for scheme in ALONE {
        let mut phone = phone(scheme);
        let nothing = phone.report(&WORDS, &mut chance(9));
        assert!(matches!(nothing, Err(PhoneError::Nothing)), "{scheme}");
        let before = ids(&mut phone, 2, NOON);
        let first = report(&mut phone, 3);
        let names = |report: &Report| -> Vec<_> {
            let units = report.items.iter().map(|item| unit(scheme, item));
            units.map(|unit| record_id(scheme, &unit)).collect()
        };
        // The same epochs once more.
        let after = phone.ids(&asked(2, NOON), &mut chance(4)).unwrap();
        assert!(after.iter().all(|id| !before.contains(id)), "{scheme}");
        let second = report(&mut phone, 5);
        assert_eq!(second.len(), 2 * first.len(), "{scheme}");
        assert_eq!(names(&second)[..first.len()], names(&first));
        // The last of them is accepted.
        phone.settle(&[second.len() - 1].into());
        let third = report(&mut phone, 6);
        assert_eq!(names(&third), names(&second)[..second.len() - 1]);
        phone.settle(&(0..third.len()).collect());
        let nothing = phone.report(&WORDS, &mut chance(9));
        assert!(matches!(nothing, Err(PhoneError::Nothing)), "{scheme}");
    }
}

#[test]
fn the_same_time_has_the_same_identifier_where_schemes_have_times() {
    for scheme in ALONE {
        let mut phone = phone(scheme);
        let first = ids(&mut phone, 3, NOON);
        let again = ids(&mut phone, 1, NOON + step(scheme));
        if scheme == Scheme::TCN {
            assert!(!first.contains(&again[0]), "each is broadcast once");
        } else {
            assert_eq!(again[0], first[1], "{scheme}");
        }
    }
}

#[test]
fn identifiers_are_broadcast_in_another_order_than_they_are_derived_in() {
    for scheme in [Scheme::DP3T_LOWCOST, Scheme::DP3T_HYBRID] {
        let mut phone = phone(scheme);
        let midnight = NOON - DAY_S / 2;
        let broadcast = ids(&mut phone, 96, midnight);
        let report = report(&mut phone, 3);
        let units: Vec<_> = report.items.iter().map(|item| unit(scheme, item)).collect();
        let rules = scheme.rules().unwrap();
        let units = Units::of(rules.width(), units.iter().map(Vec::as_slice));
        let mut derived = Vec::new();
        rules.expand(&units, &mut |_, id, _| derived.push(HEXLOWER.encode(id)));
        assert_ne!(broadcast, derived);
        let sorted = |mut ids: Vec<String>| {
            ids.sort();
            ids
        };
        assert_eq!(sorted(broadcast), sorted(derived));
    }
}

#[test]
fn what_no_provider_takes_any_more_is_forgotten() {
    for scheme in [
        Scheme::DP3T_LOWCOST,
        Scheme::DP3T_UNLINKABLE,
        Scheme::DP3T_HYBRID,
        Scheme::GAEN,
    ] {
        let mut phone = phone(scheme);
        for day in 0..60 {
            ids(&mut phone, 1, NOON + day * DAY_S);
        }
        let report = report(&mut phone, 3);
        let now = NOON + 59 * DAY_S;
        for item in &report.items {
            let unit = unit(scheme, item);
            scheme.rules().unwrap().check_at(&unit, now).unwrap();
        }
        assert!((1..=22).contains(&report.len()), "{scheme}");
    }
}

#[test]
fn a_day_key_is_never_asked_for_a_day_that_is_gone() {
    let mut phone = phone(Scheme::DP3T_LOWCOST);
    ids(&mut phone, 1, NOON);
    let earlier = phone.ids(&asked(1, NOON - DAY_S), &mut chance(2));
    assert!(matches!(earlier, Err(PhoneError::Time)));
}

#[test]
fn numbers_and_times_that_are_too_large_are_refused() {
    for scheme in ALONE {
        let mut phone = phone(scheme);
        if scheme == Scheme::TCN {
            continue;
        }
        let count = phone.ids(&asked(100_000, NOON), &mut chance(2));
        assert!(matches!(count, Err(PhoneError::Count)), "{scheme}");
        for at in [u64::MAX, u64::from(u32::MAX) * 900] {
            let late = phone.ids(&asked(1, at), &mut chance(2));
            assert!(matches!(late, Err(PhoneError::Time)), "{scheme}");
        }
        assert!(phone.ids(&asked(2016, NOON), &mut chance(2)).is_ok());
    }
    for scheme in Scheme::ALL {
        let peer = Some(met());
        for at in [0, NOON, u64::MAX] {
            let broadcast = Broadcast {
                peer,
                ..asked(1, at)
            };
            let made = phone(scheme).ids(&broadcast, &mut chance(2));
            match (scheme, at) {
                (Scheme::FANNY, u64::MAX) => assert!(matches!(made, Err(PhoneError::Time))),
                (Scheme::FANNY, _) => assert!(made.is_ok()),
                _ => assert!(matches!(made, Err(PhoneError::Peer))),
            }
        }
    }
}

/// A key of TCN has as many numbers as a report can have; then comes another one.
#[test]
fn a_report_of_tcn_is_never_too_long() {
    let mut phone = phone(Scheme::TCN);
    assert_eq!(phone.door(), Door::Tcn);
    let numbers = ids(&mut phone, 4100, 0);
    assert_eq!(phone.door(), Door::Submissions);
    assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), 4100);
    let words = Words {
        memo: (2, &[0xab; 255]),
        ..WORDS
    };
    let report = phone.report(&words, &mut chance(3)).unwrap();
    let facts = report.items.iter().map(|item| {
        let item: serde_json::Value = serde_json::from_slice(item).unwrap();
        let item = HEXLOWER.decode(item["unit"].as_str().unwrap().as_bytes());
        let item = item.unwrap();
        assert!(item.windows(255).any(|memo| memo == [0xab; 255]));
        Scheme::TCN
            .rules()
            .unwrap()
            .check(&item)
            .unwrap()
            .identifiers
    });
    assert_eq!(facts.collect::<Vec<_>>(), [4096, 4]);
    let words = Words {
        memo: (2, &[0; 256]),
        ..WORDS
    };
    let long = phone.report(&words, &mut chance(3));
    assert!(matches!(long, Err(PhoneError::Report(_))));
}

#[test]
fn two_phones_that_meet_have_one_token_and_no_contact_id_twice() {
    let mut one = Phone::new(Scheme::FANNY, &mut chance(1)).unwrap();
    let mut other = Phone::new(Scheme::FANNY, &mut chance(2)).unwrap();
    let mut seen = BTreeSet::new();
    let mut tokens = BTreeMap::new();
    for number in 0..3 {
        let at = NOON + number * 3600;
        let mut contact = |phone: &mut Phone| {
            let id = ids(phone, 1, at).remove(0);
            assert_eq!(id, ids(phone, 1, at)[0], "until the contact");
            let id: Identifier = id.parse().unwrap();
            assert!(seen.insert(id));
            id
        };
        let (mine, theirs) = (contact(&mut one), contact(&mut other));
        let token = |phone: &mut Phone, peer, seed| {
            let peer = Some(peer);
            let broadcast = Broadcast {
                peer,
                ..asked(1, at)
            };
            phone.ids(&broadcast, &mut chance(seed)).unwrap().remove(0)
        };
        let token_of_one = token(&mut one, theirs, 10 + number);
        assert_eq!(token_of_one, token(&mut other, mine, 20 + number));
        let expected = fanny::Contact::of(mine, theirs).unwrap();
        assert_eq!(token_of_one, HEXLOWER.encode(&expected.to_bytes()));
        let expiry = fanny::expiry_day(at, 3);
        let day = u16::try_from(expiry).unwrap();
        let value = expected.encrypted(&fanny::url(&PROVIDER), day);
        tokens.insert(HEXLOWER.encode(&value), expiry);
    }
    let own: Identifier = ids(&mut one, 1, NOON).remove(0).parse().unwrap();
    let peer = Some(own);
    let broadcast = Broadcast {
        peer,
        ..asked(1, NOON)
    };
    let same = one.ids(&broadcast, &mut chance(2));
    assert!(matches!(same, Err(PhoneError::OwnId)));

    let nobody = Words {
        provider: None,
        ..WORDS
    };
    let refused = one.report(&nobody, &mut chance(3));
    assert!(matches!(refused, Err(PhoneError::Provider)));
    let report = report(&mut one, 3);
    assert_eq!(report.len(), 3);
    for item in &report.items {
        let unit = unit(Scheme::FANNY, item);
        Scheme::FANNY
            .rules()
            .unwrap()
            .check_at(&unit, NOON)
            .unwrap();
        let expiry = u64::from(u16::from_be_bytes([unit[48], unit[49]]));
        assert_eq!(tokens.remove(&HEXLOWER.encode(&unit[..32])), Some(expiry));
    }
    one.settle(&[0, 2].into());
    assert_eq!(
        one.report(&WORDS, &mut chance(3)).unwrap().items,
        report.items[1..2]
    );
}

#[test]
fn tokens_without_a_key_are_reported_as_they_are() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let token = "5a".repeat(32);
    let old = format!(
        r#"{{"version":2,"phone":{{"fanny":{{"contact":"{}","tokens":[["{token}",20793]]}}}}}}"#,
        "00112233445546778899aabbccddeeff"
    );
    std::io::Write::write_all(&mut file, old.as_bytes()).unwrap();
    let mut phone = Phone::load(file.path()).unwrap();
    let peer = "ffeeddcc-bbaa-4988-b766-554433221100".parse().unwrap();
    let met = Broadcast {
        peer: Some(peer),
        ..asked(1, NOON)
    };
    phone.ids(&met, &mut chance(1)).unwrap();
    let both = report(&mut phone, 3);
    assert_eq!(both.len(), 2);
    assert_eq!(
        HEXLOWER.encode(&unit(Scheme::FANNY, &both.items[0])[..32]),
        token
    );
    phone.settle(&[0].into());
    assert_eq!(report(&mut phone, 3).items, both.items[1..]);
    phone.save(file.path()).unwrap();
    let mut phone = Phone::load(file.path()).unwrap();
    assert_eq!(report(&mut phone, 3).items, both.items[1..]);
    phone.settle(&[0].into());
    let nothing = phone.report(&WORDS, &mut chance(3));
    assert!(matches!(nothing, Err(PhoneError::Nothing)));
}

/// What an intake takes of a phone at once: 1 MiB, lines of 2 KiB, 4096 of them (spec §10.6).
#[test]
fn the_longest_report_is_one_that_an_intake_takes() {
    let mut phone = phone(Scheme::DP3T_UNLINKABLE);
    ids(&mut phone, 2016, NOON);
    report(&mut phone, 3);
    phone.ids(&asked(2016, NOON), &mut chance(5)).unwrap();
    let report = report(&mut phone, 3);
    assert_eq!((report.door, report.len()), (Door::Submissions, 2 * 2016));
    let bytes = report.bytes();
    assert!(bytes.len() < 1024 * 1024);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines, report.items);
    assert!(lines.iter().all(|line| line.len() < 2048));
}

#[test]
fn every_phone_comes_back_from_its_file() {
    for scheme in Scheme::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("phone.json");
        let mut phone = phone(scheme);
        phone.save_new(&path).unwrap();
        assert!(phone.save_new(&path).is_err(), "keys are not overwritten");
        if scheme == Scheme::FANNY {
            let peer = Some(met());
            let broadcast = Broadcast {
                peer,
                ..asked(1, NOON)
            };
            phone.ids(&broadcast, &mut chance(2)).unwrap();
        } else {
            ids(&mut phone, 3, NOON);
            report(&mut phone, 3);
            ids(&mut phone, 3, NOON);
        }
        phone.save(&path).unwrap();
        let mut loaded = Phone::load(&path).unwrap();
        assert_eq!(loaded.scheme(), scheme);
        assert_eq!(report(&mut loaded, 7), report(&mut phone, 7));

        let text = fs::read_to_string(&path).unwrap();
        let version = if matches!(phone, Phone::Cx(_)) { 1 } else { 2 };
        let from = format!("\"version\": {version}");
        for (from, to) in [
            (from.as_str(), "\"version\": 3"),
            (from.as_str(), "\"version\": 1"),
            (from.as_str(), "\"version\": 2"),
            ("}\n", ""),
            ("}\n", "} 1"),
            ("\n}", ",\n\"more\": 1\n}"),
        ] {
            let broken = text.replacen(from, to, 1);
            if broken != text {
                fs::write(&path, broken).unwrap();
                let error = Phone::load(&path).unwrap_err().to_string();
                assert!(error.contains("not a device file"), "{scheme}: {to}");
            }
        }
    }
}

#[test]
fn a_damaged_secret_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phone.json");
    phone(Scheme::TCN).save(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("\"rak\": \"").unwrap() + 8;
    for broken in [
        format!("{}{}", &text[..at], &text[at + 2..]),
        format!("{}00{}", &text[..at], &text[at..]),
        format!("{}zz{}", &text[..at], &text[at + 2..]),
    ] {
        fs::write(&path, broken).unwrap();
        let error = Phone::load(&path).unwrap_err().to_string();
        assert!(error.contains("not a device file"));
    }
}

#[test]
fn a_phone_does_not_show_its_secrets() {
    for scheme in Scheme::ALL {
        let mut phone = phone(scheme);
        assert_eq!(format!("{phone:?}"), format!("Phone({scheme})"));
        if scheme != Scheme::FANNY {
            ids(&mut phone, 1, NOON);
            let report = report(&mut phone, 3);
            assert!(format!("{report:?}").ends_with("1 items)"));
        }
    }
}

#[test]
fn a_code_that_nobody_issued_changes_nothing() {
    let long = "x".repeat(65);
    for scheme in ALONE {
        let mut phone = phone(scheme);
        let before = ids(&mut phone, 1, NOON);
        for code in ["", &long] {
            let words = Words { code, ..WORDS };
            let refused = phone.report(&words, &mut chance(3));
            assert!(matches!(refused, Err(PhoneError::Report(_))));
        }
        if scheme != Scheme::TCN {
            assert_eq!(ids(&mut phone, 1, NOON), before);
        }
    }
}
