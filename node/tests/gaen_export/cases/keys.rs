//! Keys that are taken, and keys that are dropped.

use super::Case;
use crate::gaen_export::craft::{self, bytes, int, key, zip};

/// A signed export of these fields after the usual ones.
fn with(fields: &[Vec<u8>]) -> Vec<u8> {
    zip(&craft::entries(&craft::pair(fields)))
}

pub(super) fn cases() -> Vec<Case> {
    /// A key and after it one with a field changed; the second is dropped.
    fn second(
        rule: &'static str,
        name: &'static str,
        about: &'static str,
        dropped: &'static str,
        field: &[Vec<u8>],
    ) -> Case {
        let changed = [key(0x22), field.concat()].concat();
        let zip = with(&[bytes(7, key(0x11)), bytes(7, changed)]);
        let keys = if dropped.is_empty() { 2 } else { 1 };
        Case {
            dropped,
            ..Case::valid(rule, name, about, keys, zip)
        }
    }
    let minus = |number: i64| number.cast_unsigned();
    let zigzag = |number: i64| (number << 1 ^ number >> 63).cast_unsigned();
    let data = |length: usize| [bytes(1, vec![7; length])];
    let twice = |second: Vec<u8>| with(&[bytes(7, key(0x11)), bytes(7, second)]);
    let again = |rule, name, about, keys, dropped, zip| Case {
        dropped,
        ..Case::valid(rule, name, about, keys, zip)
    };
    let moved = |start: u64| [key(0x11), int(3, start)].concat();
    let dropped = |rule| match rule {
        "key-data" => "new 1 key-data",
        "rolling-start" => "new 1 rolling-start",
        "rolling-period" => "new 1 rolling-period",
        "transmission-risk" => "new 1 transmission-risk",
        "days-since-onset" => "new 1 days-since-onset",
        _ => panic!("{rule}"),
    };
    let bad =
        |rule, name, about, fields: &[Vec<u8>]| second(rule, name, about, dropped(rule), fields);
    let good = |rule, name, about, fields: &[Vec<u8>]| second(rule, name, about, "", fields);
    vec![
        bad("key-data", "key-15", "15 bytes", &data(15)),
        bad("key-data", "key-17", "17 bytes", &data(17)),
        bad("key-data", "key-0", "no bytes", &data(0)),
        good("rolling-period", "period-absent", "no period: a day", &[]),
        good("rolling-period", "period-1", "ten minutes", &[int(4, 1)]),
        bad("rolling-period", "period-0", "no time at all", &[int(4, 0)]),
        bad(
            "rolling-period",
            "period-145",
            "more than a day",
            &[int(4, 145)],
        ),
        bad("rolling-period", "period-400", "2^8 + 144", &[int(4, 400)]),
        bad(
            "rolling-period",
            "period-negative",
            "-1",
            &[int(4, minus(-1))],
        ),
        bad(
            "rolling-start",
            "start-negative",
            "-1",
            &[int(3, minus(-1))],
        ),
        bad(
            "rolling-start",
            "start-wide",
            "2^32 + 5",
            &[int(3, (1 << 32) + 5)],
        ),
        bad(
            "rolling-start",
            "start-late",
            "ends at 2^31",
            &[int(3, (1 << 31) - 144)],
        ),
        again(
            "rolling-start",
            "start-absent",
            "no beginning",
            0,
            "new 0 rolling-start",
            with(&[bytes(7, bytes(1, [0x11; 16]))]),
        ),
        good("transmission-risk", "risk-8", "the highest", &[int(2, 8)]),
        bad("transmission-risk", "risk-9", "one more", &[int(2, 9)]),
        bad(
            "transmission-risk",
            "risk-negative",
            "-1",
            &[int(2, minus(-1))],
        ),
        good(
            "days-since-onset",
            "onset-14",
            "the latest",
            &[int(6, zigzag(14))],
        ),
        good(
            "days-since-onset",
            "onset-minus-14",
            "the earliest",
            &[int(6, zigzag(-14))],
        ),
        bad(
            "days-since-onset",
            "onset-15",
            "a day later",
            &[int(6, zigzag(15))],
        ),
        bad(
            "days-since-onset",
            "onset-minus-15",
            "a day earlier",
            &[int(6, zigzag(-15))],
        ),
        bad(
            "days-since-onset",
            "onset-256",
            "2^8",
            &[int(6, zigzag(256))],
        ),
        good(
            "protobuf",
            "report-type-unknown",
            "a type of report that nobody knows",
            &[int(5, 77)],
        ),
        again(
            "duplicate",
            "duplicate",
            "the same key twice",
            1,
            "new 1 duplicate",
            twice(key(0x11)),
        ),
        again(
            "duplicate",
            "duplicate-differs",
            "the same, with another risk and period",
            1,
            "new 1 duplicate",
            twice([key(0x11), int(2, 5), int(4, 9)].concat()),
        ),
        again(
            "duplicate",
            "revised-too",
            "the same key, new and revised",
            2,
            "",
            with(&[bytes(7, key(0x11)), bytes(8, key(0x11))]),
        ),
        again(
            "duplicate",
            "revised-twice",
            "the same key, revised twice",
            1,
            "revised 1 duplicate",
            with(&[bytes(8, key(0x11)), bytes(8, key(0x11))]),
        ),
        again(
            "overlap",
            "overlap-after",
            "begins in the last interval of the first",
            1,
            "new 1 overlap",
            twice(moved(2_960_143)),
        ),
        again(
            "overlap",
            "overlap-before",
            "ends with the first interval of the first",
            1,
            "new 1 overlap",
            twice(moved(2_959_857)),
        ),
        again(
            "overlap",
            "adjacent",
            "begins when the first has ended",
            2,
            "",
            twice(moved(2_960_144)),
        ),
        again(
            "overlap",
            "overlap-of-two",
            "between two, in both",
            2,
            "new 2 overlap",
            {
                with(&[
                    bytes(7, key(0x11)),
                    bytes(7, moved(2_960_144)),
                    bytes(7, moved(2_960_072)),
                ])
            },
        ),
    ]
}
