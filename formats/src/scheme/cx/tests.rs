//! What needs the inside of the generator, and what vectors do not show.

extern crate std;

use super::*;
use aes::{
    Aes128Enc,
    cipher::{BlockCipherEncrypt, KeyInit},
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use data_encoding::HEXLOWER;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// The part of the vectors that shows the generator's state.
#[derive(serde::Deserialize)]
struct Vectors {
    generator: Vec<GeneratorVector>,
}

#[derive(serde::Deserialize)]
struct GeneratorVector {
    generator_type: u64,
    seed: String,
    drbg_state_after_instantiate: StateVector,
    raw_output_1_before_uuid_bits: String,
}

#[derive(serde::Deserialize)]
struct StateVector {
    key: String,
    v: String,
}

#[test]
fn the_state_after_instantiation_and_the_first_output_are_those_of_the_vectors() {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../../../spec/vectors/schemes/cx.json")).unwrap();
    assert_eq!(vectors.generator.len(), 4);
    for vector in vectors.generator {
        let seed = HEXLOWER.decode(vector.seed.as_bytes()).unwrap();
        let (key, counter, output) = match Generator::from_code(vector.generator_type).unwrap() {
            Generator::Aes128 => {
                let mut drbg = Drbg128::instantiate(&seed, &[]);
                (drbg.key.to_vec(), drbg.counter, drbg.next_block())
            }
            Generator::Aes256 => {
                let mut drbg = Drbg256::instantiate(&seed, &[]);
                (drbg.key.to_vec(), drbg.counter, drbg.next_block())
            }
        };
        let state = vector.drbg_state_after_instantiate;
        assert_eq!(HEXLOWER.encode(&key), state.key);
        assert_eq!(HEXLOWER.encode(&counter.to_be_bytes()), state.v);
        assert_eq!(
            HEXLOWER.encode(&output),
            vector.raw_output_1_before_uuid_bits
        );
    }
}

#[test]
fn the_counter_wraps_at_128_bits() {
    let mut drbg = Drbg128 {
        key: [7; 16].into(),
        counter: u128::MAX,
    };
    let mut expected = aes::Block::default();
    Aes128Enc::new(&[7; 16].into()).encrypt_block(&mut expected);
    assert_eq!(drbg.next_block(), <[u8; 16]>::from(expected));
}

/// Both ways to make identifiers; the same one twice where there is one only.
const ENGINES: [fn() -> Engine; 2] = [|| Engine::PORTABLE, Engine::fastest];

/// Some seeds, and all in one.
fn some(generator: Generator, count: u64) -> (Vec<Seed>, Vec<u8>) {
    let seeds: Vec<Seed> = (0..count)
        .map(|number| bench_seed(generator, number))
        .collect();
    let joined = seeds
        .iter()
        .flat_map(|seed| seed.as_bytes().to_vec())
        .collect();
    (seeds, joined)
}

/// What an engine makes of `count` seeds, by seed; the indexes are in order.
fn expanded(engine: Engine, generator: Generator, joined: &[u8]) -> Vec<Vec<Identifier>> {
    let mut found = alloc::vec![Vec::new(); joined.len() / generator.seed_len()];
    let sink = |seed: usize, index, identifier| {
        found[seed].push(identifier);
        assert_eq!(found[seed].len(), index);
    };
    engine.expand(generator, joined, sink).unwrap();
    found
}

/// Up to nine seeds: two groups of four that go side by side, with every number of lanes left over.
#[test]
fn expanding_many_seeds_is_expanding_each() {
    for generator in [Generator::Aes128, Generator::Aes256] {
        let alone: Vec<Vec<Identifier>> = (some(generator, 9).0.iter())
            .map(|seed| seed.identifiers().collect())
            .collect();
        for (engine, count) in ENGINES
            .iter()
            .flat_map(|engine| (0..=9).map(move |n| (engine(), n)))
        {
            let (_, joined) = some(generator, count);
            let found = expanded(engine, generator, &joined);
            assert!(
                found.iter().eq(alone.iter().take(found.len())),
                "{count} seeds, {}",
                engine.name()
            );
        }
    }
}

#[test]
fn every_engine_comes_to_the_checksum_of_the_benchmark() {
    for (generator, checksum) in [
        (Generator::Aes128, 0x3a22_7b1d_102a_0943_1690_6e04_707d_1351),
        (Generator::Aes256, 0xf5e2_c96e_a27d_099a_1114_7e51_29bb_15a3),
    ] {
        let (_, joined) = some(generator, 200);
        for engine in ENGINES.map(|engine| engine()) {
            let mut sum = 0;
            (engine.expand(generator, &joined, |_, _, id| sum ^= id.number())).unwrap();
            assert_eq!(sum, checksum, "{}", engine.name());
        }
    }
}

/// Or the tests of the fast path would test the portable one.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_fast_path_is_taken_where_the_processor_has_it() {
    let has = std::is_x86_feature_detected!("aes") && std::is_x86_feature_detected!("sse4.1");
    assert_eq!(Engine::fastest().name() == "aes-ni", has);
}

