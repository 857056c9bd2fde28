//! The schemes: how contact identifiers are derived, one file a scheme, all behind [`Rules`].
//!
//! A scheme says how many identifiers a notification stands for, derives them, and compares them
//! with what a device observed. Relays need none of this: an unknown scheme passes through them
//! untouched. Source: spec §7.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::error::rules;
use crate::id::{Level, ParseIdError, ProviderId, RecordId, Scheme};

pub mod cx;
pub mod dp3t;
pub mod fanny;
pub mod gaen;
pub mod tcn;
pub mod text;

mod span;
mod units;
mod wanted;

pub use span::{DAY_S, Span};
pub use units::{Units, Width};
pub use wanted::WantedIds;

/// What a device can tell on the air; an observation is tested by every scheme of its family.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Family {
    /// CX of both generator types.
    Cx,
    /// Temporary contact numbers.
    Tcn,
    /// DP-3T's three designs: an ephemeral id does not tell which.
    Dp3t,
    /// Apple and Google's rolling proximity identifiers.
    Gaen,
    /// FANNY's tokens.
    Fanny,
}

impl Family {
    /// All families, in the order of the schemes' codes.
    pub const ALL: [Self; 5] = [Self::Cx, Self::Tcn, Self::Dp3t, Self::Gaen, Self::Fanny];

    /// The family's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cx => "cx",
            Self::Tcn => "tcn",
            Self::Dp3t => "dp3t",
            Self::Gaen => "gaen",
            Self::Fanny => "fanny",
        }
    }

    /// How many bytes an observation of the family can have. DP-3T's can be an ephemeral id, or its
    /// hash with the epoch, as the unlinkable design keeps it; FANNY's a token alone, or with the key
    /// that encrypts it.
    pub const fn lengths(self) -> &'static [usize] {
        match self {
            Self::Cx | Self::Tcn | Self::Gaen => &[16],
            Self::Dp3t => &[16, 32],
            Self::Fanny => &[32, fanny::Contact::LEN],
        }
    }

    /// Whether an observation of the family can have so many bytes.
    pub fn takes(self, len: usize) -> bool {
        self.lengths().contains(&len)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Takes the names of schemes too, each for its family.
impl FromStr for Family {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if let Some(family) = Self::ALL.into_iter().find(|family| family.name() == text) {
            return Ok(family);
        }
        let scheme: Scheme = text.parse()?;
        let rules = scheme.rules().ok_or(ParseIdError::Scheme)?;
        Ok(rules.family())
    }
}

/// Gives an identifier: the unit's number among those that are expanded, the identifier, and when
/// it can be observed, in schemes that know.
pub type Sink<'a> = dyn FnMut(usize, &[u8], Option<Span>) + 'a;

/// The rules of one scheme.
///
/// A unit that [`check`](Self::check) refuses matches nothing, and expands to nothing (unless its
/// signature alone is wrong, which is dear to find); those beside it do.
pub trait Rules: Sync {
    /// The scheme's code.
    fn scheme(&self) -> Scheme;

    /// Which observations its identifiers are compared with.
    fn family(&self) -> Family;

    /// How long its units are.
    fn width(&self) -> Width;

    /// Whether its notifications are sealed whatever the zone says: those that stand for a single
    /// identifier. Source: spec §7.
    fn always_sealed(&self) -> bool {
        false
    }

    /// Whether its identifiers are bound to times, so that hashes hold the day (spec §5.2).
    fn timed(&self) -> bool {
        false
    }

    /// Checks a unit by itself: its length, its numbers, its signature. Bounds the work that
    /// expanding it will be.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    fn check(&self, unit: &[u8]) -> Result<Facts, UnitError>;

