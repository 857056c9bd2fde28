use super::*;
use crate::intake::professional::codes::{LISTED_S, MAX_CODES_AN_HOUR, MAX_LISTED};

/// The rows of the list, as text.
fn list(browser: &mut Browser<'_>) -> Vec<String> {
    let page = page_of(&browser.get(path::HOME));
    let Some((_, body)) = page.split_once("<tbody") else {
        return Vec::new();
    };
    let rows = body.split("<tr").skip(1);
    rows.map(|row| {
        let mut inside = false;
        let text = row.split_once('>').unwrap().1.chars().filter(|letter| {
            inside = *letter == '<' || (inside && *letter != '>');
            !inside && *letter != '>'
        });
        text.collect()
    })
    .collect()
}

/// The hash of a user's newest code, as the list's form has it.
fn newest(browser: &mut Browser<'_>) -> String {
    let page = page_of(&browser.get(path::HOME));
    let (_, hash) = page.split_once("name=\"code\" value=\"").unwrap();
    hash[..64].to_owned()
}

fn revoke(browser: &mut Browser<'_>, hash: &str) -> Reply {
    let token = browser.token();
    browser.post(path::REVOKE_CONFIRMED, &[("token", &token), ("code", hash)])
}

#[test]
fn a_code_is_issued_as_it_was_chosen_and_shown_once() {
    let world = World::new();
    let mut anna = world.logged_in(ANNA);
    let reply = anna.issue("clinically-diagnosed", "gb", "259200");
    let page = page_of(&reply);
    let (_, code) = page.split_once("id=\"code\">").unwrap();
    let code = &code[..19];
    assert!(page.contains("<title>Code issued – "));
    assert!(page.contains("data-left=\"259200\"") && page.contains(">3 days 0 h<"));
    assert!(page.contains("2027-01-18 08:00 UTC"), "{page}");
    assert!(page.contains("<svg class=\"qr\" role=\"img\" aria-label=\"QR code"));

    let hash = *CodeKey::new(&KEY).hash(code).as_bytes();
    let row = world.store.code(&hash).unwrap().unwrap();
    assert_eq!(row.issuer.as_deref(), Some("anna"));
    assert_eq!((row.level, row.zone.as_str()), (6, "gb"));
    assert_eq!((row.issued_at, row.expires_at), (START, START + 259_200));
    for path in [path::HOME, path::ISSUE, path::LOGIN] {
        assert!(!page_of(&anna.get(path)).contains(code), "{path}");
    }
}

#[test]
fn what_was_not_chosen_from_the_form_is_refused_beside_it() {
    let world = World::new();
    let mut anna = world.logged_in(ANNA);
    for (level, zone, valid, rule) in [
        ("debug", "gb", "600", "level"),
        ("", "gb", "600", "level"),
        ("no-alert", "gb", "600", "level"),
        ("diagnosed", "fr", "600", "zone"),
        ("diagnosed", "", "600", "zone"),
        ("diagnosed", "gb", "601", "valid"),
        ("diagnosed", "gb", "-1", "valid"),
        ("diagnosed", "gb", "99999999999999999999", "valid"),
    ] {
        let reply = anna.issue(level, zone, valid);
        assert_eq!(refused(&reply), no(400, rule));
        let page = page_of(&reply);
        assert!(page.contains("<title>Error: Choose"), "{page}");
        assert!(page.contains("aria-invalid=\"true\" aria-describedby=\"alert\" autofocus"));
    }
    // No radio button is chosen: a browser then sends no such field.
    let token = anna.token();
    let reply = anna.post(
        path::ISSUE,
        &[("token", &token), ("zone", "gb"), ("valid", "600")],
    );
    assert_eq!(refused(&reply), no(400, "level"));
    assert!(world.store.codes().unwrap().is_empty());
}

#[test]
fn the_list_tells_what_became_of_each_code() {
    let world = World::new();
    let mut anna = world.logged_in(ANNA);
    assert!(list(&mut anna).is_empty());
    anna.issue("symptomatic", "gb", "600");
    let used = anna.code();
    world.report(&used, &[1, 2]);
    anna.code();
    let unused = newest(&mut anna);
    assert_eq!(revoke(&mut anna, &unused).status, 200);
    world.pass(Duration::from_secs(600));
    anna.code();

    let rows = list(&mut anna);
    let told = |place: usize, texts: &[&str]| {
        for text in texts {
            assert!(rows[place].contains(text), "{text} in {rows:?}");
        }
    };
    assert_eq!(rows.len(), 4);
    told(
        0,
        &[
            "Diagnosed",
            "gb/sct",
            "2027-01-15 08:10 UTC",
            "unused, 1 day 0 h left",
            "Revoke",
        ],
    );
    told(1, &["No alert", "revoked"]);
    told(2, &["Diagnosed", "used, with 2 notifications", "Revoke"]);
    told(3, &["Symptomatic", "2027-01-15 08:00 UTC", "expired"]);
    for place in [1, 3] {
        assert!(!rows[place].contains("Revoke"), "nothing is left to revoke");
    }
    // Named as `code list` names them, never by the code.
    let hash = data_encoding::HEXLOWER.encode(CodeKey::new(&KEY).hash(&used).as_bytes());
    told(2, &[&hash[..8]]);
    assert!(list(&mut world.logged_in(BO)).is_empty(), "another's");
}

