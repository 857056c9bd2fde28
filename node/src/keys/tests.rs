use bellwether_formats::descriptor::KeyWindow;

use super::*;

fn key(number: u8) -> PublicKey {
    public(&SigningKey::from_bytes(&[number; 32]))
}

/// A descriptor that lists keys 1 and 2, one after the other.
fn descriptor() -> Descriptor {
    let window = |number, not_before, not_after| KeyWindow {
        key: key(number),
        not_before,
        not_after,
    };
    Descriptor {
        provider: key(9),
        epoch: 1,
        issued_at: 100,
        expires_at: 300,
        name: "Test".to_owned(),
        keys: vec![window(1, 100, 200), window(2, 150, 300)],
        zones: Vec::new(),
        gateways: Vec::new(),
        anchors: Vec::new(),
        next_root: [0; 32],
        upstream: None,
        peers: Vec::new(),
        successor: None,
    }
}

#[test]
fn key_that_signs_is_the_first_one_listed_for_the_time_and_here() {
    let descriptor = descriptor();
    let at = |here: &[u8], at| {
        let here: Vec<PublicKey> = here.iter().map(|number| key(*number)).collect();
        usable(&descriptor, &here, at)
    };
    assert_eq!(at(&[2, 1], 160), Ok(key(1)));
    assert_eq!(at(&[2], 160), Ok(key(2)));
    assert_eq!(at(&[1, 2], 250), Ok(key(2)));
    assert_eq!(at(&[], 160), Err(Unusable::NoneHere));
    assert_eq!(at(&[3], 160), Err(Unusable::Unlisted));
    assert_eq!(at(&[1], 250), Err(Unusable::OtherTimes));
    assert_eq!(at(&[1, 2], 301), Err(Unusable::OtherTimes));
}

#[test]
fn file_of_a_key_is_read_no_further_than_a_key_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.key");
    let file = File::create(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    assert!(matches!(load(&path), Err(KeyError::Malformed { .. })));
}
