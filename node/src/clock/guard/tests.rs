use bellwether_formats::id::PublicKey;

use super::*;

const T: u64 = 1_600_000_000;
const DAY: u64 = 86_400;

fn gateway(operator: &str, time: u64) -> Word {
    Word {
        source: Source::Gateway(operator.to_owned()),
        time,
    }
}

fn provider(name: u8, time: u64) -> Word {
    Word {
        source: Source::Provider(PublicKey::from_bytes([name; 32])),
        time,
    }
}

/// A clock that says `T` and did not leap.
fn reading(words: &[Word]) -> Reading<'_> {
    Reading {
        local: T,
        expected: Some(T),
        words,
        leap_held_s: 0,
        one_held_s: 0,
    }
}

/// Sources of a doubt's words; `None` if there is no doubt.
fn against(verdict: &Verdict) -> Option<usize> {
    match verdict {
        Verdict::Doubt(doubt) => Some(doubt.against.len()),
        _ => None,
    }
}

#[test]
fn clock_that_nobody_contradicts_is_believed() {
    assert_eq!(judge(reading(&[])), Verdict::Plain);
    let first = Reading {
        expected: None,
        ..reading(&[])
    };
    assert_eq!(judge(first), Verdict::Plain);
    let near = [gateway("a", T + TOLERANCE_S)];
    assert_eq!(judge(reading(&near)), Verdict::Agreed);
    // What was signed long ago says nothing.
    assert_eq!(judge(reading(&[provider(1, T - 9 * DAY)])), Verdict::Plain);
}

#[test]
fn leap_is_held_for_ten_minutes_and_ends_at_once_when_a_source_agrees() {
    for expected in [T - 30 * DAY, T - 7200, T + 7200] {
        let leap = |words: &[Word], leap_held_s| {
            judge(Reading {
                expected: Some(expected),
                leap_held_s,
                ..reading(words)
            })
        };
        assert_eq!(against(&leap(&[], 0)), Some(0), "{expected}");
        assert_eq!(against(&leap(&[], LEAP_HELD_S - 1)), Some(0));
        assert_eq!(leap(&[], LEAP_HELD_S), Verdict::Alone);
        assert_eq!(leap(&[gateway("a", T - 5)], 0), Verdict::Agreed);
        assert_eq!(leap(&[provider(1, T - 5)], 0), Verdict::Agreed);
    }
}

#[test]
fn one_source_is_held_against_the_clock_for_six_hours_and_two_for_ever() {
    for time in [T - 7200, T + 7200] {
        let held = |words: &[Word], one_held_s| {
            judge(Reading {
                one_held_s,
                leap_held_s: u64::MAX,
                ..reading(words)
            })
        };
        let one = [gateway("a", time)];
        assert_eq!(against(&held(&one, ONE_HELD_S - 1)), Some(1), "{time}");
        assert_eq!(held(&one, ONE_HELD_S), Verdict::Alone);
        let two = [gateway("a", time), gateway("b", time + 5)];
        assert_eq!(against(&held(&two, u64::MAX)), Some(2));
        // Two of one operator are one, and two that do not agree are each alone.
        let same = [gateway("a", time), gateway("a", time)];
        assert_eq!(held(&same, ONE_HELD_S), Verdict::Alone);
        let apart = [gateway("a", T - 7200), gateway("b", T - 9000)];
        assert_eq!(held(&apart, ONE_HELD_S), Verdict::Alone);
    }
}

#[test]
fn one_that_agrees_outweighs_one_that_does_not_but_not_two() {
    let with = gateway("good", T);
    let (a, b) = (gateway("a", T + 7200), gateway("b", T + 7200));
    assert_eq!(judge(reading(&[a.clone(), with.clone()])), Verdict::Agreed);
    let three = [a.clone(), b.clone(), with.clone()];
    assert_eq!(against(&judge(reading(&three))), Some(2));
    let even = [a, b, with, provider(1, T - 60)];
    assert_eq!(judge(reading(&even)), Verdict::Agreed);
}

#[test]
fn what_providers_signed_later_counts_as_the_least_that_it_can_be() {
    let one = [provider(1, T + 7200)];
    assert_eq!(against(&judge(reading(&one))), Some(1));
    let two = [provider(1, T + 7200), provider(2, T + 4000)];
    assert_eq!(against(&judge(reading(&two))), Some(2));
    let beside = [gateway("a", T + 7200), provider(2, T + 4000)];
    assert_eq!(against(&judge(reading(&beside))), Some(2));
}

#[test]
fn doubt_says_the_values_and_who_gave_them() {
    let words = [gateway("Relay One", T - 30 * DAY)];
    let Verdict::Doubt(doubt) = judge(Reading {
        expected: Some(T - 30 * DAY),
        ..reading(&words)
    }) else {
        panic!()
    };
    assert_eq!(
        doubt.to_string(),
        "this machine's clock says 2020-09-13T12:26:40Z; by what was believed last it should be \
         2020-08-14T12:26:40Z; a gateway of Relay One says 2020-08-14T12:26:40Z"
    );
}
