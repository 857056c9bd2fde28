//! The messages of an export: which field is which, and what it must say.
//!
//! Field numbers are those of `spec/gaen-export.proto`. Of a field that is not repeated the last
//! one counts, and a message that stands twice is merged, as Protocol Buffers has it.
//! Source: spec §14.2.

use super::key::{Key, KeyError, MAX_PERIOD};
use super::reader::ExportError;
use super::{MAX_KEYS, MAX_SIGNATURES, MAX_TEXT_BYTES};
use crate::protobuf::{Fields, Value, Writer};
use bellwether_formats::scheme::gaen::ReportType;

/// ECDSA with SHA-256 (RFC 5758), the one algorithm that is read and written.
pub(super) const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

/// What an export says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// Beginning of the time in which its keys arrived, in seconds of UTC.
    pub start: u64,
    /// End of it, exclusive; later than `start`.
    pub end: u64,
    /// Where the keys are from, as the publisher writes it; may be empty.
    pub region: String,
    /// Which part of its batch this is: 1 to `batch_size`.
    pub batch_num: u32,
    /// How many parts the batch has.
    pub batch_size: u32,
}

/// By what names a signer's key goes. Nobody vouches for them but the signer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SignerName {
    /// The key's id; mostly a region or a phone network's country code. May be empty.
    pub key_id: String,
    /// The key's version, such as `v1`. May be empty.
    pub version: String,
}

/// A `SignatureInfo`: who signed, and how.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct SignatureInfo {
    pub(super) name: SignerName,
    pub(super) algorithm: String,
}

impl SignatureInfo {
    fn merge(&mut self, message: &[u8]) -> Result<(), ExportError> {
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                3 => self.name.version = text(value)?,
                4 => self.name.key_id = text(value)?,
                5 => self.algorithm = text(value)?,
                _ => {} // names of apps, which are no business of ours
            }
        }
        Ok(())
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        Writer::default()
            .bytes(3, self.name.version.as_bytes())
            .bytes(4, self.name.key_id.as_bytes())
            .bytes(5, self.algorithm.as_bytes())
            .finish()
    }
}

/// A `TEKSignature`.
#[derive(Debug, Default)]
pub(super) struct Signature {
    pub(super) info: SignatureInfo,
    batch_num: Option<i64>,
    batch_size: Option<i64>,
    /// X9.62: DER of two integers.
    pub(super) bytes: Vec<u8>,
}

impl Signature {
    /// Reads a `TEKSignatureList`, all of `export.sig`.
    pub(super) fn list(message: &[u8]) -> Result<Vec<Self>, ExportError> {
        let mut signatures = Vec::new();
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            if number == 1 {
                if signatures.len() == MAX_SIGNATURES {
                    return Err(ExportError::TooManySignatures);
                }
                signatures.push(Self::decode(value.bytes()?)?);
            }
        }
        Ok(signatures)
    }

    fn decode(message: &[u8]) -> Result<Self, ExportError> {
        let mut signature = Self::default();
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => signature.info.merge(value.bytes()?)?,
                2 => signature.batch_num = Some(value.int()?),
                3 => signature.batch_size = Some(value.int()?),
                4 => signature.bytes = value.bytes()?.to_vec(),
                _ => {}
            }
        }
        Ok(signature)
    }

    /// Whether it says to be of the part that `header` says.
    pub(super) fn is_of(&self, header: &Header) -> bool {
        let part = batch(self.batch_num, self.batch_size);
        part == Some((header.batch_num, header.batch_size))
    }
}

/// Spells a `TEKSignatureList` of one signature.
pub(super) fn encode_signature(info: &SignatureInfo, header: &Header, signature: &[u8]) -> Vec<u8> {
    let message = Writer::default()
        .bytes(1, &info.encode())
        .uint(2, header.batch_num.into())
        .uint(3, header.batch_size.into())
        .bytes(4, signature);
    Writer::default().bytes(1, &message.finish()).finish()
}

/// A `TemporaryExposureKeyExport`, its keys as they were written.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) header: Header,
    pub(super) infos: Vec<SignatureInfo>,
    pub(super) keys: Vec<&'a [u8]>,
    pub(super) revised: Vec<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Reads what follows the first 16 bytes of `export.bin`.
    pub(super) fn decode(message: &'a [u8]) -> Result<Self, ExportError> {
        let (mut start, mut end) = (None, None);
        let (mut batch_num, mut batch_size) = (None, None);
        let mut region = String::new();
        let mut infos = Vec::new();
        let (mut keys, mut revised) = (Vec::new(), Vec::new());
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => start = Some(value.fixed64()?),
                2 => end = Some(value.fixed64()?),
                3 => region = text(value)?,
                4 => batch_num = Some(value.int()?),
                5 => batch_size = Some(value.int()?),
                6 => infos.push(value.bytes()?),
                7 => keys.push(value.bytes()?),
                8 => revised.push(value.bytes()?),
                _ => {}
            }
            if keys.len() + revised.len() > MAX_KEYS {
                return Err(ExportError::TooManyKeys);
            }
            if infos.len() > MAX_SIGNATURES {
                return Err(ExportError::TooManySignatures);
            }
        }
        let (Some(start), Some(end)) = (start, end) else {
            return Err(ExportError::Window);
        };
        if start >= end || end > MAX_TIME {
            return Err(ExportError::Window);
        }
        let (batch_num, batch_size) = batch(batch_num, batch_size).ok_or(ExportError::Batch)?;
        let header = Header {
            start,
            end,
            region,
            batch_num,
            batch_size,
        };
        let read = |message: &[u8]| {
            let mut info = SignatureInfo::default();
            info.merge(message).map(|()| info)
        };
        let infos = infos.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self {
            header,
            infos,
            keys,
            revised,
        })
    }
}

