//! The users as their file now says.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::UserList;
use crate::files::Stamp;

/// How often the file is looked at, at most: who was removed is out a second later.
pub(in crate::intake) const CHECK_EVERY: Duration = Duration::from_secs(1);

/// A file of users, read again when it changes. Clones are the same.
#[derive(Clone, Debug)]
pub(in crate::intake) struct Users(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    check_every: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// None: the file cannot be used, and nobody is let in. An older list might have somebody who
    /// was removed.
    users: Option<Arc<UserList>>,
    /// Of the file that was last tried, good or not: a broken one is tried, and logged, once.
    stamp: Option<Stamp>,
    checked_at: Instant,
}

impl Users {
    /// Reads the file. Waits for the disk.
    pub(in crate::intake) fn new(path: PathBuf, check_every: Duration, now: Instant) -> Self {
        let stamp = Stamp::of(&path);
        let users = load(&path);
        if users
            .as_ref()
            .is_some_and(|users| users.names().next().is_none())
        {
            tracing::warn!("the professional's page has no users yet: nobody can log in");
        }
        let state = State {
            users,
            stamp,
            checked_at: now,
        };
        Self(Arc::new(Inner {
            path,
            check_every,
            state: Mutex::new(state),
        }))
    }

    /// The users as the file has them, or had them a moment ago; none if it cannot be used.
    pub(in crate::intake) async fn now(&self, now: Instant) -> Option<Arc<UserList>> {
        if self.0.check_is_due(now) {
            let inner = Arc::clone(&self.0);
            // A panic there is a bug, and has been printed.
            drop(tokio::task::spawn_blocking(move || inner.reload()).await);
        }
        self.0.state().users.clone()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True once in a while, for one caller.
    fn check_is_due(&self, now: Instant) -> bool {
        let mut state = self.state();
        let due = now.saturating_duration_since(state.checked_at) >= self.check_every;
        if due {
            state.checked_at = now;
        }
        due
    }

    /// Takes the file if it changed.
    fn reload(&self) {
        let stamp = Stamp::of(&self.path);
        if stamp == self.state().stamp {
            return;
        }
        let users = load(&self.path);
        if users.is_some() {
            tracing::info!("the users of the professional's page have changed");
        }
        let mut state = self.state();
        state.stamp = stamp;
        state.users = users;
    }
}

fn load(path: &Path) -> Option<Arc<UserList>> {
    let read = UserList::read(path);
    let read = read.inspect_err(|error| {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        tracing::error!(%error, cause, "nobody can log in to the professional's page");
    });
    read.ok().map(Arc::new)
}
