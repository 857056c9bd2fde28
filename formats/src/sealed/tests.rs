use alloc::vec::Vec;

use super::*;
use crate::id::{Level, Scheme};

#[test]
fn the_ladder_is_powers_of_two_and_their_quarters() {
    let mut ladder: Vec<u64> = (13..18)
        .flat_map(|e| (4..8).map(move |q| (q << e) / 4))
        .collect();
    ladder.push(1 << 18);
    assert_eq!(ladder, LADDER);
    let steps = LADDER.iter().zip(&LADDER[1..]);
    steps.for_each(|(low, high)| assert!(high * 4 <= low * 5, "{low} to {high}"));
    assert_eq!(LADDER[0], limit::MIN_SEALED_IDS);
    assert_eq!(LADDER[20], limit::MAX_SEALED_IDS);
}

#[test]
fn a_shape_follows_from_a_rung() {
    for ids in LADDER {
        let shape = Shape::of(ids).unwrap();
        let fill = |per_mille: u64| {
            let room = u64::try_from(shape.chunks() * shape.capacity()).unwrap();
            ids * 1000 <= room * per_mille
        };
        assert!(fill(800), "{ids}");
        assert!(shape.chunks() <= limit::MAX_SEALED_CHUNKS);
    }
    let shape = |ids| Shape::of(ids).map(|shape| (shape.chunks(), shape.chunk_bytes()));
    assert_eq!(shape(8192), Ok((64, 4096)));
    assert_eq!(shape(16_384), Ok((128, 4096)));
    assert_eq!(shape(20_480), Ok((38, 16_384)));
    assert_eq!(shape(262_144), Ok((481, 16_384)));
    for ids in [0, 1, 8191, 8193, 16_383, 262_145, u64::MAX] {
        assert_eq!(shape(ids), Err(SealedError::Ladder { found: ids }));
    }
    let capacity = |ids| Shape::of(ids).unwrap().capacity();
    assert_eq!((capacity(8192), capacity(20_480)), (170, 682));
}

#[test]
fn the_next_rung_holds_all() {
    let rung = Shape::rung;
    assert_eq!(
        (rung(0), rung(1), rung(8192)),
        (Some(8192), Some(8192), Some(8192))
    );
    assert_eq!((rung(8193), rung(262_144)), (Some(10_240), Some(262_144)));
    assert_eq!(rung(262_145), None);
}

#[test]
fn a_payload_is_what_was_written() {
    let payload = Payload {
        level: Level(200),
        grade_step: 4,
        observed_before: Payload::MAX_TIME,
        span: None,
    };
    assert_eq!(Payload::decode(payload.encode(None), None), Ok(payload));
    let bytes = payload.encode(None);
    assert_eq!(bytes, [200, 4, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0]);
    for at in 7..12 {
        let mut bytes = bytes;
        bytes[at] = 1;
        assert_eq!(Payload::decode(bytes, None), Err(SealedError::Reserved));
    }
    let mut bytes = bytes;
    bytes[1] = 5;
    assert_eq!(Payload::decode(bytes, None), Err(SealedError::Reserved));
}

#[test]
fn a_span_counts_from_the_day_that_was_hashed() {
    let day = 20_000;
    let start = day * 86_400;
    for (from, to, expected) in [
        (start, start + 86_400, [0, 0, 1, 32]),
        (start + 900, start + 8 * 900, [0, 3, 0, 21]),
        // Two hours before midnight.
        (start - 7200, start + 7800, [255, 232, 0, 50]),
        (start, start, [0, 0, 0, 0]),
    ] {
        let payload = Payload {
            level: Level::DIAGNOSED,
            grade_step: 0,
            observed_before: start + 99_999,
            span: Some((from, to)),
        };
        let bytes = payload.encode(Some(day));
        assert_eq!(bytes[7..11], expected);
        assert_eq!(Payload::decode(bytes, Some(day)), Ok(payload));
        let mut last = bytes;
        last[11] = 1;
        assert_eq!(Payload::decode(last, Some(day)), Err(SealedError::Reserved));
        for (at, inside) in [
            (from, from < to),
            (to.saturating_sub(1), from < to),
            (to, false),
        ] {
            assert_eq!(payload.matches(at), inside);
        }
        assert!(!payload.matches(start + 99_999));
    }
    // Any bytes are some span, which may lie before all time.
    let wild = [5, 0, 1, 0, 0, 0, 0, 128, 0, 255, 255, 0];
    assert!(Payload::decode(wild, Some(0)).is_ok());
    assert!(Payload::decode(wild, Some(u64::MAX)).is_ok());
}

