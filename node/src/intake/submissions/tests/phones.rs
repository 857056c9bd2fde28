use super::*;

fn unit(scheme: &str, unit: &str) -> Value {
    json!({"scheme": scheme, "unit": unit})
}

fn key(which: u32, days_ago: u64) -> Value {
    unit("gaen", &gaen(which, days_ago))
}

#[test]
fn a_code_admits_every_scheme_but_cx() {
    let open = Open::new();
    for (number, (scheme, text)) in units().iter().enumerate() {
        let code = format!("code {number}");
        open.world.issue(&code);
        let sent = format!("code%20{number}");
        let told = answers(&open.phone(&sent, &[unit(scheme, text)]));
        if scheme.starts_with("cx") {
            assert_eq!(told[0]["error"], "scheme", "a seed is proven by a report");
            continue;
        }
        assert_eq!(told[0]["accepted"], true, "{scheme}: {}", told[0]);
        let again = answers(&open.phone(&sent, &[unit(scheme, text)]));
        assert_eq!(again[0]["known"], true, "{scheme}");
        assert_eq!(again[0]["receipt"], told[0]["receipt"]);
        assert_eq!(again[0]["revision"], told[0]["revision"]);
    }
    assert_eq!(open.world.pending(), 6);
    // Revoking by the code reaches all of them.
    for number in 2..8 {
        let hash = CodeKey::new(&KEY).hash(&format!("code {number}"));
        let changed = open
            .world
            .state
            .0
            .store
            .set_level(hash.as_bytes(), Level::NO_ALERT);
        assert_eq!(changed.unwrap(), Some(1));
    }
    assert_eq!(open.world.pending(), 0);
}

#[test]
fn a_used_code_wants_its_revision_token() {
    let open = Open::new();
    open.world.issue("code");
    let told = answers(&open.phone("code", &[key(1, 2), key(2, 3)]));
    let token = told[0]["revision"].as_str().unwrap().to_owned();
    assert_eq!(told[1]["revision"], token, "it is the code's");
    assert_eq!(
        rule(&open.phone("code", &[key(3, 4)])),
        (403, "code-used".to_owned())
    );
    // What is known is told, what is new is not taken.
    let mixed = answers(&open.phone("code", &[key(2, 3), key(3, 4)]));
    assert_eq!(mixed[0]["known"], true);
    assert_eq!(mixed[1]["error"], "code-used");
    assert_eq!(open.world.pending(), 2);
    let with = |token: &str| {
        let fields = [("Bellwether-Code", "code"), ("Bellwether-Revision", token)];
        open.post(&fields, &body(&[key(2, 3), key(3, 4)]))
    };
    assert_eq!(rule(&with(&"00".repeat(32))), (403, "revision".to_owned()));
    assert_eq!(rule(&with("00")), (400, "value".to_owned()));
    let more = answers(&with(&token));
    assert_eq!(more[0]["known"], true);
    assert_eq!(
        (&more[1]["accepted"], more[1].get("known")),
        (&json!(true), None)
    );
    assert_eq!(open.world.pending(), 3);
    // The token of one code is not another's.
    open.world.issue("other");
    let fields = [
        ("Bellwether-Code", "other"),
        ("Bellwether-Revision", &token),
    ];
    assert_eq!(
        rule(&open.post(&fields, &body(&[key(4, 2)]))),
        (403, "revision".to_owned())
    );
}

#[test]
fn another_code_takes_nothing_over() {
    let open = Open::new();
    open.world.issue("mine");
    open.world.issue("yours");
    answers(&open.phone("mine", &[key(1, 2)]));
    let before = open.notes(ZONE);
    let told = answers(&open.phone("yours", &[key(1, 2)]));
    assert_eq!(
        told,
        [json!({"index": 0, "accepted": false, "known": true})]
    );
    let hash = CodeKey::new(&KEY).hash("yours");
    let changed = open
        .world
        .state
        .0
        .store
        .set_level(hash.as_bytes(), Level::NO_ALERT);
    assert_eq!(changed.unwrap(), Some(0));
    assert_eq!(open.notes(ZONE), before);
    // The code is not used up by it.
    assert_eq!(
        answers(&open.phone("yours", &[key(2, 2)]))[0]["accepted"],
        true
    );
}

