//! `car/`: bundles (spec §2.5).

use bellwether_formats::cid::{Block, Cid, Codec};

use super::tree::{Fields, Tree};
use super::{File, Vector, broken, section, valid};

/// Two small blocks.
fn blocks() -> [Block; 2] {
    let map = Fields::new([("a", 1.into())]).bytes();
    [
        Block::of(Codec::DagCbor, map).expect("a small block"),
        Block::of(Codec::Raw, b"raw bytes".to_vec()).expect("a small block"),
    ]
}

/// A length (below 2^14) and that many bytes.
fn framed(content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let mut bytes = match u8::try_from(len) {
        Ok(len) if len < 0x80 => vec![len],
        _ => {
            let low = u8::try_from(len & 0x7f).expect("seven bits") | 0x80;
            vec![low, u8::try_from(len >> 7).expect("less than 2^14 bytes")]
        }
    };
    bytes.extend_from_slice(content);
    bytes
}

fn header(roots: &[Cid]) -> Fields {
    let roots: Vec<Tree> = roots.iter().map(|cid| (*cid).into()).collect();
    Fields::new([("roots", roots.into()), ("version", 1.into())])
}

fn section_of(block: &Block) -> Vec<u8> {
    framed(&[&block.cid().to_bytes(), block.bytes()].concat())
}

pub(super) fn vectors() -> Vec<File> {
    section("car", accepted().into_iter().chain(refused()))
}

fn accepted() -> Vec<(&'static str, Vector)> {
    let [one, two] = blocks();
    let both = [section_of(&one), section_of(&two)].concat();
    let start = |roots: &[Cid]| framed(&header(roots).bytes());
    vec![
        (
            "empty",
            valid(
                "car-header",
                "no roots and no blocks: nothing newer",
                start(&[]),
            ),
        ),
        (
            "two-blocks",
            valid(
                "block-hash",
                "two blocks, the first a root",
                [start(&[one.cid()]), both.clone()].concat(),
            ),
        ),
        (
            "root-elsewhere",
            valid(
                "car-header",
                "a root that is not among the blocks",
                [start(&[one.cid()]), section_of(&two)].concat(),
            ),
        ),
        (
            "block-twice",
            valid(
                "block-hash",
                "the same block twice",
                [start(&[one.cid()]), both, section_of(&one)].concat(),
            ),
        ),
        (
            "exactly-max",
            valid(
                "car-size",
                "a bundle as long as the limit",
                start(&[one.cid()]),
            )
            .with("max", start(&[one.cid()]).len()),
        ),
    ]
}

fn refused() -> Vec<(&'static str, Vector)> {
    let [one, two] = blocks();
    let roots = header(&[one.cid()]);
    let start = framed(&roots.bytes());
    let after = |bytes: &[u8]| [start.as_slice(), bytes].concat();
    let named = |cid: &[u8], data: &[u8]| after(&framed(&[cid, data].concat()));
    let cid = one.cid().to_bytes();

    let mut changed = section_of(&one);
    *changed.last_mut().expect("a section has bytes") ^= 1;
    let mut sha512 = cid.to_vec();
    sha512[2] = 0x13;
    let cut = section_of(&two);
    let long = [
        &[
            0x80 | u8::try_from(cut.len() - 1).expect("a short section"),
            0,
        ][..],
        &cut[1..],
    ];
    let ten = [
        0x80 | cut[0],
        0x80,
        0x80,
        0x80,
        0x80,
        0x80,
        0x80,
        0x80,
        0x80,
        0x02,
    ];
    let huge = [[0x80; 8].as_slice(), &[0x10]].concat();
    vec![
        (
            "block-changed",
            broken("block-hash", "a bit of a block is changed", after(&changed)),
        ),
        (
            "block-swapped",
            broken(
                "block-hash",
                "a block under the name of another",
                named(&cid, two.bytes()),
            ),
        ),
        (
            "cid-hash",
            broken(
                "car-cid",
                "a block named by sha2-512",
                named(&sha512, one.bytes()),
            ),
        ),
        (
            "cid-codec",
            broken(
                "car-cid",
                "a block named with codec dag-pb",
                named(&[&[1, 0x70], &cid[2..]].concat(), one.bytes()),
            ),
        ),
        (
            "header-cut",
            broken(
                "car-section",
                "the input ends inside the header",
                &start[..start.len() - 1],
            ),
        ),
        (
            "header-key",
            broken(
                "car-header",
                "a key that the header does not have",
                framed(&roots.clone().add("more", 1).bytes()),
            ),
        ),
        (
            "header-order",
            broken(
                "car-header",
                "version before roots",
                framed(&roots.clone().last("roots").bytes()),
            ),
        ),
        (
            "header-v2",
            broken(
                "car-header",
                "the pragma of CAR version 2, which has no roots",
                framed(&Fields::new([("version", 2.into())]).bytes()),
            ),
        ),
        (
            "length-beyond-end",
            broken("car-section", "a section claims 2^60 bytes", after(&huge)),
        ),
        (
            "length-in-ten-bytes",
            broken(
                "car-section",
                "a length in ten bytes whose upper bits fall off",
                after(&[&ten, &cut[1..]].concat()),
            ),
        ),
        (
            "length-not-shortest",
            broken(
                "car-section",
                "a length in two bytes where one would do",
                after(&long.concat()),
            ),
        ),
        ("no-bytes", broken("car-section", "no header", [])),
        (
            "section-cut",
            broken(
                "car-section",
                "the input ends inside a block",
                after(&cut[..cut.len() - 1]),
            ),
        ),
        (
            "section-empty",
            broken("car-section", "a section of no bytes", after(&[0])),
        ),
        (
            "section-short",
            broken(
                "car-section",
                "a section too short for a CID",
                after(&framed(&cid[..35])),
            ),
        ),
        (
            "too-large",
            broken("car-size", "one byte more than the limit", start.as_slice())
                .with("max", start.len() - 1),
        ),
        (
            "version",
            broken(
                "car-version",
                "version 2 with roots",
                framed(&roots.clone().set("version", 2).bytes()),
            ),
        ),
        block_too_large(&start, &cid),
    ]
}

/// A block of 1 MiB and a byte; its zeros are not in the file.
fn block_too_large(start: &[u8], cid: &[u8]) -> (&'static str, Vector) {
    let zeros = 1_048_577;
    let len = 36 + zeros;
    let varint = [len & 0x7f | 0x80, len >> 7 & 0x7f | 0x80, len >> 14];
    let varint = varint.map(|byte: u32| u8::try_from(byte).expect("a byte"));
    let bytes = [start, &varint, cid].concat();
    let about = "a block of 1 MiB and a byte, refused before it is hashed";
    (
        "block-too-large",
        broken("block-size", about, bytes).with("zeros", zeros),
    )
}
