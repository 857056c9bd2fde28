//! What the device observed. It never leaves the device. Source: spec §11.1.

use std::collections::BTreeSet;
use std::sync::Arc;

use bellwether_formats::scheme::cx;
use serde::{Deserialize, Serialize};

use crate::horizon::Times;
use crate::serial;
use crate::time::{self, ParseTimeError};

mod contact;
mod kept;

pub use bellwether_formats::scheme::Family;
pub use contact::ContactId;
use kept::Kept;
pub(crate) use kept::{MAX_BYTES, Name};

/// How long batches, bodies and observations are kept, in seconds (15 days): the 14 days of a usual
/// window, and one for what comes late. Source: spec §11.1.
pub const RETENTION_S: u64 = 15 * 86_400;

/// Most observations kept. A phone in a crowd all day makes some 5,000 in the retention; 200 times
/// that is a bound on memory, not on use.
pub const MAX_OBSERVATIONS: usize = 1_000_000;

/// An observation further ahead of the clock than this, in seconds (1 day), is a mistake: kept, it
/// would never expire.
pub const MAX_AHEAD_S: u64 = 86_400;

/// Something that was near, and when.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Observation {
    /// The identifier.
    pub id: ContactId,
    /// When it was observed, in seconds of UTC.
    pub at: u64,
    /// What kind of identifier it is.
    #[serde(with = "serial::text")]
    pub family: Family,
}

impl Observation {
    /// Reads a line `id time` or `id`; the time is RFC 3339 or seconds of UTC, `now` when missing.
    ///
    /// # Errors
    ///
    /// [`ObservationError`], by what is wrong.
    pub fn parse(family: Family, line: &str, now: u64) -> Result<Self, ObservationError> {
        let mut words = line.split_ascii_whitespace();
        let id = ContactId::parse(family, words.next().unwrap_or_default())?;
        let at = words.next().map_or(Ok(now), time::parse)?;
        match words.next() {
            None => Self { id, at, family }.checked(now),
            Some(_) => Err(ObservationError::Words),
        }
    }

    /// The observation, if its identifier is of its family's length and its time can be true at
    /// `now`.
    ///
    /// # Errors
    ///
    /// [`ObservationError::Length`], [`ObservationError::Future`].
    pub fn checked(self, now: u64) -> Result<Self, ObservationError> {
        let (family, found) = (self.family, self.id.as_bytes().len());
        if !family.takes(found) {
            return Err(ObservationError::Length { family, found });
        }
        if self.at > now.saturating_add(MAX_AHEAD_S) {
            return Err(ObservationError::Future);
        }
        Ok(self)
    }
}

/// The observations of the retention, each with the number under which it was recorded, so that a
/// body remembers up to which one it was tested.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Observations {
    next: u64,
    #[serde(with = "kept_file")]
    kept: Arc<Kept>,
    /// The time of the newest that there was no room for.
    dropped: Option<u64>,
}

/// What became of observations that were handed in.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Recorded {
    /// Newly kept.
    pub new: usize,
    /// Kept already, with the same identifier and time.
    pub known: usize,
    /// Older than the retention, and therefore not kept.
    pub old: usize,
    /// The oldest of all, dropped for want of room. Until they would have expired, "none" cannot be
    /// said of their time.
    pub dropped: usize,
}

impl Observations {
    /// Records all of them, or none. Where there is no room, the oldest are dropped.
    pub(crate) fn record(
        &mut self,
        observations: &[Observation],
        times: impl Into<Times>,
    ) -> Result<Recorded, ObservationError> {
        let Times { now, horizon } = times.into();
        if observations.len() > MAX_OBSERVATIONS {
            return Err(ObservationError::Full);
        }
        self.expire(horizon);
        let checked = observations.iter().map(|new| new.checked(now));
        let checked = checked.collect::<Result<Vec<_>, _>>()?;
        let mut recorded = Recorded::default();
        // As many as are handed in, however many are kept.
        let mut fresh: BTreeSet<Observation> = checked.iter().copied().collect();
        for (_, kept) in &self.kept.rows {
            fresh.remove(kept);
        }
        let mut new = Vec::new();
        for observation in checked {
            if expired(observation.at, horizon) {
                recorded.old += 1;
            } else if fresh.remove(&observation) {
                recorded.new += 1;
                new.push((self.next, observation));
                self.next = self.next.saturating_add(1);
            } else {
                recorded.known += 1;
            }
        }
        if !new.is_empty() {
            self.rows_mut().extend(new);
        }
        recorded.dropped = self.make_room(MAX_OBSERVATIONS);
        Ok(recorded)
    }

    /// Drops the oldest of more than `max`; gives how many.
    fn make_room(&mut self, max: usize) -> usize {
        let over = self.len().saturating_sub(max);
        if over == 0 {
            return 0;
        }
        let mut times: Vec<u64> = self.kept.rows.iter().map(|(_, kept)| kept.at).collect();
        times.sort_unstable();
        let gone = times.get(over - 1).copied().unwrap_or(0);
        let mut left = over;
        for older in [true, false] {
            self.rows_mut().retain(|(_, kept)| {
                let goes = left > 0 && (kept.at < gone) == older && kept.at <= gone;
                left -= usize::from(goes);
                !goes
            });
        }
        self.dropped = self.dropped.max(Some(gone));
        over
    }

