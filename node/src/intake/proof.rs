//! Who submitted what first, and how they prove it later. Source: spec §10.6.
//!
//! Units are public once they are published. So an owner is known by something that never is: a
//! submitter's name behind its token, a code. What a revision has to show is derived from it.

use bellwether_formats::id::RecordId;
use sha2::{Digest as _, Sha256};

use super::code::{CodeHash, CodeKey};

/// Names who submitted a notification first.
pub type Owner = [u8; 32];

/// First byte of what is not a code: codes are UTF-8, and no UTF-8 begins so.
const NO_CODE: &[u8] = &[0xff];

/// A system, by its name in the submitters' file.
pub fn submitter(name: &str) -> Owner {
    owner(b"submitter", name.as_bytes())
}

/// Who has the data directory.
pub fn local() -> Owner {
    owner(b"local", b"")
}

/// Who signed what was imported.
pub fn import(scheme: &str, signer: &[u8]) -> Owner {
    owner(format!("{scheme}-import").as_bytes(), signer)
}

/// Who reported without a code, by the key that signed.
pub(super) fn tcn_self(rvk: &[u8]) -> Owner {
    owner(b"tcn-self", rvk)
}

fn owner(kind: &[u8], name: &[u8]) -> Owner {
    let hash = Sha256::new().chain_update(kind).chain_update(name);
    hash.finalize().into()
}

/// Tells apart the patients of one owner.
pub fn case(text: &str) -> [u8; 32] {
    owner(b"case", text.as_bytes())
}

/// Tells apart the reports of one FANNY token: those of different patients are revoked alone.
pub fn claim(owner: &Owner, case: Option<&str>) -> [u8; 16] {
    let hash = Sha256::new()
        .chain_update(b"bw1-claim")
        .chain_update(owner)
        .chain_update(case.unwrap_or_default());
    half(&hash.finalize().into())
}

impl CodeKey {
    /// What an owner shows to change what it said of a notification.
    pub fn revision(&self, owner: &Owner, record: &RecordId) -> [u8; 32] {
        self.mac(&[NO_CODE, b"bw1-revision", owner, record.as_bytes()])
    }

    /// What a phone shows to report more under a code that it has used.
    pub fn revision_of_code(&self, code: &CodeHash) -> [u8; 32] {
        self.mac(&[NO_CODE, b"bw1-revision", code.as_bytes()])
    }

    /// Names a submission to its owner.
    pub fn receipt(&self, owner: &Owner, record: &RecordId) -> [u8; 16] {
        half(&self.mac(&[NO_CODE, b"bw1-receipt", owner, record.as_bytes()]))
    }
}

fn half(hash: &[u8; 32]) -> [u8; 16] {
    hash.first_chunk().copied().unwrap_or_default()
}

/// Whether a token is the right one, in a time that does not tell how much of it is.
pub(super) fn same(shown: &[u8], expected: &[u8; 32]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(shown, expected).is_ok()
}
