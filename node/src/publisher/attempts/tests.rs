use std::collections::BTreeSet;

use super::*;

fn again() -> PublishZoneError {
    DraftError::Build(BuildError::Again(Again::Chunk)).into()
}

#[test]
fn a_salt_that_failed_is_not_used_again() {
    let mut tried = Vec::new();
    let good = make(salt, |salt| {
        tried.push(salt);
        if tried.len() < 5 {
            Err(again())
        } else {
            Ok(salt)
        }
    });
    assert_eq!(good.unwrap(), tried[4]);
    assert_eq!(tried.iter().collect::<BTreeSet<_>>().len(), 5);
    assert!(!tried.contains(&[0; 16]));
}

#[test]
fn attempts_end_and_say_why() {
    let mut tried = BTreeSet::new();
    let made: Result<(), _> = make(salt, |salt| {
        tried.insert(salt);
        Err(again())
    });
    assert_eq!(tried.len(), MAX_ATTEMPTS);
    let error = made.unwrap_err().to_string();
    assert!(error.contains("16 salts"), "{error}");
    assert!(error.contains("a chunk has more entries"), "{error}");
}

#[test]
fn what_no_salt_cures_is_not_tried_again() {
    let mut tried = 0;
    let made: Result<(), _> = make(salt, |_| {
        tried += 1;
        Err(DraftError::Build(BuildError::Parts { found: 33 }).into())
    });
    assert!(matches!(made, Err(PublishZoneError::Draft(_))));
    assert_eq!(tried, 1);
    let made: Result<(), _> = make(|| Err(PublishZoneError::Random), |_| Ok(()));
    assert!(matches!(made, Err(PublishZoneError::Random)));
}
