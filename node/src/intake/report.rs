//! CX seed reports: bytes in, a verified value or a named error out.
//!
//! ```text
//! SeedReport ::= SEQUENCE { content SeedReportContent,
//!                           signatures SEQUENCE OF SEQUENCE { AlgorithmIdentifier, OCTET STRING } }
//! SeedReportContent ::= SEQUENCE { version INTEGER, seedDescriptors SEQUENCE OF SeedDescriptor,
//!                                  publisherName UTF8String, seedReportChallenge UTF8String, … }
//! SeedDescriptor ::= SEQUENCE { generatorType INTEGER, preseedValue OCTET STRING,
//!                               preseedVerificationKey SubjectPublicKeyInfo, … }
//! ```
//!
//! Signature i is by key i over the DER of `SEQUENCE { content, signatureAlgorithm i }`, both as
//! received. Any version is accepted, and fields after the known ones (`…`) are ignored: they are
//! signed. Outside the content nothing unknown is accepted, as nothing there is signed.
//!
//! Two steps, so that the caller may look up the code between them: [`SeedReport::parse`] does all
//! that is cheap, [`SeedReport::verify`] pays for the signatures. The work is bounded: at most
//! [`MAX_DESCRIPTORS`] signatures, each over at most [`MAX_BODY_BYTES`]. Whether the code is known
//! and may be used is not decided here. Source: spec §10.2, §10.3; CX, "Seed report".

mod der;
mod error;
mod signature;

#[cfg(test)]
mod tests;

use std::fmt;

use sha2::{Digest as _, Sha256};

pub use self::error::ReportError;

use self::der::{OCTET_STRING, Reader, SEQUENCE, UTF8_STRING, Value};
use self::signature::Verifier;
use super::code::MAX_CODE_BYTES;

/// Largest report, in bytes (64 KiB): room for [`MAX_DESCRIPTORS`] descriptors with RSA-2048 keys
/// and signatures. Source: spec §10.1.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// Most seed descriptors in a report, as each costs a signature over the whole content. Two
/// months of seeds at one a day. Source: spec §10.2; vector `descriptors-65`.
pub const MAX_DESCRIPTORS: usize = 64;

/// Parses and verifies a report in one go: [`SeedReport::parse`], then [`SeedReport::verify`].
///
/// # Errors
///
/// The first broken rule.
pub fn verify(body: &[u8], publisher: &str) -> Result<VerifiedReport, ReportError> {
    SeedReport::parse(body)?.verify(publisher)
}

/// A well-formed report that is not yet believed: its signatures have not been checked.
pub struct SeedReport<'a> {
    publisher: &'a str,
    code: &'a str,
    /// The content as received, tag and length included.
    content: &'a [u8],
    seeds: Vec<Seed<'a>>,
}

/// A seed descriptor and the signature that belongs to it.
struct Seed<'a> {
    generator: u8,
    preseed: &'a [u8],
    spki: &'a [u8],
    /// The AlgorithmIdentifier as received, tag and length included.
    algorithm: &'a [u8],
    verifier: Verifier,
    signature: &'a [u8],
}

/// A report whose signatures hold and that is addressed to this publisher.
///
/// Its `Debug` holds neither code nor seeds.
#[derive(Clone, Eq, PartialEq)]
pub struct VerifiedReport {
    /// The confirmation code, exactly as sent.
    pub code: String,
    /// The reported seeds, in the report's order, each once.
    pub items: Vec<Item>,
}

/// One reported seed, as the pre-image that only its owner has.
#[derive(Clone, Eq, PartialEq)]
pub struct Item {
    /// The CX generator type: 1 or 2.
    pub generator: u8,
    /// The pre-seed: 24 bytes for type 1, 48 for type 2.
    pub preseed: Vec<u8>,
    /// DER of the pre-seed verification key (SubjectPublicKeyInfo), exactly as presented: the
    /// seed is calculated from these bytes.
    pub spki: Vec<u8>,
}

impl<'a> SeedReport<'a> {
    /// Reads a report: shape, bounds, keys, algorithms; no signature yet.
    ///
    /// # Errors
    ///
    /// Any [`ReportError`] except [`Signature`](ReportError::Signature).
    pub fn parse(body: &'a [u8]) -> Result<Self, ReportError> {
        let found = body.len();
        if found > MAX_BODY_BYTES {
            return Err(ReportError::TooLarge { found });
        }
        let mut outer = Reader::new(body);
        let mut report = outer.sequence()?;
        if !outer.is_empty() {
            let extra = outer.left();
            return Err(ReportError::Trailing { extra });
        }
        let content = report.expect(SEQUENCE)?;
        let signatures = report.sequence()?;
        report.finish()?;

        let mut fields = content.reader();
        fields.integer()?; // the version: any
        let descriptors = list(fields.sequence()?, &ReportError::TooManyDescriptors)?;
        let publisher = text(&mut fields)?;
        let code = text(&mut fields)?;
        fields.ignore_rest()?;
        if !(1..=MAX_CODE_BYTES).contains(&code.len()) {
            return Err(ReportError::Code);
        }

        Ok(Self {
            publisher,
            code,
            content: content.raw,
            seeds: seeds(&descriptors, signatures)?,
        })
    }

