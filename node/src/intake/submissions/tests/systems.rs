use super::*;

#[test]
fn one_bad_item_of_five_thousand_is_refused_alone() {
    let open = Open::new();
    let mut items: Vec<Value> = (0..5000).map(|which| item(&gaen(which, 2))).collect();
    items[4321]["unit"] = format!("{} 145", gaen(4321, 2)).into();
    let told = open.system(&open.lab, &items);
    assert_eq!(told.len(), 5000);
    let accepted = told.iter().filter(|line| line["accepted"] == true);
    assert_eq!(accepted.count(), 4999);
    assert_eq!(told[4321]["error"], "rolling-period");
    assert!(told[4321].get("receipt").is_none());
    assert_eq!(open.world.pending(), 4999);
}

#[test]
fn every_scheme_is_taken() {
    let open = Open::new();
    let units = units();
    let items = units
        .iter()
        .map(|(scheme, unit)| with(item(unit), &[("scheme", (*scheme).into())]));
    let told = open.system(&open.lab, &items.collect::<Vec<_>>());
    for ((scheme, _), line) in units.iter().zip(&told) {
        assert_eq!(line["accepted"], true, "{scheme}: {line}");
        assert!(line.get("known").is_none());
        assert_eq!(line["receipt"].as_str().unwrap().len(), 32);
        assert_eq!(line["revision"].as_str().unwrap().len(), 64);
    }
    assert_eq!(told.len(), 8);
    // What stands for one identifier is sealed, though the zone is linkable.
    for note in open.notes(ZONE) {
        let sealed = matches!(Scheme(note.scheme), Scheme::DP3T_UNLINKABLE | Scheme::FANNY);
        let mode = if sealed {
            crate::store::Mode::Sealed
        } else {
            crate::store::Mode::Open
        };
        assert_eq!(note.mode, mode, "{}", Scheme(note.scheme));
    }
}

#[test]
fn every_broken_rule_of_an_item_has_its_name() {
    let open = Open::new();
    let good = || item(&gaen(1, 2));
    let long = "x".repeat(65);
    let cases = [
        ("json", "{".to_owned()),
        ("json", "{} {}".to_owned()),
        ("json", "\u{feff}{}".to_owned()),
        ("value", "[]".to_owned()),
        ("value", "{}".to_owned()),
        ("value", with(good(), &[("more", 1.into())]).to_string()),
        ("value", with(good(), &[("scheme", 7.into())]).to_string()),
        ("value", with(good(), &[("grade", json!(1.5))]).to_string()),
        (
            "value",
            good().to_string().replacen('{', "{\"zone\":\"gb\",", 1),
        ),
        (
            "value",
            "[\"gaen\",\"gb\",\"diagnosed\",\"\",50,null,null]".to_owned(),
        ),
        ("value", "7".to_owned()),
        ("value", with(good(), &[("case", "".into())]).to_string()),
        ("value", with(good(), &[("case", long.into())]).to_string()),
        (
            "scheme",
            with(good(), &[("scheme", "cx".into())]).to_string(),
        ),
        ("zone", with(good(), &[("zone", "fr".into())]).to_string()),
        ("level", with(good(), &[("level", "5".into())]).to_string()),
        ("grade", with(good(), &[("grade", 101.into())]).to_string()),
        ("grade", with(good(), &[("grade", (-1).into())]).to_string()),
        (
            "unit-future",
            item(&gaen(1, 2).replace(' ', " 4")).to_string(),
        ),
        ("unit-old", item(&gaen(1, 23)).to_string()),
        (
            "text-fields",
            item(&format!("{} 144 0 1 2", gaen(1, 2))).to_string(),
        ),
        ("text-fields", item("").to_string()),
        ("text-bytes", item("xy 1").to_string()),
        (
            "rolling-period",
            item(&format!("{} 145", gaen(1, 2))).to_string(),
        ),
        (
            "revision",
            with(good(), &[("revision", "00".into())]).to_string(),
        ),
        (
            "revision",
            with(good(), &[("revision", "00".repeat(32).into())]).to_string(),
        ),
        (
            "limit",
            with(good(), &[("case", "x".repeat(2048).into())]).to_string(),
        ),
    ];
    let text = cases.iter().map(|(_, line)| format!("{line}\r\n\n"));
    let bearer = format!("bearer {}", open.lab);
    let reply = open.post(&[("Authorization", &bearer)], &text.collect::<String>());
    let told = answers(&reply);
    assert_eq!(told.len(), cases.len(), "empty lines do not count");
    for ((rule, line), told) in cases.iter().zip(&told) {
        assert_eq!(told["error"], *rule, "{line}: {told}");
        assert!(!told["message"].as_str().unwrap().is_empty());
        assert!(told.get("accepted").is_none());
    }
    assert_eq!(open.world.pending(), 0);
}

