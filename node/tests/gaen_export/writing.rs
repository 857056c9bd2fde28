//! What is written, and that it is read.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_node::gaen_export::{
    Draft, Export, Key, KeyError, MAX_KEYS, Policy, PrivateKey, ReportType, Set, SignerName,
    Signing, Unverified, WriteError, Written, write,
};

use crate::gaen_export::craft;
use crate::gaen_export::vectors::Vector;

const START: u64 = 1_776_000_000;

/// No padding, and one file.
const AS_IT_IS: Policy = Policy {
    min_keys: 0,
    max_keys: 1000,
};

pub(crate) fn key(byte: u8) -> Key {
    Key {
        tek: [byte; 16],
        rolling_start: 2_960_000,
        rolling_period: 144,
        transmission_risk: 0,
        report_type: ReportType::ConfirmedTest,
        days_since_onset: None,
        revised: false,
    }
}

/// Every field at its edges, in no order.
fn four() -> Vec<Key> {
    vec![
        Key {
            rolling_period: 1,
            transmission_risk: 8,
            report_type: ReportType::SelfReport,
            days_since_onset: Some(-14),
            ..key(0xfe)
        },
        Key {
            report_type: ReportType::Revoked,
            days_since_onset: Some(0),
            revised: true,
            ..key(0x03)
        },
        Key {
            rolling_start: 0,
            report_type: ReportType::Unknown,
            ..key(0x01)
        },
        Key {
            rolling_start: i32::MAX.cast_unsigned() - 144,
            report_type: ReportType::ClinicalDiagnosis,
            days_since_onset: Some(14),
            ..key(0x80)
        },
    ]
}

/// Writes keys as the vectors' signer; what is drawn at random counts up.
fn written(keys: &[Key], policy: &Policy) -> Result<Written, WriteError> {
    written_with(keys, policy, &craft::private_key(), "GB")
}

fn written_with(
    keys: &[Key],
    policy: &Policy,
    private: &PrivateKey,
    region: &str,
) -> Result<Written, WriteError> {
    let draft = Draft {
        start: START,
        end: START + 86_400,
        region,
        keys,
    };
    let signing = Signing {
        key: private,
        name: SignerName {
            key_id: "235".to_owned(),
            version: "v1".to_owned(),
        },
    };
    let mut next = 0_u128;
    let mut random = |buffer: &mut [u8]| {
        next += 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
        buffer.copy_from_slice(&next.to_be_bytes());
    };
    write(&draft, &signing, policy, &mut random)
}

fn read(file: &[u8]) -> Export {
    let mut signer = craft::signer();
    signer.key_id = Some("235".to_owned());
    signer.version = Some("v1".to_owned());
    Unverified::read(file).unwrap().verify(&signer).unwrap()
}

/// The file of the vector `written`.
pub(crate) fn sample() -> Vec<u8> {
    let mut files = written(&four(), &AS_IT_IS).unwrap().files;
    assert_eq!(files.len(), 1);
    files.remove(0)
}

#[test]
fn what_is_written_is_the_vector_but_for_the_signature() {
    let vector = Vector::read("written").zip;
    let ours = sample();
    // A local header of 30 bytes and the name; the entry's size is in it.
    let size = u32::from_le_bytes(ours[22..26].try_into().unwrap());
    let end = 30 + 10 + usize::try_from(size).unwrap();
    assert!(end > 200);
    assert_eq!(vector[..end], ours[..end]);
}

#[test]
fn what_is_written_is_read() {
    let export = read(&sample());
    let header = export.header;
    assert_eq!((header.start, header.end), (START, START + 86_400));
    assert_eq!((header.batch_num, header.batch_size), (1, 1));
    assert_eq!(header.region, "GB");
    assert_eq!(export.signed_by.key_id, "235");
    let mut keys = four();
    keys.sort_by_key(|key| (key.revised, key.tek));
    assert_eq!(export.keys, keys, "by their bytes, and nothing lost");
    assert_eq!(export.dropped, []);
}

