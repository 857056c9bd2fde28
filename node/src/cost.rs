//! What a zone costs its clients. Source: spec §5.10, §12.2.
//!
//! Counted is what a client fetches that is there all the time: envelopes, open bodies, filters and
//! indexes, and the queries of its two looks at every sealed part. It fetches revisions too, and no
//! folds. Requests and headers of HTTP are not in it, nor is what is asked of gateways in vain.

use bellwether_formats::batch::{Batch, Part, SealedPart};
use bellwether_formats::pir::Mask;
use bellwether_formats::sealed::{Index, Shape};
use bellwether_formats::signed::Signed;

pub(crate) mod zone;

/// More than this a client and day is much, in bytes: there is something to be done about it.
pub const MUCH_BYTES: u64 = 5_000_000;

/// Looks that a client takes at a sealed part. Source: spec §11.7.
const LOOKS: usize = 2;

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// What a batch costs a client, in bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cost {
    /// The batch itself, signed.
    pub envelopes: u64,
    /// Bodies of open parts.
    pub bodies: u64,
    /// Filters of sealed parts.
    pub filters: u64,
    /// The lists of their chunks.
    pub indexes: u64,
    /// Masks up and chunks down, of both looks.
    pub queries: u64,
}

impl Cost {
    /// What a batch costs.
    pub fn of(batch: &Signed<Batch>) -> Self {
        let mut cost = Self {
            envelopes: count(batch.envelope().len()),
            ..Self::default()
        };
        let (first, last) = batch.range();
        for (at, part) in batch.parts.iter().enumerate() {
            match part {
                // An open part that covers is nothing that a client of this version reads.
                Part::Open(part) if batch.covers.is_none() => cost.bodies += part.body.size,
                Part::Sealed(part) if first == last && batch.place(at).is_ok() => {
                    cost.add(&Self::of_sealed(part));
                }
                Part::Open(_) | Part::Sealed(_) | Part::Unknown(_) => {}
            }
        }
        cost
    }

    /// What a sealed part costs: nothing if it is on no rung of the ladder, for no client reads it.
    pub fn of_sealed(part: &SealedPart) -> Self {
        let Ok(shape) = Shape::of(part.ids) else {
            return Self::default();
        };
        let half = Mask::len_of(shape.chunks()) + shape.chunk_bytes();
        Self {
            filters: part.filter.size,
            indexes: count(Index::len_of(shape.chunks())),
            queries: count(LOOKS * 2 * half),
            ..Self::default()
        }
    }

    /// All of it.
    pub const fn total(&self) -> u64 {
        self.envelopes
            .saturating_add(self.bodies)
            .saturating_add(self.filters)
            .saturating_add(self.indexes)
            .saturating_add(self.queries)
    }

    fn add(&mut self, more: &Self) {
        self.envelopes += more.envelopes;
        self.bodies += more.bodies;
        self.filters += more.filters;
        self.indexes += more.indexes;
        self.queries += more.queries;
    }
}

/// What a zone costs a client a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientDay {
    /// Bytes, up and down.
    pub bytes: u64,
    /// Where that number is from.
    pub basis: Basis,
}

/// Where the cost of a day is from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Basis {
    /// The last 24 hours, as they were published.
    Published,
    /// Less than a day is there, and is scaled up to one.
    Scaled,
}

impl Basis {
    /// Its name in `status`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Scaled => "scaled",
        }
    }
}

/// The cost of a day, from the batches of the last 24 hours before `now`: when each was published,
/// in seconds of UTC, and what it costs in bytes. `before` says whether the feed has older batches;
/// if not, the time that it is there, and one more interval until what is published next, stand for
/// the day. Nothing if there is no batch at all.
pub fn client_day(
    batches: &[(u64, u64)],
    before: bool,
    interval_s: u64,
    now: u64,
) -> Option<ClientDay> {
    let bytes = batches
        .iter()
        .fold(0_u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    if before {
        return Some(ClientDay {
            bytes,
            basis: Basis::Published,
        });
    }
    let oldest = batches.iter().map(|(at, _)| *at).min()?;
    let there = now.saturating_sub(oldest).saturating_add(interval_s);
    let there = u128::from(there.clamp(1, DAY_S));
    let scaled = u128::from(bytes) * u128::from(DAY_S) / there;
    Some(ClientDay {
        bytes: u64::try_from(scaled).unwrap_or(u64::MAX),
        basis: Basis::Scaled,
    })
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
