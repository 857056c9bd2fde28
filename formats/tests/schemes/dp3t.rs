//! `dp3t.json`, and DP-3T's traps.

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::dp3t::{self, EPOCH_S, EPOCHS};
use bellwether_formats::scheme::{DAY_S, Span, Units};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::walk::{PROVIDER, Walk, hex, negative};

pub(crate) fn check(walk: &mut Walk) {
    assert_eq!(walk.text("scheme"), "dp3t");
    walk.prose(&["about", "source"]);
    let parameters = walk.take("parameters");
    Walk::of("parameters", parameters, |walk| {
        for (member, expected) in [
            ("epoch_minutes", EPOCH_S / 60),
            ("epochs_per_day", EPOCHS.into()),
            ("ephid_len", 16),
            ("lowcost_seed_len", 32),
            ("unlinkable_seed_len", 32),
            ("hybrid_seed_len", 16),
        ] {
            assert_eq!(walk.number(member), expected, "{member}");
        }
    });
    let mut key = [0; 32];
    for (number, day) in walk.list("lowcost").into_iter().enumerate() {
        Walk::of("a day", day, |walk| {
            assert_eq!(walk.number("day_offset"), u64::try_from(number).unwrap());
            assert_eq!(walk.hex::<32>("sk"), key);
            assert_eq!(prf(&key, b"broadcast key"), walk.hex::<32>("prf"));
            let ids: Vec<[u8; 16]> = dp3t::ids_of_day(&key).collect();
            assert_eq!(ids.len(), 96);
            for list in ["official_ephids", "ephids"] {
                check_ids(&ids, &walk.numbered(list));
            }
            check_all(&ids, walk.hex("sha256_of_96_ephids"));
        });
        key = dp3t::next_day(&key);
    }
    for test in walk.list("lowcost_sdk_tests") {
        Walk::of("an SDK test", test, sdk);
    }
    let unlinkable = walk.take("unlinkable");
    Walk::of("unlinkable", unlinkable, |walk| {
        for seed in walk.list("ephid") {
            Walk::of("a seed", seed, |walk| {
                let id = dp3t::id_of_seed(&walk.hex("seed"));
                assert_eq!(id, walk.hex::<16>("ephid"));
                assert_eq!(walk.take("official"), true);
            });
        }
        for observed in walk.list("hashed_observation") {
            Walk::of("an observation", observed, |walk| {
                let (seed, id) = (walk.hex::<32>("seed"), walk.hex::<16>("ephid"));
                assert_eq!(dp3t::id_of_seed(&seed), id);
                let epoch = u32::try_from(walk.number("epoch")).unwrap();
                let at = utc(&walk.text("time"));
                assert_eq!(at / EPOCH_S, u64::from(epoch));
                let hashed = dp3t::hashed(&id, epoch);
                assert_eq!(hashed, walk.hex::<32>("hashed_observation"));
                assert_eq!(dp3t::unlinkable_unit(epoch, &seed)[..32], hashed);
                assert_eq!(walk.take("official"), true);
                assert!(looked_up(Scheme::DP3T_UNLINKABLE, &id, at, None, &hashed));
            });
        }
    });
    for window in walk.list("hybrid") {
        Walk::of("a window", window, |walk| {
            let name = walk.text("name");
            let count = u8::try_from(walk.number("epochs_per_window")).unwrap();
            let seed = walk.hex("seed");
            assert_eq!(prf(&seed, b"DP3T-HYBRID"), walk.hex::<32>("prf"), "{name}");
            let ids: Vec<[u8; 16]> = dp3t::ids_of_window(&seed, count).collect();
            assert_eq!(ids.len(), usize::from(count), "{name}");
            check_ids(&ids, &walk.numbered("ephids"));
            check_all(&ids, walk.hex("sha256_of_all"));
        });
    }
    for case in walk.list("match_cases") {
        Walk::of("a case", case, match_case);
    }
    for case in walk.list("negative") {
        Walk::of("a unit", case, |walk| negative(walk, Scheme::DP3T_LOWCOST));
    }
}

/// The key of a day's or a window's stream.
fn prf(key: &[u8], label: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(label);
    mac.finalize().into_bytes().into()
}

fn check_ids(ids: &[[u8; 16]], listed: &[(usize, Vec<u8>)]) {
    for (number, id) in listed {
        assert_eq!(ids[*number].as_slice(), id.as_slice(), "id {number}");
    }
}

fn check_all(ids: &[[u8; 16]], expected: [u8; 32]) {
    let all: [u8; 32] = Sha256::digest(ids.as_flattened()).into();
    assert_eq!(all, expected);
}

fn sdk(walk: &mut Walk) {
    let name = walk.text("test");
    let yesterday = walk.maybe("sk_yesterday");
    let (key, id, expected) = match yesterday {
        Some(key) => {
            let key: [u8; 32] = hex(key.as_str().unwrap()).try_into().unwrap();
            let expected = walk.take("expect_match_after_one_rotation");
            (
                dp3t::next_day(&key),
                walk.hex::<16>("ephid_today"),
                expected,
            )
        }
        None => {
            let (key, id) = (walk.hex("sk"), walk.hex::<16>("ephid"));
            (key, id, walk.take("expect_match_same_day"))
        }
    };
    let found = dp3t::ids_of_day(&key).position(|of_day| of_day == id);
    assert_eq!(expected, found.is_some(), "{name}");
    let index = walk
        .maybe("index_in_day")
        .map(|index| index.as_u64().unwrap());
    assert_eq!(
        index,
        found.map(|index| u64::try_from(index).unwrap()),
        "{name}"
    );
}

