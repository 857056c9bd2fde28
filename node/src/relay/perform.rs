//! What the replicator asks of the store.

use std::collections::BTreeSet;

use bellwether_formats::descriptor::Descriptor;
use bellwether_formats::id::{FeedId, ProviderId};
use bellwether_formats::sealed::Index;
use bellwether_formats::signed::Signed;

use crate::replicator::{Input, Job, KnownFeed, List};
use crate::store::{ReplicateError, Store, StoreError};

/// What the store knows when the relay starts: carried feeds, own feeds, and their descriptors.
///
/// # Errors
///
/// [`StoreError`]; so for all that follows.
pub(crate) fn known(
    store: &Store,
    carried: &[FeedId],
    own: &[FeedId],
) -> Result<(Vec<KnownFeed>, Vec<Signed<Descriptor>>), StoreError> {
    let ids: BTreeSet<&FeedId> = carried.iter().chain(own).collect();
    let providers: BTreeSet<ProviderId> = ids.iter().map(|feed| feed.provider).collect();
    let feeds = ids.into_iter().map(|feed| {
        Ok(KnownFeed {
            feed: feed.clone(),
            head: store.head(feed)?.map(|head| head.head),
            forked: store.is_forked(feed)?,
            own: own.contains(feed),
        })
    });
    let feeds: Result<_, StoreError> = feeds.collect();
    let descriptors = providers.iter().map(|id| store.descriptor(id));
    let descriptors: Result<Vec<_>, StoreError> = descriptors.collect();
    Ok((feeds?, descriptors?.into_iter().flatten().collect()))
}

/// Does a job; gives what the replicator must be told.
///
/// # Errors
///
/// [`StoreError`] if the disk fails. A batch that does not fit is no error: the head tells.
pub(crate) fn perform(store: &Store, job: Job) -> Result<Option<Input>, StoreError> {
    match job {
        Job::Descriptor(descriptor) => {
            store.put_descriptor(&descriptor)?;
        }
        Job::Lookup { feed, batch, cids } => {
            let cids = store.look_up(&cids)?;
            return Ok(Some(Input::Lacks { feed, batch, cids }));
        }
        Job::Chunks(list) => {
            let List {
                feed,
                batch,
                part,
                index,
                block,
                shape,
            } = *list;
            let bytes = match block {
                Some(block) => Some(block.into_bytes()),
                None => store.block(&index)?,
            };
            let index = bytes.and_then(|bytes| Index::decode(&bytes, &shape).ok());
            let cids = index.map(|index| store.look_up(index.cids())).transpose()?;
            return Ok(Some(Input::Chunks {
                feed,
                batch,
                part,
                cids,
            }));
        }
        Job::Keep(blocks) => store.put_blocks(&blocks)?,
        Job::Commit {
            batch,
            blocks,
            broken,
        } => {
            match store.replicate_without(&batch, &blocks, &broken) {
                Ok(_) => {}
                Err(ReplicateError::Store(error)) => return Err(error),
                Err(error) => tracing::debug!(feed = %batch.feed(), %error, "batch not kept"),
            }
            return stored(store, batch.feed());
        }
        Job::Oldest(feed) => {
            let oldest = store.oldest(&feed)?;
            let used = store.used_bytes()?;
            return Ok(Some(Input::Oldest { feed, oldest, used }));
        }
        Job::CommitOlder {
            batch,
            blocks,
            broken,
        } => {
            let feed = batch.feed();
            let kept = match store.replicate_below(&batch, &blocks, &broken) {
                Ok(_) => true,
                Err(ReplicateError::Store(error)) if !error.is_read_only() => return Err(error),
                Err(error) => {
                    tracing::debug!(%feed, %error, "older batch not kept");
                    false
                }
            };
            let used = store.used_bytes()?;
            return Ok(Some(Input::StoredOlder { feed, kept, used }));
        }
        Job::Forget(feed) => store.truncate(&feed, 0)?,
        Job::Anchor { feed, disowning } => {
            store.disown(&feed, disowning)?;
            return stored(store, feed);
        }
        Job::Fork { one, other } => {
            store.put_fork(&one, &other)?;
            let feed = one.feed();
            return Ok(Some(Input::Forked { feed }));
        }
        Job::Compare(other) => {
            let feed = other.feed();
            let row = store.row(&feed, other.seq)?;
            if let Some(row) = row.filter(|row| row.id() != other.id())
                && let Some(one) = store.batch(&row)?
            {
                store.put_fork(&one, &other)?;
                return Ok(Some(Input::Forked { feed }));
            }
        }
    }
    Ok(None)
}

/// Progress of a feed now.
pub(super) fn stored(store: &Store, feed: FeedId) -> Result<Option<Input>, StoreError> {
    let head = store.head(&feed)?.map(|head| head.head);
    Ok(Some(Input::Stored { feed, head }))
}
