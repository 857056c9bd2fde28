//! The end-to-end tests: real processes on loopback.
//! One binary, so that it links once: a new file is named here.

mod demo;
mod documents;
mod hostile;
mod kill;
mod owners;
mod path;
mod professional;
mod relays;
mod reports;
mod schemes;
mod sealed;
mod shim;
mod submissions;
