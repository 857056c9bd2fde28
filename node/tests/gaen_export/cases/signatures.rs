//! Who signed, and what the signatures say.

use super::{Case, three};
use crate::gaen_export::craft::{
    self, ECDSA_SHA256, batch, bytes, info, int, our_info, signature, window, zip,
};

/// The three keys under another `export.sig`.
fn under(signatures: &[u8]) -> Vec<u8> {
    let [export, _] = three();
    zip(&craft::entries(&[export, signatures.to_vec()]))
}

/// The three keys with something done to the bytes of the signature.
fn spoilt(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let [export, _] = three();
    let mut bytes = craft::sign(&export);
    change(&mut bytes);
    zip(&craft::entries(&[export, signature(&our_info(), &bytes)]))
}

/// An export that tells of these signers, and these signatures. Where a signature says nothing,
/// ours is put.
fn signed_by(signed: &[Vec<u8>], found: &[(Vec<u8>, Option<&[u8]>)]) -> Vec<u8> {
    let mut export = [craft::MAGIC.to_vec(), window(), batch(4, 5)].concat();
    for info in signed {
        export.extend(bytes(6, info));
    }
    let ours = craft::sign(&export);
    let found = found
        .iter()
        .map(|(info, other)| signature(info, other.unwrap_or(&ours)));
    let signatures = found.collect::<Vec<_>>().concat();
    zip(&craft::entries(&[export, signatures]))
}

/// `SEQUENCE { INTEGER 1, INTEGER 1 }`: of the right form, and nobody's.
const NOBODYS: &[u8] = &[0x30, 6, 2, 1, 1, 2, 1, 1];

pub(super) fn cases() -> Vec<Case> {
    [holds(), says()].concat()
}

fn holds() -> Vec<Case> {
    let other = || info("310", "v7", ECDSA_SHA256);
    let broken = |name, about, zip| Case::broken("signature", name, about, zip);
    vec![
        Case::valid(
            "signature",
            "two-signers",
            "ours is the second of two",
            0,
            {
                signed_by(
                    &[other(), our_info()],
                    &[(other(), Some(NOBODYS)), (our_info(), None)],
                )
            },
        ),
        Case::valid(
            "signature",
            "unnamed-signers",
            "ours is the second of two, and neither has a name",
            0,
            {
                let nameless = || info("", "", ECDSA_SHA256);
                signed_by(
                    &[nameless(), nameless()],
                    &[(nameless(), Some(NOBODYS)), (nameless(), None)],
                )
            },
        ),
        Case {
            key_id: Some("235"),
            version: Some("v1"),
            ..Case::valid("signer", "named", "by the names that are asked for", 3, {
                zip(&craft::entries(&three()))
            })
        },
        Case {
            key_id: Some("310"),
            ..Case::broken("signer", "signer-key-id", "another key id", {
                zip(&craft::entries(&three()))
            })
        },
        Case {
            version: Some("v2"),
            ..Case::broken("signer", "signer-version", "another version", {
                zip(&craft::entries(&three()))
            })
        },
        Case::broken("signer", "signer-none", "no signature at all", under(&[])),
        broken("bit", "a bit of a key is flipped", {
            let [mut export, signatures] = three();
            let at = export.iter().position(|byte| *byte == 0x22).unwrap();
            export[at] ^= 1;
            zip(&craft::entries(&[export, signatures]))
        }),
        broken(
            "signature-of-nobody",
            "1, 1",
            under(&signature(&our_info(), NOBODYS)),
        ),
        broken(
            "signature-empty",
            "no bytes",
            under(&signature(&our_info(), &[])),
        ),
        broken(
            "signature-cut",
            "a byte is missing",
            spoilt(|bytes| bytes.truncate(bytes.len() - 1)),
        ),
        broken(
            "signature-after",
            "a byte more",
            spoilt(|bytes| bytes.push(0)),
        ),
        broken(
            "signature-message",
            "over the message without the first 16 bytes",
            {
                let [export, _] = three();
                let bytes = craft::sign(&export[16..]);
                zip(&craft::entries(&[export, signature(&our_info(), &bytes)]))
            },
        ),
    ]
}

fn says() -> Vec<Case> {
    let sha512 = || info("235", "v1", "1.2.840.10045.4.3.4");
    let part = |fields: Vec<u8>| {
        let [export, _] = three();
        let signature = bytes(4, craft::sign(&export));
        bytes(1, [bytes(1, our_info()), fields, signature].concat())
    };
    let batch_of =
        |name, about, fields| Case::broken("signature-batch", name, about, under(&part(fields)));
    vec![
        Case::broken("algorithm", "algorithm-sha512", "ECDSA with SHA-512", {
            signed_by(&[sha512()], &[(sha512(), None)])
        }),
        Case::broken("algorithm", "algorithm-none", "no algorithm", {
            let none = || info("235", "v1", "");
            signed_by(&[none()], &[(none(), None)])
        }),
        Case::broken(
            "signature-count",
            "count-fewer",
            "told of two, found one",
            signed_by(&[our_info(), our_info()], &[(our_info(), None)]),
        ),
        Case::broken(
            "signature-count",
            "count-more",
            "told of none, found one",
            signed_by(&[], &[(our_info(), None)]),
        ),
        Case::broken("signature-info", "info-other", "told of another version", {
            signed_by(&[info("235", "v2", ECDSA_SHA256)], &[(our_info(), None)])
        }),
        Case::valid(
            "signature-info",
            "info-app",
            "export.bin names an app besides",
            0,
            {
                let with_app = [bytes(1, "org.example.app"), our_info()].concat();
                signed_by(&[with_app], &[(our_info(), None)])
            },
        ),
        batch_of(
            "batch-other",
            "of part 2 of 2",
            [int(2, 2), int(3, 2)].concat(),
        ),
        batch_of("batch-half", "a number without a size", int(2, 1)),
        Case::valid(
            "signature-batch",
            "batch-unsaid",
            "the signature does not say: one of one",
            3,
            under(&part(Vec::new())),
        ),
        Case::broken("export-limit", "signatures-33", "33 signatures", {
            under(&signature(&our_info(), NOBODYS).repeat(33))
        }),
        Case::broken("export-limit", "infos-33", "told of 33 signatures", {
            signed_by(&vec![our_info(); 33], &[(our_info(), None)])
        }),
        Case::broken("protobuf", "signatures-cut", "export.sig is cut off", {
            let [_, mut signatures] = three();
            signatures.pop();
            under(&signatures)
        }),
        Case::broken(
            "wire-type",
            "signature-number",
            "a signature as a number",
            under(&bytes(1, [bytes(1, our_info()), int(4, 7)].concat())),
        ),
        Case::broken(
            "export-text",
            "signer-control",
            "a key id with a zero byte, in export.sig",
            under(&signature(&info("2\x003", "v1", ECDSA_SHA256), NOBODYS)),
        ),
    ]
}
