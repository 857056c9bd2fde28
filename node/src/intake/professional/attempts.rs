//! Wrong passwords are slowed, and nobody is locked out for good. Pure: time is an argument.
//! Source: spec §10.8.
//!
//! Three limits. One *asker* (an address, or a browser that logged in before) and one name: a
//! pause that doubles. One name, whoever asks: a bucket. One address, whatever name: a bucket. A
//! browser that logged in before is held by the first alone, so that a flood on a name from
//! elsewhere does not keep its owner out.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::http::network_of;
use crate::intake::code::guesses::{Bucket, Guesses, Rate};

/// Attempts of one asker at one name that nothing slows: people mistype.
pub(super) const FREE: u32 = 3;
/// The pause after the last free one. It doubles with each further.
pub(super) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Without an attempt for so long, an asker begins anew.
pub(super) const FORGET: Duration = Duration::from_mins(15);
/// Wrong passwords for one name: so many at once, from all addresses together, and then one a
/// minute, 1440 a day.
pub(super) const OF_NAME: Rate = Rate {
    burst: 20,
    refill: Duration::from_mins(1),
};
/// Entries of each table; the mildest makes room.
pub(super) const MAX_ENTRIES: usize = 4096;

/// Who tries.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Asker {
    /// An address (IPv6: a /64).
    Address(IpAddr),
    /// A browser that logged in as this user before, by the number that it was given then.
    Browser([u8; 16]),
}

impl Asker {
    pub(super) fn at(address: IpAddr) -> Self {
        Self::Address(network_of(address))
    }
}

/// Why a password is not even looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Slowed {
    /// How long until one will be, in whole seconds, rounded up.
    pub(super) retry_after: Duration,
}

/// What is known of attempts.
#[derive(Debug)]
pub(super) struct Attempts {
    pairs: HashMap<(Name, Asker), Pair>,
    names: HashMap<Name, Bucket>,
    addresses: Guesses,
}

/// A name's hash: names come from outside, and are of any length.
type Name = [u8; 32];

#[derive(Clone, Copy, Debug)]
struct Pair {
    attempts: u32,
    last: Instant,
}

impl Pair {
    fn next_at(&self) -> Instant {
        let Some(slowed) = self.attempts.checked_sub(FREE) else {
            return self.last;
        };
        let pause = FIRST_PAUSE.saturating_mul(1 << slowed.min(10));
        self.last + pause.min(LONGEST_PAUSE)
    }
}

impl Attempts {
    /// Nobody has tried yet. Behind a proxy everybody has one address, which is not limited.
    pub(super) fn new(behind_proxy: bool, now: Instant) -> Self {
        Self {
            pairs: HashMap::new(),
            names: HashMap::new(),
            addresses: Guesses::new(now).behind_proxy(behind_proxy),
        }
    }

    /// Begins an attempt, if it may be made. It counts from now on, so that many at once are as
    /// many.
    ///
    /// # Errors
    ///
    /// [`Slowed`]; then nothing has been counted.
    pub(super) fn begin(&mut self, name: &str, asker: Asker, now: Instant) -> Result<(), Slowed> {
        let name = hash(name);
        let pair = self.pairs.get(&(name, asker)).copied();
        let pair = pair.filter(|pair| now.saturating_duration_since(pair.last) < FORGET);
        let mut wait = pair.map_or(Duration::ZERO, |pair| {
            pair.next_at().saturating_duration_since(now)
        });
        if let Asker::Address(address) = asker {
            let of_name = self.names.get(&name);
            wait = wait.max(of_name.map_or(Duration::ZERO, |bucket| bucket.wait(OF_NAME, now)));
            if let Err(refused) = self.addresses.check(address, now) {
                wait = wait.max(refused.retry_after);
            }
        }
        if !wait.is_zero() {
            return Err(slowed(wait));
        }
        let attempts = pair.map_or(0, |pair| pair.attempts).saturating_add(1);
        make_room(
            &mut self.pairs,
            |pair| now.saturating_duration_since(pair.last) < FORGET,
            |pair| (pair.attempts, pair.last),
        );
        let pair = Pair {
            attempts,
            last: now,
        };
        self.pairs.insert((name, asker), pair);
        Ok(())
    }

    /// The password was wrong, or there is no such user.
    pub(super) fn failed(&mut self, name: &str, asker: Asker, now: Instant) {
        let Asker::Address(address) = asker else {
            return;
        };
        self.addresses.failed(address, now);
        let name = hash(name);
        make_room(
            &mut self.names,
            |bucket| bucket.full_at() > now,
            |bucket| bucket.full_at(),
        );
        let bucket = self.names.entry(name).or_insert_with(|| Bucket::full(now));
        bucket.take(OF_NAME, now);
    }

    /// The password was right.
    pub(super) fn succeeded(&mut self, name: &str, asker: Asker) {
        self.pairs.remove(&(hash(name), asker));
    }
}

fn hash(name: &str) -> Name {
    Sha256::digest(name.as_bytes()).into()
}

fn slowed(wait: Duration) -> Slowed {
    let part_of_second = u64::from(wait.subsec_nanos() > 0);
    Slowed {
        retry_after: Duration::from_secs(wait.as_secs().saturating_add(part_of_second)),
    }
}

/// Makes room for one more in a table: forgets what no longer matters and, if nothing is such, the
/// mildest. Scans a full table, and as often as passwords are verified.
fn make_room<K: Copy + Eq + Hash + Ord, V, M: Ord>(
    table: &mut HashMap<K, V>,
    matters: impl Fn(&V) -> bool,
    mildness: impl Fn(&V) -> M,
) {
    if table.len() < MAX_ENTRIES {
        return;
    }
    table.retain(|_, value| matters(value));
    if table.len() < MAX_ENTRIES {
        return;
    }
    let mildest = table
        .iter()
        .min_by_key(|(key, value)| (mildness(value), **key));
    if let Some(key) = mildest.map(|(key, _)| *key) {
        table.remove(&key);
    }
}

#[cfg(test)]
mod tests;