    /// The time of the newest that there was no room for, until it would have expired.
    pub(crate) const fn dropped(&self) -> Option<u64> {
        self.dropped
    }

    /// Drops what is to be forgotten. Gives how many there were.
    pub(crate) fn forget(&mut self, gone: impl Fn(&Observation) -> bool) -> usize {
        let before = self.len();
        self.drop_those(gone);
        before - self.len()
    }

    /// Drops what is older than the retention.
    pub(crate) fn expire(&mut self, now: u64) {
        self.drop_those(|kept| expired(kept.at, now));
        self.dropped = self.dropped.filter(|at| !expired(*at, now));
    }

    /// The number that the next observation will have.
    pub(crate) const fn next(&self) -> u64 {
        self.next
    }

    /// The observations recorded under `from` and above.
    pub(crate) fn since(&self, from: u64) -> impl Iterator<Item = &Observation> {
        let rows = &self.kept.rows;
        let start = rows.partition_point(|(number, _)| *number < from);
        rows.iter().skip(start).map(|(_, kept)| kept)
    }

    /// The oldest time observed, if anything was.
    pub(crate) fn earliest(&self) -> Option<u64> {
        self.kept.rows.iter().map(|(_, kept)| kept.at).min()
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.rows.len()
    }

    /// The file that has them, if they were written.
    pub(crate) fn file(&self) -> Option<Name> {
        self.kept.file.get().copied()
    }

    /// The bytes of a file with them, and its name, if there are any that no file has.
    pub(crate) fn unwritten(&self) -> Option<(Name, Vec<u8>)> {
        if self.file().is_some() || self.len() == 0 {
            return None;
        }
        let bytes = self.kept.encode();
        Some((kept::name(&bytes), bytes))
    }

    /// Takes note that the file is durable.
    pub(crate) fn set_written(&self, name: Name) {
        self.kept.file.get_or_init(|| name);
    }

    /// Takes in the bytes of the file; false if they are not those that were written.
    pub(crate) fn read(&mut self, name: Name, bytes: &[u8]) -> bool {
        let kept = Kept::decode(name, bytes);
        let read = kept.is_some();
        self.kept = Arc::new(kept.unwrap_or_default());
        read
    }

    fn drop_those(&mut self, gone: impl Fn(&Observation) -> bool) {
        if self.kept.rows.iter().any(|(_, kept)| gone(kept)) {
            self.rows_mut().retain(|(_, kept)| !gone(kept));
        }
    }

    /// The rows, to be changed: no file has what they will be.
    fn rows_mut(&mut self) -> &mut Vec<(u64, Observation)> {
        let kept = Arc::make_mut(&mut self.kept);
        kept.file.take();
        &mut kept.rows
    }
}

/// Observations in the state: the name of their file.
mod kept_file {
    use std::sync::{Arc, OnceLock};

    use serde::{Deserializer, Serializer};

    use super::{Kept, Name};

    pub(super) fn serialize<S: Serializer>(kept: &Arc<Kept>, to: S) -> Result<S::Ok, S::Error> {
        serde_bytes::serialize(&kept.file.get(), to)
    }

    pub(super) fn deserialize<'de, D>(from: D) -> Result<Arc<Kept>, D::Error>
    where
        D: Deserializer<'de>,
    {
        let name: Option<Name> = serde_bytes::deserialize(from)?;
        let file = name.map_or_else(OnceLock::new, OnceLock::from);
        let rows = Vec::new();
        Ok(Arc::new(Kept { rows, file }))
    }
}

/// Whether what happened at `at` is past the retention at `now`, both in seconds of UTC.
pub(crate) const fn expired(at: u64, now: u64) -> bool {
    at.saturating_add(RETENTION_S) < now
}

/// Why a text or value is not an observation that can be kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ObservationError {
    #[error("an identifier of {family} is not hexadecimal")]
    Digits { family: Family },
    #[error("what can be observed is cx, tcn, dp3t, gaen and fanny, or a scheme of one of these")]
    Family,
    #[error("more than {MAX_OBSERVATIONS} observations at once")]
    Full,
    #[error("the time is more than a day ahead of this device's clock")]
    Future,
    #[error(transparent)]
    Id(#[from] cx::ParseIdentifierError),
    #[error("an identifier of {family} has {} bytes, not {found}", lengths(*family))]
    Length { family: Family, found: usize },
    #[error(transparent)]
    Time(#[from] ParseTimeError),
    #[error("an observation is an identifier and, after a space, a time")]
    Words,
}

/// The lengths that a family has, for people.
fn lengths(family: Family) -> String {
    let lengths: Vec<String> = family.lengths().iter().map(usize::to_string).collect();
    lengths.join(" or ")
}

#[cfg(test)]
mod tests;