#[test]
fn both_holders_of_a_token_report_it_and_one_is_revoked() {
    let open = Open::new();
    let (_, token) = units().pop().unwrap();
    for code in ["one", "two"] {
        open.world.issue(code);
        let told = answers(&open.phone(code, &[unit("fanny", &token)]));
        assert_eq!(
            (&told[0]["accepted"], told[0].get("known")),
            (&json!(true), None)
        );
    }
    assert_eq!(open.world.pending(), 2);
    let hash = CodeKey::new(&KEY).hash("one");
    let changed = open
        .world
        .state
        .0
        .store
        .set_level(hash.as_bytes(), Level::NO_ALERT);
    assert_eq!(changed.unwrap(), Some(1));
    let left = open.notes(ZONE);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].unit[..32], [0xa8; 32]);
}

#[test]
fn a_code_is_not_looked_up_for_nothing() {
    let open = Open::new();
    let unknown = |items: &[Value]| open.phone("unknown", items);
    let bad = [
        unit("gaen", "x"),
        unit("none", ""),
        json!({"scheme": "gaen"}),
    ];
    let bad = body(&bad);
    for _ in 0..super::super::super::code::guesses::PREFIX_BURST + 1 {
        let told = answers(&open.post(&[("Bellwether-Code", "unknown")], &bad));
        assert!(told.iter().all(|line| line["error"].is_string()));
    }
    for _ in 0..super::super::super::code::guesses::PREFIX_BURST {
        assert_eq!(
            rule(&unknown(&[key(1, 2)])),
            (403, "code-unknown".to_owned())
        );
    }
    assert_eq!(
        rule(&unknown(&[key(1, 2)])),
        (429, "too-many-failures".to_owned())
    );
    assert_eq!(open.world.pending(), 0);
}

#[test]
fn a_code_has_its_form_in_the_header() {
    let open = Open::new();
    open.world.issue("k ä/%");
    let post = |code: &str| {
        let reply = open.phone(code, &[key(1, 2)]);
        if reply.status == 200 {
            (200, String::new())
        } else {
            rule(&reply)
        }
    };
    let long = "x".repeat(65);
    for none in ["", "%ff", &long] {
        assert_eq!(post(none), (403, "code-unknown".to_owned()), "{none}");
    }
    for bad in ["a b", "%2", "%zz", "a+b", "k/"] {
        assert_eq!(post(bad), (400, "value".to_owned()), "{bad}");
    }
    assert_eq!(post("k%20%c3%A4%2F%25"), (200, String::new()));
}

