use super::*;

const NOW: u64 = 1_795_253_400;

fn at(id: u8, at: u64) -> Observation {
    Observation {
        id: ContactId([id; 16]),
        at,
        family: Family::Cx,
    }
}

#[test]
fn an_identifier_has_two_spellings_and_prints_one() {
    let text = "3945351c-e433-46e6-bd42-316e0efe5d16";
    let id: ContactId = text.parse().unwrap();
    assert_eq!(id.to_string(), text);
    assert_eq!("3945351CE43346E6BD42316E0EFE5D16".parse(), Ok(id));
    for broken in [
        "",
        "3945351c",
        "3945351c-e433-46e6-bd42-316e0efe5d1g",
        "3945351-ce433-46e6-bd42-316e0efe5d16",
        "{3945351c-e433-46e6-bd42-316e0efe5d16}",
        "3945351c-e433-46e6-bd42-316e0efe5-16",
        "3945351ce43346e6bd42316e0efe5dé",
    ] {
        let read = broken.parse::<ContactId>();
        assert!(matches!(read, Err(ObservationError::Id(_))), "{broken}");
    }
}

#[test]
fn a_line_is_an_identifier_and_perhaps_a_time() {
    let id = "3945351ce43346e6bd42316e0efe5d16";
    let read = |rest: &str| {
        Observation::parse(Family::Cx, &format!("{id}{rest}"), NOW).map(|observed| observed.at)
    };
    assert_eq!(read(""), Ok(NOW));
    assert_eq!(read(" 2026-11-21T09:30:00Z\r"), Ok(NOW));
    assert_eq!(read("\t1795253399 "), Ok(NOW - 1));
    assert_eq!(read(" 1795253399 x"), Err(ObservationError::Words));
    assert_eq!(read(" noon"), Err(ParseTimeError.into()));
    assert_eq!(read(" 1796253399"), Err(ObservationError::Future));
}

#[test]
fn the_same_observation_is_kept_once() {
    let mut observations = Observations::default();
    let given = [at(1, NOW), at(2, NOW), at(1, NOW), at(1, NOW - 1)];
    let recorded = observations.record(&given, NOW).unwrap();
    assert_eq!((recorded.new, recorded.known, recorded.old), (3, 1, 0));
    let recorded = observations.record(&given, NOW).unwrap();
    assert_eq!((recorded.new, recorded.known, recorded.old), (0, 4, 0));
    assert_eq!(observations.since(1).count(), 2);
    assert_eq!(observations.next(), 3);
}

#[test]
fn the_retention_ends_and_numbers_go_on() {
    let mut observations = Observations::default();
    observations
        .record(&[at(1, NOW), at(2, NOW + 9)], NOW)
        .unwrap();
    let later = NOW + RETENTION_S + 1;
    observations.expire(later);
    assert_eq!(observations.earliest(), Some(NOW + 9));
    let recorded = observations
        .record(&[at(1, NOW), at(3, later)], later)
        .unwrap();
    assert_eq!((recorded.new, recorded.old), (1, 1));
    assert_eq!(
        observations.since(2).copied().collect::<Vec<_>>(),
        [at(3, later)]
    );
}

#[test]
fn a_refused_observation_leaves_nothing_behind() {
    let mut observations = Observations::default();
    let refused = observations.record(&[at(1, NOW), at(2, NOW + MAX_AHEAD_S + 1)], NOW);
    assert_eq!(refused, Err(ObservationError::Future));
    let many: Vec<Observation> = (0..=u64::try_from(MAX_OBSERVATIONS).unwrap())
        .map(|before| at(1, NOW - before))
        .collect();
    assert_eq!(observations.record(&many, NOW), Err(ObservationError::Full));
    assert_eq!((observations.len(), observations.next()), (0, 0));
    observations.record(&many[1..], NOW).unwrap();
    assert_eq!(observations.len(), MAX_OBSERVATIONS);
}
