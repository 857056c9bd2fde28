//! Work that checks itself: what `bellwether bench cx` and the benchmarks run.

use super::{Generator, Seed, expand};
use alloc::vec::Vec;
use sha2::{Digest, Sha512};

/// Seeds made before they are expanded, so that making them needs little memory.
const SEEDS_AT_ONCE: usize = 64;

/// The `number`th seed of the benchmark (from 0): SHA-512 of `"cx-bench"`, the generator's type
/// as u32 and `number` as u64, both big-endian, cut to the seed's length.
///
/// Source: spec §7.1.6.
pub fn bench_seed(generator: Generator, number: u64) -> Seed {
    let mut hash = Sha512::new();
    hash.update(b"cx-bench");
    hash.update(u32::from(generator.code()).to_be_bytes());
    hash.update(number.to_be_bytes());
    let mut hash = hash.finalize().into_iter();
    let mut next = |_| {
        hash.next()
            .expect("a hash of 64 bytes is longer than a seed")
    };
    match generator {
        Generator::Aes128 => Seed::Aes128(core::array::from_fn(&mut next)),
        Generator::Aes256 => Seed::Aes256(core::array::from_fn(&mut next)),
    }
}

/// XOR of all identifiers of the first `seeds` benchmark seeds.
///
/// Equal for every right implementation, and not computable without making each identifier.
pub fn bench_checksum(generator: Generator, seeds: u64) -> [u8; 16] {
    let mut checksum = 0;
    let mut numbers = 0..seeds;
    loop {
        let group: Vec<u8> = numbers
            .by_ref()
            .take(SEEDS_AT_ONCE)
            .flat_map(|number| bench_seed(generator, number).as_bytes().to_vec())
            .collect();
        if group.is_empty() {
            return u128::to_be_bytes(checksum);
        }
        expand(generator, &group, |_, _, identifier| {
            checksum ^= identifier.number();
        })
        .expect("the group is made of whole seeds");
    }
}
