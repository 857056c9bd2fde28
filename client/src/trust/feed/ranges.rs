//! Which of a feed's batches with sealed parts are processed: a batch or the fold that repeats it,
//! and of both the newest version. Pure. Source: spec §11.2.
//!
//! The choice is a function of what was published and of what was chosen before, never of an
//! observation: everybody who was online at the same times fetches the same.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a client does with the sealed parts of a batch. Once taken stays taken.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Choice {
    /// Its filters are fetched and looked at, as long as no newer version of its range is there.
    Taken,
    /// A fold was taken for it, or it is a fold of what was taken, or a newer version came first.
    Skipped,
}

/// First and last number whose live content a batch has: its own, or those of `covers`.
pub(crate) type Range = (u64, u64);

/// A batch with sealed parts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Sealed {
    /// Its number.
    pub(crate) seq: u64,
    /// What it has.
    pub(crate) range: Range,
    /// What was chosen before.
    pub(crate) choice: Option<Choice>,
}

/// Chooses for every batch that nothing was chosen for. `batches` are those of one branch,
/// ascending by number; so are the choices.
pub(crate) fn choose(batches: &[Sealed]) -> Vec<Choice> {
    let having = |choice| {
        let chosen = batches
            .iter()
            .filter(move |batch| batch.choice == Some(choice));
        chosen.map(|batch| batch.range).collect::<BTreeSet<Range>>()
    };
    let mut taken = having(Choice::Taken);
    let skipped = having(Choice::Skipped);
    let undecided: BTreeSet<Range> = batches
        .iter()
        .map(|batch| batch.range)
        .filter(|range| !taken.contains(range) && !skipped.contains(range))
        .collect();
    // The widest fold saves most; a single batch comes last.
    let mut undecided: Vec<Range> = undecided.into_iter().collect();
    undecided.sort_by_key(|(first, last)| (u64::MAX - (last - first), *first));
    for range in undecided {
        if !taken.iter().any(|other| overlap(*other, range)) {
            taken.insert(range);
        }
    }
    let is_newest = |batch: &Sealed| {
        !batches
            .iter()
            .any(|other| other.range == batch.range && other.seq > batch.seq)
    };
    let choice = |batch: &Sealed| match batch.choice {
        Some(choice) => choice,
        None if taken.contains(&batch.range) && is_newest(batch) => Choice::Taken,
        None => Choice::Skipped,
    };
    batches.iter().map(choice).collect()
}

const fn overlap(one: Range, other: Range) -> bool {
    one.0 <= other.1 && other.0 <= one.1
}

#[cfg(test)]
mod tests {
    use super::Choice::{Skipped, Taken};
    use super::*;

    /// Batches as they were published: number and range.
    fn chosen(known: &mut Vec<Sealed>, new: &[(u64, Range)]) -> Vec<Choice> {
        known.extend(new.iter().map(|(seq, range)| Sealed {
            seq: *seq,
            range: *range,
            choice: None,
        }));
        let choices = choose(known);
        for (batch, choice) in known.iter_mut().zip(&choices) {
            assert!(batch.choice.is_none_or(|before| before == *choice));
            batch.choice = Some(*choice);
        }
        choices
    }

    fn fresh(new: &[(u64, Range)]) -> Vec<Choice> {
        chosen(&mut Vec::new(), new)
    }

    #[test]
    fn a_revision_of_what_was_processed_is_processed() {
        let mut known = Vec::new();
        assert_eq!(chosen(&mut known, &[(1, (1, 1)), (2, (2, 2))]), [Taken; 2]);
        assert_eq!(chosen(&mut known, &[(3, (1, 1))]), [Taken; 3]);
        assert_eq!(chosen(&mut known, &[(5, (1, 1))]), [Taken; 4]);
    }

    #[test]
    fn who_sees_the_revision_first_needs_no_more() {
        assert_eq!(
            fresh(&[(1, (1, 1)), (2, (2, 2)), (3, (1, 1)), (4, (1, 1))]),
            [Skipped, Taken, Skipped, Taken]
        );
        assert_eq!(fresh(&[(3, (1, 1))]), [Taken], "batch 1 is gone already");
    }

    #[test]
    fn who_was_away_takes_the_fold_and_what_came_after() {
        let mut known = Vec::new();
        let days = [
            (1, (1, 1)),
            (2, (2, 2)),
            (4, (4, 4)),
            (5, (1, 4)),
            (6, (6, 6)),
        ];
        assert_eq!(
            chosen(&mut known, &days),
            [Skipped, Skipped, Skipped, Taken, Taken]
        );
        // A revision of batch 2, and the fold once more: the fold counts.
        assert_eq!(
            chosen(&mut known, &[(7, (2, 2)), (8, (1, 4))])[5..],
            [Skipped, Taken]
        );
    }

    #[test]
    fn who_processed_the_single_ones_skips_the_fold() {
        let mut known = Vec::new();
        chosen(&mut known, &[(1, (1, 1)), (2, (2, 2)), (4, (4, 4))]);
        assert_eq!(chosen(&mut known, &[(5, (1, 4))])[3..], [Skipped]);
        assert_eq!(
            chosen(&mut known, &[(6, (2, 2)), (7, (1, 4))])[4..],
            [Taken, Skipped],
            "the revision counts, and the fold of it does not"
        );
    }

    #[test]
    fn who_processed_some_goes_on_with_single_ones() {
        let mut known = Vec::new();
        chosen(&mut known, &[(1, (1, 1))]);
        assert_eq!(
            chosen(&mut known, &[(2, (2, 2)), (3, (3, 3)), (4, (1, 3))]),
            [Taken, Taken, Taken, Skipped]
        );
    }

    #[test]
    fn of_a_fold_published_again_the_newer_counts() {
        assert_eq!(
            fresh(&[
                (1, (1, 1)),
                (2, (2, 2)),
                (3, (1, 2)),
                (5, (1, 1)),
                (6, (1, 2))
            ]),
            [Skipped, Skipped, Skipped, Skipped, Taken]
        );
    }

    #[test]
    fn of_folds_that_overlap_the_widest_is_taken() {
        assert_eq!(
            fresh(&[
                (4, (1, 3)),
                (8, (5, 7)),
                (9, (1, 8)),
                (10, (8, 9)),
                (11, (11, 11))
            ]),
            [Skipped, Skipped, Taken, Skipped, Taken]
        );
    }
}
