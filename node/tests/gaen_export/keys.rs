//! Keys, and the keys that sign.

use bellwether_node::gaen_export::{PemError, PrivateKey, PublicKey};

use crate::gaen_export::craft;
use crate::gaen_export::writing;

#[test]
fn no_key_is_told_where_something_is_said_of_it() {
    let key = writing::key(0xa5);
    let said = format!("{key:?}");
    assert!(
        !said.contains("a5a5") && !said.contains("165, 165"),
        "{said}"
    );
}

#[test]
fn only_pem_of_p256_is_a_key() {
    let public = |pem: &[u8]| PublicKey::from_pem(pem).map(drop);
    let private = |pem: &[u8]| PrivateKey::from_pem(pem).map(drop);
    let read = |name: &str| std::fs::read(craft::spec(name)).unwrap();
    let (signer, secret) = (read("signer.pem"), read("signer.key.pem"));
    assert_eq!((public(&signer), private(&secret)), (Ok(()), Ok(())));
    assert_eq!(
        public(&secret),
        Err(PemError::Pem),
        "a private key is no public one"
    );
    assert_eq!(private(&signer), Err(PemError::Pem));
    for pem in [&b""[..], b"-----BEGIN PUBLIC KEY-----", &[0xff; 300]] {
        assert_eq!(public(pem), Err(PemError::Pem));
        assert_eq!(private(pem), Err(PemError::Pem));
    }
    let long = [&signer[..], &[b' '; 16 * 1024]].concat();
    assert_eq!(public(&long), Err(PemError::Pem));
    for (public_key, private_key) in [(P384, P384_SECRET), (ED25519, ED25519_SECRET)] {
        assert_eq!(public(public_key.as_bytes()), Err(PemError::Key));
        assert_eq!(private(private_key.as_bytes()), Err(PemError::Key));
    }
}

const P384: &str = "\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAErou+qd/WjV/+iVr1/WcKua7NfdHZB+oh
aOj9cSjrMgVGj/HtcfCWRl5xZ7b/Iu61LHNMCokX2FBg7PVR5HXCLAN3fdEN+UH2
2VH3uTouA3JQQtSQyzb6xTLrkTTqBTp4
-----END PUBLIC KEY-----
";

const P384_SECRET: &str = "\
-----BEGIN EC PRIVATE KEY-----
MIGkAgEBBDBJnFXTKEPYTdNiTSn/Ux7EGfyVLdK8KOSmLa4DwLEwDQmjmBCQTT2j
0Gqt8ADMxH6gBwYFK4EEACKhZANiAASui76p39aNX/6JWvX9Zwq5rs190dkH6iFo
6P1xKOsyBUaP8e1x8JZGXnFntv8i7rUsc0wKiRfYUGDs9VHkdcIsA3d90Q35QfbZ
Ufe5Oi4DclBC1JDLNvrFMuuRNOoFOng=
-----END EC PRIVATE KEY-----
";

const ED25519: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAVJVUYJD0LQ+UUBC3URH5eecfOyKkkQAlIhSzXl409E4=
-----END PUBLIC KEY-----
";

const ED25519_SECRET: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIIp/dj8MhGUtuU6R4IquENNS/g1vRkumRa5iPaaAuhC1
-----END PRIVATE KEY-----
";
