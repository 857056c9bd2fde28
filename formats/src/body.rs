//! Bodies: what a part's blocks hold. Source: spec §6 (open) and §5 (sealed, next).

pub mod open;