/// Seconds of UTC of a time such as `2020-04-21T10:00:00Z`.
fn utc(time: &str) -> u64 {
    let number = |range: std::ops::Range<usize>| time[range].parse::<u64>().unwrap();
    let days = day(&time[..10]);
    days * DAY_S + number(11..13) * 3600 + number(14..16) * 60 + number(17..19)
}

/// The day of a date of 2020.
fn day(date: &str) -> u64 {
    let months = [0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335];
    assert_eq!(&date[..4], "2020");
    let (month, day): (usize, u64) = (date[5..7].parse().unwrap(), date[8..].parse().unwrap());
    18_262 + months[month - 1] + day - 1
}

/// Whether an observation looks up a hash of `day` and `identifier`.
fn looked_up(scheme: Scheme, id: &[u8], at: u64, day: Option<u64>, identifier: &[u8]) -> bool {
    let mut found = false;
    scheme
        .rules()
        .unwrap()
        .look_ups(id, at, &PROVIDER, &mut |hashed, sought| {
            found |= hashed == day && sought == identifier;
        });
    found
}

/// Whether an observation matches a unit that is published at `published`, as open and sealed parts
/// both decide it.
fn matches(scheme: Scheme, unit: &[u8], id: &[u8], at: u64, published: u64) -> bool {
    let rules = scheme.rules().unwrap();
    let (mut open, mut sealed) = (false, false);
    let units = Units::of(rules.width(), [unit]);
    rules.expand(&units, &mut |_, identifier, span: Option<Span>| {
        let in_time = at < published && span.is_none_or(|span| span.contains(at));
        open |= identifier == id && in_time;
        let day = span.map(|span| span.day);
        sealed |= in_time && looked_up(scheme, id, at, day, identifier);
    });
    assert!(open == sealed || rules.always_sealed(), "both say the same");
    sealed
}

fn match_case(walk: &mut Walk) {
    let expect = walk.text("expect");
    let expected = expect.starts_with("match");
    if walk.text("design") == "unlinkable" {
        let (id, epoch) = (walk.hex::<16>("ephid"), walk.number("observed_epoch"));
        let hash = walk.hex::<32>("filter_contains");
        let found = looked_up(Scheme::DP3T_UNLINKABLE, &id, epoch * EPOCH_S, None, &hash);
        assert_eq!(found, expected, "{expect}");
        return;
    }
    let first = u16::try_from(day(&walk.text("key_day"))).unwrap();
    let published = utc(&walk.text("published_at"));
    let days = u8::try_from(published / DAY_S - u64::from(first) + 1).unwrap();
    let unit = dp3t::lowcost_unit(&walk.hex("sk"), first, days);
    let (id, at) = (walk.hex::<16>("observed"), utc(&walk.text("observed_at")));
    let found = matches(Scheme::DP3T_LOWCOST, &unit, &id, at, published);
    assert_eq!(found, expected, "{expect}");
}

#[test]
fn an_id_counts_in_its_day_epoch_or_window_and_no_other() {
    let first = 20_000 * 96 + 40;
    let edge = |at: u64, from: u64, to: u64| (from..to).contains(&at);
    let day = 20_000 * DAY_S;
    let lowcost = dp3t::lowcost_unit(&[1; 32], 20_000, 1);
    let id = dp3t::ids_of_day(&[1; 32]).nth(95).unwrap();
    for at in [day - 1, day, day + DAY_S - 1, day + DAY_S] {
        let found = matches(Scheme::DP3T_LOWCOST, &lowcost, &id, at, u64::MAX);
        assert_eq!(found, edge(at, day, day + DAY_S), "{at}");
    }
    let (from, to) = (u64::from(first) * EPOCH_S, u64::from(first + 8) * EPOCH_S);
    let hybrid = dp3t::hybrid_unit(&[2; 16], first, 8);
    let id = dp3t::ids_of_window(&[2; 16], 8).nth(7).unwrap();
    for at in [from - 1, from, to - 1, to] {
        let found = matches(Scheme::DP3T_HYBRID, &hybrid, &id, at, u64::MAX);
        assert_eq!(found, edge(at, from, to), "{at}");
    }
    assert!(!matches(
        Scheme::DP3T_HYBRID,
        &hybrid,
        &id,
        from + 9,
        from + 9
    ));
    let unlinkable = dp3t::unlinkable_unit(first, &[3; 32]);
    let id = dp3t::id_of_seed(&[3; 32]);
    for at in [from - 1, from, from + EPOCH_S - 1, from + EPOCH_S] {
        let found = matches(Scheme::DP3T_UNLINKABLE, &unlinkable, &id, at, u64::MAX);
        assert_eq!(found, edge(at, from, from + EPOCH_S), "{at}");
    }
    // A phone may keep the hash alone.
    let hash = dp3t::hashed(&id, first);
    assert!(looked_up(Scheme::DP3T_UNLINKABLE, &hash, 5, None, &hash));
    assert!(!looked_up(
        Scheme::DP3T_LOWCOST,
        &hash,
        from,
        Some(20_000),
        &hash
    ));
}
