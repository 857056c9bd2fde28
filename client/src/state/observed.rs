//! The file of the observations, which the state names by its hash.

use std::fs;
use std::io;

use data_encoding::HEXLOWER;

use super::{State, Store, read_bounded};
use crate::error::StateError;
use crate::observations::{MAX_BYTES, Name};

/// Beginning of the names of such files.
const PREFIX: &str = "observations-";

impl Store {
    /// Makes the observations durable, unless a file has them; gives whether one was written.
    pub(super) fn put_observations(&self, state: &State) -> Result<bool, StateError> {
        let Some((name, bytes)) = state.observations.unwritten() else {
            return Ok(false);
        };
        let file = file(&name);
        self.replace(&self.dir, &file, &bytes)
            .map_err(|error| StateError::io(&self.dir.join(file), error))?;
        state.observations.set_written(name);
        Ok(true)
    }

    /// Reads the observations that the state names.
    pub(super) fn read_observations(&self, state: &mut State) -> Result<(), StateError> {
        let Some(name) = state.observations.file() else {
            return Ok(());
        };
        let path = self.dir.join(file(&name));
        let max = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
        let bytes = read_bounded(&path, max).map_err(|error| StateError::io(&path, error))?;
        if state.observations.read(name, &bytes) {
            return Ok(());
        }
        let reason = "it is not what was written".to_owned();
        Err(StateError::Malformed { path, reason })
    }

    /// Removes what other states named.
    pub(super) fn sweep_observations(&self, state: &State) -> io::Result<()> {
        let named = state.observations.file().map(|name| file(&name));
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            if name.starts_with(PREFIX) && named.as_deref() != Some(name) {
                self.step()?;
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

fn file(name: &Name) -> String {
    format!("{PREFIX}{}", HEXLOWER.encode(name))
}
