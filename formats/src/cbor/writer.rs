//! Writing: the shortest form of everything; the caller keeps map keys in canonical order.

use alloc::vec::Vec;

use crate::cid::Cid;

/// Writes deterministic CBOR into memory.
#[derive(Clone, Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Starts with nothing written.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The bytes written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// Writes a non-negative integer.
    pub fn uint(&mut self, value: u64) -> &mut Self {
        self.head(0, value)
    }

    /// Writes a byte string.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.head(2, length(value.len())).raw(value)
    }

    /// Writes a text string.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.head(3, length(value.len())).raw(value.as_bytes())
    }

    /// Starts an array of `items` items, which must follow.
    pub fn array(&mut self, items: usize) -> &mut Self {
        self.head(4, length(items))
    }

    /// Starts a map of `entries` entries, which must follow, keys in canonical order.
    pub fn map(&mut self, entries: usize) -> &mut Self {
        self.head(5, length(entries))
    }

    /// Writes a CID as a link: tag 42 over a zero byte and the binary CID.
    pub fn link(&mut self, cid: &Cid) -> &mut Self {
        self.head(6, 42).head(2, 37).raw(&[0]).raw(&cid.to_bytes())
    }

    /// Writes null.
    pub fn null(&mut self) -> &mut Self {
        self.raw(&[0xf6])
    }

    /// Writes bytes that are already canonical CBOR.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn head(&mut self, major: u8, argument: u64) -> &mut Self {
        let major = major << 5;
        if let Ok(byte) = u8::try_from(argument) {
            if byte < 24 {
                self.0.push(major | byte);
            } else {
                self.0.extend_from_slice(&[major | 24, byte]);
            }
        } else if let Ok(short) = u16::try_from(argument) {
            self.0.push(major | 25);
            self.0.extend_from_slice(&short.to_be_bytes());
        } else if let Ok(word) = u32::try_from(argument) {
            self.0.push(major | 26);
            self.0.extend_from_slice(&word.to_be_bytes());
        } else {
            self.0.push(major | 27);
            self.0.extend_from_slice(&argument.to_be_bytes());
        }
        self
    }
}

/// A length in memory as a number on the wire.
fn length(len: usize) -> u64 {
    u64::try_from(len).expect("a length in memory fits 64 bits")
}
