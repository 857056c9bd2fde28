//! The list of a body's chunks. Source: spec §5.5.

use alloc::vec::Vec;

use super::Shape;
use crate::cbor::{Reader, Writer};
use crate::cid::{Cid, Codec};
use crate::error::DecodeError;

/// The names of a body's chunks, in order. There are exactly as many as its [`Shape`] says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Index(Vec<Cid>);

impl Index {
    /// Length of an index of so many chunks, in bytes.
    pub const fn len_of(chunks: usize) -> usize {
        let head = match chunks {
            0..24 => 1,
            24..256 => 2,
            _ => 3,
        };
        head + chunks * Self::LINK_BYTES
    }

    /// A link to a chunk: tag 42, the head of a byte string, and a CID behind its zero byte.
    const LINK_BYTES: usize = 2 + 2 + 37;

    /// Reads an index, which must fill `bytes`.
    ///
    /// # Errors
    ///
    /// The first rule that the bytes break: `limit` for too many chunks, `value` for too few, `cid`
    /// for a link to something else than a raw block.
    pub fn decode(bytes: &[u8], shape: &Shape) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let max = u64::try_from(shape.chunks()).unwrap_or(u64::MAX);
        let cids = reader.list("chunks of an index", max, raw_link)?;
        if cids.len() != shape.chunks() {
            return Err(DecodeError::Value {
                what: "an index lists fewer chunks than its part has",
                offset: 0,
            });
        }
        reader.finish()?;
        Ok(Self(cids))
    }

    /// Lists chunks, if they are as many as the shape says and all of them raw.
    pub fn of(cids: Vec<Cid>, shape: &Shape) -> Option<Self> {
        let raw = cids.iter().all(|cid| cid.codec() == Codec::Raw);
        (raw && cids.len() == shape.chunks()).then_some(Self(cids))
    }

    /// The index's one spelling.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.array(self.0.len());
        for cid in &self.0 {
            w.link(cid);
        }
        w.finish()
    }

    /// The chunks' names, in order.
    pub fn cids(&self) -> &[Cid] {
        &self.0
    }

    /// The name of chunk `number`, counted from 0.
    pub fn cid(&self, number: usize) -> Option<Cid> {
        self.0.get(number).copied()
    }
}

fn raw_link(reader: &mut Reader<'_>) -> Result<Cid, DecodeError> {
    let offset = reader.offset();
    let cid = reader.link()?;
    match cid.codec() {
        Codec::Raw => Ok(cid),
        Codec::DagCbor => Err(DecodeError::Cid { offset }),
    }
}
