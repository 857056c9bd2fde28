//! A strict DER cursor: definite, minimal lengths and nothing read beyond the input.
//!
//! By hand and not by a crate, because a report is signed and its seeds are calculated over bytes
//! *as received*: what is wanted is the extent of each value, unknown ones included, and nothing
//! decoded or re-encoded. A value is skipped by its length and never recursed into, so depth and
//! claimed lengths cost nothing. Source: ITU-T X.690 §8.1, §8.3, §10.1.

use super::ReportError;

/// Tags of the values that a report is made of (X.690 §8.1.2, one byte each).
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const SEQUENCE: u8 = 0x30;

/// Low bits of a first tag byte that say that the tag number follows in further bytes.
const HIGH_TAG: u8 = 0x1f;

/// Reads values that lie one after the other.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// Where `rest` begins in the report, in bytes; for messages only.
    offset: usize,
}

/// One value: its content, and the very bytes that spell it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a> {
    /// First byte of the tag.
    tag: u8,
    pub(super) content: &'a [u8],
    /// Tag, length and content.
    pub(super) raw: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of a report.
    pub(super) const fn new(input: &'a [u8]) -> Self {
        Self {
            rest: input,
            offset: 0,
        }
    }

    /// Whether every value has been read.
    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are left.
    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Reads the next value, whatever its tag.
    pub(super) fn any(&mut self) -> Result<Value<'a>, ReportError> {
        let start = self.clone();
        let tag = self.tag()?;
        let length = self.length()?;
        let offset = self.offset;
        let content = self.take(length)?;
        let (raw, _) = start
            .rest
            .split_at_checked(self.offset - start.offset)
            .ok_or_else(|| self.error(TRUNCATED))?;
        Ok(Value {
            tag,
            content,
            raw,
            offset,
        })
    }

    /// Reads the next value, which must have `tag`.
    pub(super) fn expect(&mut self, tag: u8) -> Result<Value<'a>, ReportError> {
        let start = self.offset;
        let value = self.any()?;
        if value.tag != tag {
            return Err(ReportError::Der {
                offset: start,
                why: "another type is expected here",
            });
        }
        Ok(value)
    }

    /// Reads a `SEQUENCE` and gives a reader of what is in it.
    pub(super) fn sequence(&mut self) -> Result<Self, ReportError> {
        Ok(self.expect(SEQUENCE)?.reader())
    }

    /// Reads an `INTEGER`: its two's complement bytes, checked to be the fewest.
    pub(super) fn integer(&mut self) -> Result<&'a [u8], ReportError> {
        let value = self.expect(INTEGER)?;
        match value.content {
            [] | [0x00, 0x00..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => Err(ReportError::Der {
                offset: value.offset,
                why: "an integer is not in its shortest form",
            }),
            content => Ok(content),
        }
    }

    /// Ends the reading; anything left over is an error.
    pub(super) fn finish(self) -> Result<(), ReportError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.error("a field that no signature covers"))
        }
    }

    /// Skims the remaining fields: unknown, to be ignored, and yet well-formed.
    pub(super) fn ignore_rest(mut self) -> Result<(), ReportError> {
        while !self.is_empty() {
            self.any()?;
        }
        Ok(())
    }

    fn tag(&mut self) -> Result<u8, ReportError> {
        let tag = self.byte()?;
        if tag == 0 {
            return Err(self.error("tag 0 ends values of indefinite length only"));
        }
        if tag & HIGH_TAG == HIGH_TAG {
            let first = self.byte()?;
            // 0x80 is a leading zero; a number below 31 belongs in the first byte.
            if first == 0x80 || first < HIGH_TAG {
                return Err(self.error("a tag is not in its shortest form"));
            }
            let mut last = first;
            while last & 0x80 != 0 {
                last = self.byte()?;
            }
        }
        Ok(tag)
    }

    fn length(&mut self) -> Result<usize, ReportError> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(usize::from(first));
        }
        if first == 0x80 {
            return Err(self.error("a length is indefinite"));
        }
        let digits = self.take(usize::from(first & 0x7f))?;
        if digits.first() == Some(&0) {
            return Err(self.error("a length is not in its shortest form"));
        }
        let length = digits
            .iter()
            .try_fold(0_usize, |sum, &digit| {
                sum.checked_mul(256)?.checked_add(usize::from(digit))
            })
            .ok_or_else(|| self.error(TRUNCATED))?;
        if length < 0x80 {
            return Err(self.error("a length is not in its shortest form"));
        }
        Ok(length)
    }

    fn byte(&mut self) -> Result<u8, ReportError> {
        let (&byte, rest) = self
            .rest
            .split_first()
            .ok_or_else(|| self.error(TRUNCATED))?;
        self.rest = rest;
        self.offset += 1;
        Ok(byte)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ReportError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| self.error(TRUNCATED))?;
        self.rest = rest;
        self.offset += length;
        Ok(taken)
    }

    const fn error(&self, why: &'static str) -> ReportError {
        ReportError::Der {
            offset: self.offset,
            why,
        }
    }
}

impl<'a> Value<'a> {
    /// A reader of the values inside a constructed one.
    pub(super) const fn reader(&self) -> Reader<'a> {
        Reader {
            rest: self.content,
            offset: self.offset,
        }
    }

    /// Whether the value has `tag`.
    pub(super) const fn is(&self, tag: u8) -> bool {
        self.tag == tag
    }
}

const TRUNCATED: &str = "the input ends inside a value";

/// Spells `SEQUENCE { first, second }` of values given as their bytes.
pub(super) fn sequence_of_two(first: &[u8], second: &[u8]) -> Vec<u8> {
    let length = first.len() + second.len();
    let digits = length.to_be_bytes();
    let digits: &[u8] = match digits.iter().position(|&digit| digit != 0) {
        Some(zeros) => digits.split_at(zeros).1,
        None => &[0],
    };
    let mut spelt = Vec::with_capacity(length + digits.len() + 2);
    spelt.push(SEQUENCE);
    if length >= 0x80 {
        let count = u8::try_from(digits.len()).expect("a usize has at most 8 bytes");
        spelt.push(0x80 | count);
    }
    spelt.extend_from_slice(digits);
    spelt.extend_from_slice(first);
    spelt.extend_from_slice(second);
    spelt
}