#[test]
fn an_expired_code_admits_nothing() {
    let open = Open::new();
    open.world.issue("code");
    let at = START + 100;
    open.world
        .now
        .store(at, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(
        rule(&open.phone("code", &[key(1, 2)])),
        (403, "code-expired".to_owned())
    );
    assert_eq!(open.world.pending(), 0);
}

#[test]
fn a_key_keeps_its_time_under_its_code() {
    let open = Open::new();
    open.world.issue("code");
    let first = gaen(1, 2);
    let longer = |period: &str| unit("gaen", &format!("{first} {period}"));
    let told = answers(&open.phone("code", &[longer("100"), longer("144")]));
    assert_eq!(told[0]["accepted"], true, "{told:?}");
    assert_eq!(told[1]["error"], "unit-changed", "in one body");
    let told = answers(&open.phone("code", &[longer("144"), longer("100")]));
    assert_eq!(told[0]["error"], "unit-changed", "in a later one");
    assert_eq!(told[1]["known"], true);
    assert_eq!(open.world.pending(), 1);
}

#[test]
fn a_phone_has_few_keys() {
    let open = Open::new();
    open.world.issue("code");
    let of_a_day = |which| key(which, 1 + u64::from(which) / 3);
    let mut items: Vec<Value> = (0..32).map(of_a_day).collect();
    items[3] = key(3, 1);
    let told = answers(&open.phone("code", &items));
    let refused: Vec<usize> = (0..32).filter(|at| told[*at]["error"] == "limit").collect();
    assert_eq!(refused, [3, 31], "the fourth of a day; the 31st good one");
    assert_eq!(open.world.pending(), 30);
}

#[test]
fn a_phone_that_sends_old_keys_first_has_its_good_ones_accepted() {
    let open = Open::new();
    open.world.issue("code");
    let old = (0..45).map(|which| key(100 + which, 30 + u64::from(which)));
    let good = (0..14).map(|which| key(which, u64::from(which)));
    let told = answers(&open.phone("code", &old.chain(good).collect::<Vec<_>>()));
    let (old, good) = told.split_at(45);
    assert!(
        old.iter().all(|line| line["error"] == "unit-old"),
        "{old:?}"
    );
    assert!(good.iter().all(|line| line["accepted"] == true), "{good:?}");
    assert_eq!(open.world.pending(), 14);
}

#[test]
fn what_is_refused_uses_no_limit_up() {
    let open = Open::new();
    open.world.issue("code");
    // Three of one start, and more of it than may be, before those of other days.
    let many_of_a_day = (0..40).map(|which| key(100 + which, 3));
    let broken = (0..300).map(|_| unit("tcn", "00"));
    let good = (0..14).map(|which| key(which, 1 + u64::from(which) % 2));
    let good = good.chain((20..27).map(|which| key(which, 4 + u64::from(which) % 7)));
    let items: Vec<Value> = many_of_a_day.chain(broken).chain(good).collect();
    let told = answers(&open.phone("code", &items));
    let taken = |lines: &[Value]| lines.iter().filter(|l| l["accepted"] == true).count();
    assert_eq!(taken(&told[..40]), 3);
    assert_eq!(taken(&told[340..354]), 6, "three of each of two days");
    assert_eq!(taken(&told[354..]), 7);
    assert_eq!(open.world.pending(), 16);
}

#[test]
fn a_token_of_somebody_else_does_not_lower_what_a_code_admits() {
    let open = Open::new();
    open.world.issue("yours");
    answers(&open.phone("yours", &[key(1, 2)]));
    open.world.issue("mine");
    let epochs =
        (0..1344).map(|ago| unit("dp3t-unlinkable", &format!("{} {:064x}", EPOCH - ago, ago)));
    let tokens = (0..300_u32).map(|which| unit("fanny", &format!("{which:064x} {TODAY}")));
    let mut items: Vec<Value> = vec![key(1, 2)];
    items.extend(epochs.chain(tokens));
    let told = answers(&open.phone("mine", &items));
    assert_eq!(
        told[0],
        json!({"index": 0, "accepted": false, "known": true})
    );
    assert!(told[1..].iter().all(|line| line["accepted"] == true));
}

#[test]
fn a_phone_sends_no_more_than_a_phone_has() {
    let open = Open::new();
    open.world.issue("code");
    // As many epochs as it has lived through, and signatures as a code admits.
    let epochs =
        (0..1344).map(|ago| unit("dp3t-unlinkable", &format!("{} {:064x}", EPOCH - ago, ago)));
    let told = answers(&open.phone("code", &epochs.collect::<Vec<_>>()));
    assert!(told.iter().all(|line| line["accepted"] == true));
    assert_eq!((told.len(), open.world.pending()), (1344, 1344));

    // A stranger has no more signatures checked than a phone may have reports.
    let mut forged = tcn_report(3, 4);
    *forged.last_mut().unwrap() ^= 1;
    let forged = vec![unit("tcn", &HEXLOWER.encode(&forged)); 300];
    let told = answers(&open.phone("code", &forged));
    let count = |rule: &str| told.iter().filter(|line| line["error"] == rule).count();
    assert_eq!((count("report-signature"), count("limit")), (256, 44));
    let many = "{}\n".repeat(MAX_LINES + 1);
    let post = |body: &str| open.post(&[("Bellwether-Code", "code")], body);
    assert_eq!(rule(&post(&many)), (400, "limit".to_owned()));
    assert_eq!(answers(&post(&many[3..])).len(), MAX_LINES);
    let large = "x".repeat(MAX_PHONE_BYTES + 1);
    assert_eq!(rule(&post(&large)), (413, "too-large".to_owned()));
    assert_eq!(answers(&post(&large[1..])).len(), 1);
    assert_eq!(zone().as_str(), ZONE);
}

#[test]
fn two_phones_at_once_are_not_both_the_first() {
    let open = Open::new();
    open.world.issue("code");
    let told: Vec<Reply> = std::thread::scope(|scope| {
        let phones = (0..8).map(|which| {
            let open = &open;
            scope.spawn(move || open.phone("code", &[key(which, 2)]))
        });
        let phones: Vec<_> = phones.collect();
        phones
            .into_iter()
            .map(|phone| phone.join().unwrap())
            .collect()
    });
    let first = told.iter().filter(|reply| reply.status == 200);
    assert_eq!(first.count(), 1);
    assert_eq!(open.world.pending(), 1);
}
