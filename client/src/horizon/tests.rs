use bellwether_formats::id::{ObjectId, PublicKey};

use super::*;

const T: u64 = 1_700_000_000;
const DAY: u64 = 86_400;

fn at(utc: u64, boot: &str, seconds: u64) -> Moment {
    let boot = boot.to_owned();
    Moment {
        utc,
        up: Some(Up { boot, seconds }),
    }
}

fn signed(published_at: u64) -> [(ProviderId, Head); 1] {
    let head = Head {
        seq: 1,
        id: ObjectId::of(b""),
        epoch: 1,
        published_at,
        next_by: published_at + 3 * DAY,
    };
    [(PublicKey::from_bytes([1; 32]), head)]
}

#[test]
fn clock_that_agrees_with_what_was_signed_deletes() {
    let mut lived = Lived::default();
    assert_eq!(lived.read(&at(T, "a", 5), signed(T - 60)), T);
    assert_eq!(lived.read(&at(T + 60, "a", 65), signed(T)), T + 60);
    assert_eq!(lived.read(&T.into(), signed(T)), T);
}

#[test]
fn clock_ahead_deletes_no_more_than_a_day_past_what_was_signed() {
    let mut lived = Lived::default();
    for ahead in [13, 30, 400] {
        let now = Moment::from(T + ahead * DAY);
        assert_eq!(lived.read(&now, signed(T)), T + DAY, "{ahead}");
    }
    // In the first moment of a new phone there is nothing to go by, and nothing to lose.
    assert_eq!(Lived::default().read(&T.into(), []), T);
}

#[test]
fn clock_that_leaps_deletes_nothing_until_something_signed_agrees() {
    let mut lived = Lived::default();
    lived.read(&at(T, "a", 0), []);
    assert_eq!(lived.read(&at(T + 13 * DAY, "a", 9), []), 0);
    assert_eq!(lived.read(&at(T + 13 * DAY + 9, "a", 18), signed(T)), 0);
    // The clock is set right again: that is a leap, too, but now a signed time agrees.
    assert_eq!(lived.read(&at(T + 30, "a", 30), signed(T)), T + 30);
    // A leap over a restart of the device cannot be seen; what was signed bounds it.
    assert_eq!(lived.read(&at(T + 30 * DAY, "b", 3), signed(T)), T + DAY);
}

#[test]
fn deletion_is_held_back_for_seven_days_lived_and_no_longer() {
    let mut lived = Lived::default();
    lived.read(&at(T, "a", 0), signed(T));
    // The provider is gone. A phone that lives on holds back for seven days more than the first.
    let mut ends = None;
    for hour in 1..24 * 30 {
        let (now, up) = (T + hour * 3600, hour * 3600);
        if lived.read(&at(now, "a", up), signed(T)) == now && hour > 24 {
            ends = Some(hour);
            break;
        }
    }
    let ends = ends.unwrap();
    assert!((24 * 8..=24 * 8 + 2).contains(&ends), "{ends} h");
    // What lived before a restart counts, the time in between does not.
    let mut lived = Lived::default();
    lived.read(&at(T, "a", 0), signed(T));
    for (boot, utc) in [("a", T + 5 * DAY), ("b", T + 40 * DAY), ("c", T + 50 * DAY)] {
        lived.read(&at(utc, boot, 10), signed(T));
        let later = at(utc + 3 * DAY, boot, 10 + 3 * DAY);
        lived.read(&later, signed(T));
    }
    let now = T + 60 * DAY;
    assert_eq!(lived.read(&at(now, "d", 0), signed(T)), now);
}
