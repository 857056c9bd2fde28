//! `encoding/`: one value of spec §2.1 each, of any shape.

use bellwether_formats::cid::{Cid, Codec};
use data_encoding::HEXLOWER;

use super::{File, Vector, broken, section, valid};

/// Bytes from hex with spaces.
fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    HEXLOWER
        .decode(hex.as_bytes())
        .expect("the generator's hex")
}

fn good(rule: &'static str, about: &'static str, hex: &str) -> Vector {
    valid(rule, about, bytes(hex))
}

fn bad(rule: &'static str, about: &'static str, hex: &str) -> Vector {
    broken(rule, about, bytes(hex))
}

/// A link whose CID is changed by `change`.
fn link(change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut cid = vec![0];
    cid.extend(Cid::of(Codec::DagCbor, b"").to_bytes());
    change(&mut cid);
    let len = u8::try_from(cid.len()).expect("a short CID");
    [&[0xd8, 0x2a, 0x58, len], cid.as_slice()].concat()
}

pub(super) fn vectors() -> Vec<File> {
    section("encoding", accepted().into_iter().chain(refused()))
}

fn accepted() -> Vec<(&'static str, Vector)> {
    vec![
        (
            "depth-8",
            good(
                "limit",
                "a number in seven arrays",
                "81 81 81 81 81 81 81 00",
            ),
        ),
        (
            "integers",
            good(
                "not-shortest",
                "integers at the edges of every width",
                "8a 00 17 1818 18ff 190100 19ffff 1a00010000 1affffffff 1b0000000100000000 1bffffffffffffffff",
            ),
        ),
        (
            "keys-by-length",
            good(
                "key-order",
                "shorter keys first, then by bytes, not by alphabet",
                "a4 60 00 61 7a 01 62 6161 02 62 6162 03",
            ),
        ),
        (
            "link",
            valid("cid", "a link to a dag-cbor block", link(|_| ())),
        ),
        (
            "link-raw",
            valid("cid", "a link to a raw block", link(|cid| cid[2] = 0x55)),
        ),
        (
            "negative",
            good(
                "not-shortest",
                "negative integers, which only parts of unknown kinds hold",
                "83 20 3818 3b001fffffffffffff",
            ),
        ),
        (
            "simple",
            good("type", "false, true and null", "83 f4 f5 f6"),
        ),
        (
            "text",
            good(
                "utf8",
                "text of one to four bytes a character",
                "6a 61 c3a9 e282ac f09f9880",
            ),
        ),
    ]
}

fn refused() -> Vec<(&'static str, Vector)> {
    vec![
        (
            "array-cut",
            bad("truncated", "an array of two items holds one", "82 00"),
        ),
        (
            "array-huge",
            bad(
                "truncated",
                "an array claims 2^60 items and holds none",
                "9b 1000000000000000",
            ),
        ),
        (
            "array-indefinite",
            bad("indefinite", "an array of indefinite length", "9f 00 ff"),
        ),
        (
            "break",
            bad("indefinite", "a break that ends nothing", "81 ff"),
        ),
        (
            "bytes-huge",
            bad(
                "limit",
                "a byte string claims 2^60 bytes",
                "5b 1000000000000000",
            ),
        ),
        (
            "bytes-indefinite",
            bad("indefinite", "a byte string in pieces", "5f 4100 ff"),
        ),
        (
            "bytes-long-length",
            bad(
                "not-shortest",
                "a byte string's length in two bytes where one would do",
                "58 04 00000000",
            ),
        ),
        (
            "depth-9",
            bad(
                "limit",
                "a number in eight arrays",
                "81 81 81 81 81 81 81 81 00",
            ),
        ),
        ("empty", bad("truncated", "no bytes at all", "")),
        ("float-16", bad("float", "1.0 in two bytes", "f9 3c00")),
        (
            "float-64",
            bad("float", "1.1 in eight bytes", "fb 3ff199999999999a"),
        ),
        ("float-nan", bad("float", "not a number", "f9 7e00")),
        (
            "head-cut",
            bad("truncated", "the input ends inside an integer", "19 01"),
        ),
        (
            "integer-long-1",
            bad("not-shortest", "23 in two bytes", "18 17"),
        ),
        (
            "integer-long-2",
            bad("not-shortest", "255 in three bytes", "19 00ff"),
        ),
        (
            "integer-long-4",
            bad("not-shortest", "65535 in five bytes", "1a 0000ffff"),
        ),
        (
            "integer-long-8",
            bad(
                "not-shortest",
                "2^32 - 1 in nine bytes",
                "1b 00000000ffffffff",
            ),
        ),
        (
            "key-not-text",
            bad("type", "a map key that is an integer", "a1 01 02"),
        ),
        (
            "keys-descend",
            bad(
                "key-order",
                "keys of one length in descending order",
                "a2 61 62 00 61 61 01",
            ),
        ),
        (
            "keys-longer-first",
            bad(
                "key-order",
                "a longer key before a shorter one",
                "a2 62 6161 00 61 62 01",
            ),
        ),
        (
            "keys-twice",
            bad("key-order", "the same key twice", "a2 61 61 00 61 61 01"),
        ),
        (
            "link-codec",
            broken("cid", "a link to a dag-pb block", link(|cid| cid[2] = 0x70)),
        ),
        (
            "link-hash",
            broken("cid", "a link by sha3-256", link(|cid| cid[3] = 0x16)),
        ),
        (
            "link-long",
            broken(
                "cid",
                "a byte follows the CID of a link",
                link(|cid| cid.push(0)),
            ),
        ),
        (
            "link-no-zero",
            broken(
                "cid",
                "a link without the zero byte before its CID",
                link(|cid| *cid = cid.split_off(1)),
            ),
        ),
        (
            "link-text",
            bad("type", "a link that holds text", "d8 2a 61 62"),
        ),
        (
            "link-v0",
            broken(
                "cid",
                "a link by a CID of version 0",
                link(|cid| drop(cid.drain(1..3))),
            ),
        ),
        (
            "map-indefinite",
            bad("indefinite", "a map of indefinite length", "bf 61 61 00 ff"),
        ),
        ("reserved", bad("type", "a head that CBOR reserves", "1c")),
        ("simple-long", bad("type", "false in two bytes", "f8 14")),
        ("tag", bad("tag", "a tag other than 42", "c1 00")),
        (
            "tag-long",
            bad("not-shortest", "tag 42 in three bytes", "d9 002a 58 25 00"),
        ),
        (
            "text-cut",
            bad(
                "truncated",
                "text of five bytes, of which two are there",
                "65 6162",
            ),
        ),
        (
            "trailing",
            bad("trailing", "a byte follows the value", "00 00"),
        ),
        ("undefined", bad("type", "undefined", "f7")),
        (
            "utf8",
            bad("utf8", "a byte that UTF-8 does not have", "62 61ff"),
        ),
        ("utf8-long", bad("utf8", "a slash in two bytes", "62 c0af")),
        (
            "utf8-surrogate",
            bad("utf8", "half of a surrogate pair", "63 eda080"),
        ),
    ]
}
