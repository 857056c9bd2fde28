//! Bundles in and out of files.

use std::fs;
use std::io;
use std::path::Path;

use super::Client;
use crate::bundle::{self, Bundle, Imported, MAX_BUNDLE_BYTES};
use crate::error::ClientError;
use crate::horizon::Times;
use crate::sealed::Stage;
use crate::trust::Feed;
use crate::{state, time};

impl Client {
    /// Writes what is held of the feeds followed to a bundle; gives the number of its batches.
    ///
    /// # Errors
    ///
    /// [`ClientError::NothingFollowed`], [`ClientError::File`].
    pub fn export(&self, path: &Path) -> Result<usize, ClientError> {
        if self.state.followed.is_empty() {
            return Err(ClientError::NothingFollowed);
        }
        let car = bundle::export(&self.state, |cid| self.store.block(cid));
        let bytes = car.encode();
        if bytes.len() > MAX_BUNDLE_BYTES {
            let (what, max) = ("bytes of the bundle", MAX_BUNDLE_BYTES);
            return Err(ClientError::TooMany { what, max });
        }
        write_whole(path, &bytes).map_err(|source| ClientError::File {
            path: path.to_owned(),
            source,
        })?;
        Ok(car.roots.len())
    }

    /// Takes in what a bundle brings for the feeds followed, verified as a gateway's answer.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] and [`ClientError::Bundle`] if something in it breaks a rule:
    /// nothing is kept then. [`ClientError::Incomplete`]: what came before was kept.
    pub fn import(&mut self, path: &Path) -> Result<Imported, ClientError> {
        if self.state.followed.is_empty() {
            return Err(ClientError::NothingFollowed);
        }
        let max = u64::try_from(MAX_BUNDLE_BYTES).unwrap_or(u64::MAX);
        let bytes = state::read_bounded(path, max).map_err(|source| ClientError::File {
            path: path.to_owned(),
            source,
        })?;
        let bundle = Bundle::read(&bytes)?;
        drop(bytes);
        let clocks = time::moment();
        let horizon = self.state.clone().horizon(&clocks);
        let now = clocks.utc;
        let mut offers = Vec::new();
        for followed in &self.state.followed {
            offers.extend(bundle.offer(followed, Times { now, horizon }, |cid| {
                self.store.block(cid)
            })?);
        }
        if offers.is_empty() {
            return Err(ClientError::NothingInside);
        }
        let mut imported = Imported::default();
        let mut missing = None;
        for offer in offers {
            imported.batches += offer.imported.batches;
            imported.bodies += offer.imported.bodies;
            imported.filters += offer.imported.filters;
            missing = missing.or_else(|| offer.missing.clone());
            self.keep(offer.into_keep())?;
        }
        self.take_bodies(&bundle, now)?;
        // What is wrong with a chunk stays in doubt, as in a sync.
        self.end_sync()?;
        match missing {
            Some((feed, reason)) => Err(ClientError::Incomplete { feed, reason }),
            None => Ok(imported),
        }
    }

    /// Settles what is possible by the bodies that a bundle has whole.
    fn take_bodies(&mut self, bundle: &Bundle, now: u64) -> Result<(), ClientError> {
        let mut state = self.state.clone();
        let feeds = state
            .followed
            .iter_mut()
            .flat_map(|followed| &mut followed.feeds);
        let held = feeds
            .flat_map(Feed::sealed_mut)
            .filter(|sealed| sealed.stage == Stage::Held);
        for sealed in held {
            if let Some(chunks) = bundle.whole(sealed, |cid| self.store.block(cid)) {
                sealed.take_whole(chunks, now);
            }
        }
        self.store.save(&state)?;
        self.state = state;
        Ok(())
    }
}

/// Writes a file that is there as a whole, or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(dir.unwrap_or(Path::new(".")))?;
    io::Write::write_all(&mut file, bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    fs::File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}
