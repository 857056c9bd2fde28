//! Keys as lines of text, and the keys that sign.

use bellwether_node::gaen_export::{Key, LineError, PemError, PrivateKey, PublicKey, ReportType};

use crate::craft;
use crate::writing;

/// The line that the spec shows.
fn shown() -> String {
    let page = craft::spec("../../14-gaen-export.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, block) = page.split_once("```json\n").expect("a line is shown");
    block.lines().next().unwrap().to_owned()
}

#[test]
fn the_line_that_the_spec_shows_is_a_key() {
    let key = Key::from_line(&shown()).unwrap();
    assert_eq!(key.tek[..3], [0x75, 0xc7, 0x34]);
    assert_eq!((key.rolling_start, key.rolling_period), (2_642_976, 144));
    assert_eq!(key.report_type, ReportType::ConfirmedTest);
    assert_eq!((key.days_since_onset, key.transmission_risk), (Some(0), 0));
    assert_eq!(key.to_line(), shown(), "and is written so");
}

#[test]
fn lines_come_back() {
    for report_type in [
        ReportType::Unknown,
        ReportType::ConfirmedTest,
        ReportType::ClinicalDiagnosis,
        ReportType::SelfReport,
        ReportType::Recursive,
        ReportType::Revoked,
    ] {
        for days_since_onset in [None, Some(-14), Some(14)] {
            let key = Key {
                report_type,
                days_since_onset,
                rolling_period: 7,
                transmission_risk: 8,
                ..writing::key(0xa5)
            };
            let line = key.to_line();
            assert_eq!(Key::from_line(&format!("{line}\r\n")), Ok(key), "{line}");
        }
    }
}

#[test]
fn what_a_line_leaves_out_is_as_in_an_export() {
    let line = r#"{"rolling_start":5,"key":"A5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"}"#;
    let key = Key {
        rolling_start: 5,
        report_type: ReportType::Unknown,
        ..writing::key(0xa5)
    };
    assert_eq!(Key::from_line(line), Ok(key));
}

#[test]
fn other_lines_are_refused_by_name() {
    let with = |from: &str, to: &str| {
        let line = shown();
        assert!(line.contains(from), "{line}");
        line.replace(from, to)
    };
    let cases = [
        ("line-length", format!("{}{}", shown(), " ".repeat(1024))),
        ("line-json", String::new()),
        ("line-json", "[]".to_owned()),
        ("line-json", with("}", "")),
        ("line-json", format!("{}{}", shown(), shown())),
        ("line-json", with("}", r#","note":"x"}"#)),
        ("line-json", with("}", r#","transmission_risk":1}"#)),
        ("line-json", with("confirmed-test", "Confirmed-Test")),
        ("line-json", with(":144", ":144.5")),
        ("line-json", with(":2642976", r#":"2642976""#)),
        ("line-json", with(r#""rolling_start":2642976,"#, "")),
        ("key-data", with("75c7", "75")),
        ("key-data", with("75c7", "75c7aa")),
        ("key-data", with("75c7", "75cg")),
        ("rolling-start", with(":2642976", ":-1")),
        ("rolling-start", with(":2642976", ":4294967296")),
        ("rolling-start", with(":2642976", ":2147483504")),
        ("rolling-period", with(":144", ":0")),
        ("rolling-period", with(":144", ":145")),
        ("rolling-period", with(":144", ":400")),
        ("days-since-onset", with("onset\":0", "onset\":15")),
        ("days-since-onset", with("onset\":0", "onset\":-15")),
        ("transmission-risk", with("risk\":0", "risk\":9")),
    ];
    for (rule, line) in cases {
        let found = Key::from_line(&line).map_err(|error| error.rule());
        assert_eq!(found, Err(rule), "{line}");
    }
    let deep = format!("{{\"key\":{}", "[".repeat(1000));
    assert_eq!(Key::from_line(&deep), Err(LineError::Json));
}

#[test]
fn no_key_is_told_where_something_is_said_of_it() {
    let key = writing::key(0xa5);
    let said = format!(
        "{key:?} {:?}",
        Key::from_line(&format!("{}x", key.to_line()))
    );
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
