//! `tcn.json`, and TCN's traps.

use bellwether_formats::id::Scheme;
use bellwether_formats::scheme::tcn::{self, MAX_IDENTIFIERS};
use bellwether_formats::scheme::{Units, record_id};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use super::walk::{Walk, hex};

pub(crate) fn check(walk: &mut Walk) {
    assert_eq!(walk.text("scheme"), "tcn");
    walk.prose(&["about", "source"]);
    let official = walk.take("official");
    let keys = Walk::of("official", official, |walk| {
        let rak = walk.hex::<32>("rak");
        let keys = Keys::new(rak);
        assert_eq!(keys.rvk, walk.hex::<32>("rvk"));
        let (tck, tcn) = (walk.numbered("tck"), walk.numbered("tcn"));
        keys.check(&tck, &tcn);
        let report = hex(&walk.text("signed_report"));
        let made = tcn::report(&rak, &keys.keys[1], (2, 10), 0, b"symptom data").unwrap();
        assert_eq!(made, report, "Ed25519 is deterministic");
        assert_eq!(expand(&report), keys.numbers[2..=10]);
        keys
    });
    let computed = walk.take("computed");
    Walk::of("computed", computed, |walk| {
        assert_eq!(keys.keys[0], walk.hex::<32>("tck_0"));
        let (tck, tcn) = (walk.numbered("tck"), walk.numbered("tcn"));
        keys.check(&tck, &tcn);
        let all: [u8; 32] = Sha256::digest(keys.numbers[1..].as_flattened()).into();
        assert_eq!(all, walk.hex::<32>("sha256_of_all_65535_tcns"));
        let listed = walk.list("expansion_of_official_report");
        let listed = listed.iter().map(|id| hex(id.as_str().unwrap()));
        assert!(listed.eq(keys.numbers[2..=10].iter().map(|id| id.to_vec())));
        for report in walk.list("reports") {
            Walk::of("a report", report, |walk| keys.check_report(walk));
        }
    });
    for broken in walk.list("negative") {
        Walk::of("a broken report", broken, |walk| {
            let (case, report) = (walk.text("case"), hex(&walk.text("report")));
            let rule = Scheme::TCN
                .rules()
                .unwrap()
                .check(&report)
                .map_err(|error| error.rule());
            assert_eq!(rule.unwrap_err(), walk.text("expect"), "{case}");
        });
    }
}

/// All keys and numbers of a report authorisation key.
struct Keys {
    rak: [u8; 32],
    rvk: [u8; 32],
    /// From 0.
    keys: Vec<[u8; 32]>,
    /// From 1; the first is none.
    numbers: Vec<[u8; 16]>,
}

impl Keys {
    fn new(rak: [u8; 32]) -> Self {
        let rvk = SigningKey::from_bytes(&rak).verifying_key().to_bytes();
        let (mut keys, mut numbers) = (vec![tcn::first_key(&rak)], vec![[0; 16]]);
        for index in 1..=u16::MAX {
            let key = tcn::next_key(&rvk, &keys[keys.len() - 1]);
            numbers.push(tcn::number(index, &key));
            keys.push(key);
        }
        Self {
            rak,
            rvk,
            keys,
            numbers,
        }
    }

    fn check(&self, keys: &[(usize, Vec<u8>)], numbers: &[(usize, Vec<u8>)]) {
        for (index, key) in keys {
            assert_eq!(self.keys[*index].as_slice(), key.as_slice(), "tck {index}");
        }
        for (index, number) in numbers {
            assert_eq!(
                self.numbers[*index].as_slice(),
                number.as_slice(),
                "tcn {index}"
            );
        }
    }

    fn check_report(&self, walk: &mut Walk) {
        let name = walk.text("name");
        walk.maybe("note");
        let range = ["j1", "j2"].map(|member| u16::try_from(walk.number(member)).unwrap());
        let memo_type = u8::try_from(walk.number("memo_type")).unwrap();
        let memo = hex(&walk.text("memo"));
        let report = hex(&walk.text("signed_report"));
        let (first, last) = (usize::from(range[0]), usize::from(range[1]));
        let made = tcn::report(
            &self.rak,
            &self.keys[first - 1],
            (range[0], range[1]),
            memo_type,
            &memo,
        );
        assert_eq!(made.unwrap(), report, "{name}");
        assert_eq!(
            report.len(),
            usize::try_from(walk.number("length")).unwrap(),
            "{name}"
        );
        let numbers = self.numbers.get(first..=last).unwrap_or_default();
        assert_eq!(
            walk.number("tcn_count"),
            u64::try_from(numbers.len()).unwrap(),
            "{name}"
        );
        let ends = walk.take("tcns_first_last");
        if let (Some(one), Some(two)) = (numbers.first(), numbers.last()) {
            let ends = [&ends[0], &ends[1]].map(|id| hex(id.as_str().unwrap()));
            assert_eq!(ends, [one.to_vec(), two.to_vec()], "{name}");
        }
        let all: [u8; 32] = Sha256::digest(numbers.as_flattened()).into();
        assert_eq!(all, walk.hex::<32>("sha256_of_concatenated_tcns"), "{name}");
        let rules = Scheme::TCN.rules().unwrap();
        // More than a phone is made to expand is refused, however well it is signed.
        if numbers.len() > usize::try_from(MAX_IDENTIFIERS).unwrap() || numbers.is_empty() {
            assert_eq!(rules.check(&report).unwrap_err().rule(), "range", "{name}");
            assert_eq!(expand(&report), [[0; 16]; 0], "{name}");
        } else {
            let count = rules.check(&report).unwrap().identifiers;
            assert_eq!(usize::try_from(count).unwrap(), numbers.len(), "{name}");
            assert_eq!(expand(&report), numbers, "{name}");
        }
    }
}

