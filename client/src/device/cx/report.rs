//! The seed report: what a user's device sends to a publisher, in DER.

use super::der::{BIT_STRING, INTEGER, OCTET_STRING, SEQUENCE, UTF8_STRING, element};
use bellwether_formats::scheme::cx::Generator;
use ed25519_dalek::{Signer, SigningKey};

/// Longest publisher's name in a report, in bytes of UTF-8: that of a descriptor.
const MAX_PUBLISHER_BYTES: usize = 128;
/// Longest confirmation code, in bytes of UTF-8. Source: spec §10.4.
const MAX_CODE_BYTES: usize = 64;
/// Most seeds of a report. Source: spec §10.2.
const MAX_DESCRIPTORS: usize = 64;

/// Version of the report's content.
const VERSION: u8 = 1;
/// DER of the algorithm identifier of Ed25519: its object identifier, no parameters (RFC 8410 §3).
const ED25519: [u8; 7] = [SEQUENCE, 5, 6, 3, 0x2b, 0x65, 0x70];

/// What a report shows of one seed, and the key that signs for it.
#[derive(Clone, Copy)]
pub struct SeedDescriptor<'a> {
    /// What derives the identifiers.
    pub generator: Generator,
    /// The pre-seed, [`Generator::seed_len`] bytes.
    pub preseed: &'a [u8],
    /// The pre-seed signing key.
    pub key: &'a SigningKey,
}

/// Shows no secret.
impl std::fmt::Debug for SeedDescriptor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SeedDescriptor({:?})", self.generator)
    }
}

/// Writes the DER of a seed report: `SEQUENCE { content, signatures }`, one signature a
/// descriptor, in order.
///
/// Ed25519 is deterministic, and so is the report: the same arguments give the same bytes.
///
/// # Errors
///
/// [`ReportError`] if no publisher would take the report for its size. A pre-seed of a wrong
/// length is written as it is, for tests of publishers.
///
/// Source: spec §10.2.
pub fn seed_report(
    descriptors: &[SeedDescriptor<'_>],
    publisher: &str,
    code: &str,
) -> Result<Vec<u8>, ReportError> {
    let found = descriptors.len();
    if found == 0 || found > MAX_DESCRIPTORS {
        return Err(ReportError::Descriptors { found });
    }
    check("publisher's name", publisher, MAX_PUBLISHER_BYTES)?;
    check_code(code)?;

    let content = content(descriptors, publisher, code);
    // Each signature covers the content and the name of its own algorithm.
    let signed = element(SEQUENCE, &[&content, &ED25519]);
    let signatures: Vec<u8> = descriptors
        .iter()
        .flat_map(|descriptor| {
            let signature = descriptor.key.sign(&signed).to_bytes();
            let signature = element(OCTET_STRING, &[&signature]);
            element(SEQUENCE, &[&ED25519, &signature])
        })
        .collect();
    let signatures = element(SEQUENCE, &[&signatures]);
    Ok(element(SEQUENCE, &[&content, &signatures]))
}

/// The DER SubjectPublicKeyInfo of the key's public half (RFC 8410 §4).
pub(super) fn public_key(key: &SigningKey) -> Vec<u8> {
    let unused_bits = 0;
    let bits = element(
        BIT_STRING,
        &[&[unused_bits], key.verifying_key().as_bytes()],
    );
    element(SEQUENCE, &[&ED25519, &bits])
}

/// `SeedReportContent`: version, descriptors, publisher's name, challenge.
fn content(descriptors: &[SeedDescriptor<'_>], publisher: &str, code: &str) -> Vec<u8> {
    let descriptors: Vec<u8> = descriptors
        .iter()
        .flat_map(|descriptor| {
            let generator = element(INTEGER, &[&[descriptor.generator.code()]]);
            let preseed = element(OCTET_STRING, &[descriptor.preseed]);
            element(
                SEQUENCE,
                &[&generator, &preseed, &public_key(descriptor.key)],
            )
        })
        .collect();
    let version = element(INTEGER, &[&[VERSION]]);
    let descriptors = element(SEQUENCE, &[&descriptors]);
    let publisher = element(UTF8_STRING, &[publisher.as_bytes()]);
    let code = element(UTF8_STRING, &[code.as_bytes()]);
    element(SEQUENCE, &[&version, &descriptors, &publisher, &code])
}

/// Whether somebody may have issued the code. Source: spec §10.4.
pub(in crate::device) fn check_code(code: &str) -> Result<(), ReportError> {
    check("confirmation code", code, MAX_CODE_BYTES)
}

fn check(what: &'static str, text: &str, limit: usize) -> Result<(), ReportError> {
    let found = text.len();
    if found == 0 || found > limit {
        return Err(ReportError::Length { what, found, limit });
    }
    Ok(())
}

/// Why no report is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum ReportError {
    #[error("a report of {found} seeds; it must have 1 to {MAX_DESCRIPTORS}")]
    Descriptors { found: usize },
    #[error("a {what} of {found} bytes; it must have 1 to {limit}")]
    Length {
        what: &'static str,
        found: usize,
        limit: usize,
    },
}
