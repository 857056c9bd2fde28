//! The notifications of one scheme in a batch. Source: spec §4.4.

use alloc::vec::Vec;

use super::{Cid, Codec, DecodeError, Reader, Scheme, Writer, limit, link_of, time};

/// The notifications of one scheme: open, sealed, or of a kind that this version does not know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// Units of the scheme, for everybody to expand and compare.
    Open(OpenPart),
    /// A filter and a body that only a device which observed an identifier can open.
    Sealed(SealedPart),
    /// Kept verbatim and passed on; a client answers "update needed" for it.
    Unknown(UnknownPart),
}

/// Kind 0. Source: spec §6.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenPart {
    /// How its units expand.
    pub scheme: Scheme,
    /// The observation times that it speaks of.
    pub window: Window,
    /// The block of its units.
    pub body: BlockRef,
    /// How many units the body holds, padding included.
    pub count: u64,
}

/// Kind 1. Source: spec §5.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedPart {
    /// How its identifiers were derived.
    pub scheme: Scheme,
    /// The observation times that it speaks of.
    pub window: Window,
    /// The filter's block.
    pub filter: BlockRef,
    /// The block that lists the body's chunks.
    pub index: Cid,
    /// How many identifiers it holds, padding included.
    pub ids: u64,
}

/// A part of another kind: its bytes, and the blocks that it links to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownPart {
    kind: u64,
    bytes: Vec<u8>,
    links: Vec<Cid>,
}

impl UnknownPart {
    /// Its kind, 2 or more.
    pub const fn kind(&self) -> u64 {
        self.kind
    }
}

/// A link with the block's size, so that a reader knows what it asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlockRef {
    /// The block.
    pub cid: Cid,
    /// Its size in bytes.
    pub size: u64,
}

/// Observation times from `from` until before `to`, in seconds of UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// First second inside.
    pub from: u64,
    /// First second outside.
    pub to: u64,
}

impl Window {
    /// Whether the window speaks of `at`.
    pub const fn contains(&self, at: u64) -> bool {
        self.from <= at && at < self.to
    }
}

impl Part {
    /// The blocks that it links to, in order.
    pub fn links(&self) -> Vec<Cid> {
        match self {
            Self::Open(part) => [part.body.cid].to_vec(),
            Self::Sealed(part) => [part.filter.cid, part.index].to_vec(),
            Self::Unknown(part) => part.links.clone(),
        }
    }

    /// Reads a part; its `kind` says which fields it has.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut ahead = reader.clone();
        let (bytes, links) = ahead.any()?;
        match kind(bytes, reader.offset())? {
            0 => open(reader).map(Self::Open),
            1 => sealed(reader).map(Self::Sealed),
            kind => {
                *reader = ahead;
                let bytes = bytes.to_vec();
                Ok(Self::Unknown(UnknownPart { kind, bytes, links }))
            }
        }
    }

    /// Writes the part in its one spelling.
    pub(super) fn write(&self, w: &mut Writer) {
        match self {
            Self::Open(part) => {
                w.map(5).text("body");
                part.body.write(w);
                w.text("kind").uint(0).text("count").uint(part.count);
                w.text("scheme").uint(u64::from(part.scheme.0));
                part.window.write(w);
            }
            Self::Sealed(part) => {
                w.map(6).text("ids").uint(part.ids).text("kind").uint(1);
                w.text("index").map(1).text("cid").link(&part.index);
                w.text("filter");
                part.filter.write(w);
                w.text("scheme").uint(u64::from(part.scheme.0));
                part.window.write(w);
            }
            Self::Unknown(part) => {
                w.raw(&part.bytes);
            }
        }
    }
}

/// Finds `kind` in a canonical map of which nothing else is known.
fn kind(part: &[u8], base: usize) -> Result<u64, DecodeError> {
    let missing = DecodeError::MissingKey {
        key: "kind",
        offset: base,
    };
    let mut reader = Reader::new(part);
    for _ in 0..reader.entries("fields of a part", limit::MAX_UNKNOWN_ENTRIES)? {
        if reader.text("a map key", 64)? == "kind" {
            return reader.uint("kind", u64::from(u8::MAX));
        }
        reader.any()?;
    }
    Err(missing)
}

fn open(reader: &mut Reader<'_>) -> Result<OpenPart, DecodeError> {
    let mut map = reader.map()?;
    let body = map.field("body", |r| BlockRef::read(r, Codec::DagCbor))?;
    map.field("kind", |r| r.uint("kind", 0))?;
    let offset = map.offset();
    let count = map.field("count", |r| r.uint("count", limit::MAX_COUNT))?;
    let scheme = map.field("scheme", scheme)?;
    let window = map.field("window", Window::read)?;
    map.end()?;
    if count == 0 {
        return Err(DecodeError::Value {
            what: "an open part is not empty",
            offset,
        });
    }
    Ok(OpenPart {
        scheme,
        window,
        body,
        count,
    })
}

fn sealed(reader: &mut Reader<'_>) -> Result<SealedPart, DecodeError> {
    let mut map = reader.map()?;
    let offset = map.offset();
    let ids = map.field("ids", |r| r.uint("ids", limit::MAX_SEALED_IDS))?;
    map.field("kind", |r| r.uint("kind", 1))?;
    let index = map.field("index", |r| {
        let mut map = r.map()?;
        let cid = map.field("cid", |r| link_of(r, Codec::DagCbor))?;
        map.end()?;
        Ok(cid)
    })?;
    let filter = map.field("filter", |r| BlockRef::read(r, Codec::Raw))?;
    let scheme = map.field("scheme", scheme)?;
    let window = map.field("window", Window::read)?;
    map.end()?;
    if ids < limit::MIN_SEALED_IDS {
        return Err(DecodeError::Value {
            what: "a sealed part is padded to 8192 ids",
            offset,
        });
    }
    Ok(SealedPart {
        scheme,
        window,
        filter,
        index,
        ids,
    })
}

fn scheme(reader: &mut Reader<'_>) -> Result<Scheme, DecodeError> {
    let offset = reader.offset();
    let code = reader.uint("scheme", u64::from(u8::MAX))?;
    u8::try_from(code)
        .map(Scheme)
        .map_err(|_| DecodeError::Value {
            what: "not a scheme",
            offset,
        })
}

impl BlockRef {
    fn read(reader: &mut Reader<'_>, codec: Codec) -> Result<Self, DecodeError> {
        let max = u64::try_from(limit::MAX_BLOCK_BYTES).unwrap_or(u64::MAX);
        let mut map = reader.map()?;
        let cid = map.field("cid", |r| link_of(r, codec))?;
        let offset = map.offset();
        let size = map.field("size", |r| r.uint("size in bytes", max))?;
        map.end()?;
        if size == 0 {
            let what = "a block is not empty";
            return Err(DecodeError::Value { what, offset });
        }
        Ok(Self { cid, size })
    }

    fn write(&self, w: &mut Writer) {
        w.map(2)
            .text("cid")
            .link(&self.cid)
            .text("size")
            .uint(self.size);
    }
}

impl Window {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        if reader.array("window", 2)? != 2 {
            return Err(DecodeError::Value {
                what: "a window is two times",
                offset,
            });
        }
        let (from, to) = (time(reader, "window")?, time(reader, "window")?);
        if from >= to {
            return Err(DecodeError::Value {
                what: "a window is empty",
                offset,
            });
        }
        Ok(Self { from, to })
    }

    fn write(&self, w: &mut Writer) {
        w.text("window").array(2).uint(self.from).uint(self.to);
    }
}
