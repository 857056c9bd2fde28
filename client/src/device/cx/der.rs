//! The little DER that a seed report is written in. Reading it is the provider's.

/// Identifier octets of the types that a seed report uses (X.690 §8.1.2).
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const SEQUENCE: u8 = 0x30;

/// One element: tag, length, the parts of the content one after another.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content: usize = parts.iter().map(|part| part.len()).sum();
    let mut der = Vec::with_capacity(content + 6);
    der.push(tag);
    match u8::try_from(content) {
        Ok(short @ ..0x80) => der.push(short),
        _ => {
            let len = content.to_be_bytes();
            let len: Vec<u8> = len.into_iter().skip_while(|byte| *byte == 0).collect();
            let octets = u8::try_from(len.len()).expect("a usize has 8 bytes at most");
            der.push(0x80 | octets);
            der.extend(len);
        }
    }
    for part in parts {
        der.extend_from_slice(part);
    }
    der
}