#[test]
fn an_unused_code_is_revoked_after_a_question() {
    let world = World::new();
    let mut anna = world.logged_in(ANNA);
    let code = anna.code();
    let hash = newest(&mut anna);
    let token = anna.token();
    let asked = anna.post(path::REVOKE, &[("token", &token), ("code", &hash)]);
    let page = page_of(&asked);
    assert_eq!(asked.status, 200);
    assert!(
        page.contains(&format!("<title>Revoke code {}? – ", &hash[..8])),
        "{page}"
    );
    assert!(page.contains("nobody can use it"));
    let row = || {
        let hash = CodeKey::new(&KEY).hash(&code);
        world.store.code(hash.as_bytes()).unwrap().unwrap()
    };
    assert_eq!(row().level, Level::DIAGNOSED.0, "nothing is done yet");

    let done = revoke(&mut anna, &hash);
    assert!(page_of(&done).contains(&format!("Code {} is revoked.", &hash[..8])));
    assert_eq!((row().level, row().expires_at), (0, START));
    assert_eq!(
        revoke(&mut anna, &hash).status,
        200,
        "twice is as good as once"
    );
}

#[test]
fn what_a_used_code_admitted_is_withdrawn() {
    let world = World::new();
    let mut anna = world.logged_in(ANNA);
    let code = anna.code();
    world.report(&code, &[1, 2, 3]);
    let zone = "gb/sct".parse().unwrap();
    assert_eq!(world.store.pending(&zone).unwrap(), 3);
    let (hash, token) = (newest(&mut anna), anna.token());
    let asked = anna.post(path::REVOKE, &[("token", &token), ("code", &hash)]);
    assert!(page_of(&asked).contains("no longer alerts anybody"));
    let done = page_of(&revoke(&mut anna, &hash));
    assert!(
        done.contains("3 notifications are withdrawn with the next batch"),
        "{done}"
    );
    assert_eq!(
        world.store.pending(&zone).unwrap(),
        0,
        "none was published yet"
    );
}

#[test]
fn the_code_of_another_is_unknown() {
    let world = World::new();
    let (mut anna, mut bo) = (world.logged_in(ANNA), world.logged_in(BO));
    let code = bo.code();
    let of_bo = newest(&mut bo);
    let unknown = "0".repeat(64);
    let token = anna.token();
    for hash in [
        &*of_bo,
        &unknown,
        "",
        &of_bo[..8],
        &of_bo.to_uppercase(),
        &code,
    ] {
        for path in [path::REVOKE, path::REVOKE_CONFIRMED] {
            let reply = anna.post(path, &[("token", &token), ("code", hash)]);
            assert_eq!(refused(&reply), no(403, "code-unknown"), "{hash}");
        }
    }
    let reply = anna.post(path::REVOKE_CONFIRMED, &[("token", &token)]);
    assert_eq!(refused(&reply), no(403, "code-unknown"));
    assert_eq!(
        world.store.codes().unwrap()[0].row.level,
        Level::DIAGNOSED.0
    );
}

#[test]
fn a_user_issues_so_many_codes_an_hour() {
    let world = World::new();
    let mut anna = world.logged_in(ANNA);
    let token = anna.token();
    let issue = |browser: &mut Browser<'_>, token: &str| {
        let chosen = [
            ("token", token),
            ("level", "diagnosed"),
            ("zone", "gb"),
            ("valid", "600"),
        ];
        browser.post(path::ISSUE, &chosen)
    };
    assert_eq!(issue(&mut anna, &token).status, 200);
    world.pass(Duration::from_secs(100));
    for _ in 1..MAX_CODES_AN_HOUR {
        assert_eq!(issue(&mut anna, &token).status, 200);
    }
    let reply = issue(&mut anna, &token);
    assert_eq!(refused(&reply), no(429, "too-many-codes"));
    assert_eq!(reply.field("retry-after"), "3500");
    assert_eq!(world.store.codes().unwrap().len(), MAX_CODES_AN_HOUR);
    let mut bo = world.logged_in(BO);
    let of_bo = bo.token();
    assert_eq!(issue(&mut bo, &of_bo).status, 200, "each has as many");

    world.pass(Duration::from_secs(3500));
    let (mut anna, mut bo) = (world.logged_in(ANNA), world.logged_in(BO));
    let token = anna.token();
    assert_eq!(
        issue(&mut anna, &token).status,
        200,
        "the first is an hour ago"
    );
    assert_eq!(issue(&mut anna, &token).status, 429);

    let page = page_of(&anna.get(path::HOME));
    assert!(page.contains("The newest 200 of 201 are shown."));
    assert_eq!(list(&mut anna).len(), MAX_LISTED);
    world.pass(Duration::from_secs(LISTED_S - 3500));
    assert_eq!(bo.log_in(BO.0, BO.1).status, 303);
    assert_eq!(list(&mut bo).len(), 1, "14 days ago");
    world.pass(Duration::from_secs(1));
    assert!(list(&mut bo).is_empty(), "longer ago");
}
