//! Walks `spec/vectors/filter.json`: what is built, read, answered and refused.

use std::collections::BTreeSet;

use bellwether_formats::filter::{Filter, FilterError, MIN_BITS, build};
use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The file. A key that is not here is an error, so nothing in it goes unread.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    about: String,
    valid: Vec<Valid>,
    broken: Vec<Broken>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Valid {
    about: String,
    keys: Option<Vec<String>>,
    derived: Option<Derived>,
    bits: u8,
    ids: u64,
    bytes: String,
    present: Vec<String>,
    absent: Vec<String>,
    false_positives: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Derived {
    from: u32,
    count: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Broken {
    about: String,
    rule: String,
    ids: u64,
    min_bits: u8,
    bytes: String,
}

fn vectors() -> Vectors {
    let text = include_str!("../../../spec/vectors/filter.json");
    let vectors: Vectors = serde_json::from_str(text).expect("vectors as described here");
    assert!(vectors.about.len() > 3 && vectors.valid.len() >= 12 && vectors.broken.len() >= 20);
    vectors
}

fn numbers(keys: &[String]) -> Vec<u64> {
    let number = |key: &String| {
        assert_eq!(key.len(), 16, "{key}");
        u64::from_str_radix(key, 16).unwrap()
    };
    keys.iter().map(number).collect()
}

impl Valid {
    fn keys(&self) -> Option<Vec<u64>> {
        let derived = |Derived { from, count }: &Derived| {
            let numbers = *from..from + count;
            let hashes = numbers
                .map(|i| Sha256::digest([b"filter-vector".as_slice(), &i.to_be_bytes()].concat()));
            hashes
                .map(|hash| u64::from_le_bytes(*hash.first_chunk().unwrap()))
                .collect()
        };
        let listed = self.keys.as_deref().map(numbers);
        listed.or_else(|| self.derived.as_ref().map(derived))
    }
}

#[test]
fn valid_filters_are_built_read_and_answer() {
    let mut strangers = 0;
    for vector in vectors().valid {
        let about = &vector.about;
        let bytes = HEXLOWER.decode(vector.bytes.as_bytes()).unwrap();
        if let Some(keys) = vector.keys() {
            assert!(
                build(&keys, vector.bits).unwrap() == bytes,
                "{about}: built otherwise"
            );
        }
        let filter = Filter::decode(&bytes, vector.ids, vector.bits).expect(about);
        let possible = [&vector.present, &vector.false_positives]
            .map(|keys| numbers(keys))
            .concat();
        for key in possible {
            assert!(filter.contains(key), "{about}: {key:016x} is possible");
        }
        for key in numbers(&vector.absent) {
            assert!(!filter.contains(key), "{about}: {key:016x} is absent");
        }
        strangers += vector.false_positives.len();
    }
    assert!(strangers > 10, "{strangers} false positives");
}

#[test]
fn broken_filters_are_refused_by_the_rule_they_name() {
    let mut rules = BTreeSet::new();
    for vector in vectors().broken {
        let bytes = HEXLOWER.decode(vector.bytes.as_bytes()).unwrap();
        let verdict = Filter::decode(&bytes, vector.ids, vector.min_bits);
        let found = verdict.as_ref().map_err(FilterError::rule).err();
        assert_eq!(
            found,
            Some(vector.rule.as_str()),
            "{}: {verdict:?}",
            vector.about
        );
        assert!(vector.min_bits >= MIN_BITS, "{}", vector.about);
        rules.insert(vector.rule);
    }
    let all: BTreeSet<String> = FilterError::RULES
        .iter()
        .map(|rule| (*rule).to_owned())
        .collect();
    assert_eq!(
        rules, all,
        "each rule has a broken vector, and each vector a rule"
    );
}
