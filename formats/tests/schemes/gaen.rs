//! `gaen.json`, and GAEN's traps.

use aes::Aes128Enc;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use bellwether_formats::id::{Level, Scheme};
use bellwether_formats::scheme::gaen::{INTERVAL_S, Key, ReportType, may_become};
use bellwether_formats::scheme::{DAY_S, Units, record_id};
use data_encoding::HEXLOWER;
use hkdf::Hkdf;
use sha2::{Digest, Sha256};

use super::walk::{PROVIDER, Walk, hex, negative, table};

pub(crate) fn check(walk: &mut Walk) {
    assert_eq!(walk.text("scheme"), "gaen");
    walk.prose(&["about", "source"]);
    let official = walk.take("official");
    let key = Walk::of("official", official, check_official);
    for computed in walk.list("computed") {
        Walk::of("a key", computed, |walk| {
            let name = walk.text("name");
            let start = walk.number("rolling_start");
            let key = key_of(walk.hex("tek"), start, walk.number("rolling_period"));
            assert_eq!(rpik(&key.tek), walk.hex::<16>("rpik"), "{name}");
            assert_eq!(key.metadata_key(), walk.hex::<16>("aemk"), "{name}");
            let ids: Vec<[u8; 16]> = key.identifiers().map(|(_, id)| id).collect();
            assert_eq!(ids[0], walk.hex::<16>("rpi_first"), "{name}");
            assert_eq!(ids[ids.len() - 1], walk.hex::<16>("rpi_last"), "{name}");
            let all: [u8; 32] = Sha256::digest(ids.as_flattened()).into();
            assert_eq!(all, walk.hex::<32>("sha256_of_all"), "{name}");
        });
    }
    for case in walk.list("match_cases") {
        Walk::of("a case", case, |walk| {
            let expect = walk.text("expect");
            let period = walk.maybe("rolling_period_published");
            let period = period.map(|period| u8::try_from(period.as_u64().unwrap()).unwrap());
            let key = Key {
                rolling_period: period.unwrap_or(144),
                ..key
            };
            let (id, at) = (walk.hex::<16>("rpi"), walk.number("sighting_interval"));
            for second in [0, INTERVAL_S - 1] {
                let found = matches(&key, &id, at * INTERVAL_S + second);
                assert_eq!(found, expect.starts_with("match"), "{expect}");
            }
        });
    }
    for case in walk.list("transitions") {
        Walk::of("a transition", case, |walk| {
            let [from, to] = ["from", "to"].map(|level| walk.text(level).parse::<Level>().unwrap());
            let refused = walk
                .maybe("expect")
                .is_some_and(|rule| rule == "transition");
            assert_eq!(may_become(from, to), !refused, "{from} to {to}");
        });
    }
    for case in walk.list("negative") {
        Walk::of("a unit", case, |walk| negative(walk, Scheme::GAEN));
    }
}

fn rpik(tek: &[u8; 16]) -> [u8; 16] {
    let mut key = [0; 16];
    Hkdf::<Sha256>::new(None, tek)
        .expand(b"EN-RPIK", &mut key)
        .unwrap();
    key
}

fn key_of(tek: [u8; 16], start: u64, period: u64) -> Key {
    Key {
        tek,
        rolling_start: u32::try_from(start).unwrap(),
        rolling_period: u8::try_from(period).unwrap(),
        transmission_risk: 0,
        days_since_onset: None,
    }
}

fn check_official(walk: &mut Walk) -> Key {
    let start = walk.number("rolling_start_interval_number");
    assert_eq!(
        walk.number("key_generation_unix_seconds") / INTERVAL_S,
        start
    );
    let key = key_of(walk.hex("tek"), start, walk.number("rolling_period"));
    assert_eq!(rpik(&key.tek), walk.hex::<16>("rpik"));
    assert_eq!(key.metadata_key(), walk.hex::<16>("aemk"));
    let metadata = walk.hex::<4>("metadata");
    let (ids, sealed) = (walk.list("rpi"), walk.list("aem"));
    assert_eq!((ids.len(), sealed.len()), (144, 144));
    let cipher = Aes128Enc::new(&key.metadata_key().into());
    for (number, (interval, id)) in key.identifiers().enumerate() {
        assert_eq!(u64::from(interval), start + u64::try_from(number).unwrap());
        assert_eq!(HEXLOWER.encode(&id), ids[number].as_str().unwrap());
        // AES-128 in counter mode from the identifier.
        let mut block = id.into();
        cipher.encrypt_block(&mut block);
        let encrypted: Vec<u8> = metadata
            .iter()
            .zip(block)
            .map(|(byte, key)| byte ^ key)
            .collect();
        assert_eq!(encrypted, hex(sealed[number].as_str().unwrap()));
    }
    key
}

/// Whether an observation is one of a key's, as open and sealed parts both decide it.
fn matches(key: &Key, id: &[u8], at: u64) -> bool {
    let rules = Scheme::GAEN.rules().unwrap();
    let (mut open, mut sealed) = (false, 0);
    let unit = key.encode();
    let units = Units::of(rules.width(), [unit.as_slice()]);
    rules.expand(&units, &mut |_, identifier, span| {
        let span = span.unwrap();
        open |= identifier == id && span.contains(at);
        rules.look_ups(id, at, &PROVIDER, &mut |day, sought| {
            let found = sought == identifier && day == Some(span.day) && span.contains(at);
            sealed += usize::from(found);
        });
    });
    assert_eq!(usize::from(open), sealed, "both say the same, and once");
    open
}

