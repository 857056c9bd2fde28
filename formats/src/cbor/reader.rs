//! Reading: strict, bounded, borrowed from the input.

use alloc::vec::Vec;

use ciborium_ll::{Decoder, Header};

use super::{MapReader, key_before};
use crate::cid::Cid;
use crate::error::DecodeError;
use crate::limit;

/// Reads deterministic CBOR from memory.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `input`.
    pub const fn new(input: &'a [u8]) -> Self {
        Self { input, offset: 0 }
    }

    /// How many bytes were read.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// Ends the reading; what is left over is an error.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.rest().len() {
            0 => Ok(()),
            extra => Err(DecodeError::Trailing { extra }),
        }
    }

    /// Reads a non-negative integer of at most `max`.
    pub fn uint(&mut self, what: &'static str, max: u64) -> Result<u64, DecodeError> {
        let offset = self.offset;
        match self.head()? {
            Header::Positive(found) => within(what, found, max, offset),
            _ => Err(DecodeError::Type {
                expected: "a non-negative integer",
                offset,
            }),
        }
    }

    /// Reads a byte string of at most `max` bytes.
    pub fn bytes(&mut self, what: &'static str, max: usize) -> Result<&'a [u8], DecodeError> {
        let offset = self.offset;
        match self.head()? {
            Header::Bytes(Some(len)) => self.take(what, len, max, offset),
            _ => Err(DecodeError::Type {
                expected: "a byte string",
                offset,
            }),
        }
    }

    /// Reads a byte string of exactly `N` bytes.
    pub fn fixed<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let offset = self.offset;
        self.bytes(what, N)?
            .try_into()
            .map_err(|_| DecodeError::Value { what, offset })
    }

    /// Reads a text string of at most `max` bytes.
    pub fn text(&mut self, what: &'static str, max: usize) -> Result<&'a str, DecodeError> {
        let offset = self.offset;
        match self.head()? {
            Header::Text(Some(len)) => {
                let bytes = self.take(what, len, max, offset)?;
                core::str::from_utf8(bytes).map_err(|_| DecodeError::Utf8 { offset })
            }
            _ => Err(DecodeError::Type {
                expected: "a text string",
                offset,
            }),
        }
    }

    /// Reads the start of an array of at most `max` items; gives their number.
    pub fn array(&mut self, what: &'static str, max: u64) -> Result<u64, DecodeError> {
        let offset = self.offset;
        match self.head()? {
            Header::Array(Some(len)) => within(what, to_u64(len), max, offset),
            _ => Err(DecodeError::Type {
                expected: "an array",
                offset,
            }),
        }
    }

    /// Reads an array of at most `max` items. Memory grows with the items really present.
    pub fn list<T>(
        &mut self,
        what: &'static str,
        max: u64,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let len = self.array(what, max)?;
        (0..len).map(|_| item(self)).collect()
    }

    /// Like [`list`](Self::list); the items must stand in strictly ascending order.
    pub fn sorted<T: Ord>(
        &mut self,
        what: &'static str,
        max: u64,
        item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let offset = self.offset;
        let items = self.list(what, max, item)?;
        ascending(what, offset, items.iter())?;
        Ok(items)
    }

    /// Reads a link to another block.
    pub fn link(&mut self) -> Result<Cid, DecodeError> {
        let offset = self.offset;
        match self.head()? {
            Header::Tag(42) => self.link_content(offset),
            Header::Tag(_) => Err(DecodeError::Tag { offset }),
            _ => Err(DecodeError::Type {
                expected: "a link",
                offset,
            }),
        }
    }

    /// Reads null, or something else with `item`.
    pub fn null_or<T>(
        &mut self,
        item: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.rest().first() == Some(&0xf6) {
            self.offset += 1;
            return Ok(None);
        }
        item(self).map(Some)
    }

    /// Starts a map of known fields; read them in canonical order, then call [`MapReader::end`].
    pub fn map(&mut self) -> Result<MapReader<'_, 'a>, DecodeError> {
        let offset = self.offset;
        match self.head()? {
            Header::Map(Some(len)) => Ok(MapReader::new(self, to_u64(len))),
            _ => Err(DecodeError::Type {
                expected: "a map",
                offset,
            }),
        }
    }

    /// Reads the start of a map of at most `max` entries whose keys are not known in advance; gives
    /// their number. The order of the keys is then for [`any`](Self::any) to check.
    pub fn entries(&mut self, what: &'static str, max: u64) -> Result<u64, DecodeError> {
        let offset = self.offset;
        match self.head()? {
            Header::Map(Some(len)) => within(what, to_u64(len), max, offset),
            _ => Err(DecodeError::Type {
                expected: "a map",
                offset,
            }),
        }
    }

    /// Reads any one canonical item without building it: gives its bytes and the links in it.
    ///
    /// For parts of kinds that this version does not know: they are checked, kept and passed on.
    pub fn any(&mut self) -> Result<(&'a [u8], Vec<Cid>), DecodeError> {
        let start = self.offset;
        let mut links = Vec::new();
        self.skip(limit::MAX_DEPTH, &mut links)?;
        let bytes = self.input.get(start..self.offset).unwrap_or_default();
        Ok((bytes, links))
    }

    /// Passes one item, which takes one of the `depth` levels left; so does each item in it.
    fn skip(&mut self, depth: u8, links: &mut Vec<Cid>) -> Result<(), DecodeError> {
        let offset = self.offset;
        let Some(depth) = depth.checked_sub(1) else {
            let limit = u64::from(limit::MAX_DEPTH);
            return Err(DecodeError::Limit {
                what: "nesting",
                found: limit + 1,
                limit,
                offset,
            });
        };
        match self.head()? {
            Header::Positive(_) | Header::Negative(_) => {}
            Header::Simple(20..=22) => {}
            Header::Bytes(Some(len)) => {
                self.take("a byte string", len, limit::MAX_BLOCK_BYTES, offset)?;
            }
            Header::Text(Some(len)) => {
                let bytes = self.take("a text", len, limit::MAX_BLOCK_BYTES, offset)?;
                core::str::from_utf8(bytes).map_err(|_| DecodeError::Utf8 { offset })?;
            }
            Header::Array(Some(len)) => {
                for _ in 0..len {
                    self.skip(depth, links)?;
                }
            }
            Header::Map(Some(len)) => {
                let mut last = None;
                for _ in 0..len {
                    self.next_key(&mut last)?;
                    self.skip(depth, links)?;
                }
            }
            Header::Tag(42) => {
                links.push(self.link_content(offset)?);
                let (found, limit) = (to_u64(links.len()), to_u64(limit::MAX_PART_LINKS));
                within("links of a part", found, limit, offset)?;
            }
            Header::Tag(_) => return Err(DecodeError::Tag { offset }),
            _ => return Err(simple(offset)),
        }
        Ok(())
    }

    /// Reads a map key and checks that it comes after `last`.
    pub(super) fn next_key(&mut self, last: &mut Option<&'a str>) -> Result<&'a str, DecodeError> {
        let offset = self.offset;
        let key = self.text("a map key", 64)?;
        if last.is_some_and(|before| !key_before(before, key)) {
            return Err(DecodeError::KeyOrder { offset });
        }
        *last = Some(key);
        Ok(key)
    }

    fn link_content(&mut self, offset: usize) -> Result<Cid, DecodeError> {
        let bytes = self.bytes("a CID", 64)?;
        match bytes.split_first() {
            Some((0, cid)) => Cid::from_bytes(cid).map_err(|_| DecodeError::Cid { offset }),
            _ => Err(DecodeError::Cid { offset }),
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.offset..).unwrap_or_default()
    }

    fn take(
        &mut self,
        what: &'static str,
        len: usize,
        max: usize,
        offset: usize,
    ) -> Result<&'a [u8], DecodeError> {
        within(what, to_u64(len), to_u64(max), offset)?;
        let (bytes, _) = self
            .rest()
            .split_at_checked(len)
            .ok_or(DecodeError::Truncated { offset })?;
        self.offset += len;
        Ok(bytes)
    }

    /// Reads the head of an item; refuses what is not definite, shortest and whole.
    fn head(&mut self) -> Result<Header, DecodeError> {
        let offset = self.offset;
        let first = *self
            .rest()
            .first()
            .ok_or(DecodeError::Truncated { offset })?;
        let mut decoder = Decoder::from(self.rest());
        let header = decoder.pull().map_err(|error| match error {
            ciborium_ll::Error::Io(_) => DecodeError::Truncated { offset },
            ciborium_ll::Error::Syntax(_) => DecodeError::Type {
                expected: "a CBOR item",
                offset,
            },
        })?;
        self.offset += decoder.offset();
        let argument = match header {
            Header::Positive(value) | Header::Negative(value) | Header::Tag(value) => value,
            Header::Bytes(Some(len)) | Header::Text(Some(len)) => to_u64(len),
            Header::Array(Some(len)) | Header::Map(Some(len)) => to_u64(len),
            Header::Bytes(None) | Header::Text(None) | Header::Array(None) | Header::Map(None) => {
                return Err(DecodeError::Indefinite { offset });
            }
            Header::Break => return Err(DecodeError::Indefinite { offset }),
            Header::Float(_) => return Err(DecodeError::Float { offset }),
            // false, true and null, each as the one byte that it is; the reader above decides.
            Header::Simple(20..=22) if decoder.offset() == 1 => return Ok(header),
            Header::Simple(_) => return Err(simple(offset)),
        };
        // The width that the first byte announces must be the shortest for the argument.
        let shortest = match argument {
            0..24 => first & 0x1f < 24,
            24..0x100 => first & 0x1f == 24,
            0x100..0x1_0000 => first & 0x1f == 25,
            0x1_0000..0x1_0000_0000 => first & 0x1f == 26,
            _ => first & 0x1f == 27,
        };
        if shortest {
            Ok(header)
        } else {
            Err(DecodeError::NotShortest { offset })
        }
    }
}

/// What undefined and the other simple values are to every reader.
const fn simple(offset: usize) -> DecodeError {
    DecodeError::Type {
        expected: "no simple value but false, true and null",
        offset,
    }
}

/// Checks a number read from the wire against its limit.
fn within(what: &'static str, found: u64, limit: u64, offset: usize) -> Result<u64, DecodeError> {
    if found > limit {
        return Err(DecodeError::Limit {
            what,
            found,
            limit,
            offset,
        });
    }
    Ok(found)
}

/// Checks that items stand in strictly ascending order.
pub(crate) fn ascending<T: Ord>(
    what: &'static str,
    offset: usize,
    items: impl Iterator<Item = T>,
) -> Result<(), DecodeError> {
    let mut last = None;
    for item in items {
        match last.as_ref().map(|last| item.cmp(last)) {
            Some(core::cmp::Ordering::Equal) => {
                return Err(DecodeError::Duplicate { what, offset });
            }
            Some(core::cmp::Ordering::Less) => return Err(DecodeError::Order { what, offset }),
            _ => last = Some(item),
        }
    }
    Ok(())
}

fn to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
