//! Reading maps of known fields, in canonical order.

use alloc::string::ToString;

use super::{Reader, key_before};
use crate::error::DecodeError;

/// Reads the fields of a map in canonical order. Made by [`Reader::map`].
#[derive(Debug)]
pub struct MapReader<'r, 'a> {
    reader: &'r mut Reader<'a>,
    left: u64,
    last: Option<&'a str>,
}

impl<'r, 'a> MapReader<'r, 'a> {
    /// Starts after the head of a map of `left` entries.
    pub(super) const fn new(reader: &'r mut Reader<'a>, left: u64) -> Self {
        let last = None;
        Self { reader, left, last }
    }

    /// Where the reading stands, in bytes from the start.
    pub const fn offset(&self) -> usize {
        self.reader.offset()
    }

    /// Reads the field `key` with `value`.
    pub fn field<T>(
        &mut self,
        key: &'static str,
        value: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let offset = self.reader.offset();
        match self.optional(key, value)? {
            Some(value) => Ok(value),
            None => Err(self
                .disorder()
                .unwrap_or(DecodeError::MissingKey { key, offset })),
        }
    }

    /// Where the keys that are left stop ascending: the one that is missing here may stand there.
    fn disorder(&self) -> Option<DecodeError> {
        let (mut ahead, mut last) = (self.reader.clone(), self.last);
        for _ in 0..self.left {
            match ahead.next_key(&mut last).and_then(|_| ahead.any()) {
                Err(error @ DecodeError::KeyOrder { .. }) => return Some(error),
                Err(_) => return None,
                Ok(_) => {}
            }
        }
        None
    }

    /// Reads the field `key` with `value` if it comes next.
    pub fn optional<T>(
        &mut self,
        key: &'static str,
        value: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.left == 0 {
            return Ok(None);
        }
        let (mut ahead, mut last) = (self.reader.clone(), self.last);
        let offset = ahead.offset();
        let found = ahead.next_key(&mut last)?;
        if found == key {
            *self.reader = ahead;
            self.last = last;
            self.left -= 1;
            return value(self.reader).map(Some);
        }
        if key_before(found, key) {
            // A key that this reader should have met before, had it known it.
            return Err(DecodeError::UnknownKey {
                key: found.to_string(),
                offset,
            });
        }
        Ok(None)
    }

    /// Ends the map; a field left over is an error.
    pub fn end(mut self) -> Result<(), DecodeError> {
        if self.left == 0 {
            return Ok(());
        }
        let offset = self.reader.offset();
        let key = self.reader.next_key(&mut self.last)?.to_string();
        Err(DecodeError::UnknownKey { key, offset })
    }
}
