//! The certificate of a listener: from files, read again when they change.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at, at most: soon enough for who has just renewed.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Most bytes of a PEM file. A chain of four certificates has 8 KiB.
const MAX_PEM_BYTES: u64 = 256 * 1024;

/// A certificate and its key, kept in step with their files. Clones are the same.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    cert: PathBuf,
    key: PathBuf,
    check_every: Duration,
    state: Mutex<State>,
}

struct State {
    config: Arc<ServerConfig>,
    /// Of the files that were last tried, good or not: a broken one is tried, and logged, once.
    stamps: [Option<Stamp>; 2],
    checked_at: Instant,
}

/// What changes when a file does.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Stamp {
    modified: SystemTime,
    len: u64,
    inode: u64,
}

impl Tls {
    /// Reads a certificate chain and its key from PEM files. Needs a runtime's clock.
    ///
    /// # Errors
    ///
    /// [`TlsError`]
    pub fn from_files(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::checking_every(CHECK_EVERY, cert, key)
    }

    pub(super) fn checking_every(
        check_every: Duration,
        cert: &Path,
        key: &Path,
    ) -> Result<Self, TlsError> {
        let stamps = [cert, key].map(Stamp::of);
        let state = State {
            config: Arc::new(load(cert, key)?.1),
            stamps,
            checked_at: Instant::now(),
        };
        Ok(Self(Arc::new(Inner {
            cert: cert.to_owned(),
            key: key.to_owned(),
            check_every,
            state: Mutex::new(state),
        })))
    }

    /// Does handshakes with the certificate as it now stands on the disk, or stood some seconds
    /// ago.
    pub async fn acceptor(&self) -> TlsAcceptor {
        if self.0.check_is_due() {
            let inner = Arc::clone(&self.0);
            // A panic there is a bug, and has been printed; the certificate we have still serves.
            drop(tokio::task::spawn_blocking(move || inner.reload()).await);
        }
        TlsAcceptor::from(Arc::clone(&self.0.state().config))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("cert", &self.0.cert)
            .finish_non_exhaustive()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it panics half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True once in a while, for one caller.
    fn check_is_due(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        let due = now.duration_since(state.checked_at) >= self.check_every;
        if due {
            state.checked_at = now;
        }
        due
    }

    /// Takes the files if they changed. The stamps are taken first: a change while reading is
    /// found by the next check.
    fn reload(&self) {
        let stamps = [&self.cert, &self.key].map(|path| Stamp::of(path));
        if stamps == self.state().stamps {
            return;
        }
        let loaded = load(&self.cert, &self.key);
        let mut state = self.state();
        state.stamps = stamps;
        match loaded {
            Ok((_, config)) => {
                state.config = Arc::new(config);
                tracing::info!("the certificate has changed and is taken");
            }
            Err(error) => tracing::warn!(%error, "the certificate has changed and is not usable"),
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            modified: metadata.modified().ok()?,
            len: metadata.len(),
            inode: metadata.ino(),
        })
    }
}

/// A chain of certificates, the server's own first.
type Chain = Vec<CertificateDer<'static>>;

/// Reads a chain and its key, and makes a server of them: the key must be that of the certificate.
pub(super) fn load(cert: &Path, key: &Path) -> Result<(Chain, ServerConfig), TlsError> {
    let pem = |path: &Path| TlsError::Pem {
        path: path.to_owned(),
    };
    let chain = CertificateDer::pem_slice_iter(&read(cert)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| pem(cert))?;
    if chain.is_empty() {
        return Err(pem(cert));
    }
    let private = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| pem(key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain.clone(), private)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((chain, config))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = || {
        let mut bytes = Vec::new();
        let file = File::open(path)?;
        file.take(MAX_PEM_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

/// A certificate that nobody vouches for, and its key, in PEM.
pub struct SelfSigned {
    /// The certificate: also what a client must be told to trust.
    pub cert_pem: String,
    /// The key: a secret.
    pub key_pem: String,
}

impl fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SelfSigned(..)")
    }
}

/// Makes a certificate for trying out, for this host's loopback names and `names` (host names and
/// addresses). It is valid from 2020 to 2050, so that no clock is asked and none expires.
///
/// # Errors
///
/// [`TlsError::Generate`] if a name is none.
pub fn self_signed(names: &[String]) -> Result<SelfSigned, TlsError> {
    let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut all: Vec<String> = loopback.into_iter().chain(names.iter().cloned()).collect();
    all.sort();
    all.dedup();
    let mut params = CertificateParams::new(all)?;
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2050, 1, 1);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let name = "Bellwether, self-signed";
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate()?;
    Ok(SelfSigned {
        cert_pem: params.self_signed(&key)?.pem(),
        key_pem: key.serialize_pem(),
    })
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum TlsError {
    #[error("cannot read `{}`: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` does not hold a certificate or key in PEM", path.display())]
    Pem { path: PathBuf },
    #[error("the certificate and the key cannot be used together: {0}")]
    Config(#[from] rustls::Error),
    #[error("no certificate can be made: {0}")]
    Generate(#[from] rcgen::Error),
}
