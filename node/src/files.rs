//! Files that are there whole or not at all, and secret ones that others cannot read.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Makes a file's name durable: a rename is safe only once its directory is.
///
/// # Errors
///
/// Whatever the file system answers; so for all here.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Replaces a file: the new content is durable before the old is gone.
///
/// # Errors
///
/// [`io::Error`]
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&draft)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync_parent(path)
}

/// What changes with a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    inode: u64,
    len: u64,
    modified: (i64, i64),
    /// Of its mode too.
    changed: (i64, i64),
}

impl Stamp {
    /// Of a file; none if there is none. It is taken before the file is read: a change while reading
    /// is then found by the next look.
    pub fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self {
            inode: file.ino(),
            len: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

/// Mode of a file that only its owner may read.
pub const SECRET: u32 = 0o600;

/// Mode of a file that everybody may read.
pub const PUBLIC: u32 = 0o644;
