//! Bundles: CAR version 1, every block checked against its name. Source: spec §2.5.

use alloc::vec::Vec;

use crate::cbor::{Reader, Writer};
use crate::cid::{Block, BlockError, Cid};
use crate::error::{DecodeError, rules};
use crate::limit;

/// Some blocks, and which of them a reader starts at.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Car {
    /// Where to start, in the sender's order.
    pub roots: Vec<Cid>,
    /// The blocks, in the sender's order.
    pub blocks: Vec<Block>,
}

impl Car {
    /// Writes the bundle.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.map(2).text("roots").array(self.roots.len());
        for root in &self.roots {
            w.link(root);
        }
        w.text("version").uint(1);
        let header = w.finish();
        let mut bytes = Vec::new();
        section(&mut bytes, &[&header]);
        for block in &self.blocks {
            append(&mut bytes, block);
        }
        bytes
    }

    /// Reads a bundle of at most `max` bytes, which must fill `bytes`.
    ///
    /// # Errors
    ///
    /// [`CarError`]; nothing of a bundle with one bad block is used.
    pub fn decode(bytes: &[u8], max: usize) -> Result<Self, CarError> {
        if bytes.len() > max {
            return Err(CarError::Size {
                found: bytes.len(),
                max,
            });
        }
        let (header, mut rest) = take_section(bytes)?;
        let roots = header_roots(header)?;
        let mut blocks = Vec::new();
        while !rest.is_empty() {
            let (section, after) = take_section(rest)?;
            let (cid, data) = section
                .split_at_checked(Cid::LEN)
                .ok_or(CarError::Section)?;
            let cid = Cid::from_bytes(cid).map_err(|_| CarError::Cid)?;
            blocks.push(Block::verify(cid, data.to_vec())?);
            rest = after;
        }
        Ok(Self { roots, blocks })
    }
}

/// Longest length of a section, in bytes (28 bits, 256 MiB: more than any bundle). Source: spec §2.5.
const MAX_VARINT_BYTES: usize = 4;

/// Appends a block to a bundle that was written, for who does not hold all its blocks at once.
pub fn append(bytes: &mut Vec<u8>, block: &Block) {
    section(bytes, &[&block.cid().to_bytes(), block.bytes()]);
}

/// Size in bytes that `block` takes in a bundle.
pub fn section_len(block: &Block) -> usize {
    section_len_of(block.bytes().len())
}

/// Size in bytes that a block of `len` bytes takes in a bundle.
pub fn section_len_of(len: usize) -> usize {
    let content = Cid::LEN + len;
    let mut buffer = unsigned_varint::encode::usize_buffer();
    unsigned_varint::encode::usize(content, &mut buffer).len() + content
}

fn section(bytes: &mut Vec<u8>, content: &[&[u8]]) {
    let len = content.iter().map(|part| part.len()).sum();
    let mut buffer = unsigned_varint::encode::usize_buffer();
    bytes.extend_from_slice(unsigned_varint::encode::usize(len, &mut buffer));
    content
        .iter()
        .for_each(|part| bytes.extend_from_slice(part));
}

/// Splits a length and as many bytes off; the length is bounded by what is there.
fn take_section(bytes: &[u8]) -> Result<(&[u8], &[u8]), CarError> {
    let (len, rest) = unsigned_varint::decode::usize(bytes).map_err(|_| CarError::Section)?;
    // The library drops the bits that a long varint has above its type: 10 bytes can say 5 again.
    if bytes.len() - rest.len() > MAX_VARINT_BYTES {
        return Err(CarError::Section);
    }
    rest.split_at_checked(len).ok_or(CarError::Section)
}

fn header_roots(header: &[u8]) -> Result<Vec<Cid>, CarError> {
    let mut reader = Reader::new(header);
    let mut map = reader.map()?;
    let roots = map.field("roots", |r| {
        r.list("roots", limit::MAX_CAR_ROOTS, Reader::link)
    })?;
    let version = map.field("version", |r| r.uint("version", u64::MAX))?;
    map.end()?;
    reader.finish()?;
    if version == 1 {
        Ok(roots)
    } else {
        Err(CarError::Version { found: version })
    }
}

/// Why bytes are not a bundle.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum CarError {
    #[error(transparent)]
    Block(#[from] BlockError),
    #[error("a block is not named by a CID of version 1 with sha2-256, dag-cbor or raw")]
    Cid,
    #[error("the header is malformed: {0}")]
    Header(#[from] DecodeError),
    #[error("a section's length is malformed or beyond the end")]
    Section,
    #[error("a bundle of {found} bytes, the limit is {max}")]
    Size { found: usize, max: usize },
    #[error("version {found}, this reader knows version 1")]
    Version { found: u64 },
}

rules!(CarError {
    Self::Cid => "car-cid",
    Self::Header(_) => "car-header",
    Self::Section => "car-section",
    Self::Size { .. } => "car-size",
    Self::Version { .. } => "car-version";
    Self::Block(error) => error
});
