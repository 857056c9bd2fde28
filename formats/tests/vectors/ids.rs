//! `ids/`: names as text (spec §1.1, §1.2, §1.6, §2.4, §6.2, §7).

use bellwether_formats::cid::{Cid, Codec};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXUPPER};

use super::sample::{public, root};
use super::{File, Vector, section, valid};

/// A provider id as text, checked by a second implementation when it was written down here.
const PROVIDER: &str = "z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX";

fn good(kind: &'static str, rule: &'static str, about: &'static str, text: &str) -> Vector {
    valid(rule, about, []).with("as", kind).text(text)
}

fn bad(kind: &'static str, rule: &'static str, about: &'static str, text: &str) -> Vector {
    Vector {
        expect: rule,
        ..good(kind, rule, about, text)
    }
}

pub(super) fn vectors() -> Vec<File> {
    let vectors = [
        providers(),
        zones(),
        levels(),
        schemes(),
        cids(),
        shares(),
        broken_shares(),
    ];
    section("ids", vectors.into_iter().flatten())
}

fn providers() -> Vec<(&'static str, Vector)> {
    let bad = |about, text: &str| bad("provider-id", "provider-id", about, text);
    let base64 = [&[0xed, 1][..], &public(&root())].concat();
    vec![
        (
            "provider",
            good(
                "provider-id",
                "provider-id",
                "the public key of seed 01 repeated",
                PROVIDER,
            ),
        ),
        (
            "provider-base64",
            bad(
                "the same bytes in base64url",
                &format!("u{}", BASE64URL_NOPAD.encode(&base64)),
            ),
        ),
        (
            "provider-cut",
            bad("the last character is missing", &PROVIDER[..47]),
        ),
        (
            "provider-did",
            bad(
                "the prefix of did:key is no part of it",
                &format!("did:key:{PROVIDER}"),
            ),
        ),
        (
            "provider-digit",
            bad("0 is not a digit of base58btc", &PROVIDER.replace('3', "0")),
        ),
        (
            "provider-hex",
            bad("the key in hex", &HEXLOWER.encode(&public(&root()))),
        ),
        (
            "provider-space",
            bad("a space follows", &format!("{PROVIDER} ")),
        ),
        (
            "provider-x25519",
            bad(
                "the id of an X25519 key",
                "z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",
            ),
        ),
    ]
}

fn zones() -> Vec<(&'static str, Vector)> {
    let good = |about, text| good("zone", "zone", about, text);
    let bad = |about, text| bad("zone", "zone", about, text);
    vec![
        ("zone", good("one label", "world")),
        (
            "zone-longest",
            good(
                "four labels of 16 characters",
                "abcdefghijklmnop/0123456789-abcde/----------------/zzzzzzzzzzzzzzzz",
            ),
        ),
        ("zone-five-labels", bad("five labels", "a/b/c/d/e")),
        ("zone-empty", bad("no text at all", "")),
        ("zone-empty-label", bad("an empty label", "gb//sct")),
        (
            "zone-label-of-17",
            bad("a label of 17 characters", "abcdefghijklmnopq"),
        ),
        ("zone-slash-last", bad("a slash at the end", "gb/")),
        ("zone-umlaut", bad("a letter outside a-z", "de/th\u{fc}")),
        ("zone-upper-case", bad("upper case", "GB")),
    ]
}

fn levels() -> Vec<(&'static str, Vector)> {
    vec![
        (
            "level",
            good(
                "level",
                "level",
                "the highest level with a name",
                "clinically-diagnosed",
            ),
        ),
        (
            "level-upper-case",
            bad("level", "level", "upper case", "Diagnosed"),
        ),
        (
            "level-unknown",
            bad("level", "level", "no name of a level", "positive"),
        ),
    ]
}

fn schemes() -> Vec<(&'static str, Vector)> {
    let bad = |about, text| bad("scheme", "scheme", about, text);
    vec![
        (
            "scheme",
            good("scheme", "scheme", "the longest name", "dp3t-unlinkable"),
        ),
        ("scheme-code", bad("a code in place of a name", "7")),
        ("scheme-family", bad("a family, which is no scheme", "dp3t")),
        ("scheme-unknown", bad("no name of a scheme", "scheme-9")),
        ("scheme-upper-case", bad("upper case", "GAEN")),
    ]
}

