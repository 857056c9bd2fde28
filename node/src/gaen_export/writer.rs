//! From keys to signed files.

use super::key::{Key, KeyError, TEK_BYTES, Taken};
use super::message::{self, ECDSA_SHA256, Header, MAX_TIME, SignatureInfo, SignerName};
use super::reader::MAGIC;
use super::{MAX_KEYS, MAX_TEXT_BYTES, zip};
use crate::pem::PrivateKey;

/// What files are to be written of.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Beginning of the time in which the keys arrived, in seconds of UTC.
    pub start: u64,
    /// End of it, exclusive.
    pub end: u64,
    /// Where the keys are from.
    pub region: &'a str,
    /// New and revised keys, in any order.
    pub keys: &'a [Key],
}

/// Who signs.
#[derive(Debug)]
pub struct Signing<'a> {
    /// The publisher's key.
    pub key: &'a PrivateKey,
    /// By what names readers know it.
    pub name: SignerName,
}

/// How many keys a file has.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Fewest new keys of an export that has any: it is filled up with random ones.
    pub min_keys: usize,
    /// Most keys of a file.
    pub max_keys: usize,
}

impl Default for Policy {
    /// 200 and 30,000. Source: spec §14.7.
    fn default() -> Self {
        Self {
            min_keys: 200,
            max_keys: 30_000,
        }
    }
}

/// What was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// The files, none if there were no keys.
    pub files: Vec<Vec<u8>>,
    /// The random keys among the new ones. Whoever exports the same time again gives them as keys
    /// of their own, else the two exports tell them apart.
    pub dummies: Vec<Key>,
}

/// Sorts keys by their bytes, fills them up, and writes files of equal numbers of keys.
///
/// Where there are several files, each is a batch of its own, one of one, and ends a second after
/// the one before: phones take two exports for the same that agree in both times and the number
/// in the batch, and want all parts of a batch at once.
///
/// `random` fills a buffer with random bytes.
///
/// # Errors
///
/// [`WriteError`]
pub fn write(
    draft: &Draft<'_>,
    signing: &Signing<'_>,
    policy: &Policy,
    random: &mut impl FnMut(&mut [u8]),
) -> Result<Written, WriteError> {
    check(draft, signing, policy)?;
    let dummies = dummies(draft.keys, policy.min_keys, random);
    let mut keys: Vec<Key> = draft.keys.iter().chain(&dummies).copied().collect();
    // By bytes and never by arrival, which would tell whose keys belong together.
    keys.sort_by_key(|key| (key.revised, key.tek, key.rolling_start));
    let parts = keys.len().div_ceil(policy.max_keys);
    let len = keys.len().div_ceil(parts.max(1)).max(1);
    let files = keys.chunks(len).zip(draft.end..).map(|(keys, end)| {
        let header = Header {
            start: draft.start,
            end,
            region: draft.region.to_owned(),
            batch_num: 1,
            batch_size: 1,
        };
        file(&header, signing, keys)
    });
    Ok(Written {
        files: files.collect::<Result<_, _>>()?,
        dummies,
    })
}

fn check(draft: &Draft<'_>, signing: &Signing<'_>, policy: &Policy) -> Result<(), WriteError> {
    // Every file ends within a second for each key.
    let most = u64::try_from(MAX_KEYS).unwrap_or(u64::MAX);
    if draft.start >= draft.end || draft.end > MAX_TIME - most {
        return Err(WriteError::Window);
    }
    let texts = [draft.region, &signing.name.key_id, &signing.name.version];
    if !texts.into_iter().all(message::is_text) {
        return Err(WriteError::Text);
    }
    let counts = [draft.keys.len(), policy.min_keys, policy.max_keys];
    if policy.max_keys == 0 || counts.into_iter().any(|count| count > MAX_KEYS) {
        return Err(WriteError::Count);
    }
    let mut taken = Taken::default();
    for (index, key) in draft.keys.iter().enumerate() {
        let key = taken.take(key);
        key.map_err(|error| WriteError::Key { index, error })?;
    }
    Ok(())
}

/// Random keys, each with what is said of a real one. Only new ones: a revised key is known from
/// the export that it was new in.
fn dummies(keys: &[Key], min_keys: usize, random: &mut impl FnMut(&mut [u8])) -> Vec<Key> {
    let new = keys.iter().filter(|key| !key.revised);
    let missing = min_keys.saturating_sub(new.clone().count());
    new.cycle()
        .take(missing)
        .map(|real| {
            let mut tek = [0; TEK_BYTES];
            random(&mut tek);
            Key { tek, ..*real }
        })
        .collect()
}

fn file(header: &Header, signing: &Signing<'_>, keys: &[Key]) -> Result<Vec<u8>, WriteError> {
    let info = SignatureInfo {
        name: signing.name.clone(),
        algorithm: ECDSA_SHA256.to_owned(),
    };
    let mut export = MAGIC.to_vec();
    export.extend(message::encode_export(header, &info, keys));
    let signature = signing.key.sign(&export).ok_or(WriteError::Sign)?;
    let signatures = message::encode_signature(&info, header, &signature);
    zip::pack(&export, &signatures).ok_or(WriteError::Count)
}

/// Why nothing was written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum WriteError {
    #[error("key {index}: {error}")]
    Key { index: usize, error: KeyError },
    #[error("the export's time ends before it begins, or beyond 2^53 seconds")]
    Window,
    #[error(
        "region, key id or version has control characters, or more than {MAX_TEXT_BYTES} bytes"
    )]
    Text,
    #[error("more than {MAX_KEYS} keys, or files of none")]
    Count,
    #[error("the key does not sign")]
    Sign,
}
