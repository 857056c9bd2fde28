//! The tests of the node against its files: crashes, and the formats of others.
//! One binary, so that it links once: a new file is named here.

#[path = "../../formats/tests/common/counting.rs"]
mod counting;
mod crash;
mod dp3t_list;
mod gaen_export;