#[test]
fn two_hours_are_forgiven_on_both_sides_of_midnight() {
    let midnight = 20_000 * 144_u64;
    for interval in [midnight, midnight - 1, midnight + 12, midnight - 13] {
        let key = key_of([9; 16], interval, 1);
        let (_, id) = key.identifiers().next().unwrap();
        let (from, to) = ((interval - 12) * INTERVAL_S, (interval + 13) * INTERVAL_S);
        for (at, expected) in [(from - 1, false), (from, true), (to - 1, true), (to, false)] {
            assert_eq!(matches(&key, &id, at), expected, "{interval} {at}");
        }
    }
}

#[test]
fn an_observation_is_looked_up_under_two_days_at_most() {
    let mut counts = [0; 3];
    for interval in 0..144_u64 {
        let mut days = 0;
        let at = 20_000 * DAY_S + interval * INTERVAL_S;
        let rules = Scheme::GAEN.rules().unwrap();
        rules.look_ups(&[1; 16], at, &PROVIDER, &mut |_, _| days += 1);
        counts[days] += 1;
    }
    assert_eq!(counts, [0, 120, 24]);
}

#[test]
fn a_key_is_the_same_whatever_is_said_of_it() {
    let rules = Scheme::GAEN.rules().unwrap();
    let first = key_of([9; 16], 2_880_000, 144);
    let mut said = first;
    said.days_since_onset = Some(-3);
    said.transmission_risk = 8;
    let mut longer = first;
    longer.rolling_period = 143;
    for (other, may) in [(said, true), (longer, false)] {
        let (one, other) = (first.encode(), other.encode());
        assert_eq!(
            record_id(Scheme::GAEN, &one),
            record_id(Scheme::GAEN, &other)
        );
        assert_eq!(rules.may_replace(&one, &other), may);
        assert_eq!(Key::decode(&other).unwrap().encode(), other);
    }
}

#[test]
fn the_last_interval_of_all_time_is_no_trap() {
    let rules = Scheme::GAEN.rules().unwrap();
    let last = u64::from(u32::MAX / 2) - 144;
    let check = |start| rules.check(&key_of([9; 16], start, 144).encode());
    assert!(check(last).is_ok());
    for start in [last + 1, u64::from(u32::MAX)] {
        assert_eq!(check(start).unwrap_err().rule(), "rolling-start");
        let key = key_of([9; 16], start, 144);
        assert!(key.identifiers().count() <= 144);
    }
    rules.look_ups(&[1; 16], u64::MAX, &PROVIDER, &mut |_, _| {});
}

/// §6.2 says which level each report type is, and what it may become.
#[test]
fn report_types_are_those_of_the_specification() {
    let levels = table("6-body-open.md", "| level | CX | GAEN report type |");
    assert_eq!(levels.len(), 7);
    let mut found = 0;
    for (code, row) in (0..).map(Level).zip(&levels) {
        assert_eq!(row[0], format!("{} `{code}`", code.0));
        let cx = if code.0 < 6 {
            code.0.to_string()
        } else {
            "-".to_owned()
        };
        assert_eq!(row[1].split(',').next(), Some(cx.as_str()));
        for report in row[2].split(", ").filter(|cell| cell.contains('`')) {
            let (number, name) = report.split_once(' ').unwrap();
            let report = ReportType::ALL[number.parse::<usize>().unwrap()];
            assert_eq!(report.code().to_string(), number);
            assert_eq!(format!("`{}`", report.name()), name);
            assert_eq!(report.level(), code, "{name}");
            found += 1;
        }
    }
    assert_eq!(found, ReportType::ALL.len());

    let changes = table("6-body-open.md", "| report type | may become |");
    assert_eq!(changes.len(), 5, "recursive is unknown here");
    for row in &changes {
        let named = |report: &ReportType| format!("`{}`", report.name()) == row[0];
        let from = ReportType::ALL.into_iter().find(named).unwrap();
        let listed = |to: &ReportType| row[1].contains(&format!("`{}`", to.name()));
        let next: Vec<Level> = ReportType::ALL
            .into_iter()
            .filter(listed)
            .map(ReportType::level)
            .collect();
        for to in (0..=u8::MAX).map(Level) {
            let may = from.level() == to || row[1] == "any level" || next.contains(&to);
            assert_eq!(may_become(from.level(), to), may, "{} to {to}", row[0]);
        }
    }
}

#[test]
fn every_level_is_a_report_type_but_for_debug() {
    for level in (0..=u8::MAX).map(Level) {
        let report = ReportType::from_level(level);
        assert_eq!(report.is_none(), level == Level::DEBUG, "{level}");
        let again = report.map_or(level, ReportType::level);
        let withdrawn = (level, again) == (Level::EXPIRED, Level::NO_ALERT);
        assert!(withdrawn || again == level.shown(), "{level} is {again}");
        assert!(may_become(level, level) && may_become(Level::DEBUG, level));
        assert_eq!(may_become(Level::EXPIRED, level), level == Level::EXPIRED);
    }
    let rules = Scheme::GAEN.rules().unwrap();
    assert!(!rules.may_become(Level::DIAGNOSED, Level::NO_ALERT));
    let others = Scheme::TCN.rules().unwrap();
    assert!(others.may_become(Level::DIAGNOSED, Level::NO_ALERT));
}