/// Counters that no seed is known for: a carry over 64 bits, over all 128, and none.
#[cfg(target_arch = "x86_64")]
#[test]
fn the_fast_path_carries_as_the_portable_one() {
    use super::aesni::{AesNi, LANES, State};
    let Some(aes) = AesNi::detect() else { return };
    let half = u128::from(u64::MAX);
    for down in 0..6 {
        let counters: [u128; LANES] = [
            u128::MAX - down,
            half - down,
            (7 << 64) | (half - down),
            (half << 64) + down,
        ];
        let key = |byte| [[byte; 16], [byte ^ 0x55; 16]];
        let mut of_one = counters.map(|counter| State {
            key: [[9; 16]],
            counter: counter.to_be_bytes(),
        });
        let mut of_two = counters.map(|counter| State {
            key: key(3),
            counter: counter.to_be_bytes(),
        });
        let [mut ones, mut twos] = [[[[0; 16]; LANES]; 3]; 2];
        aes.cx1(&mut of_one, &mut ones);
        aes.cx2(&mut of_two, &mut twos);
        for (lane, counter) in counters.into_iter().enumerate() {
            let mut one = Drbg128 {
                key: [9; 16].into(),
                counter,
            };
            let mut two = Drbg256 {
                key: <[u8; 32]>::try_from(key(3).as_flattened()).unwrap().into(),
                counter,
            };
            for (ones, twos) in ones.iter().zip(&twos) {
                let [one, two] = [one.next_block(), two.next_block()].map(Identifier::from_random);
                assert_eq!(ones[lane], *one.as_bytes());
                assert_eq!(twos[lane], *two.as_bytes());
            }
            assert_eq!(of_one[lane].counter, one.counter.to_be_bytes());
            assert_eq!(of_one[lane].key.as_flattened(), one.key.as_slice());
            assert_eq!(of_two[lane].counter, two.counter.to_be_bytes());
            assert_eq!(of_two[lane].key.as_flattened(), two.key.as_slice());
        }
    }
}

#[test]
fn seeds_that_are_not_whole_are_refused_before_any_work() {
    for (generator, unit) in [(Generator::Aes128, 24), (Generator::Aes256, 48)] {
        for found in [1, unit - 1, unit + 1, 3 * unit - 1] {
            let bytes = alloc::vec![0; found];
            let refused = expand(generator, &bytes, |_, _, _| panic!("nothing to give"));
            assert_eq!(refused, Err(CxError::SeedLength { found, unit }));
        }
        expand(generator, &[], |_, _, _| panic!("nothing to give")).unwrap();
    }
}

#[test]
fn matching_finds_every_wanted_identifier_and_no_other() {
    for generator in [Generator::Aes128, Generator::Aes256] {
        let (seeds, joined) = some(generator, 5);
        let wanted: Vec<(usize, usize, Identifier)> =
            [(0, 1), (0, 2048), (3, 1000), (4, 1), (4, 2)]
                .map(|(seed, index)| {
                    (
                        seed,
                        index,
                        seeds[seed].identifiers().nth(index - 1).unwrap(),
                    )
                })
                .into();
        let strangers = bench_seed(generator, 99);
        // One that differs from a wanted one in its last bit only.
        let mut near = *seeds[1].identifiers().next().unwrap().as_bytes();
        near[15] ^= 1;
        let ids = WantedIds::new(
            (wanted.iter().map(|(.., id)| *id))
                .chain(strangers.identifiers())
                .chain([Identifier::from_bytes(near)]),
        );

        let mut found = Vec::new();
        matches(generator, &joined, &ids, &mut |seed, index, id| {
            found.push((seed, index, id));
        })
        .unwrap();
        found.sort();
        assert_eq!(found, wanted);
    }
}

#[test]
fn nothing_wanted_is_never_found() {
    let ids = WantedIds::new([]);
    assert!(ids.is_empty());
    assert!(!ids.contains(Identifier::from_bytes([0; 16])));
    assert!(!ids.contains(Identifier::from_bytes([0xff; 16])));
}

