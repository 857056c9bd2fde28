use bellwether_formats::id::{Level, RecordId, Scheme};

use super::*;
use crate::batcher::Content;
use crate::store::tests::fixture::NOW;
use crate::store::{Mode, NoteRow, RangeRow};

/// Midnight of the day of `NOW`.
const TODAY: u64 = NOW / DAY_S * DAY_S;

/// A batch with `count` sealed notifications of cx1, or a fold; `seq` published it last.
fn range(first: u64, last: u64, seq: u64, published_at: u64, count: u32) -> Range {
    Range {
        first,
        last,
        row: RangeRow {
            seq,
            published_at,
            window: (0, published_at),
            counts: BTreeMap::new(),
            ids: [(1, u64::from(count) * 2048)].into(),
            came_back: false,
        },
    }
}

fn plain(batch: u64, published_at: u64, count: u32) -> Range {
    range(batch, batch, batch, published_at, count)
}

fn planned(new: bool, revise: &[u64], ranges: &[Range]) -> Vec<Job> {
    let mut ranges = ranges.to_vec();
    ranges.sort_by_key(|range| (range.first, range.last));
    jobs(&Known {
        now: NOW,
        new,
        revise: &revise.iter().copied().collect(),
        ranges: &ranges,
    })
}

fn fold(first: u64, last: u64) -> Job {
    Job::Fold { first, last }
}

#[test]
fn what_is_new_comes_first_then_revisions() {
    assert_eq!(planned(false, &[], &[]), []);
    assert_eq!(planned(true, &[], &[]), [Job::New]);
    let ranges = [plain(3, TODAY, 1), plain(5, TODAY + 9, 1)];
    assert_eq!(
        planned(true, &[5, 3], &ranges),
        [Job::New, Job::Revise(3), Job::Revise(5)]
    );
    assert_eq!(planned(false, &[5], &ranges), [Job::Revise(5)]);
}

#[test]
fn a_day_is_folded_when_it_is_over() {
    let yesterday = TODAY - DAY_S;
    let two = [plain(3, yesterday, 1), plain(6, TODAY - 1, 1)];
    assert_eq!(planned(false, &[], &two), [fold(3, 6)]);
    let mut early = two.to_vec();
    early.push(plain(7, TODAY, 1));
    assert_eq!(planned(false, &[], &early), [fold(3, 6)], "today waits");
    let one = [plain(3, yesterday - 1, 1), plain(6, yesterday, 1)];
    assert_eq!(planned(false, &[], &one), [], "each alone in its day");
    // Some days that the node was down for.
    let days = [
        plain(1, yesterday - DAY_S, 1),
        plain(2, yesterday - 1, 1),
        plain(3, yesterday, 1),
        plain(9, TODAY - 9, 1),
    ];
    assert_eq!(
        planned(true, &[], &days),
        [Job::New, fold(1, 2), fold(3, 9)]
    );
    // What is published is not published again.
    let mut published = days.to_vec();
    published.push(range(1, 2, 10, TODAY, 0));
    assert_eq!(planned(false, &[], &published), [fold(3, 9)]);
}

#[test]
fn what_came_back_after_a_restore_is_in_no_fold() {
    let yesterday = TODAY - DAY_S;
    let mut day: Vec<Range> = (1..=6).map(|n| plain(n, yesterday + n, 1)).collect();
    day[2].row.came_back = true;
    assert_eq!(planned(false, &[], &day), [fold(1, 2), fold(4, 6)]);
    day[4].row.came_back = true;
    assert_eq!(planned(false, &[], &day), [fold(1, 2)]);
}

