//! The validity of a certificate, and the fit of its key, as their files say now.

use std::path::Path;

use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::TlsError;
use super::tls;

/// The time in which a certificate counts, in seconds of UTC.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// Its begin.
    pub not_before: u64,
    /// Its end.
    pub not_after: u64,
}

impl Validity {
    /// Reads a certificate chain and its key from PEM files, as a listener does. Of the chain only the
    /// first certificate counts: what stands below it may be over where clients need it no more.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if a listener could not use them, in particular if the key is another one's.
    pub fn of(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = tls::load(cert, key)?.0;
        let pem = || TlsError::Pem {
            path: cert.to_owned(),
        };
        let first = chain.first().ok_or_else(pem)?;
        let (_, certificate) = X509Certificate::from_der(first).map_err(|_| pem())?;
        let validity = certificate.validity();
        // Before 1970 is long ago.
        let seconds = |at: i64| u64::try_from(at).unwrap_or_default();
        Ok(Self {
            not_before: seconds(validity.not_before.timestamp()),
            not_after: seconds(validity.not_after.timestamp()),
        })
    }
}
