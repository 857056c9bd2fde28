use super::*;
use crate::scheme::Width;

/// The first did:key test vector of the W3C method's specification is this key.
#[test]
fn a_key_reads_as_in_did_key() {
    let key = "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
    let bytes = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29";
    let read: PublicKey = key.parse().unwrap();
    assert_eq!(HEXLOWER.encode(read.as_bytes()), bytes);
    assert_eq!(read.to_string(), key);
    assert_eq!(alloc::format!("{read:?}"), "z6MkiTBz1ymu…");
}

/// Unknown levels are carried as they are, shown as unknown, and alert.
#[test]
fn levels_of_a_later_version() {
    let later = Level(200);
    assert_eq!(later.shown(), Level::UNKNOWN);
    assert_eq!(later.to_string(), "unknown");
    assert!(later.alerts());
    assert!(!Level::NO_ALERT.alerts() && !Level::EXPIRED.alerts());
    assert!(Level::DEBUG.alerts() && Level::CLINICALLY_DIAGNOSED.alerts());
    for code in 0..=6 {
        assert_eq!(Level(code).name().parse(), Ok(Level(code)));
    }
}

#[test]
fn schemes_have_names_and_widths() {
    assert_eq!(Scheme::CX1.to_string(), "cx1");
    assert_eq!(Scheme(8).to_string(), "fanny");
    assert_eq!(Scheme(0).to_string(), "scheme-0");
    assert_eq!(Scheme(9).to_string(), "scheme-9");
    for scheme in Scheme::ALL {
        let rules = scheme.rules().unwrap();
        assert_eq!(scheme.to_string().parse(), Ok(scheme));
        assert_eq!(rules.scheme(), scheme);
    }
    assert_eq!("scheme-9".parse::<Scheme>(), Err(ParseIdError::Scheme));
    let width = Scheme::CX2.rules().map(|rules| rules.width());
    assert_eq!(width, Some(Width::Fixed(48)));
    assert!(Scheme(9).rules().is_none());
}

/// Record ids are of a scheme: the same bytes under another scheme are another record.
#[test]
fn record_ids_know_their_scheme() {
    let ids = [Scheme::CX1, Scheme::CX2].map(|scheme| RecordId::of(scheme, b"seed"));
    assert_ne!(ids[0], ids[1]);
    let digest = Sha256::digest(b"bw1-id\x01seed");
    assert_eq!(ids[0].as_bytes(), &digest[..16]);
}
