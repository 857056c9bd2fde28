use alloc::vec;

use super::*;

#[test]
fn a_mask_has_one_spelling() {
    let mask = Mask::decode(&[0b1000_0001, 0b0000_0011], 10).unwrap();
    assert_eq!(mask.chosen().collect::<Vec<_>>(), [0, 7, 8, 9]);
    assert_eq!(Mask::decode(&[0, 0b0000_0100], 10), Err(PirError::Mask));
    for bytes in [&[][..], &[0], &[0; 3]] {
        assert_eq!(Mask::decode(bytes, 10), Err(PirError::Mask));
    }
    assert_eq!(Mask::decode(&[0xff], 8).unwrap().chosen().count(), 8);
    let made = Mask::of_bytes(&[0xff; 61], 481).unwrap();
    assert_eq!((made.chosen().count(), made.as_bytes()[60]), (481, 1));
    assert_eq!(Mask::decode(made.as_bytes(), 481), Ok(made));
}

#[test]
fn two_halves_make_the_chunk() {
    let body: Vec<Vec<u8>> = (1..=9u8)
        .map(|n| vec![n, 0xff ^ n, n.wrapping_mul(77)])
        .collect();
    let answer = |mask: &Mask| {
        let mut answer = vec![0; 3];
        for number in mask.chosen() {
            xor_into(&mut answer, &body[number]).unwrap();
        }
        answer
    };
    for (wanted, chunk) in body.iter().enumerate() {
        let one = Mask::of_bytes(&[0b0110_1001, 0xff], 9).unwrap();
        let other = one.flipped(wanted).unwrap();
        assert_eq!(combine(&answer(&one), &answer(&other)), Ok(chunk.clone()));
        assert_eq!(other.flipped(wanted), Ok(one));
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mask = Mask::of_bytes(&[0; 2], 9).unwrap();
    let refused = Err(PirError::Chunk {
        number: 9,
        chunks: 9,
    });
    assert_eq!(mask.flipped(9), refused);
    assert!(mask.flipped(usize::MAX).is_err());
    let length = PirError::Length {
        found: 2,
        expected: 3,
    };
    assert_eq!(combine(&[0; 3], &[0; 2]), Err(length));
    let mut answer = [1, 2, 3];
    assert_eq!(
        xor_into(&mut answer, &[0; 4]).map_err(|e| e.rule()),
        Err("pir-length")
    );
    assert_eq!(answer, [1, 2, 3]);
}
