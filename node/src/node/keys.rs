//! Keys that a provider must have to come up.

use std::path::Path;

use bellwether_formats::id::PublicKey;

use super::StartError;
use crate::clock;
use crate::config::Config;
use crate::init::CODE_KEY;
use crate::keys::{self, Unusable};
use crate::publisher::Places;
use crate::store::Store;

/// Refuses to start a provider without its keys: it would take reports that it can never publish, or
/// none. Keys whose time is over or has not come start it: the clock may be wrong, and a descriptor
/// that is renewed lists them again. Source: spec §12.1.
pub(super) fn check(dir: &Path, config: &Config, store: &Store) -> Result<(), StartError> {
    let Some(provider) = &config.provider else {
        return Ok(());
    };
    keys::load(&dir.join(CODE_KEY)).map_err(StartError::CodeKey)?;
    let signing = keys::load_signing(&Places::of(dir).keys).map_err(StartError::SigningKeys)?;
    let here: Vec<PublicKey> = signing.iter().map(keys::public).collect();
    let Some(descriptor) = store.descriptor(&provider.id()?)? else {
        return Ok(());
    };
    match keys::usable(&descriptor, &here, clock::now()) {
        Ok(_) | Err(Unusable::OtherTimes) => Ok(()),
        Err(why) => Err(StartError::Unusable(why)),
    }
}
