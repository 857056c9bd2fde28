//! `cx.json`: every value of it, by every engine.

use std::collections::BTreeMap;

use bellwether_formats::scheme::cx::{
    self, Engine, Generator, Identifier, MAX_KEY_BYTES, Seed, bench_checksum, calculate_seed,
};
use data_encoding::HEXLOWER;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::walk::hex;

/// `cx.json`. A key that is not here is an error, so nothing in the file goes unread.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CxVectors {
    scheme: String,
    source: Source,
    notes: Vec<String>,
    generator: Vec<GeneratorVector>,
    seed_calculator: Vec<CalculatorVector>,
    keys: BTreeMap<String, KeyVector>,
    negative: Vec<NegativeVector>,
    bench: BenchVectors,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    repo: String,
    commit: String,
    files: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GeneratorVector {
    name: String,
    generator_type: u64,
    seed: String,
    entropy_input: String,
    nonce: String,
    personalization: String,
    /// Checked beside the generator, which alone can see its state.
    #[serde(rename = "drbg_state_after_instantiate")]
    _state: BTreeMap<String, String>,
    raw_output_1_before_uuid_bits: String,
    official: BTreeMap<String, String>,
    ids: BTreeMap<usize, String>,
    uuid_1: String,
    uuid_2048: String,
    sha256_of_all_2048_ids_concatenated: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalculatorVector {
    name: String,
    generator_type: u64,
    preseed: String,
    key: String,
    #[serde(default)]
    personalization: Option<String>,
    #[serde(alias = "official", alias = "computed")]
    derived: DerivedSeed,
    ids_from_seed: BTreeMap<usize, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DerivedSeed {
    seed: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyVector {
    source: String,
    spki_der: String,
    spki_len: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NegativeVector {
    case: String,
    generator_type: u64,
    seed: Option<String>,
    seed_values: Option<String>,
    index: Option<usize>,
    preseed: Option<String>,
    spki_len: Option<usize>,
    expect: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BenchVectors {
    about: String,
    checksums: Vec<BenchVector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BenchVector {
    generator_type: u64,
    seeds: u64,
    checksum: String,
}

pub(crate) fn check(text: &str) {
    let vectors: CxVectors = serde_json::from_str(text).expect("a vector file that is known");
    assert_eq!(vectors.scheme, "CX");
    assert!(!vectors.notes.is_empty() && !vectors.source.files.is_empty());
    assert!(!vectors.source.repo.is_empty() && !vectors.source.commit.is_empty());
    assert_eq!(vectors.generator.len(), 4);
    assert_eq!(vectors.seed_calculator.len(), 10);
    for vector in &vectors.generator {
        check_generator(vector);
    }
    for vector in &vectors.seed_calculator {
        let key = vectors.keys.get(&vector.key).expect("a key of the file");
        check_calculator(vector, key);
    }
    for vector in &vectors.negative {
        assert_eq!(negative(vector), vector.expect, "{}", vector.case);
    }
    assert!(vectors.bench.about.contains("cx-bench"));
    for vector in &vectors.bench.checksums {
        let generator = generator(vector.generator_type);
        let checksum = bench_checksum(generator, vector.seeds);
        assert_eq!(HEXLOWER.encode(&checksum), vector.checksum, "{generator:?}");
    }
}

fn check_generator(vector: &GeneratorVector) {
    let name = &vector.name;
    assert_eq!(
        vector.seed,
        format!("{}{}", vector.entropy_input, vector.nonce)
    );
    assert_eq!(vector.personalization, "");
    let seed = Seed::new(generator(vector.generator_type), &hex(&vector.seed)).expect("a seed");
    let ids = identifiers(&seed);
    assert_eq!(ids.len(), Generator::MAX_IDENTIFIERS);
    for (index, expected) in &vector.ids {
        assert_eq!(hex_id(&ids, *index), *expected, "{name}, id {index}");
    }
    for (key, expected) in &vector.official {
        let index = key.strip_prefix("id_").expect("id_N");
        let index = index.parse().expect("a number");
        assert_eq!(hex_id(&ids, index), *expected, "{name}, {key}");
    }
    assert_eq!(ids[0].to_string(), vector.uuid_1);
    assert_eq!(ids[2047].to_string(), vector.uuid_2048);
    let mut raw = hex(&vector.raw_output_1_before_uuid_bits);
    raw[6] = raw[6] & 0x0f | 0x40;
    raw[8] = raw[8] & 0x3f | 0x80;
    assert_eq!(ids[0].as_bytes().as_slice(), raw);
    let all: Vec<u8> = ids.iter().flat_map(|id| *id.as_bytes()).collect();
    assert_eq!(
        HEXLOWER.encode(&Sha256::digest(&all)),
        vector.sha256_of_all_2048_ids_concatenated,
        "{name}"
    );
}

/// The identifiers of a seed, which every engine of this machine makes alike.
fn identifiers(seed: &Seed) -> Vec<Identifier> {
    let ids: Vec<Identifier> = seed.identifiers().collect();
    for engine in [Engine::PORTABLE, Engine::fastest()] {
        let mut made = Vec::new();
        let expanded = engine.expand(seed.generator(), seed.as_bytes(), |_, _, id| made.push(id));
        assert_eq!(expanded, Ok(()));
        assert_eq!(made, ids, "{}", engine.name());
    }
    ids
}

fn check_calculator(vector: &CalculatorVector, key: &KeyVector) {
    let name = &vector.name;
    let spki = hex(&key.spki_der);
    assert!(!key.source.is_empty());
    assert_eq!(spki.len(), key.spki_len);
    assert!(matches!(
        vector.personalization.as_deref(),
        None | Some("spki_der of key")
    ));
    let generator = generator(vector.generator_type);
    let seed = calculate_seed(generator, &hex(&vector.preseed), &spki).expect("a seed");
    assert_eq!(
        HEXLOWER.encode(seed.as_bytes()),
        vector.derived.seed,
        "{name}"
    );
    let ids = identifiers(&seed);
    for (index, expected) in &vector.ids_from_seed {
        assert_eq!(hex_id(&ids, *index), *expected, "{name}, id {index}");
    }
}

/// What comes of a broken one: the name of the rule.
fn negative(vector: &NegativeVector) -> &'static str {
    let Some(generator) = Generator::from_code(vector.generator_type) else {
        return "generator-type";
    };
    if let Some(preseed) = &vector.preseed {
        let spki = vec![0; vector.spki_len.expect("a key length")];
        let calculated = calculate_seed(generator, &hex(preseed), &spki);
        assert!(
            calculate_seed(
                generator,
                &vec![0; generator.seed_len()],
                &[0; MAX_KEY_BYTES]
            )
            .is_ok()
        );
        return calculated.map_or_else(|error| error.rule(), |_| "valid");
    }
    if let Some(seeds) = &vector.seed_values {
        let expanded = cx::expand(generator, &hex(seeds), |_, _, _| ());
        return expanded.map_or_else(|error| error.rule(), |()| "valid");
    }
    let seed = vector.seed.as_deref().expect("a seed");
    match (Seed::new(generator, &hex(seed)), vector.index) {
        (Err(error), _) => error.rule(),
        (Ok(seed), Some(index)) if seed.identifiers().nth(index - 1).is_none() => "exhausted",
        (Ok(_), _) => "valid",
    }
}

fn generator(code: u64) -> Generator {
    let generator = Generator::from_code(code).expect("a known type");
    assert_eq!(u64::from(generator.code()), code);
    generator
}

/// An identifier by its number, which starts at 1, in hex.
fn hex_id(ids: &[Identifier], index: usize) -> String {
    HEXLOWER.encode(ids[index - 1].as_bytes())
}
