use super::*;
use crate::batch::Batch;
use crate::descriptor::Descriptor;
use coset::{CoseSign1Builder, HeaderBuilder, TaggedCborSerializable};

/// A COSE library, asked for the same object, writes our one spelling, and signs our bytes.
#[test]
fn coset_writes_the_one_spelling() {
    let inner = b"any inner bytes";
    let key = SigningKey::from_bytes(&[2; 32]);
    let header = HeaderBuilder::new()
        .algorithm(iana::Algorithm::EdDSA)
        .build();
    let signed = CoseSign1Builder::new()
        .protected(header)
        .create_detached_signature(inner, b"bellwether/1/batch", |bytes| {
            assert_eq!(bytes, to_be_signed(Batch::KIND, inner));
            key.sign(bytes).to_vec()
        });
    let sig = signed.build().to_tagged_vec().unwrap();
    assert_eq!(sig.len(), 74);
    let (prefix, signature) = sig.split_at(COSE_PREFIX.len());
    assert_eq!(prefix, COSE_PREFIX);
    let envelope = assemble(Batch::KIND, inner, signature.try_into().unwrap());
    assert_eq!(&envelope[..7], b"\xa2\x63sig\x58\x4a");
    assert_eq!(&envelope[7..81], sig);
}

/// No kind's context is another's, nor begins with it.
#[test]
fn contexts_are_apart() {
    let [batch, descriptor] = [Batch::KIND, Descriptor::KIND].map(|kind| to_be_signed(kind, b""));
    assert_ne!(batch, descriptor);
    assert!(!descriptor.starts_with(&batch) && !batch.starts_with(&descriptor));
}
