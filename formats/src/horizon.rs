//! The time that counts for deleting: never that of one clock alone. Phones, relays and providers
//! ask these same functions. Source: spec §4.8.

use alloc::collections::BTreeMap;

use crate::chain::Head;
use crate::id::ProviderId;

/// Most that the local clock may be past the newest signed time before deletion is held back, in
/// seconds (a day): longer than most intervals, shorter than what anybody would miss.
pub const MAX_AHEAD_S: u64 = 86_400;

/// Longest time that deletion is held back, in seconds of time lived (7 days): a provider that is
/// gone, old heads that a relay shows again, or a phone without network do not keep data for ever.
pub const MAX_HELD_S: u64 = 7 * 86_400;

/// Knowledge of the time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Clocks {
    /// Time of the local clock, in seconds of UTC.
    pub local: u64,
    /// [`newest_signed`].
    pub newest_signed: Option<u64>,
    /// Tells whether the local clock has leapt against the monotonic one, and no second source has agreed
    /// with it since.
    pub leapt: bool,
    /// Time for which deletion has been held back, in seconds of time lived: monotonic, summed over starts.
    pub held_s: u64,
}

/// Limit of what may be deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Horizon {
    /// The time to take for now when deleting, in seconds of UTC.
    pub now: u64,
    /// Tells whether the local clock alone would have deleted more. While it is so, time lived is added to
    /// [`Clocks::held_s`]; when it is not, that begins again at 0.
    pub held: bool,
}

/// The time to take for now when deleting: the lesser of the local clock and the newest signed time
/// plus a day; after a leap, the beginning of time. After [`MAX_HELD_S`] the local clock alone.
pub fn horizon(clocks: Clocks) -> Horizon {
    let signed = clocks.newest_signed.unwrap_or(u64::MAX);
    let most = if clocks.leapt {
        0
    } else {
        signed.saturating_add(MAX_AHEAD_S)
    };
    let held = most < clocks.local;
    let now = if held && clocks.held_s < MAX_HELD_S {
        most
    } else {
        clocks.local
    };
    Horizon { now, held }
}

/// The newest signed time: the second greatest `published_at` over providers, so that one that is
/// ahead does not move it alone; the greatest if there is one provider only. A provider whose head
/// was past its `next_by` when the newest was published has fallen silent, and is no provider here.
/// (The local clock does not say who has: it is what is in doubt.)
pub fn newest_signed(heads: impl IntoIterator<Item = (ProviderId, Head)>) -> Option<u64> {
    let mut newest: BTreeMap<ProviderId, Head> = BTreeMap::new();
    for (provider, head) in heads {
        let known = newest.entry(provider).or_insert(head);
        if head.published_at > known.published_at {
            *known = head;
        }
    }
    let greatest = newest.values().map(|head| head.published_at).max()?;
    let live = newest.values().filter(|head| head.next_by >= greatest);
    let mut times: alloc::vec::Vec<u64> = live.map(|head| head.published_at).collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    times.get(1).or(times.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ObjectId, PublicKey};

    const T: u64 = 1_600_000_000;
    const DAY: u64 = 86_400;

    fn head(published_at: u64, next_by: u64) -> Head {
        Head {
            seq: 1,
            id: ObjectId::of(b""),
            epoch: 1,
            published_at,
            next_by,
        }
    }

    fn heads(list: &[(u8, u64, u64)]) -> Option<u64> {
        let of = |(name, at, next_by): &(u8, u64, u64)| {
            (PublicKey::from_bytes([*name; 32]), head(*at, *next_by))
        };
        newest_signed(list.iter().map(of))
    }

    #[test]
    fn newest_signed_of_several_providers_is_the_second_greatest() {
        assert_eq!(heads(&[]), None);
        assert_eq!(heads(&[(1, T, T + 10)]), Some(T));
        // Two feeds of one provider are one witness.
        assert_eq!(heads(&[(1, T, T + 10), (1, T - 5, T + 10)]), Some(T));
        assert_eq!(heads(&[(1, T, T + 10), (2, T - 5, T + 10)]), Some(T - 5));
        let three = [(1, T - 9, T + 10), (2, T, T + 10), (3, T - 5, T + 10)];
        assert_eq!(heads(&three), Some(T - 5));
    }

    #[test]
    fn newest_signed_counts_no_provider_that_fell_silent() {
        let silent = [(1, T, T + 10), (2, T - 9 * DAY, T - 8 * DAY)];
        assert_eq!(heads(&silent), Some(T));
        let at_its_end = [(1, T, T + 10), (2, T - DAY, T)];
        assert_eq!(heads(&at_its_end), Some(T - DAY));
    }

    #[test]
    fn horizon_is_the_lesser_of_the_local_clock_and_a_day_after_the_newest_signed_time() {
        let at = |local, newest_signed, held_s| {
            let leapt = false;
            let found = horizon(Clocks {
                local,
                newest_signed,
                leapt,
                held_s,
            });
            (found.now, found.held)
        };
        assert_eq!(at(T, None, 0), (T, false));
        assert_eq!(at(T, Some(T + 100), 0), (T, false));
        assert_eq!(at(T + DAY, Some(T), 0), (T + DAY, false));
        assert_eq!(at(T + DAY + 1, Some(T), 0), (T + DAY, true));
        assert_eq!(at(T + 30 * DAY, Some(T), MAX_HELD_S - 1), (T + DAY, true));
        assert_eq!(at(T + 30 * DAY, Some(T), MAX_HELD_S), (T + 30 * DAY, true));
    }

    #[test]
    fn horizon_after_a_leap_deletes_nothing_for_seven_days_lived() {
        let at = |held_s| {
            horizon(Clocks {
                local: T,
                newest_signed: Some(T),
                leapt: true,
                held_s,
            })
        };
        assert_eq!(at(0), Horizon { now: 0, held: true });
        assert_eq!(at(MAX_HELD_S), Horizon { now: T, held: true });
    }
}
