//! Who is logged in: a table in memory. Pure: time and randomness are arguments.
//! Source: spec §10.8.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// A session that was not used for so long has ended: somebody may stand at a screen left alone.
pub(super) const IDLE: Duration = Duration::from_mins(15);
/// A session has ended after so long, used or not: a working day.
pub(super) const LIFE: Duration = Duration::from_hours(8);
/// Most sessions; for one more, the one that was not used for longest ends.
pub(super) const MAX_SESSIONS: usize = 1024;
/// Most sessions of one user, so that nobody ends those of the others.
pub(super) const MAX_OF_USER: usize = 8;

/// What a browser shows to be known again: 32 random bytes, in a cookie and nowhere else.
pub(super) struct SessionId([u8; 32]);

impl SessionId {
    /// Takes bytes of the system's generator.
    pub(super) const fn new(random: [u8; 32]) -> Self {
        Self(random)
    }

    /// Reads a cookie's value.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 {
            return None;
        }
        let bytes = HEXLOWER.decode(text.as_bytes()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// The cookie's value.
    pub(super) fn text(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// What this session's forms carry, so that no other site can send them. It follows from the
    /// id, and the id does not follow from it.
    pub(super) fn token(&self) -> String {
        HEXLOWER.encode(&self.derive(b"bellwether form"))
    }

    /// Whether a form carries this session's token.
    pub(super) fn is_token(&self, text: &str) -> bool {
        verify_slices_are_equal(self.token().as_bytes(), text.as_bytes()).is_ok()
    }

    /// What is kept of the id.
    fn key(&self) -> [u8; 32] {
        self.derive(b"bellwether session")
    }

    fn derive(&self, purpose: &[u8]) -> [u8; 32] {
        let hash = Sha256::new().chain_update(purpose).chain_update(self.0);
        hash.finalize().into()
    }
}

/// Says nothing.
impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// Every session.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// By the hash of the id: who reads this memory, or measures a look-up, has no id. At most
    /// [`MAX_SESSIONS`].
    all: HashMap<[u8; 32], Session>,
}

#[derive(Debug)]
struct Session {
    user: String,
    /// Of the password that it began with.
    stamp: [u8; 32],
    began_at: Instant,
    used_at: Instant,
}

impl Session {
    fn has_ended(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used_at) >= IDLE
            || now.saturating_duration_since(self.began_at) >= LIFE
    }
}

impl Sessions {
    /// Begins a session. `stamp` is that of the user's password.
    pub(super) fn begin(&mut self, id: &SessionId, user: &str, stamp: [u8; 32], now: Instant) {
        self.all.retain(|_, session| !session.has_ended(now));
        let of_user = self.all.values().filter(|session| session.user == user);
        if of_user.count() >= MAX_OF_USER {
            self.end_idlest(|session| session.user == user);
        }
        if self.all.len() >= MAX_SESSIONS {
            self.end_idlest(|_| true);
        }
        let session = Session {
            user: user.to_owned(),
            stamp,
            began_at: now,
            used_at: now,
        };
        self.all.insert(id.key(), session);
    }

    /// The user of a session that is used now. `stamp_of` gives the stamp of a user's password;
    /// the session ends if there is no such user any more, or the password is another.
    pub(super) fn used(
        &mut self,
        id: &SessionId,
        stamp_of: impl Fn(&str) -> Option<[u8; 32]>,
        now: Instant,
    ) -> Option<String> {
        let key = id.key();
        let session = self.all.get_mut(&key)?;
        if session.has_ended(now) || stamp_of(&session.user) != Some(session.stamp) {
            self.all.remove(&key);
            return None;
        }
        session.used_at = now;
        Some(session.user.clone())
    }

    /// Ends a session.
    pub(super) fn end(&mut self, id: &SessionId) {
        self.all.remove(&id.key());
    }

    fn end_idlest(&mut self, among: impl Fn(&Session) -> bool) {
        let among = self.all.iter().filter(|(_, session)| among(session));
        let idlest = among.min_by_key(|(key, session)| (session.used_at, **key));
        if let Some(key) = idlest.map(|(key, _)| *key) {
            self.all.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
