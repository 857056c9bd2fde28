//! The tasks of a node, which end together.

use std::future::Future;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts tasks. The first one to fail stops all the others: a node with a dead part looks alive
/// and is not.
pub(super) struct Tasks {
    pub(super) stop: CancellationToken,
    pub(super) tracker: TaskTracker,
}

impl Tasks {
    pub(super) fn spawn<E: std::error::Error + Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            let on_panic = stop.clone().drop_guard();
            match task.await {
                Ok(()) if stop.is_cancelled() => {
                    on_panic.disarm();
                    tracing::debug!(name, "task ended");
                }
                Ok(()) => tracing::error!(name, "task ended early, stopping the node"),
                Err(error) => tracing::error!(name, %error, "task failed, stopping the node"),
            }
        });
    }
}
