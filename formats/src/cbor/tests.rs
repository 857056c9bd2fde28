use super::*;
use crate::cid::{Cid, Codec};
use crate::error::DecodeError;
use alloc::vec::Vec;

#[test]
fn keys_are_ordered_by_length_first() {
    assert!(key_before("b", "aa"));
    assert!(key_before("a", "b"));
    assert!(!key_before("a", "a"));
    assert!(!key_before("aa", "b"));
}

/// Every width of a head, at its edges: what is written is read, and is as short as it can be.
#[test]
fn numbers_take_the_shortest_head() {
    let edges = [
        (0, 1),
        (23, 1),
        (24, 2),
        (0xff, 2),
        (0x100, 3),
        (0xffff, 3),
        (0x1_0000, 5),
        (0xffff_ffff, 5),
        (0x1_0000_0000, 9),
        (u64::MAX, 9),
    ];
    for (number, len) in edges {
        let mut w = Writer::new();
        w.uint(number);
        let bytes = w.finish();
        assert_eq!(bytes.len(), len, "{number}");
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.uint("a number", u64::MAX), Ok(number));
        assert_eq!(reader.finish(), Ok(()));
    }
}

/// A map `{"a": 1, "c": 2}`, optional `"b"` between, and what a reader says of each departure.
#[test]
fn a_map_is_read_field_by_field() {
    fn read(map: &[(&str, u64)]) -> Result<(u64, Option<u64>, u64), DecodeError> {
        let mut w = Writer::new();
        w.map(map.len());
        for (key, value) in map {
            w.text(key).uint(*value);
        }
        let bytes = w.finish();
        let mut reader = Reader::new(&bytes);
        let mut map = reader.map()?;
        let a = map.field("a", |r| r.uint("a", 9))?;
        let b = map.optional("b", |r| r.uint("b", 9))?;
        let c = map.field("c", |r| r.uint("c", 9))?;
        map.end()?;
        reader.finish()?;
        Ok((a, b, c))
    }
    let rule = |map: &[(&str, u64)]| read(map).map_err(|error| error.rule());
    assert_eq!(rule(&[("a", 1), ("c", 2)]), Ok((1, None, 2)));
    assert_eq!(rule(&[("a", 1), ("b", 3), ("c", 2)]), Ok((1, Some(3), 2)));
    assert_eq!(rule(&[("a", 1)]), Err("missing-key"));
    assert_eq!(rule(&[("a", 1), ("d", 2)]), Err("missing-key"));
    assert_eq!(rule(&[("a", 1), ("bb", 3)]), Err("missing-key"));
    assert_eq!(rule(&[("a", 1), ("c", 2), ("d", 3)]), Err("unknown-key"));
    assert_eq!(rule(&[("", 0), ("a", 1), ("c", 2)]), Err("unknown-key"));
    assert_eq!(rule(&[("c", 2), ("a", 1)]), Err("key-order"));
    assert_eq!(rule(&[("a", 1), ("a", 1), ("c", 2)]), Err("key-order"));
    assert_eq!(rule(&[("a", 10), ("c", 2)]), Err("limit"));
}

/// What a part of an unknown kind holds is passed over, and its links are found at any depth.
#[test]
fn any_finds_links() {
    let cids = [Cid::of(Codec::Raw, b"1"), Cid::of(Codec::DagCbor, b"2")];
    let mut w = Writer::new();
    w.map(2).text("a").link(&cids[0]);
    w.text("b").array(2).null().array(1).link(&cids[1]);
    w.uint(7);
    let bytes = w.finish();
    let mut reader = Reader::new(&bytes);
    let (item, links) = reader.any().unwrap();
    assert_eq!(
        item,
        &bytes[..bytes.len() - 1],
        "the number after it is left"
    );
    assert_eq!(links, cids);
    assert_eq!(reader.uint("the rest", 7), Ok(7));
}

/// Null is told from a value by one byte, and is not consumed in its stead.
#[test]
fn null_or_something_else() {
    let mut w = Writer::new();
    w.null().uint(5);
    let bytes = w.finish();
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.null_or(|r| r.uint("grade", 9)), Ok(None));
    assert_eq!(reader.null_or(|r| r.uint("grade", 9)), Ok(Some(5)));
    let end = reader.null_or(|r| r.uint("grade", 9));
    assert_eq!(end, Err(DecodeError::Truncated { offset: 2 }));
}

/// Deep nesting costs a bounded stack, wide claims cost no memory.
#[test]
fn hostile_shapes_end_early() {
    let deep: Vec<u8> = core::iter::repeat_n(0x81, 1 << 20).collect();
    let rule = |bytes: &[u8]| Reader::new(bytes).any().map_err(|error| error.rule()).err();
    assert_eq!(rule(&deep), Some("limit"));
    let wide = [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(rule(&wide), Some("truncated"));
}
