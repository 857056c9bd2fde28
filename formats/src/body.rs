//! Bodies: what a part's blocks hold. Source: spec §6 (open) and §5 (sealed).

use crate::error::rules;

pub mod open;

/// Tells whether a batch that was published at `published_at` can say of a notification, in a group or an
/// entry, that it is matched by observations before `observed_before`: by none that was made after
/// the batch was published. So whoever has all batches up to a time knows all that can be said of
/// what was observed after it. Source: spec §6.1, §11.5.
///
/// # Errors
///
/// [`ObservedBeforeError`]: the group or entry counts as not said.
pub const fn check_observed_before(
    observed_before: u64,
    published_at: u64,
) -> Result<(), ObservedBeforeError> {
    if observed_before > published_at {
        return Err(ObservedBeforeError {
            observed_before,
            published_at,
        });
    }
    Ok(())
}

/// A notification is said to match observations that were made after its batch was published.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a notification speaks of observations up to {observed_before}, its batch was published at \
     {published_at}"
)]
pub struct ObservedBeforeError {
    /// The claim of the notification.
    pub observed_before: u64,
    /// Time when its batch was published.
    pub published_at: u64,
}

rules!(ObservedBeforeError { Self { .. } => "observed-before" });
