//! The records of a zip: an entry's two headers, its descriptor, and the end.
//!
//! All numbers are little-endian. Dates, versions, attributes and extra fields are skipped:
//! whatever they say, the content is the same.

use super::ZipError;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const END: u32 = 0x0605_4b50;

/// Bytes of the end record. No comment follows it, so it is where every reader looks first.
const END_BYTES: usize = 22;

/// Methods of compression.
pub(super) const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Bits of the flags: check sum and sizes follow the content, as a writer that cannot go back has it.
pub(super) const DESCRIBED_LATER: u16 = 1 << 3;
/// How hard the writer tried, and that the name is UTF-8.
const HARMLESS: u16 = 0b110 | 1 << 11;
/// The content, or the directory, is encrypted.
const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;

/// Extra fields that change what the rest means: larger sizes, and another name.
const ZIP64: u16 = 0x0001;
const UNICODE_PATH: u16 = 0x7075;

/// Version to read with, and date: 1980-01-01, the first day that there is.
const VERSION: u16 = 10;
const DATE: u16 = 1 << 5 | 1;

/// The end record, split from what is before it.
#[derive(Debug)]
pub(super) struct End<'a> {
    pub(super) entries: &'a [u8],
    pub(super) directory: &'a [u8],
}

impl<'a> End<'a> {
    pub(super) fn read(zip: &'a [u8]) -> Result<Self, ZipError> {
        let no_end = ZipError::Layout("no end record at the end");
        let at = zip.len().checked_sub(END_BYTES).ok_or(no_end.clone())?;
        let (before, end) = zip.split_at_checked(at).ok_or(no_end.clone())?;
        let mut cursor = Cursor::new(end);
        if cursor.u32()? != END {
            return Err(no_end);
        }
        let disks = [cursor.u16()?, cursor.u16()?];
        let counts = [cursor.u16()?, cursor.u16()?];
        let (size, offset) = (cursor.size()?, cursor.size()?);
        let comment = cursor.u16()?;
        if disks != [0, 0] || comment != 0 {
            return Err(ZipError::Layout("several disks, or a comment"));
        }
        if counts != [2, 2] {
            return Err(ZipError::Entries);
        }
        let (entries, directory) = before
            .split_at_checked(offset)
            .filter(|(_, directory)| directory.len() == size)
            .ok_or(ZipError::Layout(
                "the directory does not end at the end record",
            ))?;
        Ok(Self { entries, directory })
    }
}

/// What the directory says of an entry.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc: u32,
    /// Bytes in the file.
    pub(super) packed_size: usize,
    /// Bytes of the content.
    pub(super) size: usize,
    /// Where its local header begins.
    pub(super) offset: usize,
    pub(super) name: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Reads an entry of the directory.
    pub(super) fn central(cursor: &mut Cursor<'a>) -> Result<Self, ZipError> {
        if cursor.u32()? != CENTRAL {
            return Err(ZipError::Layout("no entry where the directory has one"));
        }
        cursor.u16()?; // who made it
        let mut entry = Self::common(cursor)?;
        let lengths = [cursor.u16()?, cursor.u16()?, cursor.u16()?];
        let disk = cursor.u16()?;
        cursor.take(6)?; // attributes
        entry.offset = cursor.size()?;
        entry.name = cursor.take(lengths[0].into())?;
        extra_fields(cursor.take(lengths[1].into())?)?;
        if disk != 0 || lengths[2] != 0 {
            return Err(ZipError::Header("another disk, or a comment"));
        }
        if entry.flags & ENCRYPTED != 0 {
            return Err(ZipError::Encrypted);
        }
        if entry.flags & !(DESCRIBED_LATER | HARMLESS) != 0 {
            return Err(ZipError::Header("unknown flags"));
        }
        if ![STORED, DEFLATED].contains(&entry.method) {
            return Err(ZipError::Method {
                found: entry.method,
            });
        }
        Ok(entry)
    }

    /// Reads the local header and holds it against this one.
    pub(super) fn check_local(&self, cursor: &mut Cursor<'_>) -> Result<(), ZipError> {
        if cursor.u32()? != LOCAL {
            return Err(ZipError::Layout("no entry where the directory says"));
        }
        let local = Entry::common(cursor)?;
        let lengths = [cursor.u16()?, cursor.u16()?];
        let name = cursor.take(lengths[0].into())?;
        extra_fields(cursor.take(lengths[1].into())?)?;
        let later = self.flags & DESCRIBED_LATER != 0;
        let empty = (local.crc, local.packed_size, local.size) == (0, 0, 0);
        let same = name == self.name
            && (local.flags, local.method) == (self.flags, self.method)
            && (local.sums() == self.sums() || later && empty);
        if same {
            Ok(())
        } else {
            Err(ZipError::Header("it differs from the directory"))
        }
    }

    /// Reads what follows the content, with or without a signature, and holds it against this.
    pub(super) fn check_descriptor(&self, cursor: &mut Cursor<'_>) -> Result<(), ZipError> {
        if cursor.left() == 16 && cursor.u32()? != DESCRIPTOR {
            return Err(ZipError::Header("no descriptor after the content"));
        }
        if (cursor.u32()?, cursor.size()?, cursor.size()?) == self.sums() {
            Ok(())
        } else {
            Err(ZipError::Header(
                "the descriptor differs from the directory",
            ))
        }
    }

    const fn sums(&self) -> (u32, usize, usize) {
        (self.crc, self.packed_size, self.size)
    }

    /// Reads what both headers have, from the version to the sizes.
    fn common(cursor: &mut Cursor<'_>) -> Result<Self, ZipError> {
        cursor.u16()?; // version to read with
        let (flags, method) = (cursor.u16()?, cursor.u16()?);
        cursor.u32()?; // date
        Ok(Self {
            flags,
            method,
            crc: cursor.u32()?,
            packed_size: cursor.size()?,
            size: cursor.size()?,
            offset: 0,
            name: &[],
        })
    }
}