#[test]
fn a_fold_holds_what_fits_one_batch() {
    let yesterday = TODAY - DAY_S;
    let batches = |counts: &[u32]| -> Vec<Range> {
        let numbered = (1..).zip(counts);
        numbered
            .map(|(batch, count)| plain(batch, yesterday + batch, *count))
            .collect()
    };
    // 32 parts hold 4015 seeds.
    assert_eq!(
        planned(false, &[], &batches(&[1000, 1000, 1000, 1015])),
        [fold(1, 4)]
    );
    assert_eq!(
        planned(false, &[], &batches(&[1000, 1000, 1000, 1016])),
        [fold(1, 3)]
    );
    let many = batches(&[2000, 2000, 2000, 2000, 2000]);
    assert_eq!(planned(false, &[], &many), [fold(1, 2), fold(3, 4)]);
    // A fold that is there stays as it is.
    let mut known = many.clone();
    known.push(range(1, 2, 9, TODAY, 0));
    assert_eq!(planned(false, &[], &known), [fold(3, 4)]);
    assert_eq!(planned(false, &[], &batches(&[4015, 4015])), []);
    // Each scheme has parts of its own.
    let mut mixed = batches(&[2000, 2000]);
    mixed[1].row.ids = [(2, 2015 * 2048)].into();
    assert_eq!(planned(false, &[], &mixed), []);
    mixed[1].row.ids = [(2, 2000 * 2048)].into();
    assert_eq!(planned(false, &[], &mixed), [fold(1, 2)]);
}

#[test]
fn a_fold_is_published_again_after_a_revision_inside_it() {
    let yesterday = TODAY - DAY_S;
    let mut ranges = vec![
        plain(3, yesterday, 1),
        plain(6, yesterday + 1, 1),
        plain(8, TODAY, 1),
        range(3, 6, 9, TODAY + 1, 0),
    ];
    assert_eq!(planned(false, &[], &ranges), []);
    assert_eq!(
        planned(false, &[8], &ranges),
        [Job::Revise(8)],
        "not inside"
    );
    assert_eq!(planned(false, &[6], &ranges), [Job::Revise(6), fold(3, 6)]);
    // The revision was published, and then the node stopped.
    ranges[1].row.seq = 10;
    assert_eq!(planned(false, &[], &ranges), [fold(3, 6)]);
    ranges[3].row.seq = 11;
    assert_eq!(planned(false, &[], &ranges), []);
}

#[test]
fn as_many_parts_as_the_format_makes() {
    assert_eq!(parts(&BTreeMap::new()), 0);
    // 125.49 seeds a part.
    for (count, expected) in [(0, 1), (1, 1), (125, 1), (126, 2), (4015, 32), (4016, 33)] {
        assert_eq!(parts(&[(1, count * 2048)].into()), expected, "{count}");
    }
    assert_eq!(parts(&[(1, 126 * 2048), (2, 125 * 2048)].into()), 3);
}

#[test]
fn a_batch_takes_as_much_as_its_parts_hold() {
    let note = |scheme: Scheme, which: u32, mode: Mode| {
        let mut unit = vec![0; scheme.rules().unwrap().width().max()];
        unit[..4].copy_from_slice(&which.to_be_bytes());
        let note = NoteRow {
            scheme: scheme.0,
            level: Level::DIAGNOSED.0,
            issue: u64::from(which),
            accepted_at: NOW,
            published_level: None,
            observed_before: 0,
            published_at: 0,
            dummy: false,
            mode,
            batch: None,
            grade: None,
            next_grade: None,
            public_at: None,
            publish_from: 0,
            owner: None,
            unit,
        };
        (RecordId::of(scheme, &note.unit), note)
    };
    let sealed: Vec<_> = (0..4100)
        .map(|which| note(Scheme::CX1, which, Mode::Sealed))
        .collect();
    let content = Content::new(&sealed);
    assert_eq!(content.notifications(), 4015);
    assert_eq!(content.sealed_patients(), Some(4015));
    let mut mixed = vec![
        note(Scheme::CX2, 0, Mode::Open),
        note(Scheme::CX2, 1, Mode::Sealed),
    ];
    mixed.extend(sealed);
    mixed.push(note(Scheme::CX2, 2, Mode::Open));
    mixed.push(note(Scheme::CX1, 5000, Mode::Open));
    let content = Content::new(&mixed);
    // One part for the open ones, one for the sealed one of cx2, 30 for 3764 of cx1; an open one of
    // cx1 would need one more.
    assert_eq!(content.notifications(), 2 + 1 + 3764);
    assert_eq!(content.says.len(), content.notifications());
    assert_eq!(Content::new(&[]).sealed_patients(), None);
}
