//! Files that the node cannot read, or could not after its next start: a verb that another user ran,
//! or a copy, may have left them behind.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::{Admin, AdminError};
use crate::{files, keys};

/// Most entries of a directory that are looked at; a data directory has a dozen.
const MAX_ENTRIES: usize = 1000;

/// The files of a node that its user cannot read, and of the store also not write. The root keys,
/// which a node never opens, are none.
pub(super) fn unreadable(admin: &Admin) -> Result<Vec<PathBuf>, AdminError> {
    let mut paths = entries(&admin.dir);
    if let Some(provider) = &admin.config.provider {
        paths.extend(entries(&admin.dir.join(keys::SIGNING)));
        let intake = &provider.intake;
        let named = [
            &intake.tls_cert,
            &intake.tls_key,
            &intake.submitters,
            &intake.users,
        ];
        paths.extend({ named.into_iter().flatten() }.map(|path| admin.dir.join(path)));
        let ledger = provider.signer_dir.join(format!("{}.json", provider.id()?));
        paths.extend([ledger.with_extension("lock"), ledger]);
    }
    let Ok(dir) = fs::metadata(&admin.dir) else {
        return Ok(Vec::new());
    };
    paths.sort();
    paths.dedup();
    paths.retain(|path| !may_read(path, dir.uid()));
    Ok(paths)
}

/// Contents of a directory, but root keys and sockets.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let roots = [dir.join(keys::ROOT), dir.join(keys::NEXT_ROOT)];
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.take(MAX_ENTRIES).map(|entry| entry.path());
    paths.filter(|path| !roots.contains(path)).collect()
}

/// Tells whether the user that a data directory belongs to may read a file. What is not there is another
/// matter.
fn may_read(path: &Path, owner: u32) -> bool {
    let Ok(file) = fs::metadata(path) else {
        return true;
    };
    if !file.is_file() && !file.is_dir() {
        return true;
    }
    if rustix::process::geteuid().as_raw() == owner {
        return accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS).is_ok();
    }
    files::may_read(owner, (file.uid(), file.mode()))
}
