//! Observations as they lie in a file of their own: the state names it by its hash, so that a sync,
//! which changes the state and not the observations, does not write them again.

use std::sync::OnceLock;

use bellwether_formats::scheme::Family;
use sha2::{Digest, Sha256};

use super::{ContactId, MAX_OBSERVATIONS, Observation};

/// Name of a file of observations: the SHA-256 of its bytes.
pub(crate) type Name = [u8; 32];

/// First byte of the file.
const FORMAT: u8 = 1;

/// Bytes of a row before its identifier: number, time, family, length.
const HEAD: usize = 18;

/// Longest identifier, in bytes.
const MAX_ID: usize = 64;

/// Largest file, in bytes (82 MB).
pub(crate) const MAX_BYTES: usize = 1 + MAX_OBSERVATIONS * (HEAD + MAX_ID);

/// The rows, ascending by number; and the file that has them, once it was written.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) rows: Vec<(u64, Observation)>,
    pub(super) file: OnceLock<Name>,
}

/// A copy is made to be changed: no file has it.
impl Clone for Kept {
    fn clone(&self) -> Self {
        Self {
            rows: self.rows.clone(),
            file: OnceLock::new(),
        }
    }
}

impl Kept {
    /// The bytes of the file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1 + self.rows.len() * (HEAD + 16));
        bytes.push(FORMAT);
        for (number, Observation { id, at, family }) in &self.rows {
            let id = id.as_bytes();
            bytes.extend(number.to_le_bytes());
            bytes.extend(at.to_le_bytes());
            bytes.push(code(*family));
            bytes.push(u8::try_from(id.len()).unwrap_or(0));
            bytes.extend(id);
        }
        bytes
    }

    /// Reads the bytes of the file `name`; `None` if they are others.
    pub(super) fn decode(name: Name, bytes: &[u8]) -> Option<Self> {
        if self::name(bytes) != name {
            return None;
        }
        let (format, mut rest) = bytes.split_first()?;
        let mut rows = Vec::new();
        while !rest.is_empty() {
            let (number, tail) = rest.split_first_chunk()?;
            let (at, tail) = tail.split_first_chunk()?;
            let ([family, len], tail) = tail.split_first_chunk()?;
            let (id, tail) = tail.split_at_checked(usize::from(*len))?;
            let observation = Observation {
                id: ContactId::new(id)?,
                at: u64::from_le_bytes(*at),
                family: Family::ALL
                    .into_iter()
                    .find(|known| code(*known) == *family)?,
            };
            rows.push((u64::from_le_bytes(*number), observation));
            rest = tail;
        }
        let file = OnceLock::from(name);
        (*format == FORMAT).then_some(Self { rows, file })
    }
}

/// The name of a file with these bytes.
pub(crate) fn name(bytes: &[u8]) -> Name {
    Sha256::digest(bytes).into()
}

/// A family's place among all, which stays.
fn code(family: Family) -> u8 {
    let place = Family::ALL.iter().position(|known| *known == family);
    place
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(u8::MAX)
}
