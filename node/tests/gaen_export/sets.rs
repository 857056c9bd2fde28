//! Parts of a batch, put together.

use bellwether_node::gaen_export::{Export, Set, SetError, Unverified};

use crate::gaen_export::craft::{self, bytes, fixed64, int, key};

/// Part `num` of `size`, with fields of its own.
fn part(num: u64, size: u64, fields: &[Vec<u8>]) -> Export {
    let numbers = [int(4, num), int(5, size)].concat();
    let message = [craft::head(), numbers, fields.concat()].concat();
    let export = [craft::MAGIC.to_vec(), message].concat();
    let numbers = [int(2, num), int(3, size)].concat();
    let signature = bytes(4, craft::sign(&export));
    let signature = [bytes(1, craft::our_info()), numbers, signature].concat();
    let zip = craft::zip(&craft::entries(&[export, bytes(1, signature)]));
    let unverified = Unverified::read(&zip).unwrap();
    unverified.verify(&craft::signer()).unwrap()
}

fn new(byte: u8) -> Vec<u8> {
    bytes(7, key(byte))
}

fn revised(byte: u8) -> Vec<u8> {
    bytes(8, key(byte))
}

#[test]
fn parts_in_any_order_are_one_set() {
    let parts = [
        part(1, 3, &[new(1), revised(9)]),
        part(2, 3, &[]),
        part(3, 3, &[new(3)]),
    ];
    let set = Set::join(parts.to_vec()).unwrap();
    let first: Vec<u8> = set.keys.iter().map(|key| key.tek[0]).collect();
    assert_eq!(first, [1, 9, 3]);
    assert_eq!(
        (set.region.as_str(), set.dropped.as_slice()),
        ("GB", &[][..])
    );
    let [one, two, three] = parts;
    assert_eq!(Set::join(vec![three, one, two]), Ok(set));
}

#[test]
fn a_key_of_two_parts_is_taken_once_and_its_place_is_told() {
    let bad = bytes(7, bytes(1, [5; 15]));
    let set = Set::join(vec![
        part(1, 2, &[new(1), new(2), revised(1)]),
        part(
            2,
            2,
            &[bad.clone(), new(3), bad, new(1), revised(4), revised(1)],
        ),
    ]);
    let set = set.unwrap();
    assert_eq!(set.keys.len(), 5);
    let dropped = set.dropped.iter();
    let dropped: Vec<_> = dropped
        .map(|one| (one.batch_num, one.revised, one.index, one.error.rule()))
        .collect();
    let expected = [
        (2, false, 0, "key-data"),
        (2, false, 2, "key-data"),
        (2, false, 3, "duplicate"),
        (2, true, 1, "duplicate"),
    ];
    assert_eq!(dropped, expected);
}

#[test]
fn an_incomplete_batch_is_refused() {
    let join = |parts: &[(u64, u64)]| {
        let parts = parts.iter().map(|(num, size)| part(*num, *size, &[new(1)]));
        Set::join(parts.collect())
            .map(|_| ())
            .map_err(|error| (error, error.rule()))
    };
    let missing = |part| Err((SetError::Missing { part }, "set-missing"));
    assert_eq!(join(&[]), missing(1));
    assert_eq!(join(&[(2, 2)]), missing(1));
    assert_eq!(join(&[(1, 3), (3, 3)]), missing(2));
    assert_eq!(join(&[(1, 3), (2, 3)]), missing(3));
    assert_eq!(join(&[(1, (1 << 31) - 1)]), missing(2));
    let twice = Err((SetError::Twice { part: 2 }, "set-twice"));
    assert_eq!(join(&[(1, 3), (2, 3), (2, 3), (3, 3)]), twice);
    assert_eq!(join(&[(1, 1)]), Ok(()));
}

#[test]
fn parts_of_different_batches_are_refused() {
    let others = [
        part(2, 2, &[fixed64(1, 1)]),
        part(2, 2, &[fixed64(2, 1_776_086_401)]),
        part(2, 2, &[bytes(3, "FR")]),
        part(2, 3, &[]),
    ];
    for other in others {
        let joined = Set::join(vec![part(1, 2, &[]), other.clone()]);
        assert_eq!(joined, Err(SetError::Differs), "{other:?}");
        assert_eq!(SetError::Differs.rule(), "set-differs");
    }
}
