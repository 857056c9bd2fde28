//! When an identifier can be observed.

/// A day of UTC, in seconds.
pub const DAY_S: u64 = 86_400;

/// Times of observation at which an identifier matches: seconds of UTC, from inclusive, to exclusive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Span {
    /// The day of UTC that is hashed with the identifier in sealed parts, counted from 1970-01-01.
    pub day: u64,
    /// First second.
    pub from: u64,
    /// The second after the last.
    pub to: u64,
}

impl Span {
    /// A span of the day that it begins in.
    pub const fn new(from: u64, to: u64) -> Self {
        let day = from / DAY_S;
        Self { day, from, to }
    }

    /// Whether an observation at `at` is in it.
    pub const fn contains(&self, at: u64) -> bool {
        self.from <= at && at < self.to
    }
}
