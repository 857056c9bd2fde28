//! The container: a zip of `export.bin` and `export.sig`, and of nothing else.
//!
//! By hand and not by a crate, because what is wanted is what they are lenient about: the two
//! entries, the central directory and the end record fill the file without a gap, and say the
//! same thing twice where the format has it said twice. So there is one way to read a file, and
//! nothing hides in it. Source: spec §14.1; decision 14; PKWARE's APPNOTE §4.3 to §4.5.

mod inflate;
mod layout;

use std::borrow::Cow;

use self::layout::{Cursor, DESCRIBED_LATER, End, Entry, STORED};
use super::{MAX_EXPORT_BYTES, MAX_SIGNATURE_FILE_BYTES, MAX_ZIP_BYTES};

/// Both entries' names, and the most bytes that each may have.
const ENTRIES: [(&str, usize); 2] = [
    ("export.bin", MAX_EXPORT_BYTES),
    ("export.sig", MAX_SIGNATURE_FILE_BYTES),
];

/// What a zip holds. Stored entries are not copied.
#[derive(Debug)]
pub(super) struct Unpacked<'a> {
    pub(super) export: Cow<'a, [u8]>,
    pub(super) signatures: Cow<'a, [u8]>,
}

/// Reads the two entries. What is inflated is bounded before it is allocated.
///
/// # Errors
///
/// [`ZipError`]
pub(super) fn unpack(zip: &[u8]) -> Result<Unpacked<'_>, ZipError> {
    let found = zip.len();
    if found > MAX_ZIP_BYTES {
        return Err(ZipError::Size { found });
    }
    let end = End::read(zip)?;
    let mut directory = Cursor::new(end.directory);
    let mut entries = [
        Entry::central(&mut directory)?,
        Entry::central(&mut directory)?,
    ];
    if !directory.is_empty() {
        return Err(ZipError::Layout(
            "the directory holds more than two entries",
        ));
    }
    // Where they lie, not where they are listed: together they fill what is before the directory.
    entries.sort_by_key(|entry| entry.offset);
    let [first, second] = entries;
    if first.offset != 0 {
        return Err(ZipError::Layout("bytes before the first entry"));
    }
    let (first_bytes, second_bytes) = end
        .entries
        .split_at_checked(second.offset)
        .ok_or(ZipError::Layout("an entry begins beyond the directory"))?;
    let one = (first.name, content(&first, first_bytes)?);
    let other = (second.name, content(&second, second_bytes)?);
    let [(export, _), (signatures, _)] = ENTRIES;
    let unpacked = |export, signatures| Unpacked { export, signatures };
    if (one.0, other.0) == (export.as_bytes(), signatures.as_bytes()) {
        Ok(unpacked(one.1, other.1))
    } else if (one.0, other.0) == (signatures.as_bytes(), export.as_bytes()) {
        Ok(unpacked(other.1, one.1))
    } else {
        Err(ZipError::Entries)
    }
}

/// Reads what lies between the beginning of an entry and that of what follows it.
fn content<'a>(entry: &Entry<'_>, bytes: &'a [u8]) -> Result<Cow<'a, [u8]>, ZipError> {
    let named = ENTRIES
        .iter()
        .find(|(name, _)| name.as_bytes() == entry.name);
    let (_, max) = named.ok_or(ZipError::Entries)?;
    if entry.size > *max {
        return Err(ZipError::Size { found: entry.size });
    }
    let mut cursor = Cursor::new(bytes);
    entry.check_local(&mut cursor)?;
    let packed = cursor.take(entry.packed_size)?;
    if entry.flags & DESCRIBED_LATER != 0 {
        entry.check_descriptor(&mut cursor)?;
    }
    if !cursor.is_empty() {
        return Err(ZipError::Layout("bytes after an entry"));
    }
    let content = if entry.method == STORED {
        if entry.size != entry.packed_size {
            return Err(ZipError::Header("a stored entry has two sizes"));
        }
        Cow::Borrowed(packed)
    } else {
        Cow::Owned(inflate::inflate(packed, entry.size)?)
    };
    if crc32(&content) != entry.crc {
        return Err(ZipError::Crc);
    }
    Ok(content)
}

/// Writes the container: both entries stored, with the first date that there is, so that equal
/// entries make equal files.
///
/// `None` if an entry has more bytes than its limit.
pub(super) fn pack(export: &[u8], signatures: &[u8]) -> Option<Vec<u8>> {
    let mut zip = Vec::new();
    let mut directory = Vec::new();
    for ((name, max), content) in ENTRIES.into_iter().zip([export, signatures]) {
        let size = u32::try_from(content.len()).ok()?;
        if content.len() > max {
            return None;
        }
        let head = layout::common_head(name, crc32(content), size)?;
        let offset = u32::try_from(zip.len()).ok()?;
        layout::write_local(&mut zip, &head, name);
        zip.extend_from_slice(content);
        layout::write_central(&mut directory, &head, name, offset);
    }
    layout::write_end(&mut zip, &directory)?;
    Some(zip)
}

/// CRC-32 as zip has it: polynomial 0x04c11db7, reflected, all ones before and after.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let sum = bytes.iter().fold(u32::MAX, |sum, &byte| {
        let [low, ..] = sum.to_le_bytes();
        let step = TABLE.get(usize::from(low ^ byte)).copied();
        (sum >> 8) ^ step.unwrap_or_default()
    });
    !sum
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut rest: &mut [u32] = &mut table;
    let mut byte = 0;
    while let Some((entry, after)) = rest.split_first_mut() {
        let mut sum: u32 = byte;
        let mut bit = 0;
        while bit < 8 {
            sum = (sum >> 1) ^ (0xedb8_8320 * (sum & 1));
            bit += 1;
        }
        *entry = sum;
        rest = after;
        byte += 1;
    }
    table
}

/// Why bytes are not the zip of an export.
///
/// [`rule`](Self::rule) is the broken rule of spec §14.1.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ZipError {
    #[error("{found} bytes of a zip or in one of its entries: more than there may be")]
    Size { found: usize },
    #[error("the zip is not two entries, a directory and its end, without gaps: {0}")]
    Layout(&'static str),
    #[error("the zip's entries are not `export.bin` and `export.sig`")]
    Entries,
    #[error("an entry's header: {0}")]
    Header(&'static str),
    #[error("an entry is encrypted")]
    Encrypted,
    #[error("an entry is neither stored nor deflated: method {found}")]
    Method { found: u16 },
    #[error("an entry cannot be inflated to the size that the zip says")]
    Deflate,
    #[error("an entry's check sum is another than the zip says")]
    Crc,
}

impl ZipError {
    /// The broken rule's name, as in the spec and its vectors.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Size { .. } => "zip-size",
            Self::Layout(_) => "zip-layout",
            Self::Entries => "zip-entries",
            Self::Header(_) => "zip-header",
            Self::Encrypted => "zip-encrypted",
            Self::Method { .. } => "zip-method",
            Self::Deflate => "zip-deflate",
            Self::Crc => "zip-crc",
        }
    }
}