    /// Checks what a unit says of times against the clock, when it is submitted at `now`, in seconds
    /// of UTC.
    ///
    /// # Errors
    ///
    /// [`UnitError::Future`] and [`UnitError::Old`]; and those of [`check`](Self::check).
    fn check_at(&self, unit: &[u8], now: u64) -> Result<Facts, UnitError> {
        let facts = self.check(unit)?;
        let Some(period) = facts.period else {
            return Ok(facts);
        };
        let ahead = period.from.saturating_sub(now);
        let ahead = ahead.max(period.to.saturating_sub(now.saturating_add(MAX_AHEAD_S)));
        if ahead > 0 {
            return Err(UnitError::Future { ahead });
        }
        let old = now.saturating_sub(period.to);
        if old > MAX_AGE_S {
            return Err(UnitError::Old { old });
        }
        Ok(facts)
    }

    /// How many identifiers a unit stands for; what is cheap is looked at, so not signatures.
    fn expansion(&self, unit: &[u8]) -> Option<u32> {
        self.check(unit).ok().map(|facts| facts.identifiers)
    }

    /// Whether `new`, which has the same record id as `old`, may take its place when its owner
    /// submits it again.
    fn may_replace(&self, old: &[u8], new: &[u8]) -> bool {
        old == new
    }

    /// Whether the scheme allows that what is said of a notification changes so. Source: spec §6.2.
    fn may_become(&self, _from: Level, _to: Level) -> bool {
        true
    }

    /// What of a unit names the notification, in its record id (spec §6.4): units that share it are
    /// statements about the same one.
    fn key_material<'a>(&self, unit: &'a [u8]) -> &'a [u8] {
        unit
    }

    /// Gives every identifier of every unit. Memory does not grow with the number of units.
    fn expand(&self, units: &Units, sink: &mut Sink<'_>);

    /// Gives those identifiers of the units that were observed. Only for schemes that can be open:
    /// the identifiers of all of these have 16 bytes.
    fn matches(&self, units: &Units, wanted: &WantedIds, hit: &mut Sink<'_>) {
        self.expand(units, &mut |unit, identifier, span| {
            let known = identifier.try_into().map(cx::Identifier::from_bytes);
            if known.is_ok_and(|identifier| wanted.contains(identifier)) {
                hit(unit, identifier, span);
            }
        });
    }

    /// Gives what may stand in a sealed part of a provider's for an observation made at `at`: a day
    /// and the identifier, once for each day. In [timed](Self::timed) schemes the day is hashed; in
    /// FANNY it went into what is encrypted. Nothing if it is none of the scheme's.
    fn look_ups(
        &self,
        observed: &[u8],
        at: u64,
        provider: &ProviderId,
        sink: &mut dyn FnMut(Option<u64>, &[u8]),
    );

    /// Makes a unit that cannot be told from `like` but for its random bytes (spec §4.6). `None` if
    /// `like` is no unit, or the scheme is always sealed.
    fn dummy(&self, like: &[u8], random: &mut dyn FnMut(&mut [u8])) -> Option<Vec<u8>>;
}

/// Oldest end of a unit's identifiers when it is submitted, in seconds (21 days): what DP-3T keeps.
/// Phones look back 14 days.
pub const MAX_AGE_S: u64 = 21 * DAY_S;

/// How far the end of a unit's identifiers may lie ahead when it is submitted, in seconds (a day):
/// that of a key of today.
const MAX_AHEAD_S: u64 = DAY_S;

/// What is known of a unit that was checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Facts {
    /// How many identifiers it stands for, 1 to 4096.
    pub identifiers: u32,
    /// When its identifiers were broadcast, in schemes that know.
    pub period: Option<Span>,
    /// Before this time it must not be published, in seconds of UTC: its identifiers could still be
    /// broadcast by others and believed. 0 if the scheme does not know.
    pub publish_from: u64,
}

/// Names a notification at its provider. Source: spec §6.4.
pub fn record_id(scheme: Scheme, unit: &[u8]) -> RecordId {
    let material = scheme
        .rules()
        .map_or(unit, |rules| rules.key_material(unit));
    RecordId::of(scheme, material)
}