#[test]
fn grades_go_up_in_four_steps() {
    let step = |grade| Payload::step_of(Some(grade));
    assert_eq!(Payload::step_of(None), 0);
    assert_eq!(
        [0, 25, 26, 50, 51, 75, 76, 100, 255].map(step),
        [1, 1, 2, 2, 3, 3, 4, 4, 4]
    );
    let grade = |grade_step| {
        let (level, observed_before) = (Level::DIAGNOSED, 0);
        Payload {
            level,
            grade_step,
            observed_before,
            span: None,
        }
        .grade()
    };
    assert_eq!([0, 1, 4].map(grade), [None, Some(25), Some(100)]);
}

#[test]
fn a_tag_lies_where_its_first_bytes_say() {
    let tag = |position: u64| {
        let mut bytes = [0xff; 12];
        bytes[..8].copy_from_slice(&position.to_be_bytes());
        Tag::from_bytes(bytes)
    };
    assert_eq!(tag(0).part(3), 0);
    assert_eq!(tag(u64::MAX).part(3), 2);
    let third = u64::MAX / 3;
    assert_eq!((tag(third).part(3), tag(third + 1).part(3)), (0, 1));
    assert_eq!(tag(third).chunk(3, 481), 480);
    assert_eq!(tag(third + 1).chunk(3, 481), 0);
    assert_eq!(tag(0x0123_4567_89ab_cdef).key(), 0xefcd_ab89_6745_2301);
    let hash = IdHash::of(Scheme::CX1, &[7; 16], None, b"identifier");
    assert_eq!(hash.key(), hash.tag().key());
    // Nothing panics, however senseless.
    assert_eq!((tag(u64::MAX).part(0), tag(0).chunk(0, 0)), (0, 0));
    assert_eq!(tag(u64::MAX).part(usize::MAX), usize::MAX - 1);
}

#[cfg(feature = "build")]
mod plans {
    use super::super::plan::{parts_for, range};
    use super::*;

    #[test]
    fn parts_are_counted_by_integers() {
        // 1.02·n / 2^18 is a whole number at n = 2^18·50·k/51 only.
        assert_eq!(
            [0, 1, 257_003, 257_004, 514_007, 514_008].map(parts_for),
            [1, 1, 1, 2, 2, 3]
        );
        assert_eq!([8_224_125, 8_224_126].map(parts_for), [32, 33]);
        assert!(parts_for(usize::MAX) > limit::MAX_PARTS);
    }

    #[test]
    fn the_ranges_of_parts_tile_all_tags() {
        let tag = |position: u64| {
            let mut bytes = [0; 12];
            bytes[..8].copy_from_slice(&position.to_be_bytes());
            Tag::from_bytes(bytes)
        };
        for parts in 1..=32 {
            let mut next = 0;
            for part in 0..parts {
                let (first, size) = range(Place { parts, part });
                assert_eq!(u128::from(first), next);
                next += size;
                let last = u64::try_from(next - 1).unwrap();
                assert_eq!(
                    (tag(first).part(parts), tag(last).part(parts)),
                    (part, part)
                );
            }
            assert_eq!(next, 1 << 64);
        }
    }
}
