use super::*;

const NOW: u64 = 1_795_253_400;

fn at(id: u8, at: u64) -> Observation {
    Observation {
        id: [id; 16].into(),
        at,
        family: Family::Cx,
    }
}

#[test]
fn an_identifier_has_two_spellings_and_prints_one() {
    let text = "3945351c-e433-46e6-bd42-316e0efe5d16";
    let id = ContactId::parse(Family::Cx, text).unwrap();
    assert_eq!(id.text(Family::Cx), text);
    let digits = "3945351CE43346E6BD42316E0EFE5D16";
    assert_eq!(ContactId::parse(Family::Cx, digits), Ok(id));
    for broken in [
        "",
        "3945351c",
        "3945351c-e433-46e6-bd42-316e0efe5d1g",
        "3945351-ce433-46e6-bd42-316e0efe5d16",
        "{3945351c-e433-46e6-bd42-316e0efe5d16}",
        "3945351c-e433-46e6-bd42-316e0efe5-16",
        "3945351ce43346e6bd42316e0efe5dé",
    ] {
        let read = ContactId::parse(Family::Cx, broken);
        assert!(matches!(read, Err(ObservationError::Id(_))), "{broken}");
    }
}

#[test]
fn each_family_has_its_lengths_and_all_but_one_are_hexadecimal_digits() {
    let digits = "39aB".repeat(16);
    for family in Family::ALL {
        for len in 0..=digits.len() {
            let read = ContactId::parse(family, &digits[..len]);
            let uuid = family == Family::Cx;
            if len % 2 == 0 && family.takes(len / 2) {
                let id = read.unwrap();
                assert_eq!(id.as_bytes().len(), len / 2);
                let text = id.text(family);
                assert_eq!(ContactId::parse(family, &text), Ok(id));
                assert_eq!(text.contains('-'), uuid);
                assert_eq!(text.replace('-', ""), digits[..len].to_lowercase());
            } else {
                assert!(read.is_err(), "{family} {len}");
            }
        }
        let broken = format!("{}g", &digits[..31]);
        assert!(ContactId::parse(family, &broken).is_err());
    }
    let uuid = "3945351c-e433-46e6-bd42-316e0efe5d16";
    assert!(ContactId::parse(Family::Gaen, uuid).is_err());
}

#[test]
fn an_identifier_of_another_length_is_refused_however_it_was_made() {
    assert_eq!(ContactId::new(&[1; 20]), None);
    let long = Observation {
        id: [1; 32].into(),
        ..at(1, NOW)
    };
    let found = 32;
    let family = Family::Cx;
    assert_eq!(
        Observations::default().record(&[long], NOW),
        Err(ObservationError::Length { family, found })
    );
}

#[test]
fn an_observation_stands_in_the_state_as_before() {
    #[derive(serde::Serialize)]
    struct Before {
        #[serde(with = "serde_bytes")]
        id: [u8; 16],
        at: u64,
        family: &'static str,
    }
    let before = Before {
        id: [7; 16],
        at: NOW,
        family: "cx",
    };
    let (mut old, mut new) = (Vec::new(), Vec::new());
    ciborium::into_writer(&before, &mut old).unwrap();
    ciborium::into_writer(&at(7, NOW), &mut new).unwrap();
    assert_eq!(old, new);
    let read: Observation = ciborium::from_reader(old.as_slice()).unwrap();
    assert_eq!(read, at(7, NOW));
    for family in Family::ALL {
        let token = Observation {
            id: [9; 32].into(),
            family,
            at: NOW,
        };
        let mut bytes = Vec::new();
        ciborium::into_writer(&token, &mut bytes).unwrap();
        let read: Observation = ciborium::from_reader(bytes.as_slice()).unwrap();
        assert_eq!(read, token);
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
    assert_eq!((observations.len(), observations.next()), (0, 0));
}

#[test]
fn where_there_is_no_room_the_oldest_are_dropped_and_their_time_is_remembered() {
    let mut observations = Observations::default();
    let max = u64::try_from(MAX_OBSERVATIONS).unwrap();
    let many: Vec<Observation> = (0..=max).map(|before| at(1, NOW - before)).collect();
    assert_eq!(observations.record(&many, NOW), Err(ObservationError::Full));
    let recorded = observations.record(&many[1..], NOW).unwrap();
    assert_eq!((recorded.new, recorded.dropped), (MAX_OBSERVATIONS, 0));
    assert_eq!(observations.dropped(), None);
    let recorded = observations.record(&[at(2, NOW), at(3, NOW)], NOW).unwrap();
    assert_eq!((recorded.new, recorded.dropped), (2, 2));
    assert_eq!(observations.len(), MAX_OBSERVATIONS);
    assert_eq!(observations.dropped(), Some(NOW - max + 1));
    assert_eq!(observations.earliest(), Some(NOW - max + 2));
    // What is older than all is not kept either.
    let recorded = observations.record(&[at(4, NOW - max)], NOW).unwrap();
    assert_eq!((recorded.new, recorded.dropped), (1, 1));
    assert_eq!(observations.dropped(), Some(NOW - max + 1));
    observations.expire(NOW - max + 1 + RETENTION_S);
    assert_eq!(observations.dropped(), Some(NOW - max + 1));
    observations.expire(NOW - max + 2 + RETENTION_S);
    assert_eq!(observations.dropped(), None);

    // One second is not kept by half, as far as is said of it.
    let mut observations = Observations::default();
    let same: Vec<Observation> = (0..5).map(|number| at(number, NOW)).collect();
    observations.record(&same, NOW).unwrap();
    assert_eq!(observations.make_room(3), 2);
    assert_eq!((observations.len(), observations.dropped()), (3, Some(NOW)));
}
