//! The report against one of another maker, and the rules of a device's life.

use super::*;
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, VerifyingKey};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

const PUBLISHER: &str = "Bellwether Test Health Authority";

fn device(generator: Generator) -> Device {
    Device::new(generator, &[0x5a; Device::NEW_BYTES])
}

/// A report's content, signed bytes and signatures, cut where a report of one Ed25519 seed of
/// type 1 has them.
#[test]
fn a_report_has_the_very_bytes_of_the_cx_library() {
    // Made by libcx 0.1 with a key that is not kept; its signature holds over
    // SEQUENCE { content, signatureAlgorithm }.
    let made = HEXLOWER
        .decode(include_bytes!("libcx-report.hex").trim_ascii())
        .unwrap();
    let public: [u8; 32] = made[0x36..0x56].try_into().unwrap();
    let libcx = Shape::of(&made, &public);

    let mut device = device(Generator::Aes128);
    let preseed = made[0x12..0x2a].to_vec();
    device.current = Zeroizing::new(preseed);
    let public = device.key.verifying_key().to_bytes();
    let report = device
        .report(PUBLISHER, "4323-1948-7574-9118", &[0; 48])
        .unwrap();
    assert_eq!(Shape::of(&report, &public), libcx);
}

/// What a report is, once key and signature are taken out of it; both are checked on the way.
#[derive(Debug, Eq, PartialEq)]
struct Shape(Vec<u8>);

impl Shape {
    fn of(report: &[u8], public: &[u8; 32]) -> Self {
        let content = &report[3..3 + 3 + 0x87];
        let algorithm = [0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
        let mut signed = vec![0x30, 0x81, u8::try_from(content.len() + 7).unwrap()];
        signed.extend_from_slice(content);
        signed.extend(algorithm);
        let (rest, signature) = report.split_last_chunk::<64>().unwrap();
        VerifyingKey::from_bytes(public)
            .unwrap()
            .verify_strict(&signed, &Signature::from_bytes(signature))
            .unwrap();
        let at = rest.windows(32).position(|window| window == public);
        let mut rest = rest.to_vec();
        rest[at.unwrap()..][..32].fill(0);
        Self(rest)
    }
}

#[test]
fn a_long_report_has_one_signature_a_seed() {
    let mut device = device(Generator::Aes256);
    device.renew(&[1; 48]);
    device.renew(&[2; 48]);
    device.take_identifiers(1);
    let report = device.report(PUBLISHER, "code", &[3; 48]).unwrap();
    let count = |part: &[u8]| report.windows(part.len()).filter(|w| *w == part).count();
    assert_eq!(count(device.key.verifying_key().as_bytes()), 3);
    // Once in each key and once in each signature's algorithm.
    assert_eq!(count(&[0x2b, 0x65, 0x70]), 6);
    assert_eq!(&report[..2], [0x30, 0x82]);
    assert_eq!(
        usize::from(u16::from_be_bytes([report[2], report[3]])),
        report.len() - 4
    );
}

#[test]
fn der_lengths_are_the_shortest() {
    for (len, head) in [
        (0, vec![4, 0]),
        (127, vec![4, 127]),
        (128, vec![4, 0x81, 128]),
        (255, vec![4, 0x81, 255]),
        (256, vec![4, 0x82, 1, 0]),
        (65_536, vec![4, 0x83, 1, 0, 0]),
    ] {
        let content = vec![7; len];
        let der = der::element(der::OCTET_STRING, &[&content]);
        assert_eq!(der, [head, content].concat());
    }
}

#[test]
fn what_was_reported_is_not_broadcast_any_more() {
    let mut device = device(Generator::Aes128);
    let broadcast = device.take_identifiers(10);
    assert_eq!(device.identifier(1), broadcast.first().copied());
    assert_eq!(device.identifier(0), None);
    assert_eq!(device.identifier(2049), None);
    let before = device.seed();
    device.report(PUBLISHER, "code", &[9; 48]).unwrap();
    assert_ne!(device.seed(), before);
    let later = device.take_identifiers(3000);
    assert_eq!(later.len(), 2048);
    assert!(before.identifiers().all(|id| !later.contains(&id)));
    assert_eq!(device.take_identifiers(1), []);
}

#[test]
fn a_refused_report_can_be_made_again_and_an_accepted_one_is_forgotten() {
    let mut device = device(Generator::Aes128);
    let first = device.seed();
    device.report(PUBLISHER, "mistyped", &[1; 48]).unwrap();
    let seeds = |device: &Device| -> Vec<Seed> {
        let preseeds = device.past.iter().chain([&device.current]);
        preseeds.map(|preseed| device.derive(preseed)).collect()
    };
    assert_eq!(seeds(&device), [first.clone(), device.seed()]);
    assert_eq!(device.descriptors().len(), 1, "nothing new was broadcast");
    device.report(PUBLISHER, "right", &[2; 48]).unwrap();
    assert_eq!(seeds(&device), [first, device.seed()]);
    device.accepted();
    assert_eq!(seeds(&device), [device.seed()]);

    for number in 0..100 {
        device.renew(&[number; 48]);
    }
    device.take_identifiers(1);
    assert_eq!(device.descriptors().len(), MAX_PAST_SEEDS + 1);
    assert!(device.report(PUBLISHER, "code", &[0; 48]).is_ok());
}

#[test]
fn a_report_that_nobody_would_take_changes_nothing() {
    let mut device = device(Generator::Aes128);
    let seed = device.seed();
    let long = "x".repeat(129);
    for (publisher, code) in [
        ("", "code"),
        (&long, "code"),
        ("name", ""),
        ("name", &long[..65]),
    ] {
        assert!(matches!(
            device.report(publisher, code, &[1; 48]),
            Err(ReportError::Length { .. })
        ));
    }
    assert_eq!(device.seed(), seed);
    assert_eq!(
        seed_report(&[], "name", "code"),
        Err(ReportError::Descriptors { found: 0 })
    );
}

#[test]
fn a_device_comes_back_from_its_file_and_only_its_owner_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phone.json");
    let mut device = device(Generator::Aes256);
    device.take_identifiers(5);
    device.renew(&[1; 48]);
    device.take_identifiers(7);
    device.save_new(&path).unwrap();
    assert!(device.save_new(&path).is_err(), "a key is not overwritten");
    device.save(&path).unwrap();

    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        fs::read_dir(&folder).unwrap().count(),
        1,
        "nothing is left behind"
    );
    let mut loaded = Device::load(&path).unwrap();
    assert_eq!(loaded.take_identifiers(1), device.take_identifiers(1));
    assert_eq!(
        loaded.report(PUBLISHER, "code", &[2; 48]),
        device.report(PUBLISHER, "code", &[2; 48])
    );
}

