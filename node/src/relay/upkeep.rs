//! What the relay does beside relaying: pruning, and checking sealed parts. Both on the blocking
//! pool, one at a time, and nothing waits for them.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::check::Checked;
use super::driver::{Driver, on_pool};
use crate::clock;
use crate::store::{Pruned, RetainPolicy, Store, StoreError};

/// Shortest time between two prunings, when there is no place left.
const PRUNE_AGAIN: Duration = Duration::from_secs(10);

/// How long a block is kept that nothing names: longer than any pause of a fetch, and a restart.
const LOOSE: Duration = Duration::from_hours(1);

impl Driver {
    /// Has the next batch's sealed parts checked, if none is being checked: away from here, for it
    /// takes a while, and nothing depends on it.
    pub(super) fn check(&mut self, stop: &CancellationToken) {
        if self.checking.is_empty() && self.store.is_writable() && !stop.is_cancelled() {
            let (check, store, stop) = (self.check, self.store.clone(), stop.clone());
            self.checking.spawn_blocking(move || check(&store, &stop));
        }
    }

    pub(super) async fn was_checked(&mut self, checked: &Checked) -> Result<(), StoreError> {
        self.checked += 1;
        for fault in &checked.faults {
            let (feed, seq, part, rule) = (&checked.feed, checked.seq, fault.part, &fault.rule);
            tracing::error!(%feed, seq, part, rule, "the provider published a broken sealed part");
        }
        self.faulty = on_pool(&self.store, Store::faulty).await?;
        self.report_soon();
        Ok(())
    }

    /// Prunes away from here, unless that is under way.
    pub(super) fn prune(&mut self) {
        if !self.pruning.is_empty() || !self.store.is_writable() {
            return;
        }
        let now = clock::now();
        let fetching_since = self.replicator.fetching_since().unwrap_or(now).min(now);
        self.prune_at = Instant::now() + PRUNE_AGAIN;
        let (store, clock, retain) = (self.store.clone(), self.clock.clone(), self.retain.clone());
        self.pruning.spawn_blocking(move || {
            let horizon = clock.read(&store)?.horizon;
            let pruned = store.prune(RetainPolicy {
                before: horizon.saturating_sub(retain.max_age.as_secs()),
                max_bytes: retain.max_bytes,
                loose_before: horizon.saturating_sub(LOOSE.as_secs()),
                fetching_since,
            })?;
            if pruned != Pruned::default() {
                let (batches, blocks) = (pruned.batches, pruned.blocks);
                tracing::info!(batches, blocks, "pruned");
            }
            Ok(())
        });
    }
}