    /// The publisher that the report says it is for.
    pub const fn publisher(&self) -> &'a str {
        self.publisher
    }

    /// The confirmation code (CX: `seedReportChallenge`), exactly as sent: 1 to 64 bytes.
    pub const fn code(&self) -> &'a str {
        self.code
    }

    /// Believes the report if it is addressed to `publisher`, compared byte by byte, and every
    /// signature holds.
    ///
    /// # Errors
    ///
    /// [`ReportError::Publisher`]; [`ReportError::Signature`] at the first that does not hold.
    pub fn verify(self, publisher: &str) -> Result<VerifiedReport, ReportError> {
        if self.publisher != publisher {
            return Err(ReportError::Publisher);
        }
        for (index, seed) in self.seeds.iter().enumerate() {
            let signed = der::sequence_of_two(self.content, seed.algorithm);
            if !seed.verifier.accepts(&signed, seed.signature) {
                return Err(ReportError::Signature { index });
            }
        }
        // At most 64, so that comparing each with each is nothing.
        let mut items: Vec<Item> = Vec::with_capacity(self.seeds.len());
        for item in self.seeds.iter().map(Item::from) {
            if !items.contains(&item) {
                items.push(item);
            }
        }
        Ok(VerifiedReport {
            code: self.code.to_owned(),
            items,
        })
    }
}

/// Joins descriptors and signatures, which must be as many and are so counted before any key is
/// looked at.
fn seeds<'a>(
    descriptors: &[Value<'a>],
    signatures: Reader<'a>,
) -> Result<Vec<Seed<'a>>, ReportError> {
    let count = ReportError::SignatureCount {
        descriptors: descriptors.len(),
    };
    let signatures = list(signatures, &count)?;
    if descriptors.is_empty() {
        return Err(ReportError::NoDescriptors);
    }
    if signatures.len() != descriptors.len() {
        return Err(count);
    }
    descriptors
        .iter()
        .zip(signatures)
        .enumerate()
        .map(|(index, (descriptor, signature))| seed(index, descriptor, &signature))
        .collect()
}

fn seed<'a>(
    index: usize,
    descriptor: &Value<'a>,
    signature: &Value<'a>,
) -> Result<Seed<'a>, ReportError> {
    let mut fields = descriptor.reader();
    let (generator, expected) = match fields.integer()? {
        [1] => (1, 24),
        [2] => (2, 48),
        _ => return Err(ReportError::Generator { index }),
    };
    let preseed = fields.expect(OCTET_STRING)?.content;
    let spki = fields.expect(SEQUENCE)?;
    fields.ignore_rest()?;
    let found = preseed.len();
    if found != expected {
        return Err(ReportError::PreseedLength {
            index,
            found,
            expected,
        });
    }

    let mut fields = signature.reader();
    let algorithm = fields.expect(SEQUENCE)?;
    let signature = fields.expect(OCTET_STRING)?.content;
    fields.finish()?;

    Ok(Seed {
        generator,
        preseed,
        spki: spki.raw,
        algorithm: algorithm.raw,
        verifier: Verifier::new(index, &spki, &algorithm)?,
        signature,
    })
}

/// Reads a list of sequences, and gives `too_many` once it is longer than a report's may be.
fn list<'a>(mut reader: Reader<'a>, too_many: &ReportError) -> Result<Vec<Value<'a>>, ReportError> {
    let mut values = Vec::new();
    while !reader.is_empty() {
        if values.len() == MAX_DESCRIPTORS {
            return Err(too_many.clone());
        }
        values.push(reader.expect(SEQUENCE)?);
    }
    Ok(values)
}

fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, ReportError> {
    let value = reader.expect(UTF8_STRING)?;
    str::from_utf8(value.content).map_err(|_| ReportError::Utf8)
}

impl Item {
    /// Names the key: SHA-256 of its DER. A code is reused, and a notification changed, only with
    /// a report that shares a key with an accepted one.
    pub fn key_id(&self) -> [u8; 32] {
        Sha256::digest(&self.spki).into()
    }
}

impl From<&Seed<'_>> for Item {
    fn from(seed: &Seed<'_>) -> Self {
        Self {
            generator: seed.generator,
            preseed: seed.preseed.to_vec(),
            spki: seed.spki.to_vec(),
        }
    }
}

impl fmt::Debug for SeedReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeedReport")
            .field("seeds", &self.seeds.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for VerifiedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedReport")
            .field("items", &self.items)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Item")
            .field("generator", &self.generator)
            .finish_non_exhaustive()
    }
}