#[test]
fn who_lost_the_answer_is_told_the_same() {
    let open = Open::new();
    let items = [item(&gaen(1, 2)), item(&gaen(2, 3))];
    let first = open.system(&open.lab, &items);
    let again = open.system(&open.lab, &items);
    for (first, again) in first.iter().zip(&again) {
        assert_eq!(again["accepted"], true);
        assert_eq!(again["known"], true);
        assert_eq!(first["receipt"], again["receipt"]);
        assert_eq!(first["revision"], again["revision"]);
    }
    assert_ne!(first[0]["receipt"], first[1]["receipt"]);
    assert_ne!(first[0]["revision"], first[1]["revision"]);
    assert_eq!(open.world.pending(), 2);
}

#[test]
fn a_stranger_changes_nothing_and_gets_no_token() {
    let open = Open::new();
    let mine = item(&gaen(1, 2));
    let first = open.system(&open.lab, std::slice::from_ref(&mine));
    let before = open.notes(ZONE);
    let revoked = with(mine, &[("level", "no-alert".into())]);
    // Neither by itself, nor with a token that the stranger was given for something else.
    let own = open.system(&open.clinic, &[item(&gaen(9, 2))]);
    let told = open.system(&open.clinic, std::slice::from_ref(&revoked));
    assert_eq!(
        told,
        [json!({"index": 0, "accepted": false, "known": true})]
    );
    for token in [&own[0]["revision"], &first[0]["revision"]] {
        let told = open.system(
            &open.clinic,
            &[with(revoked.clone(), &[("revision", token.clone())])],
        );
        assert_eq!(told[0]["error"], "revision");
    }
    open.world.issue("code");
    let told = answers(&open.phone("code", &[json!({"scheme": "gaen", "unit": gaen(1, 2)})]));
    assert_eq!(
        told,
        [json!({"index": 0, "accepted": false, "known": true})]
    );
    let mut after = open.notes(ZONE);
    after.retain(|note| note.unit == before[0].unit);
    assert_eq!(after, before);
}

#[test]
fn a_level_changes_with_the_token_of_the_first_submission() {
    let open = Open::new();
    let said = |level: &str| with(item(&gaen(1, 2)), &[("level", level.into())]);
    let first = open.system(&open.lab, &[said("symptomatic")]);
    let token = first[0]["revision"].clone();
    let without = open.system(&open.lab, &[said("diagnosed")]);
    assert_eq!(without[0]["error"], "revision-needed");
    assert_eq!(open.notes(ZONE)[0].level, Level::SYMPTOMATIC.0);
    let revise = |level| {
        open.system(
            &open.lab,
            &[with(said(level), &[("revision", token.clone())])],
        )
    };
    let with_token = revise("diagnosed");
    assert_eq!(with_token[0]["accepted"], true, "{with_token:?}");
    assert_eq!(with_token[0]["changed"], true);
    assert_eq!(with_token[0]["revision"], token);
    assert_eq!(open.notes(ZONE)[0].level, Level::DIAGNOSED.0);
    // Another key at the same level is no other key.
    let moved = with(said("diagnosed"), &[("unit", gaen(1, 3).into())]);
    let moved = open.system(&open.lab, &[moved]);
    assert_eq!(moved[0]["error"], "unit-changed");
}

#[test]
fn a_confirmed_key_is_not_unconfirmed() {
    let open = Open::new();
    let first = open.system(&open.lab, &[item(&gaen(1, 2))]);
    let back = [
        ("level", "symptomatic".into()),
        ("revision", first[0]["revision"].clone()),
    ];
    let told = open.system(&open.lab, &[with(item(&gaen(1, 2)), &back)]);
    assert_eq!(told[0]["error"], "transition");
    assert_eq!(open.notes(ZONE)[0].level, Level::DIAGNOSED.0);
}

