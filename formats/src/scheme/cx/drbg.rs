//! CTR_DRBG with derivation function (NIST SP 800-90A §10.2.1 and §10.3.2), as CX uses it: no
//! reseeding, no additional input, no prediction resistance.

use aes::{
    Block,
    cipher::{BlockCipherEncrypt, Key, KeyInit, KeySizeUser, consts::U16},
};
use alloc::{vec, vec::Vec};
use core::{array, iter, mem::ManuallyDrop};

/// An AES block, in bytes.
const BLOCK: usize = 16;

/// The generator's state: a key, and the last counter used under it (128 bits, big-endian).
///
/// `N` is the AES blocks that one identifier costs: the identifier, the next key (one block or
/// two) and the next counter.
pub(super) struct Drbg<C: KeySizeUser, const N: usize> {
    pub(super) key: Key<C>,
    pub(super) counter: u128,
}

impl<C, const N: usize> Drbg<C, N>
where
    C: BlockCipherEncrypt<BlockSize = U16> + KeyInit,
{
    /// Starts a generator. `seed` is entropy and nonce together; neither input may be longer than
    /// a few kilobytes, which the callers see to.
    pub(super) fn instantiate(seed: &[u8], personalization: &[u8]) -> Self {
        let material = Self::derive(seed, personalization);
        let mut zero = Self::from_bytes(&[]);
        // The state takes 2 or 3 blocks; the counter is replaced, so that a block too many is no harm.
        let stream: [Block; 3] = zero.keystream(&C::new(&zero.key.clone()));
        let state: Vec<u8> = iter::zip(stream.iter().flatten(), material)
            .map(|(stream, material)| stream ^ material)
            .collect();
        Self::from_bytes(&state)
    }

    /// Generates 16 bytes.
    #[inline]
    pub(super) fn next_block(&mut self) -> [u8; BLOCK] {
        // Wiping the round keys costs more than making them. Not needed: what they belong to is
        // published, or lies beside them in memory as the generator's state.
        let cipher = ManuallyDrop::new(C::new(&self.key));
        let blocks: [Block; N] = self.keystream(&cipher);
        let [output, key @ .., counter] = blocks.as_slice() else {
            unreachable!("N is 3 or 4");
        };
        for (old, new) in iter::zip(self.key.chunks_exact_mut(BLOCK), key) {
            old.copy_from_slice(new);
        }
        self.counter = u128::from_be_bytes((*counter).into());
        (*output).into()
    }

    /// Generates up to 48 bytes, once: the state is not moved on.
    pub(super) fn generate<const BYTES: usize>(mut self) -> [u8; BYTES] {
        let stream: [Block; 3] = self.keystream(&C::new(&self.key.clone()));
        let mut stream = stream.iter().flatten();
        array::from_fn(|_| *stream.next().expect("a seed has at most 48 bytes"))
    }

    /// The next `BLOCKS` blocks of AES in counter mode.
    #[inline]
    fn keystream<const BLOCKS: usize>(&mut self, cipher: &C) -> [Block; BLOCKS] {
        let mut blocks = array::from_fn(|_| {
            self.counter = self.counter.wrapping_add(1);
            self.counter.to_be_bytes().into()
        });
        cipher.encrypt_blocks(&mut blocks);
        blocks
    }

    /// Key, then counter; what is missing is zero.
    fn from_bytes(bytes: &[u8]) -> Self {
        let mut key = Key::<C>::default();
        let mut counter = [0; BLOCK];
        for (to, from) in iter::zip(key.iter_mut().chain(&mut counter), bytes) {
            *to = *from;
        }
        let counter = u128::from_be_bytes(counter);
        Self { key, counter }
    }

    /// Spreads the inputs over as many bytes as the state has (`Block_Cipher_df`).
    fn derive(seed: &[u8], personalization: &[u8]) -> Vec<u8> {
        let state_len = C::key_size() + BLOCK;
        let text = padded(&[seed, personalization], state_len);

        let mut fixed_key = Key::<C>::default();
        for (byte, number) in iter::zip(&mut fixed_key, 0..) {
            *byte = number;
        }
        let fixed = C::new(&fixed_key);
        let mut mixed = Vec::with_capacity(state_len);
        for number in (0_u32..).take(state_len / BLOCK) {
            let mut head = [0; BLOCK];
            for (to, from) in iter::zip(&mut head, number.to_be_bytes()) {
                *to = from;
            }
            mixed.extend(chain(&fixed, &head, &text));
        }

        let Self { key, counter } = Self::from_bytes(&mixed);
        let cipher = C::new(&key);
        let mut block: Block = counter.to_be_bytes().into();
        let mut material = Vec::with_capacity(state_len);
        while material.len() < state_len {
            cipher.encrypt_block(&mut block);
            material.extend(block);
        }
        material
    }
}

/// Lengths, inputs, the byte 80 and zeros up to a whole block.
fn padded(inputs: &[&[u8]], output_len: usize) -> Vec<u8> {
    let input_len: usize = inputs.iter().map(|input| input.len()).sum();
    let mut text = Vec::with_capacity(input_len + 2 * BLOCK);
    for len in [input_len, output_len] {
        let len = u32::try_from(len).expect("inputs and state are a few kilobytes at most");
        text.extend(len.to_be_bytes());
    }
    for input in inputs {
        text.extend_from_slice(input);
    }
    text.push(0x80);
    text.extend(vec![0; text.len().next_multiple_of(BLOCK) - text.len()]);
    text
}

/// CBC-MAC of `head` and `text`, both whole blocks (`BCC`).
fn chain<C>(cipher: &C, head: &[u8; BLOCK], text: &[u8]) -> Block
where
    C: BlockCipherEncrypt<BlockSize = U16>,
{
    let mut value = Block::default();
    for block in iter::once(head.as_slice()).chain(text.chunks_exact(BLOCK)) {
        for (value, byte) in iter::zip(&mut value, block) {
            *value ^= byte;
        }
        cipher.encrypt_block(&mut value);
    }
    value
}
