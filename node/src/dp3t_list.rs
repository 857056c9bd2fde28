//! Lists of exposed keys of DP-3T's first back end: bytes in, verified day keys or a named error out.
//!
//! A list is a `ProtoExposedList` of Protocol Buffers; beside it, in the HTTP header `Signature`, the
//! back end signs its hash. [`verify`] believes it, and only then looks at the keys. A bad key is
//! dropped by itself, with its place and the broken rule; anything else refuses the list.
//!
//! No I/O; the clock is an argument. Source: spec §15.

use aws_lc_rs::digest::{SHA256, digest};
use bellwether_formats::scheme::{DAY_S, dp3t};

use crate::pem::PublicKey;
use crate::protobuf::{Fields, Value, WireError};

mod jws;

pub use jws::{Jws, JwsError, MAX_JWS_BYTES};

/// Largest list, in bytes (64 MiB): 1.5 million keys of 43. Source: spec §15.1.
pub const MAX_LIST_BYTES: usize = 64 * 1024 * 1024;

/// Most keys of a list, in items. Source: spec §15.1.
pub const MAX_KEYS: usize = 1_000_000;

/// Times are below 2^53 ms, as everywhere. Source: spec §2.6.
const MAX_MS: u64 = (1 << 53) - 1;

/// A list whose signature holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct List {
    /// When it was public, in seconds of UTC.
    pub released_at: u64,
    /// Its keys, by their places in the list.
    pub keys: Vec<(usize, Exposed)>,
    /// Keys that were dropped, by their places, and why.
    pub dropped: Vec<(usize, KeyError)>,
}

/// A patient's day key; those of later days follow from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exposed {
    /// The key of its first day.
    pub key: [u8; 32],
    /// The first day of UTC.
    pub first_day: u16,
    /// How many days it stands for, to that of the release.
    pub days: u8,
}

/// Reads a list that `key` signed, at `now` in seconds of UTC.
///
/// # Errors
///
/// [`ListError`]; not for a bad key, which is dropped.
pub fn verify(list: &[u8], signature: &Jws, key: &PublicKey, now: u64) -> Result<List, ListError> {
    let claims = signature.verify(key)?;
    if digest(&SHA256, list).as_ref() != claims.content_hash {
        return Err(ListError::ContentHash);
    }
    if claims.expires_at < now {
        return Err(ListError::Expired {
            at: claims.expires_at,
        });
    }
    let message = Message::decode(list)?;
    let released_ms = message.released_ms.ok_or(ListError::Time)?;
    if claims.released_ms.is_some_and(|said| said != released_ms) {
        return Err(ListError::Time);
    }
    let released_at = released_ms / 1000;
    let (mut keys, mut dropped) = (Vec::new(), Vec::new());
    for (place, exposed) in message.exposed.iter().enumerate() {
        match Exposed::decode(exposed, released_at)? {
            Ok(exposed) => keys.push((place, exposed)),
            Err(error) => dropped.push((place, error)),
        }
    }
    Ok(List {
        released_at,
        keys,
        dropped,
    })
}

/// A `ProtoExposedList`, its keys as they were written.
struct Message<'a> {
    released_ms: Option<u64>,
    exposed: Vec<&'a [u8]>,
}

impl<'a> Message<'a> {
    fn decode(message: &'a [u8]) -> Result<Self, ListError> {
        let (mut released, mut exposed) = (None, Vec::new());
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => released = Some(milliseconds(value)?.ok_or(ListError::Time)?),
                2 if exposed.len() == MAX_KEYS => return Err(ListError::TooManyKeys),
                2 => exposed.push(value.bytes()?),
                _ => {}
            }
        }
        Ok(Self {
            released_ms: released,
            exposed,
        })
    }
}

