use super::*;
use alloc::vec;

const TERMS: Terms = Terms {
    level: Level::DIAGNOSED,
    grade: None,
    observed_before: 1000,
};

fn rule(units: impl IntoIterator<Item = (Terms, Vec<u8>)>) -> Result<OpenBody, &'static str> {
    OpenBody::build(Scheme::CX1, units).map_err(|error| error.rule())
}

#[test]
fn units_are_grouped_and_sorted_whatever_their_order() {
    let higher = Terms {
        grade: Some(1),
        ..TERMS
    };
    let units = [
        (higher, vec![1; 24]),
        (TERMS, vec![3; 24]),
        (TERMS, vec![2; 24]),
    ];
    let forth = rule(units.clone()).unwrap();
    let back = rule(units.into_iter().rev()).unwrap();
    assert_eq!(forth, back);
    assert_eq!(forth.count(), 3);
    let read: Vec<_> = forth
        .units()
        .map(|(terms, unit)| (terms.grade, unit[0]))
        .collect();
    assert_eq!(read, [(None, 2), (None, 3), (Some(1), 1)]);
}

#[test]
fn the_last_terms_of_a_unit_count() {
    let revoked = Terms {
        level: Level::NO_ALERT,
        ..TERMS
    };
    let body = rule([(TERMS, vec![1; 24]), (revoked, vec![1; 24])]).unwrap();
    assert_eq!(body.count(), 1);
    assert_eq!(body.groups()[0].terms, revoked);
}

#[test]
fn what_no_reader_would_take_is_not_built() {
    assert_eq!(rule([]), Err("value"));
    assert_eq!(rule([(TERMS, vec![1; 23])]), Err("value"));
    let graded = |grade| Terms {
        grade: Some(grade),
        ..TERMS
    };
    assert!(rule([(graded(100), vec![1; 24])]).is_ok());
    assert_eq!(rule([(graded(101), vec![1; 24])]), Err("limit"));
    let unknown = OpenBody::build(Scheme(9), [(TERMS, vec![1; 24])]);
    assert_eq!(unknown.map_err(|error| error.rule()), Err("value"));
}

/// One block: 1 MiB of seeds, less what the head takes, and not one seed more.
#[test]
fn a_body_is_one_block() {
    let unit = |n: u32| (TERMS, [&n.to_be_bytes()[..], &[7; 20]].concat());
    assert!(rule((0..43_690).map(unit)).is_ok());
    assert_eq!(rule((0..43_691).map(unit)), Err("limit"));
}
