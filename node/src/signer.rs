//! The only holder of the signing keys, and its memory of what it signed.
//!
//! Two batches of one number with different content would be proof against the provider. So the
//! signer keeps (zone, epoch, seq, id) in a directory of its own and refuses other bytes for a used
//! number, unless an anchor disowns what was signed under it; and it knows the store it signs for by the store file's inode and time of birth, so that
//! a copied or restored data directory does not sign at all until a person says which copy lives on
//! (`signer adopt`). Source: spec §4.7, decision 0002.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bellwether_formats::batch::Batch;
use bellwether_formats::descriptor::Anchor;
use bellwether_formats::id::{ObjectId, ProviderId, PublicKey, Zone};
use bellwether_formats::signed::{Content, assemble, to_be_signed};
use ed25519_dalek::{Signer as _, SigningKey};

use self::ledger::{Last, Ledger, StoreFile};
use crate::files;
use crate::keys;

mod ledger;

pub use self::ledger::End;

/// Signs batches, each number once.
#[derive(Debug)]
pub struct Signer {
    keys: Vec<SigningKey>,
    path: PathBuf,
    ledger: Ledger,
    /// Held for as long as the signer lives: two signers at once would be two memories.
    _lock: File,
}

/// What the signer is opened for.
#[derive(Clone, Copy, Debug)]
pub struct SignerPlace<'a> {
    /// The signer's directory, outside the data directory.
    pub dir: &'a Path,
    /// The provider.
    pub provider: ProviderId,
    /// The store's file.
    pub store: &'a Path,
    /// The directory of the signing keys.
    pub keys: &'a Path,
}

impl Signer {
    /// Opens the signer's memory. `published` says whether the store holds batches of the provider:
    /// then a missing memory is a reason to refuse, not to begin anew.
    ///
    /// # Errors
    ///
    /// [`SignerError`]
    pub fn open(place: SignerPlace<'_>, published: bool) -> Result<Self, SignerError> {
        let signer = Self::read(place, published)?;
        if !signer.ledger.store.is(StoreFile::of(place.store)?) {
            return Err(SignerError::OtherStore { path: signer.path });
        }
        Ok(signer)
    }

    /// Whether the store, which ends at `ends`, has what was signed: one that was restored in place
    /// has not, and must neither sign nor take reports that it could never publish.
    ///
    /// # Errors
    ///
    /// [`SignerError::Ahead`], [`SignerError::Used`]
    pub fn check(&self, ends: &BTreeMap<Zone, End>) -> Result<(), SignerError> {
        self.ledger.clashes(ends).next().map_or(Ok(()), Err)
    }

    /// Binds the signer's memory to the store of `place`, whatever store it was bound to.
    /// `ends` says where that ends: the memory must neither be ahead of it nor say otherwise. One
    /// that is lost begins anew, for the person says so.
    ///
    /// # Errors
    ///
    /// [`SignerError::Ahead`] if batches were signed that this store does not have;
    /// [`SignerError::Used`] if it has another one in the place of what was signed.
    pub fn adopt(place: SignerPlace<'_>, ends: &BTreeMap<Zone, End>) -> Result<(), SignerError> {
        let mut signer = Self::read(place, false)?;
        if let Some(clash) = signer.ledger.clashes(ends).next() {
            return Err(clash);
        }
        let mut ledger = signer.ledger.clone();
        ledger.store = StoreFile::of(place.store)?;
        signer.keep(ledger)
    }

