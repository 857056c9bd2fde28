//! Both generators in the AES instructions of x86-64 (AES-NI): the one file with `unsafe`.
//!
//! An identifier takes a fresh key, so making round keys is most of the work. Here they are made
//! in registers, each just before its round: `aesenclast` of a word copied to all four columns is
//! `SubWord`, because `ShiftRows` moves nothing then (`aeskeygenassist` does the same and is slow).
//! One round key needs the one before it; [`LANES`] seeds go side by side to fill these waits.
//!
//! Source: FIPS 197 §5.2 (key schedule); NIST SP 800-90A §10.2.1; spec §7.1.1.
#![expect(
    unsafe_code,
    reason = "processor instructions; see the argument at each use and decision 11"
)]

use super::identifier::{RANDOM_BITS, UUID_BITS};
use core::{
    arch::x86_64::{
        __m128i, _mm_add_epi64, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_and_si128,
        _mm_cmpeq_epi64, _mm_loadu_si128, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi32,
        _mm_setzero_si128, _mm_shuffle_epi8, _mm_slli_si128, _mm_storeu_si128, _mm_sub_epi64,
        _mm_xor_si128,
    },
    iter,
};

/// Seeds that are expanded side by side. With four, the units that run these instructions are
/// busy; more find no registers.
pub(super) const LANES: usize = 4;

/// An AES block, in bytes.
type Bytes = [u8; 16];

cpufeatures::new!(cpu, "aes", "sse4.1");

/// Proof that this processor has AES and SSE 4.1: only [`detect`](Self::detect) makes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct AesNi(());

/// A generator between two identifiers: the key in one block or two, and the last counter.
#[derive(Clone, Copy)]
pub(super) struct State<const K: usize> {
    pub(super) key: [Bytes; K],
    pub(super) counter: Bytes,
}

impl<const K: usize> State<K> {
    pub(super) const ZERO: Self = Self {
        key: [[0; 16]; K],
        counter: [0; 16],
    };
}

impl AesNi {
    /// Asks the processor, once a process.
    pub(super) fn detect() -> Option<Self> {
        cpu::get().then_some(Self(()))
    }

    /// Writes the next identifiers of four seeds of type 1, a row of `out` at a time.
    pub(super) fn cx1(self, states: &mut [State<1>; LANES], out: &mut [[Bytes; LANES]]) {
        // SAFETY: `self` exists, so `detect` found the features that `cx1` is compiled for.
        unsafe { cx1(states, out) }
    }

    /// Writes the next identifiers of four seeds of type 2, a row of `out` at a time.
    pub(super) fn cx2(self, states: &mut [State<2>; LANES], out: &mut [[Bytes; LANES]]) {
        // SAFETY: `self` exists, so `detect` found the features that `cx2` is compiled for.
        unsafe { cx2(states, out) }
    }
}

/// A generator in registers. `N` is the blocks that an identifier costs: itself, the next key, the
/// next counter.
#[derive(Clone, Copy)]
struct Lane<const K: usize, const N: usize> {
    key: [__m128i; K],
    counter: __m128i,
    blocks: [__m128i; N],
}

#[target_feature(enable = "aes,sse4.1")]
fn cx1(states: &mut [State<1>; LANES], out: &mut [[Bytes; LANES]]) {
    let mut lanes = states.map(Lane::load);
    for row in out {
        for lane in &mut lanes {
            let [key] = lane.key;
            lane.count();
            add_key(&mut lane.blocks, key);
        }
        for constant in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1b] {
            for lane in &mut lanes {
                let [key] = lane.key;
                let key = next_key(key, mixed_word(key, constant));
                round(&mut lane.blocks, key);
                lane.key = [key];
            }
        }
        for (lane, to) in iter::zip(&mut lanes, row) {
            let [key] = lane.key;
            last_round(&mut lane.blocks, next_key(key, mixed_word(key, 0x36)));
            let [output, key, counter] = lane.blocks;
            (lane.key, lane.counter) = ([key], counter);
            *to = marked(output);
        }
    }
    *states = lanes.map(Lane::save);
}

#[target_feature(enable = "aes,sse4.1")]
fn cx2(states: &mut [State<2>; LANES], out: &mut [[Bytes; LANES]]) {
    let mut lanes = states.map(Lane::load);
    for row in out {
        for lane in &mut lanes {
            let [even, odd] = lane.key;
            lane.count();
            add_key(&mut lane.blocks, even);
            round(&mut lane.blocks, odd);
        }
        for constant in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20] {
            for lane in &mut lanes {
                let [even, odd] = lane.key;
                let even = next_key(even, mixed_word(odd, constant));
                round(&mut lane.blocks, even);
                let odd = next_key(odd, plain_word(even));
                round(&mut lane.blocks, odd);
                lane.key = [even, odd];
            }
        }
        for (lane, to) in iter::zip(&mut lanes, row) {
            let [even, odd] = lane.key;
            last_round(&mut lane.blocks, next_key(even, mixed_word(odd, 0x40)));
            let [output, even, odd, counter] = lane.blocks;
            (lane.key, lane.counter) = ([even, odd], counter);
            *to = marked(output);
        }
    }
    *states = lanes.map(Lane::save);
}

