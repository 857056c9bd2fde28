use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use data_encoding::HEXLOWER;
use proptest::prelude::*;

use super::*;

const PUBLISHER: &str = "Bellwether Test Health Authority";

/// Every error once: the compiler does not let `rule` forget one, nor this list by
/// `every_rule_has_a_vector`.
const ERRORS: [ReportError; 16] = [
    ReportError::TooLarge { found: 0 },
    ReportError::Der { offset: 0, why: "" },
    ReportError::Trailing { extra: 0 },
    ReportError::NoDescriptors,
    ReportError::TooManyDescriptors,
    ReportError::SignatureCount { descriptors: 0 },
    ReportError::Utf8,
    ReportError::Generator { index: 0 },
    ReportError::PreseedLength {
        index: 0,
        found: 0,
        expected: 0,
    },
    ReportError::UnsupportedKey { index: 0 },
    ReportError::WeakKey { index: 0 },
    ReportError::Key { index: 0 },
    ReportError::Algorithm { index: 0 },
    ReportError::Publisher,
    ReportError::Code,
    ReportError::Signature { index: 0 },
];

/// A file of `spec/vectors/seed-reports`: header lines, a blank line, DER in hex.
struct Vector {
    name: String,
    rule: String,
    expect: String,
    publisher: String,
    body: Vec<u8>,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(path).expect("a vector is UTF-8 text");
        let (header, hex) = text
            .split_once("\n\n")
            .expect("a blank line ends the header");
        let line = |key: &str| {
            header
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
                .unwrap_or_else(|| panic!("{name}: no line {key:?}"))
                .to_owned()
        };
        let hex: String = hex.split_whitespace().collect();
        let body = HEXLOWER
            .decode(hex.as_bytes())
            .expect("a vector's body is lowercase hex");
        line("about");
        Self {
            rule: line("rule"),
            expect: line("expect"),
            publisher: line("publisher"),
            body,
            name,
        }
    }

    fn verify(&self) -> Result<VerifiedReport, ReportError> {
        verify(&self.body, &self.publisher)
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors/seed-reports")
}

fn vectors() -> Vec<Vector> {
    fs::read_dir(folder())
        .expect("the spec's vectors are checked out")
        .map(|entry| Vector::read(&entry.unwrap().path()))
        .collect()
}

fn vector(name: &str) -> Vector {
    Vector::read(&folder().join(name).with_extension("txt"))
}

fn rule_of<T>(result: &Result<T, ReportError>) -> &'static str {
    result.as_ref().map_or_else(ReportError::rule, |_| "valid")
}