/// Walks extra fields, which are nothing to us unless they change what the rest means.
fn extra_fields(extra: &[u8]) -> Result<(), ZipError> {
    let mut cursor = Cursor::new(extra);
    while !cursor.is_empty() {
        let (id, length) = (cursor.u16()?, cursor.u16()?);
        cursor.take(length.into())?;
        if [ZIP64, UNICODE_PATH].contains(&id) {
            return Err(ZipError::Header("zip64, or a second name"));
        }
    }
    Ok(())
}

/// Reads numbers and bytes one after the other.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    const fn left(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], ZipError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(ZipError::Layout("a record is cut off"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ZipError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(ZipError::Layout("a record is cut off"))?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u16(&mut self) -> Result<u16, ZipError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, ZipError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A number of bytes.
    fn size(&mut self) -> Result<usize, ZipError> {
        Ok(usize::try_from(self.u32()?).unwrap_or(usize::MAX))
    }
}

/// What both headers of a stored entry have: from the version to the length of the name, and no
/// extra fields.
pub(super) fn common_head(name: &str, crc: u32, size: u32) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    // Version, flags, method, time of day, date.
    for short in [VERSION, 0, STORED, 0, DATE] {
        head.extend_from_slice(&short.to_le_bytes());
    }
    for long in [crc, size, size] {
        head.extend_from_slice(&long.to_le_bytes());
    }
    head.extend_from_slice(&u16::try_from(name.len()).ok()?.to_le_bytes());
    head.extend_from_slice(&0_u16.to_le_bytes());
    Some(head)
}

pub(super) fn write_local(zip: &mut Vec<u8>, head: &[u8], name: &str) {
    zip.extend_from_slice(&LOCAL.to_le_bytes());
    zip.extend_from_slice(head);
    zip.extend_from_slice(name.as_bytes());
}

pub(super) fn write_central(directory: &mut Vec<u8>, head: &[u8], name: &str, offset: u32) {
    directory.extend_from_slice(&CENTRAL.to_le_bytes());
    directory.extend_from_slice(&VERSION.to_le_bytes());
    directory.extend_from_slice(head);
    directory.extend_from_slice(&[0; 10]); // comment, disk, attributes
    directory.extend_from_slice(&offset.to_le_bytes());
    directory.extend_from_slice(name.as_bytes());
}

/// Appends the directory and the end record.
pub(super) fn write_end(zip: &mut Vec<u8>, directory: &[u8]) -> Option<()> {
    let offset = u32::try_from(zip.len()).ok()?;
    let size = u32::try_from(directory.len()).ok()?;
    zip.extend_from_slice(directory);
    zip.extend_from_slice(&END.to_le_bytes());
    for short in [0_u16, 0, 2, 2] {
        zip.extend_from_slice(&short.to_le_bytes());
    }
    for long in [size, offset] {
        zip.extend_from_slice(&long.to_le_bytes());
    }
    zip.extend_from_slice(&0_u16.to_le_bytes());
    Some(())
}
