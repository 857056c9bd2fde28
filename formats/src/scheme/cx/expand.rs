//! Many seeds at once, by the fastest means that the machine has.

#[cfg(target_arch = "x86_64")]
use super::aesni::{AesNi, LANES, State};
use super::{CxError, Generator, Identifier, drbg::Drbg};
use crate::scheme::WantedIds;
use aes::{
    Aes128Enc, Aes256Enc,
    cipher::{BlockCipherEncrypt, KeyInit, consts::U16},
};

/// What makes identifiers out of seeds. All engines make the same.
#[derive(Clone, Copy, Debug)]
pub struct Engine(Kind);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    AesNi(AesNi),
}

impl Engine {
    /// The `aes` crate, on every processor. (It uses AES instructions as well, on ARMv8 too, which
    /// most phones are; there it is the only engine yet.)
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The fastest engine of this machine.
    pub fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(aes) = AesNi::detect() {
            return Self(Kind::AesNi(aes));
        }
        Self::PORTABLE
    }

    /// A name, for people.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::AesNi(_) => "aes-ni",
        }
    }

    /// [`expand`] by this engine.
    ///
    /// # Errors
    ///
    /// As [`expand`].
    pub fn expand(
        self,
        generator: Generator,
        seeds: &[u8],
        sink: impl FnMut(usize, usize, Identifier),
    ) -> Result<(), CxError> {
        let unit = generator.seed_len();
        if !seeds.len().is_multiple_of(unit) {
            let found = seeds.len();
            return Err(CxError::SeedLength { found, unit });
        }
        match (self.0, generator) {
            (Kind::Portable, Generator::Aes128) => one_by_one::<Aes128Enc, 3>(unit, seeds, sink),
            (Kind::Portable, Generator::Aes256) => one_by_one::<Aes256Enc, 4>(unit, seeds, sink),
            #[cfg(target_arch = "x86_64")]
            (Kind::AesNi(aes), Generator::Aes128) => {
                side_by_side(
                    unit,
                    seeds,
                    start::<Aes128Enc, 1, 3>,
                    |s, o| aes.cx1(s, o),
                    sink,
                );
            }
            #[cfg(target_arch = "x86_64")]
            (Kind::AesNi(aes), Generator::Aes256) => {
                side_by_side(
                    unit,
                    seeds,
                    start::<Aes256Enc, 2, 4>,
                    |s, o| aes.cx2(s, o),
                    sink,
                );
            }
        }
        Ok(())
    }
}

/// Gives every identifier of every seed to `sink(seed, index, identifier)`.
///
/// `seeds` are concatenated, as in a body; `seed` counts them from 0, `index` from 1 to
/// [`Generator::MAX_IDENTIFIERS`]. A seed's identifiers come in order; those of different seeds may
/// come interleaved. Memory does not grow with the number of seeds.
///
/// # Errors
///
/// [`CxError::SeedLength`] if `seeds` are not whole seeds; `sink` is not called then.
pub fn expand(
    generator: Generator,
    seeds: &[u8],
    sink: impl FnMut(usize, usize, Identifier),
) -> Result<(), CxError> {
    Engine::fastest().expand(generator, seeds, sink)
}

/// Finds the identifiers of many seeds among those that a device observed.
///
/// Calls `hit(seed, index, identifier)` with the numbers of [`expand`], in no particular order.
/// The cost hardly depends on `wanted`: almost every identifier is dismissed by one look into a
/// bitmap. (`hit` is rarely called, and not a type parameter, so that this is compiled here, with
/// this crate's optimisation.)
///
/// # Errors
///
/// [`CxError::SeedLength`] if `seeds` are not whole seeds.
pub fn matches(
    generator: Generator,
    seeds: &[u8],
    wanted: &WantedIds,
    hit: &mut dyn FnMut(usize, usize, Identifier),
) -> Result<(), CxError> {
    expand(generator, seeds, |seed, index, identifier| {
        if wanted.contains(identifier) {
            hit(seed, index, identifier);
        }
    })
}

/// One seed after another, with one cipher; a seed has `unit` bytes.
///
/// Side by side was tried and gained little, because here the round keys go through memory.
fn one_by_one<C, const N: usize>(
    unit: usize,
    seeds: &[u8],
    mut sink: impl FnMut(usize, usize, Identifier),
) where
    C: BlockCipherEncrypt<BlockSize = U16> + KeyInit,
{
    for (number, seed) in seeds.chunks_exact(unit).enumerate() {
        let mut drbg = Drbg::<C, N>::instantiate(seed, &[]);
        for index in 1..=Generator::MAX_IDENTIFIERS {
            sink(number, index, Identifier::from_random(drbg.next_block()));
        }
    }
}

/// Rows of identifiers that are made before the sink gets them: 2 KiB, which stay in the nearest
/// cache, and enough that the generators' way to and from the registers does not count.
#[cfg(target_arch = "x86_64")]
const ROWS: usize = 32;

/// A group of seeds after another, those of a group side by side.
///
/// In the last group, seeds may be missing; their lanes run idle and are not shown.
#[cfg(target_arch = "x86_64")]
fn side_by_side<const K: usize>(
    unit: usize,
    seeds: &[u8],
    start: impl Fn(&[u8]) -> State<K>,
    step: impl Fn(&mut [State<K>; LANES], &mut [[[u8; 16]; LANES]]),
    mut sink: impl FnMut(usize, usize, Identifier),
) {
    let mut rows = [[[0; 16]; LANES]; ROWS];
    let mut states = [State::ZERO; LANES];
    for (group, seeds) in seeds.chunks(unit * LANES).enumerate() {
        let numbers = (group * LANES..).take(seeds.len() / unit);
        for (state, seed) in states.iter_mut().zip(seeds.chunks_exact(unit)) {
            *state = start(seed);
        }
        for before in (0..Generator::MAX_IDENTIFIERS).step_by(ROWS) {
            step(&mut states, &mut rows);
            for (index, row) in (before + 1..).zip(&rows) {
                for (seed, bytes) in numbers.clone().zip(row) {
                    sink(seed, index, Identifier::from_bytes(*bytes));
                }
            }
        }
    }
}

/// The state that a seed starts with.
#[cfg(target_arch = "x86_64")]
fn start<C, const K: usize, const N: usize>(seed: &[u8]) -> State<K>
where
    C: BlockCipherEncrypt<BlockSize = U16> + KeyInit,
{
    let drbg = Drbg::<C, N>::instantiate(seed, &[]);
    let mut state = State::ZERO;
    for (to, from) in state.key.as_flattened_mut().iter_mut().zip(&drbg.key) {
        *to = *from;
    }
    state.counter = drbg.counter.to_be_bytes();
    state
}
