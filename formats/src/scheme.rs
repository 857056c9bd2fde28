//! The schemes: how contact identifiers are derived, one file a scheme.
//!
//! A scheme says how many identifiers a notification stands for, derives them, and compares them
//! with what a device observed. Relays need none of this: an unknown scheme passes through them
//! untouched.

pub mod cx;
