use bellwether_formats::id::Level;

use super::fixture::{DAY, NOW, code, gb, issue, unit};
use super::*;

/// A code of a professional.
fn of(issuer: &str, which: u8) -> NewCode {
    NewCode {
        issuer: Some(issuer.to_owned()),
        ..code(which, &gb(), Level::DIAGNOSED)
    }
}

fn firsts(codes: &CodesOf) -> Vec<u8> {
    codes.newest.iter().map(|code| code.hash[0]).collect()
}

#[test]
fn a_professional_has_the_codes_that_they_issued() {
    let store = memory();
    issue(&store, &gb(), &[1]);
    store
        .issue_codes(&[of("anna", 2), of("bo", 3)], NOW)
        .unwrap();
    store
        .issue_codes(&[of("anna", 5), of("anna", 4)], NOW + DAY)
        .unwrap();

    let all = store.codes_of("anna", NOW, 10).unwrap();
    assert_eq!((all.count, firsts(&all)), (3, vec![4, 5, 2]));
    let some = store.codes_of("anna", NOW + DAY, 1).unwrap();
    assert_eq!((some.count, firsts(&some)), (2, vec![4]));
    assert_eq!(store.codes_of("ann", NOW, 10).unwrap().count, 0);
    let issuers: Vec<_> = store.codes().unwrap();
    let issuers: Vec<_> = issuers.iter().map(|c| c.row.issuer.as_deref()).collect();
    assert_eq!(
        issuers,
        [None, Some("anna"), Some("bo"), Some("anna"), Some("anna")]
    );
}

#[test]
fn an_unused_code_that_was_revoked_no_longer_works() {
    let store = memory();
    store.issue_codes(&[of("anna", 1)], NOW).unwrap();
    let revoked = store.revoke_code(&[1; 32], "anna", NOW + 10).unwrap();
    assert_eq!(revoked, Some(0));
    let error = store.accept(&[1; 32], &[unit(1)], NOW + 10).unwrap_err();
    assert!(matches!(error, AcceptError::ExpiredCode), "{error:?}");
    let row = store.code(&[1; 32]).unwrap().unwrap();
    assert_eq!((row.level, row.expires_at), (0, NOW + 10));
    // Once more, later, it does not live up again.
    store.revoke_code(&[1; 32], "anna", NOW + 20).unwrap();
    assert_eq!(store.code(&[1; 32]).unwrap().unwrap(), row);
}

#[test]
fn what_a_revoked_code_admitted_no_longer_alerts() {
    let store = memory();
    store.issue_codes(&[of("anna", 1)], NOW).unwrap();
    store.accept(&[1; 32], &[unit(1), unit(2)], NOW).unwrap();
    let revoked = store.revoke_code(&[1; 32], "anna", NOW + 10).unwrap();
    assert_eq!(revoked, Some(2));
    let row = store.code(&[1; 32]).unwrap().unwrap();
    assert_eq!((row.level, row.expires_at), (0, NOW + DAY));
    // The device that reported adds a seed: that one does not alert either.
    store.accept(&[1; 32], &[unit(1), unit(3)], NOW).unwrap();
    assert_eq!(store.pending(&gb()).unwrap(), 0, "nothing is published");
}

#[test]
fn nobody_revokes_the_code_of_another() {
    let store = memory();
    issue(&store, &gb(), &[1]);
    store.issue_codes(&[of("bo", 2)], NOW).unwrap();
    let before = store.codes().unwrap();
    for which in [1, 2, 3] {
        let revoked = store.revoke_code(&[which; 32], "anna", NOW);
        assert_eq!(revoked.unwrap(), None);
    }
    for (before, after) in before.iter().zip(store.codes().unwrap()) {
        assert_eq!(before.row, after.row);
    }
}