/// 100,000 identifiers with a common prefix: quadratic work would not end.
#[test]
fn a_common_prefix_costs_nothing() {
    let number = |number: u32| {
        let mut bytes = [0xab; 16];
        bytes[12..].copy_from_slice(&number.to_be_bytes());
        Identifier::from_bytes(bytes)
    };
    let ids = WantedIds::new((0..100_000).chain(0..100_000).map(number));
    assert_eq!(ids.len(), 100_000);
    assert!((0..100_000).all(|wanted| ids.contains(number(wanted))));
    assert!((100_000..200_000).all(|other| !ids.contains(number(other))));
}

#[test]
fn a_seed_does_not_show_itself() {
    let seed = Seed::new(Generator::Aes128, &[0xab; 24]).unwrap();
    assert_eq!(format!("{seed:?}"), "Seed(Aes128)");
    assert_eq!(
        format!("{:?}", seed.identifiers()),
        "Identifiers(2048 left)"
    );
}

#[test]
fn an_identifier_has_two_spellings_and_prints_one() {
    let text = "aeaa0891-03d8-400c-beb0-046a2dab8522";
    let id: Identifier = text.parse().unwrap();
    assert_eq!(id.to_string(), text);
    for other in [
        "aeaa089103d8400cbeb0046a2dab8522",
        "AEAA089103D8400CBEB0046A2DAB8522",
        "AEAA0891-03d8-400C-beb0-046A2DAB8522",
    ] {
        assert_eq!(other.parse(), Ok(id));
    }
    for (broken, error) in [
        ("", ParseIdentifierError::Length { found: 0 }),
        ("aeaa0891", ParseIdentifierError::Length { found: 8 }),
        (
            "{aeaa0891-03d8-400c-beb0-046a2dab8522}",
            ParseIdentifierError::Length { found: 38 },
        ),
        (
            "aeaa089-103d8-400c-beb0-046a2dab8522",
            ParseIdentifierError::NotHex,
        ),
        (
            "aeaa0891-03d8-400c-beb0-046a2dab852g",
            ParseIdentifierError::NotHex,
        ),
        (
            "aeaa0891-03d8-400c-beb0+046a2dab8522",
            ParseIdentifierError::NotHex,
        ),
        (
            "-eaa089103d8400cbeb0046a2dab8522",
            ParseIdentifierError::NotHex,
        ),
        (
            "aeaa0891-03d8-400c-beb0-046a2dab85é",
            ParseIdentifierError::NotHex,
        ),
    ] {
        assert_eq!(broken.parse::<Identifier>(), Err(error), "{broken}");
    }
}

proptest! {
    #[test]
    fn engines_agree_on_any_seeds(
        generator in prop_oneof![Just(Generator::Aes128), Just(Generator::Aes256)],
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        bytes.truncate(bytes.len() / generator.seed_len() * generator.seed_len());
        let [portable, fast] = ENGINES.map(|engine| expanded(engine(), generator, &bytes));
        prop_assert!(portable == fast);
    }

    #[test]
    fn identifiers_round_trip(bytes: [u8; 16]) {
        let id = Identifier::from_bytes(bytes);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[0-9a-fA-F-]{30,38}|.{0,40}") {
        if let Ok(id) = text.parse::<Identifier>() {
            let plain = text.to_ascii_lowercase().replace('-', "");
            prop_assert_eq!(plain, id.to_string().replace('-', ""));
        }
    }

    /// Some hundreds, with and without common first and last bytes, answer as a plain set does.
    #[test]
    fn wanted_is_a_set(
        prefix in 0_usize..8,
        suffix in 9_usize..=16,
        wanted in proptest::collection::vec(any::<[u8; 16]>(), 0..300),
        asked in proptest::collection::vec(any::<[u8; 16]>(), 0..100),
    ) {
        let same = |mut bytes: [u8; 16]| {
            bytes[..prefix].fill(0x5a);
            bytes[suffix..].fill(0xa5);
            Identifier::from_bytes(bytes)
        };
        let plain: BTreeSet<Identifier> = wanted.into_iter().map(same).collect();
        let ids = WantedIds::new(plain.iter().copied());
        prop_assert_eq!(ids.len(), plain.len());
        for id in plain.iter().copied().chain(asked.into_iter().map(same)) {
            prop_assert_eq!(ids.contains(id), plain.contains(&id));
        }
    }
}
