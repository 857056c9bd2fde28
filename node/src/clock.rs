//! The one place where the node reads the wall clock; everything else is told the time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now, in seconds of UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "a driver reads the clock, here alone"
)]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
