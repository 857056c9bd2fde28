//! The log of what the replicator wants an operator to read.

use crate::replicator::Note;

pub(super) fn log(note: &Note) {
    match note {
        Note::Anchored { feed, seq } => {
            tracing::warn!(%feed, seq, "an anchor disowns the newest batches, dropped");
        }
        Note::Forked { feed } => {
            tracing::error!(%feed, "the provider signed two batches of one number");
        }
        Note::Restarted { feed, seq } => {
            tracing::warn!(%feed, seq, "nobody has the batches before this one any more");
        }
        Note::GaveUp { feed, what } => {
            tracing::info!(%feed, what, "not found, the next round tries again");
        }
        Note::TooLarge { feed, seq, bytes } => {
            tracing::error!(%feed, seq, bytes, "a batch is larger than the disk cap, not fetched");
        }
        Note::Blamed { peer, what } => tracing::warn!(%peer, what, "peer not asked for a while"),
    }
}