#[test]
fn a_file_that_is_not_exactly_a_device_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("phone.json");
    device(Generator::Aes128).save(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(load_error(&folder.path().join("absent")).contains("cannot read"));
    for (from, to) in [
        ("\"version\": 1", "\"version\": 2"),
        ("\"generator\": 1", "\"generator\": 2"),
        ("\"generator\": 1", "\"generator\": 3"),
        ("\"handed_out\": 0", "\"handed_out\": 2049"),
        ("\"handed_out\": 0", "\"handed_out\": -1"),
        ("\"handed_out\": 0", "\"handed_out\": 0, \"more\": 0"),
        ("\"handed_out\": 0", "\"handed_out\": 0, \"handed_out\": 0"),
        ("\"past_preseeds\": []", "\"past_preseeds\": [\"5a\"]"),
        ("5a5a\"", "5a\""),
        ("5a\"", "5A\""),
        ("}\n", "} {}"),
        ("}\n", ""),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        assert!(load_error(&path).contains("not a device file"), "{to}");
    }
    fs::write(&path, " ".repeat(1 << 21)).unwrap();
    assert!(load_error(&path).contains("too long"));
}

fn load_error(path: &Path) -> String {
    Device::load(path).unwrap_err().to_string()
}

#[test]
fn a_device_does_not_show_its_secrets() {
    let text = format!("{:?}", device(Generator::Aes128));
    assert_eq!(
        text,
        "Device { generator: Aes128, handed_out: 0, past: 0, .. }"
    );
}
