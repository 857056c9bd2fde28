//! A sealed batch is tried until its salt is good: what cannot be built with one salt can with
//! another. No salt is tried twice.

use bellwether_formats::sealed::{Again, BuildError};

use super::PublishZoneError;
use crate::batcher::DraftError;

/// Most salts that are tried for one batch. By chance one in a hundred fails, so that more failures
/// than this are a fault of the machine.
const MAX_ATTEMPTS: usize = 16;

/// A salt of the system's.
pub(super) fn salt() -> Result<[u8; 16], PublishZoneError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|_| PublishZoneError::Random)?;
    Ok(salt)
}

/// Makes something with a salt, with another one if chance was against it.
pub(super) fn make<T>(
    mut salt: impl FnMut() -> Result<[u8; 16], PublishZoneError>,
    mut with: impl FnMut([u8; 16]) -> Result<T, PublishZoneError>,
) -> Result<T, PublishZoneError> {
    let mut last = Again::Filter;
    for _ in 0..MAX_ATTEMPTS {
        match with(salt()?) {
            Err(PublishZoneError::Draft(DraftError::Build(BuildError::Again(again)))) => {
                tracing::debug!(%again, "a salt did not do");
                last = again;
            }
            done => return done,
        }
    }
    Err(PublishZoneError::Unlucky {
        attempts: MAX_ATTEMPTS,
        last,
    })
}

#[cfg(test)]
mod tests;