impl Exposed {
    /// Reads a `ProtoExposee`. Outer errors are the list's, inner ones the key's.
    fn decode(message: &[u8], released_at: u64) -> Result<Result<Self, KeyError>, ListError> {
        let (mut data, mut date) = (None, None);
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                2 => data = Some(value.bytes()?),
                3 => date = Some(milliseconds(value)?),
                _ => {}
            }
        }
        let key = data.and_then(|data| data.try_into().ok());
        let Some(key) = key else {
            return Ok(Err(KeyError::Data));
        };
        let date = date.flatten().and_then(|ms| day_of(ms, released_at));
        Ok(date
            .map(|day| Self::until(key, day, released_at / DAY_S))
            .ok_or(KeyError::Date))
    }

    /// The key of `day` and of all days to the last one. What is older than a unit reaches back is
    /// left out: the key goes on to the first day that is not.
    fn until(mut key: [u8; 32], day: u64, last: u64) -> Self {
        let most = u64::from(dp3t::MAX_DAYS);
        let first = day.max((last + 1).saturating_sub(most));
        for _ in day..first {
            key = dp3t::next_day(&key);
        }
        Self {
            key,
            first_day: u16::try_from(first).unwrap_or(u16::MAX),
            days: u8::try_from(last + 1 - first).unwrap_or(dp3t::MAX_DAYS),
        }
    }
}

/// The day of UTC that begins at a time, if one does that a unit can say, and not after the release.
fn day_of(ms: u64, released_at: u64) -> Option<u64> {
    let (day, rest) = (ms / (DAY_S * 1000), ms % (DAY_S * 1000));
    let last = released_at / DAY_S;
    let can_be = rest == 0 && day <= last && last <= u64::from(u16::MAX);
    // From further back nobody's key is carried on: that is work, and the list is wrong.
    (can_be && last - day <= MAX_DAYS_BACK).then_some(day)
}

/// Furthest back that the day of a key may lie behind the release, in days.
const MAX_DAYS_BACK: u64 = 100;

/// An `int64` of milliseconds: `None` if it is no time.
fn milliseconds(value: Value<'_>) -> Result<Option<u64>, WireError> {
    let ms = u64::try_from(value.int()?).ok();
    Ok(ms.filter(|ms| *ms <= MAX_MS))
}

/// Why bytes are not a list that may be believed.
///
/// [`rule`](Self::rule) is the broken rule of spec §15, and the name that the vectors in
/// `spec/vectors/dp3t-list.json` give.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ListError {
    #[error(transparent)]
    Jws(#[from] JwsError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the signature is of another list: it signs another hash")]
    ContentHash,
    #[error("the signature was valid until {at} seconds of UTC, and is not now")]
    Expired { at: u64 },
    #[error("the list has no time of its release, or another than its signature says")]
    Time,
    #[error("the list has more than {MAX_KEYS} keys")]
    TooManyKeys,
}

impl ListError {
    /// The broken rule's name, as in the spec and its vectors.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Jws(error) => error.rule(),
            Self::Wire(error) => error.rule(),
            Self::ContentHash => "content-hash",
            Self::Expired { .. } => "jws-expired",
            Self::Time => "list-time",
            Self::TooManyKeys => "list-limit",
        }
    }
}

/// Why a key of a list is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum KeyError {
    #[error("a key that does not have 32 bytes")]
    Data,
    #[error(
        "a key's date is not the beginning of a day of UTC, of the release's at the latest and \
         {MAX_DAYS_BACK} days before it at the earliest"
    )]
    Date,
}

impl KeyError {
    /// The broken rule's name, as in the spec and its vectors.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Data => "key-data",
            Self::Date => "key-date",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_keys_than_a_list_may_have_are_not_read() {
        let list = |keys: usize| [&[8, 1][..], &[0x12, 0].repeat(keys)].concat();
        let most = list(MAX_KEYS);
        assert_eq!(Message::decode(&most).unwrap().exposed.len(), MAX_KEYS);
        let more = Message::decode(&list(MAX_KEYS + 1)).map(|_| ());
        assert_eq!(more.unwrap_err().rule(), "list-limit");
    }
}
