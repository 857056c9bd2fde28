//! Asking two relays for a chunk so that neither learns which one. Source: spec §5.8.
//!
//! One is sent a random subset of a body's chunks, the other the same subset with the wanted chunk
//! flipped; each answers with the XOR of the chunks it was asked for, and the XOR of the answers is
//! the chunk.

use alloc::vec::Vec;

use crate::error::rules;

/// A subset of a body's chunks.
///
/// Chunk i is bit i mod 8 (least significant first) of byte i / 8; the bits after the last chunk
/// are 0.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mask {
    bytes: Vec<u8>,
    chunks: usize,
}

impl Mask {
    /// Length of a mask of so many chunks, in bytes.
    pub const fn len_of(chunks: usize) -> usize {
        chunks.div_ceil(8)
    }

    /// Reads a mask of `chunks` chunks, which must fill `bytes`.
    ///
    /// # Errors
    ///
    /// [`PirError::Mask`] for another length, and for bits after the last chunk.
    pub fn decode(bytes: &[u8], chunks: usize) -> Result<Self, PirError> {
        let mask = Self::of_bytes(bytes, chunks)?;
        if mask.bytes != bytes {
            return Err(PirError::Mask);
        }
        Ok(mask)
    }

    /// Makes a mask of [`len_of`](Self::len_of) random bytes: bits after the last chunk are cleared.
    ///
    /// # Errors
    ///
    /// [`PirError::Mask`] for another length.
    pub fn of_bytes(bytes: &[u8], chunks: usize) -> Result<Self, PirError> {
        if bytes.len() != Self::len_of(chunks) {
            return Err(PirError::Mask);
        }
        let mut bytes = bytes.to_vec();
        if let (Some(last), spare @ 1..) = (bytes.last_mut(), chunks.next_multiple_of(8) - chunks) {
            *last &= 0xff >> spare;
        }
        Ok(Self { bytes, chunks })
    }

    /// The mask with chunk `number` in if it was out, out if it was in: the other half of a query
    /// for that chunk.
    ///
    /// # Errors
    ///
    /// [`PirError::Chunk`] if there is no such chunk.
    pub fn flipped(&self, number: usize) -> Result<Self, PirError> {
        let mut flipped = self.clone();
        match flipped.bytes.get_mut(number / 8) {
            Some(byte) if number < self.chunks => *byte ^= 1 << (number % 8),
            _ => {
                let chunks = self.chunks;
                return Err(PirError::Chunk { number, chunks });
            }
        }
        Ok(flipped)
    }

    /// The numbers of the chunks in it, ascending.
    pub fn chosen(&self) -> impl Iterator<Item = usize> + '_ {
        let bytes = self.bytes.iter().enumerate();
        bytes.flat_map(|(at, byte)| {
            let bits = (0..8).filter(move |bit| byte >> bit & 1 == 1);
            bits.map(move |bit| at * 8 + bit)
        })
    }

    /// How many chunks the body has.
    pub const fn chunks(&self) -> usize {
        self.chunks
    }

    /// The bytes, as on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Takes a chunk into an answer, which begins as zeros. So a server needs one chunk at a time.
///
/// # Errors
///
/// [`PirError::Length`] if the two are not equally long; the answer is then as it was.
pub fn xor_into(answer: &mut [u8], chunk: &[u8]) -> Result<(), PirError> {
    let (found, expected) = (chunk.len(), answer.len());
    if found != expected {
        return Err(PirError::Length { found, expected });
    }
    for (byte, other) in answer.iter_mut().zip(chunk) {
        *byte ^= other;
    }
    Ok(())
}

/// The chunk that was asked for, from the answers to the two halves. Whether it is the right one,
/// its CID decides.
///
/// # Errors
///
/// [`PirError::Length`] if the two are not equally long.
pub fn combine(one: &[u8], other: &[u8]) -> Result<Vec<u8>, PirError> {
    let mut chunk = one.to_vec();
    xor_into(&mut chunk, other)?;
    Ok(chunk)
}

/// Why a query, or an answer to one, is not what it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum PirError {
    #[error("there is no chunk {number}, the body has {chunks}")]
    Chunk { number: usize, chunks: usize },
    #[error("an answer of {found} bytes, expected {expected}")]
    Length { found: usize, expected: usize },
    #[error("a mask has one bit a chunk, and the bits that are left in its last byte are 0")]
    Mask,
}

rules!(PirError {
    Self::Chunk { .. } => "pir-chunk",
    Self::Length { .. } => "pir-length",
    Self::Mask => "mask"
});

#[cfg(test)]
mod tests;