fn expand(report: &[u8]) -> Vec<[u8; 16]> {
    let rules = Scheme::TCN.rules().unwrap();
    let mut all = Vec::new();
    rules.expand(&Units::of(rules.width(), [report]), &mut |_, id, span| {
        assert_eq!(span, None, "a report knows no time");
        all.push(id.try_into().unwrap());
    });
    all
}

/// A report of key 7, signed as it stands.
fn signed(first: u16, last: u16, memo_type: u8) -> Vec<u8> {
    tcn::report(&[7; 32], &[8; 32], (first, last), memo_type, b"memo").unwrap()
}

fn rule(report: &[u8]) -> Result<u32, &'static str> {
    let found = Scheme::TCN.rules().unwrap().check(report);
    found
        .map(|facts| facts.identifiers)
        .map_err(|error| error.rule())
}

#[test]
fn every_memo_type_is_carried() {
    for memo_type in [0, 1, 2, 3, 4, 0xfe, 0xff] {
        assert_eq!(rule(&signed(1, 24, memo_type)), Ok(24), "{memo_type}");
    }
    let longest = tcn::report(&[7; 32], &[8; 32], (1, 1), 0, &[9; 255]).unwrap();
    assert_eq!((longest.len(), rule(&longest)), (389, Ok(1)));
    assert_eq!(tcn::report(&[7; 32], &[8; 32], (1, 1), 0, &[9; 256]), None);
}

#[test]
fn ranges_are_bounded_before_anything_is_hashed() {
    for (first, last, expected) in [
        (1, 1, Ok(1)),
        (1, 4096, Ok(4096)),
        (1, 4097, Err("range")),
        (65_535, 65_535, Ok(1)),
        (61_440, 65_535, Ok(4096)),
        (1, 65_535, Err("range")),
        (2, 1, Err("range")),
        (0, 5, Err("first-index")),
        (0, 0, Err("first-index")),
    ] {
        assert_eq!(rule(&signed(first, last, 0)), expected, "{first} to {last}");
    }
}

#[test]
fn the_identifier_of_the_key_that_is_given_is_none_of_the_reports() {
    let report = signed(5, 8, 0);
    let given = tcn::number(4, &[8; 32]);
    let ids = expand(&report);
    assert_eq!(ids.len(), 4);
    assert!(!ids.contains(&given));
    assert!(!ids.contains(&tcn::number(5, &[8; 32])));
}

#[test]
fn only_strict_signatures_hold() {
    // The identity as key and as R, and 0 as s, hold for every message where nobody is strict.
    let mut identity = signed(1, 2, 0);
    let end = identity.len() - 64;
    for at in [0, end] {
        identity[at..at + 32].fill(0);
        identity[at] = 1;
    }
    identity[end + 32..].fill(0);
    assert_eq!(rule(&identity), Err("report-signature"));
    // s + L is another spelling of s.
    let report = signed(1, 2, 0);
    let (body, signature) = report.split_last_chunk::<64>().unwrap();
    let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let (mut other, mut carry) = (signature.to_vec(), 0);
    for (byte, add) in other[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = u8::try_from(sum & 255).unwrap();
        carry = sum >> 8;
    }
    assert_eq!(rule(&[body, &other].concat()), Err("report-signature"));
    assert_eq!(rule(&report), Ok(2));
    for extra in [
        &report[..report.len() - 1],
        &[report.as_slice(), &[0]].concat(),
    ] {
        assert_eq!(rule(extra), Err("unit-length"));
    }
}

#[test]
fn a_report_signed_anew_is_the_same_notification() {
    let report = signed(1, 2, 0);
    let (body, _) = report.split_last_chunk::<64>().unwrap();
    let other = SigningKey::from_bytes(&[9; 32]).sign(body).to_bytes();
    let other = [body, &other].concat();
    assert_eq!(
        record_id(Scheme::TCN, &report),
        record_id(Scheme::TCN, &other)
    );
    assert_ne!(
        record_id(Scheme::TCN, &report),
        record_id(Scheme::TCN, &signed(1, 3, 0))
    );
}

#[test]
fn an_unsigned_report_matches_nothing() {
    use bellwether_formats::scheme::WantedIds;
    use bellwether_formats::scheme::cx::Identifier;
    let rules = Scheme::TCN.rules().unwrap();
    let (good, mut bad) = (signed(1, 3, 0), signed(4, 6, 0));
    *bad.last_mut().unwrap() ^= 1;
    let ids = [expand(&good), expand(&bad)].concat();
    let wanted = WantedIds::new(ids.iter().map(|id| Identifier::from_bytes(*id)));
    let units = Units::of(rules.width(), [bad.as_slice(), &good]);
    let mut hits = Vec::new();
    rules.matches(&units, &wanted, &mut |unit, id, _| {
        hits.push((unit, id.to_vec()))
    });
    assert_eq!(hits.len(), 3);
    assert!(hits.iter().all(|(unit, _)| *unit == 1), "the good one");
}