    fn read(place: SignerPlace<'_>, published: bool) -> Result<Self, SignerError> {
        let io = |source| SignerError::Io {
            path: place.dir.to_owned(),
            source,
        };
        files::create_dirs(place.dir).map_err(io)?;
        let path = place.dir.join(format!("{}.json", place.provider));
        let lock_path = path.with_extension("lock");
        let lock = File::create(&lock_path).map_err(io)?;
        files::hand_over(&lock_path, &lock).map_err(io)?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| SignerError::Locked { path: path.clone() })?;
        let keys = keys::load_signing(place.keys)?;
        let ledger = match fs::read(&path) {
            Ok(bytes) => {
                let ledger = Ledger::read(&bytes, &place.provider);
                let ledger = ledger.ok_or_else(|| SignerError::Damaged { path: path.clone() })?;
                return Ok(Self {
                    keys,
                    path,
                    ledger,
                    _lock: lock,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && !published => {
                Ledger::new(&place.provider, StoreFile::of(place.store)?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(SignerError::Missing { path });
            }
            Err(error) => return Err(io(error)),
        };
        let mut signer = Self {
            keys,
            path,
            ledger: ledger.clone(),
            _lock: lock,
        };
        signer.keep(ledger)?;
        Ok(signer)
    }

    /// The public keys that it can sign with.
    pub fn keys(&self) -> impl Iterator<Item = PublicKey> {
        self.keys.iter().map(keys::public)
    }

    /// The number and id of the newest batch that it signed in a zone.
    pub fn last(&self, zone: &Zone) -> Option<(u64, &str)> {
        let last = self.ledger.zones.get(zone.as_str())?;
        Some((last.seq, &last.id))
    }

    /// Whether a signature over these bytes may exist.
    pub fn may_have_signed(&self, zone: &Zone, seq: u64, id: &ObjectId) -> bool {
        self.last(zone) == Some((seq, &id.to_string()))
    }

    /// Signs the inner bytes of a batch and gives the envelope. What it is about to sign is durable
    /// before the signature exists; the same bytes may be signed again. A number that was used is
    /// free again only where `anchor` disowns what was signed under it, and in the anchor's epoch or
    /// later.
    ///
    /// # Errors
    ///
    /// [`SignerError::Used`] for other bytes under a used number, for a lower number, and for an
    /// earlier epoch.
    pub fn sign(
        &mut self,
        batch: &Batch,
        inner: &[u8],
        anchor: Option<&Anchor>,
    ) -> Result<Vec<u8>, SignerError> {
        let key = batch.key;
        let secret = self.keys.iter().find(|secret| keys::public(secret) == key);
        let secret = secret.ok_or(SignerError::NoKey { key })?.clone();
        let zone = batch.zone.as_str();
        let new = Last {
            epoch: batch.epoch,
            seq: batch.seq,
            id: ObjectId::of(inner).to_string(),
        };
        let last = self.ledger.last(zone, anchor);
        if last.as_ref() != Some(&new) {
            if let Some(last) = last.filter(|last| last.seq >= new.seq || last.epoch > new.epoch) {
                return Err(SignerError::Used {
                    zone: zone.to_owned(),
                    seq: new.seq,
                    last: last.seq,
                });
            }
            let mut ledger = self.ledger.clone();
            ledger.zones.insert(zone.to_owned(), new);
            self.keep(ledger)?;
        }
        let signature = secret.sign(&to_be_signed(Batch::KIND, inner)).to_bytes();
        Ok(assemble(Batch::KIND, inner, &signature))
    }

    /// Makes a ledger durable, and only then believes it: what a full disk refused to keep must
    /// not be taken for kept when the same bytes come again.
    fn keep(&mut self, ledger: Ledger) -> Result<(), SignerError> {
        let text = serde_json::to_vec_pretty(&ledger).expect("a ledger is plain data");
        files::replace(&self.path, &text, files::SECRET).map_err(|source| SignerError::Io {
            path: self.path.clone(),
            source,
        })?;
        self.ledger = ledger;
        Ok(())
    }
}

/// Why the signer would not sign for a directory, read without taking its lock: for `check`.
/// `ends` says where the store ends, and is asked after the memory was read: a node that runs is
/// then never found behind what it signed. Empty when all is well.
///
/// # Errors
///
/// What `ends` fails with.
pub fn faults<E>(
    place: SignerPlace<'_>,
    ends: impl FnOnce() -> Result<BTreeMap<Zone, End>, E>,
) -> Result<Vec<String>, E> {
    let path = place.dir.join(format!("{}.json", place.provider));
    let bytes = fs::read(&path);
    let ends = ends()?;
    let published = ends.values().any(|end| end.seq > 0);
    let fault = |error: SignerError| Ok(vec![error.to_string()]);
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !published => {
            return Ok(Vec::new());
        }
        Err(_) => return fault(SignerError::Missing { path }),
    };
    let Some(ledger) = Ledger::read(&bytes, &place.provider) else {
        return fault(SignerError::Damaged { path });
    };
    let mut faults = Vec::new();
    match StoreFile::of(place.store) {
        Ok(store) if store.is(ledger.store) => {}
        Ok(_) => faults.push(SignerError::OtherStore { path }.to_string()),
        Err(error) => faults.push(error.to_string()),
    }
    faults.extend(ledger.clashes(&ends).map(|clash| clash.to_string()));
    Ok(faults)
}

/// Why the signer does not sign.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum SignerError {
    #[error("batches up to {signed} were signed in `{zone}`, the store ends at {head}")]
    Ahead {
        zone: String,
        signed: u64,
        head: u64,
    },
    #[error("the signer's memory `{}` is damaged or another provider's", path.display())]
    Damaged { path: PathBuf },
    #[error("cannot read or write the signer's `{}`", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Key(#[from] keys::KeyError),
    #[error("another process is signing with `{}`", path.display())]
    Locked { path: PathBuf },
    #[error("batches were published, but the signer's memory `{}` is missing", path.display())]
    Missing { path: PathBuf },
    #[error("the descriptor's signing key {key} is not on this machine")]
    NoKey { key: PublicKey },
    #[error(
        "this data directory is a copy or was restored: the signer's memory `{}` belongs to another",
        path.display()
    )]
    OtherStore { path: PathBuf },
    #[error("refusing to sign other bytes as batch {seq} of `{zone}`: {last} was signed before")]
    Used { zone: String, seq: u64, last: u64 },
}

impl SignerError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::OtherStore { .. } => Some(
                "if the other copy will never sign again, run `bellwether-node signer adopt \
                 --data-dir DIR`",
            ),
            Self::Missing { .. } => Some(
                "point `signer_dir` in node.toml at the directory that was used before, or \
                 restore it from the backup that was made with the data directory",
            ),
            Self::Ahead { .. } | Self::Used { .. } => Some(
                "this data directory is older than what was published: let the node catch up \
                 from its relays (`run --no-publish`, `network.bootstrap` set), then adopt it",
            ),
            Self::Locked { .. } => Some("stop the other node, or use its data directory"),
            Self::Io { source, .. } => files::hint(source),
            Self::Key(_) | Self::NoKey { .. } => Some(keys::LOST_SIGNING),
            Self::Damaged { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
