//! Protocol Buffers' wire format: fields one after the other, and how to write them.
//!
//! By hand and not by a generator, because a bound comes before what it bounds, one bad key must
//! not spoil a file, and nothing is ever encoded again that was signed. A field that a message
//! does not know is skipped, by its length alone; a field that it knows, of another wire type
//! than it has, is refused. Source: spec §14.2; decision 14; Protocol Buffers, "Encoding".

/// Reads the fields of a message.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// A field's content, by wire type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// Known to no field of ours.
    Fixed32,
}

/// Largest field number (29 bits).
const MAX_FIELD: u64 = (1 << 29) - 1;

impl<'a> Fields<'a> {
    pub(crate) const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next field: its number and its content; `None` at the end of the message.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = key >> 3;
        if !(1..=MAX_FIELD).contains(&number) {
            return Err(WireError::Malformed("a field number out of range"));
        }
        let number = u32::try_from(number).map_err(|_| TRUNCATED)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| TRUNCATED)?;
                Value::Bytes(self.take(length)?)
            }
            5 => {
                self.array::<4>()?;
                Value::Fixed32
            }
            // 3 and 4 are groups, which no message of ours ever had.
            _ => return Err(WireError::Malformed("a group, or an unknown wire type")),
        };
        Ok(Some((number, value)))
    }

    /// Seven bits a byte, the lowest first; ten bytes at most. Longer spellings of a number than
    /// need be are Protocol Buffers', too.
    fn varint(&mut self) -> Result<u64, WireError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(WireError::Malformed("a number of more than 64 bits"))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'a> Value<'a> {
    /// `bytes`, `string`, or a message.
    pub(crate) const fn bytes(self) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(WireError::Type),
        }
    }

    /// `fixed64`.
    pub(crate) const fn fixed64(self) -> Result<u64, WireError> {
        match self {
            Self::Fixed64(number) => Ok(number),
            _ => Err(WireError::Type),
        }
    }

    /// `int32` or an enumeration, with all the 64 bits that it is written in, so that what is too
    /// large is seen and not cut off.
    pub(crate) const fn int(self) -> Result<i64, WireError> {
        match self {
            Self::Varint(number) => Ok(number.cast_signed()),
            _ => Err(WireError::Type),
        }
    }

    /// `sint32` (zigzag), likewise with all its bits.
    pub(crate) const fn sint(self) -> Result<i64, WireError> {
        match self {
            Self::Varint(number) => Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed()),
            _ => Err(WireError::Type),
        }
    }
}

const TRUNCATED: WireError = WireError::Malformed("a field is cut off");

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum WireError {
    #[error("not Protocol Buffers: {0}")]
    Malformed(&'static str),
    #[error("a field has another wire type than its message gives it")]
    Type,
}

impl WireError {
    /// The broken rule's name, as in the spec and its vectors.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "protobuf",
            Self::Type => "wire-type",
        }
    }
}

/// Writes a message, field by field.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// `int32` or an enumeration. What we write is never negative.
    pub(crate) fn uint(mut self, field: u32, number: u64) -> Self {
        self.key(field, 0);
        self.varint(number);
        self
    }

    /// `sint32`.
    pub(crate) fn sint(self, field: u32, number: i8) -> Self {
        let number = i64::from(number);
        self.uint(field, ((number << 1) ^ (number >> 63)).cast_unsigned())
    }

    /// `fixed64`.
    pub(crate) fn fixed64(mut self, field: u32, number: u64) -> Self {
        self.key(field, 1);
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// `bytes`, `string`, or a message.
    pub(crate) fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
        self.key(field, 2);
        self.varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn key(&mut self, field: u32, wire_type: u64) {
        self.varint(u64::from(field) << 3 | wire_type);
    }

    fn varint(&mut self, mut number: u64) {
        loop {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            if number == 0 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
        }
    }
}
