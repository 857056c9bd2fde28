//! Passwords, and the one spelling of their hashes: argon2id as OWASP advises. Source: spec §10.8.

use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use data_encoding::BASE64_NOPAD;
use sha2::{Digest as _, Sha256};

/// Fewest characters of a password.
pub const MIN_CHARS: usize = 10;
/// Most bytes of a password. A form of 4 KiB has room for it, however it is escaped.
pub const MAX_BYTES: usize = 1024;

/// Memory of one hash, in KiB (19 MiB).
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over it.
const PASSES: u32 = 2;
/// Lanes: one core verifies one password.
const LANES: u32 = 1;

/// What every hash begins with. A hash of other costs is refused, so that each takes as long as
/// any other and none takes more memory.
const PREFIX: &str = "$argon2id$v=19$m=19456,t=2,p=1$";

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// The hash of a password, with its salt.
#[derive(Clone, Eq, PartialEq)]
pub struct PasswordHash {
    salt: [u8; SALT_BYTES],
    hash: [u8; HASH_BYTES],
}

impl PasswordHash {
    /// Hashes a new password. The salt comes from the system's generator.
    ///
    /// # Errors
    ///
    /// [`PasswordError`] if it is too short or too long.
    pub fn new(password: &str, salt: [u8; SALT_BYTES]) -> Result<Self, PasswordError> {
        let chars = password.chars().count();
        if chars < MIN_CHARS {
            return Err(PasswordError::Short { chars });
        }
        if password.len() > MAX_BYTES {
            return Err(PasswordError::Long {
                bytes: password.len(),
            });
        }
        Ok(Self {
            salt,
            hash: derive(password, &salt),
        })
    }

    /// The hash of no known password, if both are random.
    pub(super) const fn unknown(salt: [u8; SALT_BYTES], hash: [u8; HASH_BYTES]) -> Self {
        Self { salt, hash }
    }

    /// Reads a PHC string of exactly our costs.
    ///
    /// # Errors
    ///
    /// [`PasswordError::Spelling`]
    pub fn parse(text: &str) -> Result<Self, PasswordError> {
        let parsed = text.strip_prefix(PREFIX).and_then(|rest| {
            let (salt, hash) = rest.split_once('$')?;
            Some(Self {
                salt: base64(salt)?,
                hash: base64(hash)?,
            })
        });
        parsed.ok_or(PasswordError::Spelling)
    }

    /// The PHC string.
    pub fn text(&self) -> String {
        let [salt, hash] = [&self.salt[..], &self.hash[..]].map(|bytes| BASE64_NOPAD.encode(bytes));
        format!("{PREFIX}{salt}${hash}")
    }

    /// Whether this is the password's hash. Takes 19 MiB, and the same time whatever the answer.
    pub(super) fn verify(&self, password: &str) -> bool {
        verify_slices_are_equal(&derive(password, &self.salt), &self.hash).is_ok()
    }

    /// Changes with the password, and tells nothing of it.
    pub(super) fn stamp(&self) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.salt)
            .chain_update(self.hash)
            .finalize()
            .into()
    }
}

/// Says nothing.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

fn base64<const LEN: usize>(text: &str) -> Option<[u8; LEN]> {
    // Before it is decoded: what is longer is not looked at.
    if text.len() != BASE64_NOPAD.encode_len(LEN) {
        return None;
    }
    BASE64_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

fn derive(password: &str, salt: &[u8; SALT_BYTES]) -> [u8; HASH_BYTES] {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES));
    let params = params.expect("these costs are within argon2's limits");
    let mut hash = [0; HASH_BYTES];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), salt, &mut hash)
        .expect("a password of 4 KiB and a salt of 16 bytes are within argon2's limits");
    hash
}

/// Why a password or a hash is not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum PasswordError {
    #[error("a password has at least {MIN_CHARS} characters, this one has {chars}")]
    Short { chars: usize },
    #[error("a password has at most {MAX_BYTES} bytes, this one has {bytes}")]
    Long { bytes: usize },
    #[error("a hash is written `{PREFIX}SALT$HASH`")]
    Spelling,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_of_one_password_and_has_one_spelling() {
        let hash = PasswordHash::new("correct horse", [7; 16]).unwrap();
        assert!(hash.verify("correct horse"));
        for other in ["correct horsf", "correct hors", "", "Correct horse"] {
            assert!(!hash.verify(other), "{other:?}");
        }
        assert_eq!(PasswordHash::parse(&hash.text()), Ok(hash.clone()));
        let salted = PasswordHash::new("correct horse", [8; 16]).unwrap();
        assert_ne!(salted.stamp(), hash.stamp());
        assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
    }

    /// From the reference implementation's command line:
    /// `echo -n "correct horse" | argon2 bellwether-salt. -id -k 19456 -t 2 -p 1 -l 32 -e`
    #[test]
    fn the_hash_is_argon2id() {
        let text = concat!(
            "$argon2id$v=19$m=19456,t=2,p=1$YmVsbHdldGhlci1zYWx0Lg",
            "$Wr2BtsauxSGPkvVBmLVpu/3H37sAhwflzifLbhkPKzM"
        );
        let hash = PasswordHash::parse(text).unwrap();
        assert!(hash.verify("correct horse"));
        assert_eq!(hash.text(), text);
    }

    #[test]
    fn short_and_long_passwords_are_refused() {
        let new = |password: &str| PasswordHash::new(password, [0; 16]).err();
        assert_eq!(new("123456789"), Some(PasswordError::Short { chars: 9 }));
        assert_eq!(new("ééééééééé"), Some(PasswordError::Short { chars: 9 }));
        assert_eq!(new("éééééééééé"), None);
        let bytes = MAX_BYTES + 1;
        assert_eq!(new(&"a".repeat(bytes)), Some(PasswordError::Long { bytes }));
    }

    #[test]
    fn hashes_of_other_costs_or_spellings_are_refused() {
        let good = PasswordHash::new("correct horse", [7; 16]).unwrap().text();
        for bad in [
            String::new(),
            good.replace("argon2id", "argon2i"),
            good.replace("m=19456", "m=4194304"),
            good.replace("t=2", "t=1"),
            good.replace("p=1", "p=01"),
            good.replace("v=19", "v=16"),
            format!("{good}A"),
            format!("{good}="),
            format!(" {good}"),
            good[..good.len() - 1].to_owned(),
            // The last character of a salt of 16 bytes has four bits that are zero.
            good.replace("BwcHBwcHBwcHBwcHBwcHBw", "BwcHBwcHBwcHBwcHBwcHBx"),
        ] {
            assert_ne!(bad, good);
            let parsed = PasswordHash::parse(&bad);
            assert_eq!(parsed, Err(PasswordError::Spelling), "{bad}");
        }
    }
}
