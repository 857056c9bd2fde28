//! Exports that nobody should write, and those that others write.

use std::fs;
use std::path::PathBuf;

use bellwether_node::gaen_export::{PrivateKey, PublicKey, Signer};
use miniz_oxide::deflate::compress_to_vec;

pub(crate) const MAGIC: &[u8] = b"EK Export v1    ";
pub(crate) const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

/// `spec/vectors/gaen-export`, or a file of it.
pub(crate) fn spec(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../spec/vectors/gaen-export")
        .join(name)
}

/// The key that signs the vectors.
pub(crate) fn private_key() -> PrivateKey {
    PrivateKey::from_pem(&fs::read(spec("signer.key.pem")).unwrap()).unwrap()
}

/// Believes the key that signs the vectors, by whatever names.
pub(crate) fn signer() -> Signer {
    Signer {
        key: PublicKey::from_pem(&fs::read(spec("signer.pem")).unwrap()).unwrap(),
        key_id: None,
        version: None,
    }
}

// --- messages ---

pub(crate) fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7f {
        bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

pub(crate) fn int(field: u64, number: u64) -> Vec<u8> {
    [varint(field << 3), varint(number)].concat()
}

pub(crate) fn fixed64(field: u64, number: u64) -> Vec<u8> {
    [varint(field << 3 | 1), number.to_le_bytes().to_vec()].concat()
}

pub(crate) fn bytes(field: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let length = u64::try_from(content.len()).unwrap();
    [varint(field << 3 | 2), varint(length), content.to_vec()].concat()
}

pub(crate) fn info(key_id: &str, version: &str, algorithm: &str) -> Vec<u8> {
    [bytes(3, version), bytes(4, key_id), bytes(5, algorithm)].concat()
}

/// The signer of the vectors.
pub(crate) fn our_info() -> Vec<u8> {
    info("235", "v1", ECDSA_SHA256)
}

/// A key whose bytes are all `byte`.
pub(crate) fn key(byte: u8) -> Vec<u8> {
    [bytes(1, [byte; 16]), int(2, 3), int(3, 2_960_000)].concat()
}

/// The fields of an export without keys.
pub(crate) fn head() -> Vec<u8> {
    [window(), bytes(3, "GB"), batch(4, 5), bytes(6, our_info())].concat()
}

pub(crate) fn window() -> Vec<u8> {
    [fixed64(1, 1_776_000_000), fixed64(2, 1_776_086_400)].concat()
}

/// The first of one, in fields of these numbers.
pub(crate) fn batch(num: u64, size: u64) -> Vec<u8> {
    [int(num, 1), int(size, 1)].concat()
}

pub(crate) fn signature(info: &[u8], signature: &[u8]) -> Vec<u8> {
    bytes(
        1,
        [bytes(1, info), batch(2, 3), bytes(4, signature)].concat(),
    )
}

/// Signs with `openssl`'s idea of the key: X9.62 of P-256 and SHA-256.
pub(crate) fn sign(export: &[u8]) -> Vec<u8> {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;

    let der = PrivateKeyDer::from_pem_file(spec("signer.key.pem")).unwrap();
    let key = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der.secret_der());
    let signature = key.unwrap().sign(&SystemRandom::new(), export).unwrap();
    signature.as_ref().to_vec()
}

/// `export.bin` of these fields after [`head`], and its `export.sig`.
pub(crate) fn pair(fields: &[Vec<u8>]) -> [Vec<u8>; 2] {
    signed([head(), fields.concat()].concat())
}

/// `export.bin` of this message, and its `export.sig`.
pub(crate) fn signed(message: Vec<u8>) -> [Vec<u8>; 2] {
    let export = [MAGIC.to_vec(), message].concat();
    let signatures = signature(&our_info(), &sign(&export));
    [export, signatures]
}

// --- the container ---

/// An entry, and how it is written.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) content: Vec<u8>,
    /// As it stands in the zip.
    pub(crate) packed: Vec<u8>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    /// Bytes of a descriptor after the content: none, 12 or 16.
    pub(crate) descriptor: usize,
    pub(crate) crc: u32,
    pub(crate) size: u32,
    pub(crate) local_extra: Vec<u8>,
    pub(crate) central_extra: Vec<u8>,
    /// What the local header has for flags, name and size, if not what the directory has.
    pub(crate) local_flags: Option<u16>,
    pub(crate) local_name: Option<Vec<u8>>,
    pub(crate) local_size: Option<u32>,
    /// The local header tells the sums although a descriptor follows.
    pub(crate) tells_sums: bool,
}

