//! The tests of the client against gateways on loopback.
//! One binary, so that it links once: a new file is named here.

mod bundles;
mod cli;
mod fixture;
mod phone;