#[test]
fn a_token_is_asked_for() {
    let open = Open::new();
    let good = body(&[item(&gaen(1, 2))]);
    let ask = |fields: &[(&str, &str)]| rule(&open.post(fields, &good));
    let lab = format!("Bearer {}", open.lab);
    assert_eq!(ask(&[]), (403, "code-missing".to_owned()));
    assert_eq!(
        ask(&[("Authorization", "Basic YTpi")]),
        (400, "value".to_owned())
    );
    assert_eq!(
        ask(&[("Authorization", "Bearer")]),
        (400, "value".to_owned())
    );
    let both = [("Authorization", lab.as_str()), ("Bellwether-Code", "a")];
    assert_eq!(ask(&both), (400, "value".to_owned()));
    let twice = [("Authorization", lab.as_str()), ("Authorization", &lab)];
    assert_eq!(ask(&twice), (400, "value".to_owned()));
    let kind = [
        ("Authorization", lab.as_str()),
        ("Content-Type", "application/json"),
    ];
    assert_eq!(ask(&kind), (415, "media-type".to_owned()));
    for _ in 0..super::super::super::code::guesses::PREFIX_BURST {
        let wrong = ask(&[("Authorization", "Bearer wrong")]);
        assert_eq!(wrong, (403, "token-unknown".to_owned()));
    }
    let late = open.post(&[("Authorization", &lab)], &good);
    assert_eq!(rule(&late), (429, "too-many-failures".to_owned()));
    assert!(!late.field("retry-after").is_empty());
    assert_eq!(open.world.pending(), 0);
}

#[test]
fn a_file_that_cannot_be_read_is_said_to_be_so() {
    let open = Open::new();
    let path = open._dir.path().join("submitters");
    std::fs::write(&path, "damaged").unwrap();
    let lab = format!("Bearer {}", open.lab);
    let told = open.post(&[("Authorization", &lab)], "{}");
    assert_eq!(rule(&told), (503, "submitters".to_owned()));
    assert!(Path::new(&path).exists());
}

#[test]
fn a_body_has_its_bounds() {
    let open = Open::new();
    let lab = format!("Bearer {}", open.lab);
    let post = |body: &str| open.post(&[("Authorization", &lab)], body);
    assert_eq!(rule(&post("")), (400, "json".to_owned()));
    assert_eq!(rule(&post("\n \r\n")), (400, "json".to_owned()));
    let many = "{}\n".repeat(MAX_SYSTEM_LINES + 1);
    assert_eq!(rule(&post(&many)), (400, "limit".to_owned()));
    assert_eq!(answers(&post(&many[3..])).len(), MAX_SYSTEM_LINES);
    let large = "x".repeat(MAX_SYSTEM_BYTES + 1);
    assert_eq!(rule(&post(&large)), (413, "too-large".to_owned()));
    assert_eq!(answers(&post(&large[1..]))[0]["error"], "limit");
    assert_eq!(open.world.pending(), 0);

    // Many large bodies at once would fill the memory.
    let places = Arc::clone(&open.world.state.0.large_of_systems);
    let all = places
        .try_acquire_many(u32::try_from(LARGE).unwrap())
        .unwrap();
    assert_eq!(rule(&post(&large[1..])), (503, "busy".to_owned()));
    assert_eq!(answers(&post("{}")).len(), 1, "small ones need no place");
    drop(all);
    assert_eq!(answers(&post(&large[1..])).len(), 1);
}

const LARGE: usize = crate::intake::LARGE_OF_SYSTEMS;

#[test]
fn cases_of_a_submitter_are_patients() {
    let open = Open::new();
    let said = |which, case: &str| with(item(&gaen(which, 2)), &[("case", case.into())]);
    open.system(
        &open.lab,
        &[said(1, "a"), said(2, "a"), said(3, "b"), item(&gaen(4, 2))],
    );
    open.system(&open.clinic, &[said(5, "a")]);
    let issues: std::collections::BTreeSet<u64> =
        open.notes(ZONE).iter().map(|note| note.issue).collect();
    assert_eq!(issues.len(), 4);
}
