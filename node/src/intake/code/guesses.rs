//! A limit on guessing codes that counts failed codes only.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Unknown codes that one address prefix may send at once. Generous, as a whole hospital or a
/// mobile network may stand behind one IPv4 address. Source: spec §10.4.
pub const PREFIX_BURST: u32 = 30;
/// Time after which a prefix may send one more unknown code. Source: spec §10.4.
pub const PREFIX_REFILL: Duration = Duration::from_secs(10);
/// Unknown codes that all addresses together may send at once. Source: spec §10.4.
pub const TOTAL_BURST: u32 = 10_000;
/// Time after which all together may send one more unknown code: 100 a second. With 10,000 codes
/// of 53 bits outstanding, one guess would be right every 300 years; and 100 a second are more
/// typing errors than there are patients, so only a wide attack locks honest people out, and
/// only while it lasts. Source: spec §10.4.
pub const TOTAL_REFILL: Duration = Duration::from_millis(10);
/// Prefixes remembered; the one nearest to being forgotten makes room. An attacker with more
/// prefixes than this, as IPv6 gives to anybody, is held by the total alone.
/// Source: spec §10.4.
pub const MAX_PREFIXES: usize = 4096;

/// Counts unknown codes, per address prefix (IPv4: the address; IPv6: /64) and in total.
///
/// Call [`check`](Self::check) before the code is looked up, and [`failed`](Self::failed) if it is
/// not known, both under one lock: good codes and repeated reports never count, and whether a
/// refused code was good stays unknown. Time is an argument.
#[derive(Debug)]
pub struct Guesses {
    /// Bounded by [`MAX_PREFIXES`]. Full buckets are not kept.
    prefixes: HashMap<Prefix, Bucket>,
    total: Bucket,
    rates: Rates,
    /// Whether loopback is a proxy with everybody behind it: then the total alone holds there.
    behind_proxy: bool,
}

/// Why a code is not even looked up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many unknown codes; try again in {} s", .retry_after.as_secs())]
pub struct Refused {
    /// How long until a code will be looked up again, in whole seconds, rounded up.
    pub retry_after: Duration,
}

impl Refused {
    /// The broken rule's name, as in the spec and the answer to the client.
    pub const fn rule(self) -> &'static str {
        "too-many-failures"
    }
}

impl Guesses {
    /// Nobody has guessed yet.
    pub fn new(now: Instant) -> Self {
        Self::limiting(GUESSES, now)
    }

    /// Counts something else that strangers may do so often.
    pub fn limiting(rates: Rates, now: Instant) -> Self {
        Self {
            prefixes: HashMap::new(),
            total: Bucket { full_at: now },
            rates,
            behind_proxy: false,
        }
    }

    /// The same for an intake that speaks plain HTTP, on loopback, to a proxy that ends TLS.
    pub fn behind_proxy(self, behind_proxy: bool) -> Self {
        Self {
            behind_proxy,
            ..self
        }
    }

    /// Whether a code from `address` may be looked up. Counts nothing.
    ///
    /// # Errors
    ///
    /// [`Refused`] if the address's prefix, or all together, have sent too many unknown codes.
    pub fn check(&self, address: IpAddr, now: Instant) -> Result<(), Refused> {
        let prefix = self
            .prefixes
            .get(&Prefix::of(address))
            .map_or(Duration::ZERO, |bucket| bucket.wait(self.rates.prefix, now));
        let wait = prefix.max(self.total.wait(self.rates.total, now));
        if wait.is_zero() {
            return Ok(());
        }
        let part_of_second = u64::from(wait.subsec_nanos() > 0);
        Err(Refused {
            retry_after: Duration::from_secs(wait.as_secs().saturating_add(part_of_second)),
        })
    }

    /// Counts a code from `address` that is not known.
    pub fn failed(&mut self, address: IpAddr, now: Instant) {
        self.total.take(self.rates.total, now);
        if self.behind_proxy && address.to_canonical().is_loopback() {
            return;
        }
        let prefix = Prefix::of(address);
        if !self.prefixes.contains_key(&prefix) {
            self.make_room(now);
        }
        self.prefixes
            .entry(prefix)
            .or_insert(Bucket { full_at: now })
            .take(self.rates.prefix, now);
    }

    /// How many prefixes are remembered: at most [`MAX_PREFIXES`].
    pub fn remembered(&self) -> usize {
        self.prefixes.len()
    }

    /// Forgets full buckets and, if none is, the fullest. Scans the table, at most as often as
    /// the total allows.
    fn make_room(&mut self, now: Instant) {
        if self.prefixes.len() < MAX_PREFIXES {
            return;
        }
        self.prefixes.retain(|_, bucket| bucket.full_at > now);
        if self.prefixes.len() < MAX_PREFIXES {
            return;
        }
        let fullest = self
            .prefixes
            .iter()
            .min_by_key(|(prefix, bucket)| (bucket.full_at, **prefix))
            .map(|(&prefix, _)| prefix);
        if let Some(prefix) = fullest {
            self.prefixes.remove(&prefix);
        }
    }
}

/// Who is taken for one guesser.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Prefix {
    V4(Ipv4Addr),
    /// The upper 64 bits.
    V6(u64),
}

impl Prefix {
    fn of(address: IpAddr) -> Self {
        // An IPv4 client of a dual-stack socket comes as ::ffff:a.b.c.d.
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(upper_half(address)),
        }
    }
}

fn upper_half(address: Ipv6Addr) -> u64 {
    let [a, b, c, d, ..] = address.segments().map(u64::from);
    a << 48 | b << 32 | c << 16 | d
}

/// A bucket's size and the time in which one token comes back.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// How often at once.
    pub burst: u32,
    /// Time after which once more.
    pub refill: Duration,
}

/// How often one address prefix may do something, and all together.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// One prefix.
    pub prefix: Rate,
    /// All together.
    pub total: Rate,
}

const GUESSES: Rates = Rates {
    prefix: Rate {
        burst: PREFIX_BURST,
        refill: PREFIX_REFILL,
    },
    total: Rate {
        burst: TOTAL_BURST,
        refill: TOTAL_REFILL,
    },
};

/// A token bucket, kept as the one instant at which it will be full.
#[derive(Clone, Copy, Debug)]
pub(in crate::intake) struct Bucket {
    full_at: Instant,
}

impl Bucket {
    /// One that nothing was taken of.
    pub(in crate::intake) const fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// When it will be full.
    pub(in crate::intake) const fn full_at(self) -> Instant {
        self.full_at
    }

    /// How long until there is a token; zero if there is one.
    pub(in crate::intake) fn wait(self, rate: Rate, now: Instant) -> Duration {
        let missing = self.full_at.saturating_duration_since(now);
        let one_left = rate.refill.saturating_mul(rate.burst.saturating_sub(1));
        missing.saturating_sub(one_left)
    }

    /// Takes a token; an empty bucket stays as it is, so that calls without a check cannot push
    /// the end out of sight.
    pub(in crate::intake) fn take(&mut self, rate: Rate, now: Instant) {
        if self.wait(rate, now).is_zero() {
            self.full_at = self.full_at.max(now) + rate.refill;
        }
    }
}
