//! Exposure key exports (GAEN Export v1): bytes in, verified keys or a named error out; and back.
//!
//! An export is a zip of `export.bin`, the keys, and `export.sig`, the signatures over every byte
//! of the former. It is what servers of Apple's and Google's exposure notifications publish.
//!
//! Reading: [`Unverified::read`] opens the container, [`Unverified::verify`] believes it, and only
//! then looks at the keys; [`Set::join`] puts the parts of one batch together. A bad key is
//! dropped by itself, with its place and the broken rule; anything else refuses the file.
//! Writing: [`write()`] sorts, pads, splits and signs.
//!
//! No I/O and no clock. Nothing is kept of an export: that is for whoever calls.
//! Source: spec §14.

mod key;
mod message;
mod reader;
mod set;
mod writer;
mod zip;

pub use self::key::{Key, KeyError, TEK_BYTES};
pub use self::message::{Header, SignerName};
pub use self::reader::{Dropped, Export, ExportError, Signer, Unverified};
pub use self::set::{Set, SetError};
pub use self::writer::{Draft, Policy, Signing, WriteError, Written, write};
pub use self::zip::ZipError;
pub use crate::pem::{PemError, PrivateKey, PublicKey};
pub use crate::protobuf::WireError;
pub use bellwether_formats::scheme::gaen::ReportType;

/// Largest `export.bin`, in bytes (64 MiB): two million keys of the usual 27 to 33 bytes.
/// Source: spec §14.1.
pub const MAX_EXPORT_BYTES: usize = 64 * 1024 * 1024;

/// Largest `export.sig`, in bytes (64 KiB): [`MAX_SIGNATURES`] with every text at its limit.
/// Source: spec §14.1.
pub const MAX_SIGNATURE_FILE_BYTES: usize = 64 * 1024;

/// Largest zip, in bytes: both entries as they are, and 64 KiB for what surrounds them. Whoever
/// reads a file reads no more than this and one byte. Source: spec §14.1.
pub const MAX_ZIP_BYTES: usize = MAX_EXPORT_BYTES + MAX_SIGNATURE_FILE_BYTES + 64 * 1024;

/// Most keys of an export, new and revised together, in items: some 32 MB of memory, whatever
/// `export.bin` says in two bytes each. Source: spec §14.2.
pub const MAX_KEYS: usize = 1_000_000;

/// Most signatures of an export, in items: each that may be ours is tried. Source: spec §14.2.
pub const MAX_SIGNATURES: usize = 32;

/// Longest region, key id or key version, in bytes. Source: spec §14.2.
pub const MAX_TEXT_BYTES: usize = 256;