/// Times stay below 2^53, as everywhere. Source: spec §2.6.
pub(super) const MAX_TIME: u64 = (1 << 53) - 1;

/// Spells a `TemporaryExposureKeyExport` with one signer.
pub(super) fn encode_export(header: &Header, info: &SignatureInfo, keys: &[Key]) -> Vec<u8> {
    let mut message = Writer::default()
        .fixed64(1, header.start)
        .fixed64(2, header.end)
        .bytes(3, header.region.as_bytes())
        .uint(4, header.batch_num.into())
        .uint(5, header.batch_size.into())
        .bytes(6, &info.encode());
    for (field, revised) in [(7, false), (8, true)] {
        for key in keys.iter().filter(|key| key.revised == revised) {
            message = message.bytes(field, &encode_key(key));
        }
    }
    message.finish()
}

/// Reads a `TemporaryExposureKey`. Outer errors are the file's, inner ones the key's.
pub(super) fn decode_key(
    message: &[u8],
    revised: bool,
) -> Result<Result<Key, KeyError>, ExportError> {
    let (mut data, mut start, mut onset) = (None, None, None);
    let (mut risk, mut period) = (0, i64::from(MAX_PERIOD));
    let mut report_type = ReportType::Unknown;
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => data = Some(value.bytes()?),
            2 => risk = value.int()?,
            3 => start = Some(value.int()?),
            4 => period = value.int()?,
            5 => {
                let code = value.int()?;
                // A number that the enumeration has not is as good as no field (proto2).
                let mut known = ReportType::ALL.into_iter();
                let known = known.find(|known| i64::from(known.code()) == code);
                report_type = known.unwrap_or(report_type);
            }
            6 => onset = Some(value.sint()?),
            _ => {}
        }
    }
    let key = || {
        let tek = data.and_then(|data| data.try_into().ok());
        let start = start.and_then(|start| u32::try_from(start).ok());
        let key = Key {
            tek: tek.ok_or(KeyError::KeyData)?,
            rolling_start: start.ok_or(KeyError::RollingStart)?,
            rolling_period: period.try_into().map_err(|_| KeyError::RollingPeriod)?,
            transmission_risk: risk.try_into().map_err(|_| KeyError::TransmissionRisk)?,
            report_type,
            days_since_onset: match onset.map(i8::try_from) {
                None => None,
                Some(Ok(days)) => Some(days),
                Some(Err(_)) => return Err(KeyError::DaysSinceOnset),
            },
            revised,
        };
        key.check().map(|()| key)
    };
    Ok(key())
}

/// Spells a `TemporaryExposureKey`; what is as it is when absent is absent.
fn encode_key(key: &Key) -> Vec<u8> {
    let mut message = Writer::default()
        .bytes(1, &key.tek)
        .uint(2, key.transmission_risk.into())
        .uint(3, key.rolling_start.into());
    if key.rolling_period != MAX_PERIOD {
        message = message.uint(4, key.rolling_period.into());
    }
    if key.report_type != ReportType::Unknown {
        message = message.uint(5, key.report_type.code().into());
    }
    if let Some(days) = key.days_since_onset {
        message = message.sint(6, days);
    }
    message.finish()
}

/// Which part of how many: both or neither, which is the first of one.
fn batch(num: Option<i64>, size: Option<i64>) -> Option<(u32, u32)> {
    let (num, size) = match (num, size) {
        (None, None) => (1, 1),
        (num, size) => (num?, size?),
    };
    // Others hold them in 32 bits with a sign.
    let (num, size) = (i32::try_from(num).ok()?, i32::try_from(size).ok()?);
    let (num, size) = (u32::try_from(num).ok()?, u32::try_from(size).ok()?);
    (1..=size).contains(&num).then_some((num, size))
}

fn text(value: Value<'_>) -> Result<String, ExportError> {
    let bytes = value.bytes()?;
    let text = str::from_utf8(bytes).map_err(|_| ExportError::Text)?;
    if is_text(text) {
        Ok(text.to_owned())
    } else {
        Err(ExportError::Text)
    }
}

/// Whether a region, key id or version may be this.
pub(super) fn is_text(text: &str) -> bool {
    text.len() <= MAX_TEXT_BYTES && !text.chars().any(char::is_control)
}
