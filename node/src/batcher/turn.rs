//! Whose turn it is in a zone: what is new, or what the last closing left. Pure. Source: spec §4.7.

/// How far a batch's time may run ahead of the clock before the next one waits, in seconds. Each of
/// a closing's batches has a second of its own.
pub const MAX_AHEAD_S: u64 = 5;

/// Most that is waited for, in seconds: more is a clock that was set back.
pub const MAX_WAIT_S: u64 = 15;

/// What is to be done in a zone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What {
    /// A batch of what is new, or a heartbeat, and then revisions and folds.
    Close,
    /// The revisions and folds that the last closing left.
    GoOn,
}

/// How a zone stands; times in seconds of UTC.
#[derive(Clone, Copy, Debug)]
pub struct Stand {
    /// The time.
    pub now: u64,
    /// When the newest batch was published.
    pub head: Option<u64>,
    /// When the next batch of what is new is due.
    pub due: u64,
    /// When what the last closing left can go on, if it left anything.
    pub goes_on: Option<u64>,
}

impl Stand {
    /// What is to be done next, and when. What is new comes when it is due, and not before the clock
    /// has caught up with the newest batch; until then an unfinished closing goes on.
    pub fn next(self) -> (u64, What) {
        let head = self.head.unwrap_or_default();
        let ahead = head.saturating_sub(self.now);
        // A clock that was set back is not waited for: the attempt says so.
        let ready = if ahead < MAX_WAIT_S {
            head.saturating_sub(MAX_AHEAD_S - 1)
        } else {
            0
        };
        match self.goes_on {
            Some(at) if self.due > self.now => (at.min(self.due), What::GoOn),
            _ => (self.due.max(ready), What::Close),
        }
    }
}
