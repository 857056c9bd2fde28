//! Files that are there whole or not at all, and secret ones that others cannot read.
//!
//! A file that root makes in somebody else's directory is that one's: a verb that is run by root must not
//! leave files which the node, that runs as another user, cannot read.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, lchown};
use std::path::{Path, PathBuf};

/// Makes a file's name durable: a rename is safe only once its directory is.
///
/// # Errors
///
/// Whatever the file system answers; so for all here.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

fn parent(path: &Path) -> &Path {
    let parent = path.parent();
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or_else(|| Path::new("."))
}

/// Replaces a file: the new content is durable before the old is gone. It keeps its owner; a new one
/// has its directory's.
///
/// # Errors
///
/// [`io::Error`]; of kind `PermissionDenied` if the file is another user's, who could not read it
/// any more.
pub fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let draft = path.with_extension("new");
    // Made anew: what lies there may be a link that somebody laid for root.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&draft)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    let known = fs::metadata(path).ok();
    let owned = match &known {
        Some(known) => give(&file, (known.uid(), known.gid())),
        None => give(&file, owner_of(parent(path))?),
    };
    match owned {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let own = file.metadata()?.uid();
            if known.is_some_and(|known| known.uid() != own) {
                fs::remove_file(&draft)?;
                return Err(error);
            }
        }
        owned => owned?,
    }
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync_parent(path)
}

/// Makes a file of an open one its directory's owner's, where this process may do so.
///
/// # Errors
///
/// [`io::Error`]; so for all that follows.
pub fn hand_over(path: &Path, file: &File) -> io::Result<()> {
    let given = give(file, owner_of(parent(path))?);
    given.or_else(unless_denied)
}

/// Makes a directory and those above it that are missing: each is its parent's owner's, where this
/// process may do so.
///
/// # Errors
///
/// [`io::Error`]
pub fn create_dirs(path: &Path) -> io::Result<()> {
    let missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<PathBuf> = { path.ancestors() }
        .take_while(missing)
        .map(Path::to_owned)
        .collect();
    for dir in missing.iter().rev() {
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made?,
        }
        let (uid, gid) = owner_of(parent(dir))?;
        if owner_of(dir)? != (uid, gid) {
            lchown(dir, Some(uid), Some(gid)).or_else(unless_denied)?;
        }
    }
    Ok(())
}

fn owner_of(path: &Path) -> io::Result<(u32, u32)> {
    let found = fs::metadata(path)?;
    Ok((found.uid(), found.gid()))
}

/// Gives a file to a user and a group, if it is not theirs.
fn give(file: &File, (uid, gid): (u32, u32)) -> io::Result<()> {
    let is = file.metadata()?;
    if (is.uid(), is.gid()) == (uid, gid) {
        return Ok(());
    }
    fchown(file, Some(uid), Some(gid))
}

fn unless_denied(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Ok(()),
        _ => Err(error),
    }
}

/// Tells whether the user and group that own a data directory can read a file, as far as owner, group and
/// mode tell; another group may be one that the user is in.
pub const fn may_read(owner: u32, file: (u32, u32)) -> bool {
    let (uid, mode) = file;
    let bits = if uid == owner { 0o400 } else { 0o044 };
    owner == 0 || mode & bits != 0
}

/// Advice about a file that cannot be read or written.
pub fn hint(error: &io::Error) -> Option<&'static str> {
    let denied = error.kind() == io::ErrorKind::PermissionDenied;
    denied.then_some("run this as the user that the node runs as, or as root")
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