fn cids() -> Vec<(&'static str, Vector)> {
    let bad = |about, text: &str| bad("cid", "cid", about, text);
    let cid = Cid::of(Codec::DagCbor, &[0xa0]);
    let text = cid.to_string();
    vec![
        (
            "cid-dag-cbor",
            good(
                "cid",
                "cid",
                "the empty map as dag-cbor",
                "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",
            ),
        ),
        (
            "cid-raw",
            good(
                "cid",
                "cid",
                "the empty block as raw",
                "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
            ),
        ),
        (
            "cid-base16",
            bad(
                "the same bytes in base16",
                &format!("f{}", HEXLOWER.encode(&cid.to_bytes())),
            ),
        ),
        ("cid-cut", bad("the last character is missing", &text[..58])),
        (
            "cid-dag-pb",
            bad(
                "a CID of version 1 with codec dag-pb",
                "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
            ),
        ),
        (
            "cid-upper-case",
            bad("base32 in upper case", &text.to_uppercase()),
        ),
        (
            "cid-path",
            bad("a path with a CID in it", &format!("/ipfs/{text}")),
        ),
        (
            "cid-tail-bits",
            bad(
                "the bits after the last byte are not zero",
                &format!("{}b", &text[..58]),
            ),
        ),
        (
            "cid-v0",
            bad(
                "a CID of version 0",
                "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n",
            ),
        ),
        (
            "cid-hex-upper",
            bad(
                "the digest alone, in hex",
                &HEXUPPER.encode(&cid.to_bytes()[4..]),
            ),
        ),
    ]
}

fn shares() -> Vec<(&'static str, Vector)> {
    let good = |rule, about, tail: &str| {
        good(
            "share",
            rule,
            about,
            &format!("bellwether:{PROVIDER}{tail}"),
        )
    };
    vec![
        (
            "share",
            good("share-no-zone", "a provider and a zone", "?zone=gb"),
        ),
        (
            "share-escapes",
            good(
                "share-escape",
                "an operator with a space, an ampersand and a letter of two bytes",
                "?zone=gb&gateway=https://g.example&operator=M%C3%BCller%20%26%20Co",
            ),
        ),
        (
            "share-full",
            good(
                "share-operator",
                "everything that it can hold",
                "?zone=gb&zone=gb/sct&gateway=https://a.example&operator=A&gateway=https://b.example:8443&operator=B&peer=/dns4/a.example/tcp/4001",
            ),
        ),
        (
            "share-operator-missing",
            good(
                "share-operator",
                "a gateway without its operator",
                "?zone=gb&gateway=https://a.example",
            ),
        ),
        (
            "share-unknown-key",
            good(
                "share-pair",
                "a parameter of a later version is ignored",
                "?zone=gb&colour=blue",
            ),
        ),
    ]
}

fn broken_shares() -> Vec<(&'static str, Vector)> {
    let bad = |rule, about, tail: &str| {
        bad(
            "share",
            rule,
            about,
            &format!("bellwether:{PROVIDER}{tail}"),
        )
    };
    let long = format!("?zone=gb&peer=/dns4/{}", "a".repeat(4096));
    vec![
        (
            "share-escape-cut",
            bad(
                "share-escape",
                "the text ends inside an escape",
                "?zone=gb%2",
            ),
        ),
        (
            "share-escape-digit",
            bad(
                "share-escape",
                "g is not a hexadecimal digit",
                "?zone=gb%2g",
            ),
        ),
        (
            "share-escape-utf8",
            bad(
                "share-escape",
                "an escape that is not UTF-8",
                "?zone=gb&peer=%ff",
            ),
        ),
        (
            "share-no-equals",
            bad("share-pair", "a parameter without a value", "?zone=gb&peer"),
        ),
        (
            "share-no-zone",
            bad("share-no-zone", "no zone", "?gateway=https://a.example"),
        ),
        (
            "share-operator-first",
            bad(
                "share-operator",
                "an operator before its gateway",
                "?zone=gb&operator=A&gateway=https://a.example",
            ),
        ),
        (
            "share-prefix",
            super::ids::bad(
                "share",
                "share-prefix",
                "another prefix",
                &format!("bellweather:{PROVIDER}?zone=gb"),
            ),
        ),
        (
            "share-provider",
            super::ids::bad(
                "share",
                "provider-id",
                "its provider id is cut",
                &format!("bellwether:{}?zone=gb", &PROVIDER[..47]),
            ),
        ),
        (
            "share-too-long",
            bad("share-size", "more than 4096 bytes", &long),
        ),
        ("share-zone", bad("zone", "its zone is not one", "?zone=GB")),
    ]
}