impl Entry {
    pub(crate) fn stored(name: &str, content: &[u8]) -> Self {
        Self {
            name: name.as_bytes().to_vec(),
            content: content.to_vec(),
            packed: content.to_vec(),
            method: 0,
            flags: 0,
            descriptor: 0,
            crc: crc32(content),
            size: u32::try_from(content.len()).unwrap(),
            local_extra: Vec::new(),
            central_extra: Vec::new(),
            local_flags: None,
            local_name: None,
            local_size: None,
            tells_sums: false,
        }
    }

    pub(crate) fn deflated(name: &str, content: &[u8]) -> Self {
        Self {
            packed: compress_to_vec(content, 9),
            method: 8,
            ..Self::stored(name, content)
        }
    }

    /// As a writer has it that streams: check sum and sizes after the content.
    pub(crate) fn streamed(self, flags: u16, descriptor: usize) -> Self {
        Self {
            flags,
            descriptor,
            ..self
        }
    }

    fn head(&self, flags: u16, sums: [u32; 3], name: &[u8]) -> Vec<u8> {
        let mut head = Vec::new();
        for short in [20, flags, self.method, 0x6000, 0x5c8d] {
            head.extend(short.to_le_bytes());
        }
        for sum in sums {
            head.extend(sum.to_le_bytes());
        }
        head.extend(short(name.len()));
        head
    }

    fn sums(&self) -> [u32; 3] {
        [
            self.crc,
            u32::try_from(self.packed.len()).unwrap(),
            self.size,
        ]
    }

    fn local(&self) -> Vec<u8> {
        let mut sums = self.sums();
        if self.descriptor > 0 && !self.tells_sums {
            sums = [0; 3];
        }
        sums[2] = self.local_size.unwrap_or(sums[2]);
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let flags = self.local_flags.unwrap_or(self.flags);
        let head = self.head(flags, sums, name);
        let extra = [short(self.local_extra.len()), name.clone()].concat();
        let mut descriptor = b"PK\x07\x08".to_vec();
        descriptor.extend(self.sums().into_iter().flat_map(u32::to_le_bytes));
        let descriptor = &descriptor[16 - self.descriptor..];
        let local = [b"PK\x03\x04", &head[..], &extra, &self.local_extra];
        [local.concat(), self.packed.clone(), descriptor.to_vec()].concat()
    }

    fn central(&self, offset: usize) -> Vec<u8> {
        let mut central = b"PK\x01\x02\x14\x03".to_vec();
        central.extend(self.head(self.flags, self.sums(), &self.name));
        central.extend(short(self.central_extra.len()));
        central.extend([0; 10]);
        central.extend(u32::try_from(offset).unwrap().to_le_bytes());
        [central, self.name.clone(), self.central_extra.clone()].concat()
    }
}

fn short(number: usize) -> Vec<u8> {
    u16::try_from(number).unwrap().to_le_bytes().to_vec()
}

/// The usual two.
pub(crate) fn entries([export, signatures]: &[Vec<u8>; 2]) -> Vec<Entry> {
    vec![
        Entry::stored("export.bin", export),
        Entry::stored("export.sig", signatures),
    ]
}

/// A zip of these entries, in this order.
pub(crate) fn zip(entries: &[Entry]) -> Vec<u8> {
    zip_around(entries, b"", b"", &[])
}

/// The same with bytes before the first entry and before the directory, and entries that only the
/// directory has. The end record's counts are those of `entries`.
pub(crate) fn zip_around(
    entries: &[Entry],
    before: &[u8],
    between: &[u8],
    ghosts: &[Entry],
) -> Vec<u8> {
    let mut zip = before.to_vec();
    let mut directory = Vec::new();
    for entry in entries {
        directory.extend(entry.central(zip.len()));
        zip.extend(entry.local());
    }
    zip.extend(between);
    for ghost in ghosts {
        directory.extend(ghost.central(0));
    }
    end(&mut zip, &directory, entries.len());
    zip
}

/// Appends a directory and an end record.
pub(crate) fn end(zip: &mut Vec<u8>, directory: &[u8], count: usize) {
    let offset = u32::try_from(zip.len()).unwrap();
    zip.extend(directory);
    zip.extend(b"PK\x05\x06\0\0\0\0");
    zip.extend([short(count), short(count)].concat());
    zip.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    zip.extend(offset.to_le_bytes());
    zip.extend(short(0));
}

/// Bit by bit, unlike the reader's.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 {
                sum >> 1 ^ 0xedb8_8320
            } else {
                sum >> 1
            };
        }
    }
    !sum
}
