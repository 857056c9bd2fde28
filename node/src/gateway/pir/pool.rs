//! Threads of their own for work that takes a core: neither the runtime's workers nor the reads of
//! other paths ever wait behind it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use crate::gateway::Trouble;

/// How much the threads yield to all others of the node (Linux: a tenth of a core where another
/// thread wants it, all of it where none does).
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads and a bounded queue before them. Once dropped, the threads end.
pub(super) struct Pool(SyncSender<Job>);

impl Pool {
    /// `queue` counts the jobs that wait, those at work not included.
    pub(super) fn new(workers: usize, queue: usize) -> Self {
        let (jobs, waiting) = mpsc::sync_channel(queue);
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..workers {
            let waiting = Arc::clone(&waiting);
            let name = format!("pir-{number}");
            let started = thread::Builder::new()
                .name(name)
                .spawn(move || work(&waiting));
            if let Err(error) = started {
                // Without any, every request finds the pool full.
                tracing::error!(%error, "a thread for PIR answers does not start");
            }
        }
        Self(jobs)
    }

    /// Has a job done; not if the caller has gone away before its turn.
    ///
    /// A job holds what it needs, and a thread nothing between two jobs: when the gateway is gone,
    /// so is its hold on the store.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Trouble> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(move || {
            if !reply.is_closed() {
                // Who has gone away meanwhile does not miss it.
                drop(reply.send(job()));
            }
        });
        self.0.try_send(job).map_err(|_| Trouble::Busy)?;
        answer.await.map_err(|_| Trouble::Panic)
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    // Of this thread alone. Where it is not allowed the answers are right all the same.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "PIR answers keep the node's priority");
    }
    loop {
        // One thread waits for the next job, the others for their turn to wait.
        let job = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("a PIR answer panicked");
        }
    }
}