/// The first identifier of a unit, and its day in timed schemes.
pub fn first(scheme: Scheme, unit: &[u8]) -> Option<(Vec<u8>, Option<u64>)> {
    let rules = scheme.rules()?;
    let mut first = None;
    let units = Units::of(rules.width(), [unit]);
    rules.expand(&units, &mut |_, identifier, span| {
        if first.is_none() {
            first = Some((identifier.to_vec(), span.map(|span| span.day)));
        }
    });
    first
}

/// Why bytes are not a unit of a scheme.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum UnitError {
    #[error("a unit of {found} bytes, expected {expected}")]
    Length { found: usize, expected: usize },
    #[error("a contact id is a version 4 UUID, and a token is of two different ones")]
    ContactId,
    #[error("a day key for {found} days, it is for 1 to {}", dp3t::MAX_DAYS)]
    Days { found: u8 },
    #[error("days since onset are {found}, they are -14 to 14")]
    Onset { found: i8 },
    #[error(
        "a token whose expiry is more than {} days ahead, or has passed",
        fanny::MAX_DAYS
    )]
    Expiry,
    #[error("identifiers are for times that are {ahead} s too far ahead of the clock")]
    Future { ahead: u64 },
    #[error("the first index of a report is 0, it is at least 1")]
    FirstIndex,
    #[error("its last identifier is older than {} days, by {} s", MAX_AGE_S / DAY_S, old.saturating_sub(MAX_AGE_S))]
    Old { old: u64 },
    #[error(
        "indexes {first} to {last} of a report, which are 1 to {} identifiers",
        tcn::MAX_IDENTIFIERS
    )]
    Range { first: u16, last: u16 },
    #[error(
        "a rolling period of {found} intervals, it has 1 to {}",
        gaen::MAX_PERIOD
    )]
    RollingPeriod { found: u8 },
    #[error("a key from interval {found} on, it ends at 2147483647 or before")]
    RollingStart { found: u32 },
    #[error("the signature of a report does not hold")]
    Signature,
    #[error("a transmission risk of {found}, it is 0 to 8")]
    TransmissionRisk { found: u8 },
    #[error("a window of {found} epochs that is not inside of one day of UTC")]
    Window { found: u8 },
}

rules!(UnitError {
    Self::Length { .. } => "unit-length",
    Self::ContactId => "contact-id",
    Self::Days { .. } => "days",
    Self::Onset { .. } => "days-since-onset",
    Self::Expiry => "expiry",
    Self::Future { .. } => "unit-future",
    Self::FirstIndex => "first-index",
    Self::Old { .. } => "unit-old",
    Self::Range { .. } => "range",
    Self::RollingPeriod { .. } => "rolling-period",
    Self::RollingStart { .. } => "rolling-start",
    Self::Signature => "report-signature",
    Self::TransmissionRisk { .. } => "transmission-risk",
    Self::Window { .. } => "window"
});

impl Scheme {
    /// The scheme's rules, if this version knows it.
    pub fn rules(self) -> Option<&'static dyn Rules> {
        Some(match self {
            Self::CX1 => &cx::CX1,
            Self::CX2 => &cx::CX2,
            Self::TCN => &tcn::Tcn,
            Self::DP3T_LOWCOST => &dp3t::LowCost,
            Self::DP3T_UNLINKABLE => &dp3t::Unlinkable,
            Self::DP3T_HYBRID => &dp3t::Hybrid,
            Self::GAEN => &gaen::Gaen,
            Self::FANNY => &fanny::Fanny,
            _ => return None,
        })
    }
}

/// Bytes of a unit at a place; zeros where it is shorter, which [`Rules::check`] has refused.
fn bytes<const N: usize>(unit: &[u8], at: usize) -> [u8; N] {
    let found = unit.get(at..).and_then(<[u8]>::first_chunk);
    found.copied().unwrap_or([0; N])
}
