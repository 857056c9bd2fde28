use super::*;
use std::cell::Cell;

/// Lets the process die before its n-th step of writing.
#[derive(Debug, Default)]
pub(super) struct Steps {
    taken: Cell<u32>,
    die_at: Cell<Option<u32>>,
}

impl Steps {
    pub(super) fn step(&self) -> io::Result<()> {
        let taken = self.taken.get();
        self.taken.set(taken + 1);
        match self.die_at.get() {
            Some(at) if taken >= at => Err(io::Error::other("died")),
            _ => Ok(()),
        }
    }
}