impl<const K: usize, const N: usize> Lane<K, N> {
    fn load(state: State<K>) -> Self {
        let counter = load(state.counter);
        Self {
            key: state.key.map(load),
            counter,
            blocks: [counter; N],
        }
    }

    fn save(self) -> State<K> {
        State {
            key: self.key.map(store),
            counter: store(self.counter),
        }
    }

    /// Fills the blocks with the counters that follow.
    #[inline]
    #[target_feature(enable = "aes,sse4.1")]
    fn count(&mut self) {
        let one = _mm_set_epi64x(0, 1);
        let mut number = reversed(self.counter);
        for block in &mut self.blocks {
            let sum = _mm_add_epi64(number, one);
            // All ones where a half became zero; that of the low half moves to the high one, where
            // taking away -1 is the carry.
            let zero = _mm_cmpeq_epi64(sum, _mm_setzero_si128());
            number = _mm_sub_epi64(sum, _mm_slli_si128::<8>(zero));
            *block = reversed(number);
        }
    }
}

/// From big-endian to the order of the processor, and back.
#[inline]
#[target_feature(enable = "aes,sse4.1")]
fn reversed(block: __m128i) -> __m128i {
    let order = _mm_set_epi64x(0x0001_0203_0405_0607, 0x0809_0a0b_0c0d_0e0f);
    _mm_shuffle_epi8(block, order)
}

#[inline]
#[target_feature(enable = "aes,sse4.1")]
fn add_key<const N: usize>(blocks: &mut [__m128i; N], key: __m128i) {
    for block in blocks {
        *block = _mm_xor_si128(*block, key);
    }
}

#[inline]
#[target_feature(enable = "aes,sse4.1")]
fn round<const N: usize>(blocks: &mut [__m128i; N], key: __m128i) {
    for block in blocks {
        *block = _mm_aesenc_si128(*block, key);
    }
}

#[inline]
#[target_feature(enable = "aes,sse4.1")]
fn last_round<const N: usize>(blocks: &mut [__m128i; N], key: __m128i) {
    for block in blocks {
        *block = _mm_aesenclast_si128(*block, key);
    }
}

/// `SubWord(RotWord(w)) XOR Rcon` in each column, `w` being the last word of a round key.
#[inline]
#[target_feature(enable = "aes,sse4.1")]
fn mixed_word(key: __m128i, constant: i32) -> __m128i {
    let words = _mm_shuffle_epi8(key, _mm_set1_epi32(0x0c0f_0e0d));
    _mm_aesenclast_si128(words, _mm_set1_epi32(constant))
}

/// `SubWord(w)` in each column, `w` being the last word of a round key.
#[inline]
#[target_feature(enable = "aes,sse4.1")]
fn plain_word(key: __m128i) -> __m128i {
    let words = _mm_shuffle_epi8(key, _mm_set1_epi32(0x0f0e_0d0c));
    _mm_aesenclast_si128(words, _mm_setzero_si128())
}

/// The round key that follows `key` (for AES-256 the next but one): each word is the word before
/// it XOR the one at its place in `key`, and the first takes `word` for the one before it.
#[inline]
#[target_feature(enable = "aes,sse4.1")]
fn next_key(key: __m128i, word: __m128i) -> __m128i {
    let key = _mm_xor_si128(key, _mm_slli_si128::<4>(key));
    let key = _mm_xor_si128(key, _mm_slli_si128::<8>(key));
    _mm_xor_si128(key, word)
}

/// An identifier: the output with the marks of a UUID.
#[inline]
#[target_feature(enable = "aes,sse4.1")]
fn marked(output: __m128i) -> Bytes {
    let random = _mm_and_si128(output, load(RANDOM_BITS.to_be_bytes()));
    store(_mm_or_si128(random, load(UUID_BITS.to_be_bytes())))
}

#[inline]
fn load(bytes: Bytes) -> __m128i {
    // SAFETY: SSE2 is part of x86-64, the pointer is that of 16 bytes, and need not be aligned.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
fn store(block: __m128i) -> Bytes {
    let mut bytes = Bytes::default();
    // SAFETY: SSE2 is part of x86-64, the pointer is that of 16 bytes, and need not be aligned.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), block) };
    bytes
}
