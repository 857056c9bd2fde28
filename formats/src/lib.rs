//! formats
#![no_std]
extern crate alloc;

pub mod scheme;
