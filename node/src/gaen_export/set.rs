//! The parts of one batch, put together.

use super::key::{Key, Taken};
use super::reader::{Dropped, Export};

/// All parts of a batch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Set {
    /// Beginning of the time in which its keys arrived, in seconds of UTC.
    pub start: u64,
    /// End of it, exclusive.
    pub end: u64,
    /// Where the keys are from, as the publisher writes it.
    pub region: String,
    /// The keys of all parts, in the order of the parts.
    pub keys: Vec<Key>,
    /// What was dropped in a part, or because of one before it.
    pub dropped: Vec<Dropped>,
}

impl Set {
    /// Puts parts together, given in any order: each of the batch once, and all of the same time
    /// and region. A key that stands in several parts is taken once.
    ///
    /// # Errors
    ///
    /// [`SetError`]; nothing of an incomplete batch is used.
    pub fn join(mut parts: Vec<Export>) -> Result<Self, SetError> {
        parts.sort_by_key(|part| part.header.batch_num);
        let Some(first) = parts.first().map(|part| part.header.clone()) else {
            return Err(SetError::Missing { part: 1 });
        };
        for (part, number) in parts.iter().zip(1..) {
            let header = &part.header;
            let same = (header.start, header.end) == (first.start, first.end)
                && header.region == first.region
                && header.batch_size == first.batch_size;
            if !same {
                return Err(SetError::Differs);
            }
            if header.batch_num < number {
                return Err(SetError::Twice {
                    part: header.batch_num,
                });
            }
            if header.batch_num > number {
                return Err(SetError::Missing { part: number });
            }
        }
        // Numbered from 1 without a gap, so that only parts at the end can be missing.
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        if count < first.batch_size {
            return Err(SetError::Missing { part: count + 1 });
        }
        let mut set = Self {
            start: first.start,
            end: first.end,
            region: first.region,
            keys: Vec::new(),
            dropped: Vec::new(),
        };
        let mut taken = Taken::default();
        for part in parts {
            set.add(part, &mut taken);
        }
        Ok(set)
    }

    fn add(&mut self, part: Export, taken: &mut Taken) {
        for revised in [false, true] {
            let dropped = part.dropped.iter().filter(|one| one.revised == revised);
            let mut dropped = dropped.copied().peekable();
            let mut index = 0;
            for key in part.keys.iter().filter(|key| key.revised == revised) {
                // What the part dropped keeps its place, so that every index is the file's.
                while let Some(one) = dropped.next_if(|one| one.index == index) {
                    self.dropped.push(one);
                    index += 1;
                }
                match taken.take(key) {
                    Ok(()) => self.keys.push(*key),
                    Err(error) => self.dropped.push(Dropped {
                        batch_num: part.header.batch_num,
                        revised,
                        index,
                        error,
                    }),
                }
                index += 1;
            }
            self.dropped.extend(dropped);
        }
    }
}

/// Why files are not one batch.
///
/// [`rule`](Self::rule) is the broken rule of spec §14.5.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum SetError {
    #[error("the parts differ in time, region or number of parts")]
    Differs,
    #[error("part {part} is missing")]
    Missing { part: u32 },
    #[error("part {part} is there twice")]
    Twice { part: u32 },
}

impl SetError {
    /// The broken rule's name, as in the spec.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Differs => "set-differs",
            Self::Missing { .. } => "set-missing",
            Self::Twice { .. } => "set-twice",
        }
    }
}