#[test]
fn padding_takes_what_is_said_of_real_keys() {
    let new: Vec<Key> = four().into_iter().filter(|key| !key.revised).collect();
    let policy = Policy {
        min_keys: 200,
        ..AS_IT_IS
    };
    let made = written(&four(), &policy).unwrap();
    assert_eq!((made.files.len(), made.dummies.len()), (1, 197));
    let export = read(&made.files[0]);
    assert_eq!(
        export.keys.len(),
        201,
        "a revised key is not padded, nor does it count"
    );
    assert!(export.keys[..200].is_sorted_by_key(|key| key.tek));
    let teks: BTreeSet<_> = export.keys.iter().map(|key| key.tek).collect();
    assert_eq!(teks.len(), 201);
    let mut like = BTreeMap::new();
    for key in export.keys.iter().filter(|key| !key.revised) {
        let real = new.iter().position(|real| {
            let tek = key.tek;
            Key { tek, ..*real } == *key
        });
        *like.entry(real.expect("like a real one")).or_insert(0) += 1;
    }
    let shares: Vec<_> = like.into_values().collect();
    assert_eq!(shares, [67, 67, 66]);
    for dummy in made.dummies {
        assert!(export.keys.contains(&dummy));
    }
}

#[test]
fn what_needs_no_padding_gets_none() {
    let revised = [four()[1]];
    let made = written(&revised, &Policy::default()).unwrap();
    assert_eq!((made.files.len(), made.dummies.len()), (1, 0));
    let made = written(&[], &Policy::default()).unwrap();
    assert_eq!(
        (made.files.len(), made.dummies.len()),
        (0, 0),
        "no export of nothing"
    );
}

#[test]
fn many_keys_are_several_exports_that_phones_tell_apart() {
    let keys: Vec<Key> = (0..10)
        .map(|byte| Key {
            revised: byte > 6,
            ..key(byte)
        })
        .collect();
    let policy = Policy {
        max_keys: 4,
        ..AS_IT_IS
    };
    let files = written(&keys, &policy).unwrap().files;
    let exports: Vec<Export> = files.iter().map(|file| read(file)).collect();
    let counts: Vec<_> = exports.iter().map(|export| export.keys.len()).collect();
    assert_eq!(counts, [4, 4, 2]);
    let ends: Vec<_> = exports
        .iter()
        .map(|export| export.header.end - START)
        .collect();
    assert_eq!(ends, [86_400, 86_401, 86_402]);
    let together: Vec<Key> = exports
        .iter()
        .flat_map(|export| export.keys.clone())
        .collect();
    assert_eq!(together, keys);
    for export in exports {
        assert!(
            Set::join(vec![export]).is_ok(),
            "each is a batch of its own"
        );
    }
}

#[test]
fn either_form_of_a_private_key_signs() {
    let pkcs8 = std::fs::read(craft::spec("signer.pkcs8.pem")).unwrap();
    let pkcs8 = PrivateKey::from_pem(&pkcs8).unwrap();
    let made = written_with(&four(), &AS_IT_IS, &pkcs8, "GB").unwrap();
    assert_eq!(read(&made.files[0]).keys.len(), 4);
}

#[test]
fn what_no_reader_takes_is_not_written() {
    let refused = |keys: &[Key], policy: &Policy| written(keys, policy).unwrap_err();
    let long = Key {
        rolling_period: 145,
        ..key(2)
    };
    let error = KeyError::RollingPeriod;
    assert_eq!(
        refused(&[key(1), long], &AS_IT_IS),
        WriteError::Key { index: 1, error }
    );
    let error = KeyError::Duplicate;
    assert_eq!(
        refused(&[key(1), key(1)], &AS_IT_IS),
        WriteError::Key { index: 1, error }
    );
    for (min_keys, max_keys) in [(0, 0), (0, MAX_KEYS + 1), (MAX_KEYS + 1, 1)] {
        assert_eq!(
            refused(&[key(1)], &Policy { min_keys, max_keys }),
            WriteError::Count
        );
    }
    let region = written_with(&[key(1)], &AS_IT_IS, &craft::private_key(), "G\0B");
    assert_eq!(region, Err(WriteError::Text));
    for (start, end) in [(START, START), (0, 1 << 53)] {
        let draft = Draft {
            start,
            end,
            region: "GB",
            keys: &[],
        };
        let private = craft::private_key();
        let signing = Signing {
            key: &private,
            name: SignerName::default(),
        };
        let made = write(&draft, &signing, &AS_IT_IS, &mut |_: &mut [u8]| ());
        assert_eq!(made, Err(WriteError::Window));
    }
}