#[test]
fn every_vector_has_its_verdict() {
    let vectors = vectors();
    assert!(vectors.len() >= 30, "only {} vectors", vectors.len());
    let failures: Vec<String> = vectors
        .iter()
        .filter_map(|vector| {
            let result = vector.verify();
            let found = rule_of(&result);
            let said = found == vector.expect && found == vector.rule;
            (!said).then(|| format!("{}: expected {}, {result:?}", vector.name, vector.expect))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_rule_has_a_vector_and_every_vector_a_rule() {
    // A body above 64 KiB is made by a test below and not kept as hex.
    let rules: BTreeSet<&str> = ERRORS
        .iter()
        .map(ReportError::rule)
        .filter(|&rule| rule != "too-large")
        .chain(["valid"])
        .collect();
    let vectors = vectors();
    let named: BTreeSet<&str> = vectors.iter().map(|vector| vector.rule.as_str()).collect();
    assert_eq!(named, rules);

    // Rules that several variants share: each variant comes up.
    let seen: BTreeSet<_> = vectors
        .iter()
        .filter_map(|vector| vector.verify().err())
        .map(|error| format!("{:?}", std::mem::discriminant(&error)))
        .collect();
    assert_eq!(seen.len(), ERRORS.len() - 1);
}

#[test]
fn a_verified_report_is_what_was_sent() {
    let report = vector("good-four-keys").verify().unwrap();
    assert_eq!(report.code, "9624-5957-1177-7741");
    let preseeds: Vec<String> = report
        .items
        .iter()
        .map(|item| HEXLOWER.encode(&item.preseed))
        .collect();
    assert_eq!(
        preseeds,
        [
            "c78d161584cd4262369d148de54101620d1fc88eb040a8b5",
            "8c5e96fab64b05c9f49914be17d502d626f3c521005470f62c430449c6438f4caa69c69a7a31c6788d7a540a916583ec",
            "5c636d77bd7bf56fa8d4e726a2456329167490ae8c4cee35",
            "51f2d39b0ee6539589da25779d97a842510188473d0308b5a25e226a737eb19ab91eef2a5f8ba7d8adc47134a79dcc9b",
        ]
    );
    let generators: Vec<u8> = report.items.iter().map(|item| item.generator).collect();
    assert_eq!(generators, [1, 2, 1, 2]);
    let keys: BTreeSet<[u8; 32]> = report.items.iter().map(Item::key_id).collect();
    assert_eq!(keys.len(), 4);
    assert_eq!(
        HEXLOWER.encode(&report.items[0].key_id()),
        "3d5908cb97bd4c9a47de455381a32f09f240979c8a31b991147a9b9f3b05d771"
    );
}

#[test]
fn keys_are_kept_exactly_as_presented() {
    for (name, spki_start, length) in [
        ("key-ec-compressed", "3039301306072a8648ce3d0201", 59),
        ("key-rsa-no-null", "30820120300b06092a864886f70d0101", 292),
    ] {
        let report = vector(name).verify().unwrap();
        let spki = &report.items[0].spki;
        assert!(HEXLOWER.encode(spki).starts_with(spki_start), "{name}");
        assert_eq!(spki.len(), length, "{name}");
    }
}

#[test]
fn a_descriptor_sent_twice_is_one_item() {
    let vector = vector("same-descriptor-twice");
    assert_eq!(SeedReport::parse(&vector.body).unwrap().seeds.len(), 2);
    assert_eq!(vector.verify().unwrap().items.len(), 1);
}

#[test]
fn publisher_and_code_can_be_read_before_the_signatures_are_checked() {
    let vector = vector("signature-ed25519");
    let report = SeedReport::parse(&vector.body).unwrap();
    assert_eq!(report.publisher(), PUBLISHER);
    assert_eq!(report.code().len(), 19);
    assert_eq!(rule_of(&report.verify(PUBLISHER)), "signature");
}

#[test]
fn the_publisher_is_compared_exactly() {
    let good = vector("good-ed25519").body;
    for other in [
        "",
        "bellwether test health authority",
        "Bellwether Test Health Authority ",
        "Bellwether Test Health Authority\0",
        "Bellwether Test Health Authorit",
    ] {
        assert_eq!(verify(&good, other), Err(ReportError::Publisher), "{other}");
    }
}

#[test]
fn nothing_secret_is_written_by_debug_or_errors() {
    let vector = vector("good-ed25519");
    let parsed = SeedReport::parse(&vector.body).unwrap();
    let parsed = format!("{parsed:?}");
    let report = vector.verify().unwrap();
    let written = format!("{parsed} {report:?}");
    assert_eq!(
        written,
        "SeedReport { seeds: 1, .. } VerifiedReport { items: [Item { generator: 1, .. }], .. }"
    );
    for error in ERRORS {
        assert!(error.to_string().len() <= 100, "{error}");
    }
}

#[test]
fn a_report_above_the_limit_is_not_looked_at() {
    let largest = vec![0; MAX_BODY_BYTES];
    assert_eq!(rule_of(&verify(&largest, PUBLISHER)), "der");
    let larger = vec![0; MAX_BODY_BYTES + 1];
    let found = larger.len();
    assert_eq!(
        verify(&larger, PUBLISHER),
        Err(ReportError::TooLarge { found })
    );
}

#[test]
fn depth_costs_nothing() {
    // Opened and closed SEQUENCEs as an unknown field at the end of the content; and one inside
    // the other where a known field is expected.
    let mut nested: Vec<u8> = vec![0x05, 0x00];
    while nested.len() < 60_000 {
        nested = der::sequence_of_two(&nested, &[]);
    }
    assert_eq!(rule_of(&verify(&nested, PUBLISHER)), "der");
    let good = vector("good-ed25519").body;
    let mut fields = Reader::new(&good).sequence().unwrap();
    let content = fields.any().unwrap();
    let signatures = fields.any().unwrap();
    let deeper = der::sequence_of_two(content.content, &nested);
    let report = der::sequence_of_two(&deeper, signatures.raw);
    assert_eq!(rule_of(&verify(&report, PUBLISHER)), "signature");
}

#[test]
fn every_changed_bit_is_refused() {
    for name in ["good-ed25519", "good-p256", "valid-extension"] {
        let good = vector(name).body;
        assert!(verify(&good, PUBLISHER).is_ok());
        let masks = (0..8).map(|bit| 1 << bit).chain([0xff]);
        for (at, mask) in (0..good.len()).flat_map(|at| masks.clone().map(move |mask| (at, mask))) {
            let mut changed = good.clone();
            changed[at] ^= mask;
            assert!(
                verify(&changed, PUBLISHER).is_err(),
                "{name}: byte {at} xor {mask:#x}"
            );
        }
    }
}

#[test]
fn every_truncation_and_removed_byte_is_refused() {
    let good = vector("good-ed25519").body;
    for at in 0..good.len() {
        assert!(verify(&good[..at], PUBLISHER).is_err(), "cut at {at}");
        let mut shorter = good.clone();
        shorter.remove(at);
        assert!(verify(&shorter, PUBLISHER).is_err(), "without byte {at}");
    }
}

#[test]
fn every_inserted_byte_is_refused() {
    let good = vector("good-ed25519").body;
    for at in 0..=good.len() {
        for byte in 0..=u8::MAX {
            let mut longer = good.clone();
            longer.insert(at, byte);
            assert!(
                verify(&longer, PUBLISHER).is_err(),
                "{byte:#x} at {at} was accepted"
            );
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(verify(&bytes, PUBLISHER).is_err());
    }

    /// Damage in several places of a large report, so that all layers are reached.
    #[test]
    fn no_damage_panics(
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let mut body = vector("good-four-keys").body;
        let good = body.clone();
        for (at, byte) in places {
            let at = at.index(body.len());
            body[at] = byte;
        }
        prop_assert_eq!(verify(&body, PUBLISHER).is_ok(), body == good);
    }

    /// What the cursor spells it reads back, at every length of length.
    #[test]
    fn sequences_round_trip(length in 0..70_000_usize) {
        let content = vec![5; length];
        let spelt = der::sequence_of_two(&content, &[]);
        let mut reader = Reader::new(&spelt);
        let value = reader.expect(SEQUENCE).unwrap();
        prop_assert_eq!(value.content, &content);
        prop_assert_eq!(value.raw, &spelt);
        prop_assert!(reader.is_empty());
    }
}

/// The cursor by itself: what is and is not DER.
#[test]
fn der_is_strict() {
    let long = [&[0x04, 0x81, 0x80][..], &[0; 128]].concat();
    let not_short = [&[0x04, 0x81, 0x7f][..], &[0; 127]].concat();
    let leading_zero = [&[0x04, 0x82, 0x00, 0x80][..], &[0; 128]].concat();
    for (good, bytes) in [
        (true, &[0x05, 0x00][..]),
        (true, &[0x9f, 0x1f, 0x00]),
        (true, &[0x9f, 0x81, 0x00, 0x00]),
        (true, &long),
        (false, &[]),
        (false, &[0x04]),
        (false, &[0x04, 0x01]),
        (false, &[0x00, 0x00]),
        (false, &[0x30, 0x80, 0x00, 0x00]),
        (false, &[0x9f, 0x1e, 0x00]),
        (false, &[0x9f, 0x80, 0x1f, 0x00]),
        (false, &[0x9f, 0x81]),
        (false, &[0x04, 0xff]),
        (false, &[0x04, 0x88, 255, 255, 255, 255, 255, 255, 255, 255]),
        (false, &not_short),
        (false, &leading_zero),
    ] {
        assert_eq!(Reader::new(bytes).any().is_ok(), good, "{bytes:02x?}");
    }
    for (good, bytes) in [
        (true, &[0x02, 0x01, 0x00][..]),
        (true, &[0x02, 0x01, 0x80]),
        (true, &[0x02, 0x02, 0x00, 0x80]),
        (false, &[0x02, 0x00]),
        (false, &[0x02, 0x02, 0x00, 0x7f]),
        (false, &[0x02, 0x02, 0xff, 0x80]),
        (false, &[0x04, 0x01, 0x00]),
    ] {
        assert_eq!(Reader::new(bytes).integer().is_ok(), good, "{bytes:02x?}");
    }
}
