//! Confirmation codes: what a patient is given and types or scans into the app. Pure rules.
//!
//! A code of digits is compared by its digits; any other byte by byte. Source: spec §10.4.

pub mod guesses;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use aws_lc_rs::hmac;

/// Longest code, in bytes of UTF-8. Source: spec §10.4; vector `code-65-bytes`.
pub const MAX_CODE_BYTES: usize = 64;

/// How many issued codes there can be: 16 decimal digits, about 53 bits.
const CODES: u128 = 10_u128.pow(16);

/// Makes a code, `NNNN-NNNN-NNNN-NNNN`, of 16 bytes from the system's generator.
///
/// All 10^16 codes are equally likely to within 1 part in 2^74 (2^128 is not a multiple of
/// 10^16). Source: spec §10.4.
pub fn generate(random: [u8; 16]) -> String {
    let digits = format!("{:016}", u128::from_be_bytes(random) % CODES);
    let mut code = String::with_capacity(19);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && place.is_multiple_of(4) {
            code.push('-');
        }
        code.push(digit);
    }
    code
}

/// Checks a code that was made elsewhere: UTF-8 of 1 to [`MAX_CODE_BYTES`] bytes in one line.
///
/// # Errors
///
/// The first broken rule.
pub fn import(code: &[u8]) -> Result<&str, CodeError> {
    let code = str::from_utf8(code).map_err(|_| CodeError::Utf8)?;
    let found = code.len();
    if !(1..=MAX_CODE_BYTES).contains(&found) {
        return Err(CodeError::Length { found });
    }
    if code.contains(['\n', '\r']) {
        return Err(CodeError::Newline);
    }
    Ok(code)
}

/// The text by which a code is compared. Who types or reads out a code of digits may leave its dashes
/// out, or put blanks between: they say nothing. In any other code they may, so that it stays as it
/// is. Source: spec §10.4.
fn compared(code: &str) -> Cow<'_, str> {
    let is_gap =
        |c: char| c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}');
    let has_digit = code.contains(|c: char| c.is_ascii_digit());
    if has_digit && code.chars().all(|c| c.is_ascii_digit() || is_gap(c)) {
        Cow::Owned(code.chars().filter(char::is_ascii_digit).collect())
    } else {
        Cow::Borrowed(code)
    }
}

/// Why a text cannot be a code. The messages do not hold it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum CodeError {
    #[error("a code is UTF-8 text, this is not")]
    Utf8,
    #[error("a code has 1 to {MAX_CODE_BYTES} bytes, this one has {found}")]
    Length { found: usize },
    #[error("a code is one line, this one has a line end in it")]
    Newline,
}

impl CodeError {
    /// The broken rule's name.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Utf8 => "code-utf8",
            Self::Length { .. } => "code-length",
            Self::Newline => "code-newline",
        }
    }
}

/// The store's secret under which codes are hashed: 32 random bytes, made with the store.
///
/// What it gives: who reads the hashes without the key learns nothing about any code, and cannot
/// tell whether two stores know the same one. What it does not give: codes have little entropy,
/// so who has hashes *and* key can try them all. 10^16 HMACs are some days on good hardware, and
/// a code of six digits falls at once. So the key belongs in a file of its own, away from copies
/// of the store, and codes should live for hours.
pub struct CodeKey(hmac::Key);

impl CodeKey {
    /// Length of the secret, in bytes.
    pub const LEN: usize = 32;

    /// Takes the secret's bytes.
    pub fn new(secret: &[u8; Self::LEN]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The hash under which a code is kept and looked up, however it was typed. A look-up by it takes a
    /// time that says nothing about any other code.
    pub fn hash(&self, code: &str) -> CodeHash {
        CodeHash(self.mac(&[compared(code).as_bytes()]))
    }

    /// The key's mark on some bytes, one part after another.
    pub(super) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut signing = hmac::Context::with_key(&self.0);
        for part in parts {
            signing.update(part);
        }
        let mut mac = [0; 32];
        for (to, from) in mac.iter_mut().zip(signing.sign().as_ref()) {
            *to = *from;
        }
        mac
    }
}

impl fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeKey(..)")
    }
}

/// A code as the store knows it: HMAC-SHA-256 under the store's [`CodeKey`].
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CodeHash([u8; Self::LEN]);

impl CodeHash {
    /// Length of a hash, in bytes.
    pub const LEN: usize = 32;

    /// Takes a hash read from the store.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The hash's bytes, as in the store.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// Says nothing: a log line must not lead from an address to a code.
impl fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeHash(..)")
    }
}
