//! View of a running node, for all who ask.

use tokio::sync::watch;

use crate::admin::{Admin, AdminError, Live};
use crate::clock::Clock;
use crate::condition::{Condition, Conditions};
use crate::network::NetworkHandle;
use crate::relay::RelayStatus;

/// Time for which conditions that were found serve `/health`, in seconds: to look walks the store, and
/// anybody may ask.
const SERVES_S: u64 = 10;

/// A running node, as it sees itself.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) admin: Admin,
    pub(super) conditions: Conditions,
    pub(super) network: NetworkHandle,
    pub(super) status: watch::Receiver<RelayStatus>,
    pub(super) clock: Clock,
}

impl View {
    /// Peers and counters.
    pub(super) fn live(&self) -> Live {
        Live {
            network: self.network.status(),
            relay: self.status.borrow().clone(),
            clock: self.clock.status(),
            ..Live::default()
        }
    }

    /// The list of conditions; what is computed may be some seconds old.
    pub(super) fn conditions(&self, now: u64) -> Result<Vec<Condition>, AdminError> {
        if self.conditions.is_fresh(now, SERVES_S) {
            return Ok(self.conditions.list());
        }
        self.admin.look(Some(&self.live()), now)
    }
}
