//! What systems and phones submit to a real node, and what the provider's verbs take in and hand
//! out.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test"
)]

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use bellwether_formats::scheme::tcn;
use bellwether_tests::{Provider, Running, World, eventually, repository, utc, web};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};

/// An exposure key of the day before yesterday, in its text form.
fn key(which: u32) -> String {
    let start = utc() / 86_400 * 144 - 288;
    format!("{which:032x} {start}")
}

fn item(which: u32) -> String {
    let item = json!({
        "scheme": "gaen", "zone": "gb/sct", "level": "clinically-diagnosed", "unit": key(which),
    });
    format!("{item}\n")
}

/// A provider of a linkable zone, whose intake speaks plain HTTP as to a proxy.
fn provider(world: &World) -> Provider {
    let provider = world.provider("board").init();
    provider.configure(|config| {
        let intake = &mut config.provider.as_mut().unwrap().intake;
        (intake.tls_cert, intake.tls_key) = (None, None);
        intake.tcn_self_reports = Some("gb/sct".to_owned());
    });
    provider
}

fn post(node: &Running, path: &str, fields: &[(&str, &str)], body: &[u8]) -> (u16, Vec<Value>) {
    let url = format!("{}{path}", node.text("intake"));
    let answer = web::post_with(&url, fields, body).unwrap();
    let text = String::from_utf8(answer.body).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (answer.status, lines.collect())
}

/// What a system is answered.
fn submit(node: &Running, token: &str, body: &str) -> (u16, Vec<Value>) {
    let bearer = format!("Bearer {token}");
    let fields = [
        ("Authorization", bearer.as_str()),
        ("Content-Type", "application/x-ndjson"),
    ];
    post(node, "/v1/submissions", &fields, body.as_bytes())
}

fn token(provider: &Provider, name: &str) -> String {
    let added = provider.verb(&["submitter", "add", name]).ok();
    added.lines()[0].to_owned()
}

#[test]
fn what_is_answered_survives_a_power_cut() {
    let world = World::new();
    let provider = provider(&world);
    let lab = token(&provider, "lab");
    let running = provider.run();
    let items = [item(1), item(2)].concat();
    let (status, first) = submit(&running, &lab, &items);
    assert_eq!(status, 200, "{first:?}");
    assert!(
        first.iter().all(|line| line["accepted"] == true),
        "{first:?}"
    );
    let code = provider.codes(1).remove(0);
    let phone = json!({"scheme": "gaen", "unit": key(3)}).to_string();
    let fields = [
        ("Bellwether-Code", code.as_str()),
        ("Content-Type", "application/x-ndjson"),
    ];
    let (status, told) = post(&running, "/v1/submissions", &fields, phone.as_bytes());
    assert_eq!((status, &told[0]["accepted"]), (200, &json!(true)));
    let report = tcn::report(&[5; 32], &tcn::first_key(&[5; 32]), (1, 9), 0, b"").unwrap();
    let octets = [("Content-Type", "application/octet-stream")];
    let (status, told) = post(&running, "/v1/tcn", &octets, &report);
    assert_eq!((status, &told[0]), (200, &json!({"accepted": 1})));
    running.kill();

    let running = provider.run();
    let (_, again) = submit(&running, &lab, &items);
    for (first, again) in first.iter().zip(&again) {
        assert_eq!(again["known"], true);
        assert_eq!(again["receipt"], first["receipt"]);
        assert_eq!(again["revision"], first["revision"]);
    }
    let (_, told) = post(&running, "/v1/tcn", &octets, &report);
    assert_eq!(told[0], json!({"accepted": 0, "known": 1}));
    let (status, told) = post(&running, "/v1/submissions", &fields, phone.as_bytes());
    assert_eq!((status, &told[0]["known"]), (200, &json!(true)));
    // The operator's own verb finds what a system owns, and leaves it.
    let file = world.path("keys.txt");
    std::fs::write(&file, format!("{}\n{}\n", key(1), key(4))).unwrap();
    let verb = [
        "submit", "--scheme", "gaen", "--level", "no-alert", "--zone", "gb/sct",
    ];
    let told = provider.verb(&[&verb[..], &[file.to_str().unwrap()]].concat());
    let told = told.exit(2).json();
    assert_eq!(told[0]["accepted"], false);
    assert_eq!(told[1]["accepted"], true);
    running.stop();
}

#[test]
fn a_code_typed_without_dashes_or_with_blanks_is_taken_everywhere() {
    let world = World::new();
    let provider = provider(&world);
    let running = provider.run();
    let codes = provider.codes(3);
    let digits = codes[0].replace('-', "");
    let report = tcn::report(&[5; 32], &tcn::first_key(&[5; 32]), (1, 9), 0, b"").unwrap();
    let octets = "application/octet-stream";
    let fields = [
        ("Bellwether-Code", digits.as_str()),
        ("Content-Type", octets),
    ];
    let (status, told) = post(&running, "/v1/tcn", &fields, &report);
    assert_eq!((status, &told[0]), (200, &json!({"accepted": 1})));

    let blanks = codes[1].replace('-', "%20");
    let phone = json!({"scheme": "gaen", "unit": key(3)}).to_string();
    let fields = [
        ("Bellwether-Code", blanks.as_str()),
        ("Content-Type", "application/x-ndjson"),
    ];
    let (status, told) = post(&running, "/v1/submissions", &fields, phone.as_bytes());
    assert_eq!((status, &told[0]["accepted"]), (200, &json!(true)));

    let device = world.device("patient");
    device.ids(1);
    let typed = format!(" {} ", codes[2].replace('-', " "));
    device
        .report(&provider, &running.text("intake"), &typed)
        .ok();

    for code in [&codes[0], &codes[1], &codes[2]] {
        let typed = code.replace('-', " ");
        let verb = ["level", "--level", "no-alert", "--code", &typed];
        let told = provider.verb(&verb).ok();
        assert!(told.stderr.contains("1 notifications changed"), "{told:?}");
    }
    // Codes made elsewhere are compared in the same way.
    provider.import_codes(&["12-34 56".to_owned()]);
    let phone = json!({"scheme": "gaen", "unit": key(4)}).to_string();
    let fields = [("Bellwether-Code", "123456"), fields[1]];
    let (status, told) = post(&running, "/v1/submissions", &fields, phone.as_bytes());
    assert_eq!((status, &told[0]["accepted"]), (200, &json!(true)));
    running.stop();
}

#[test]
fn a_running_node_sees_who_may_submit() {
    let world = World::new();
    let provider = provider(&world);
    let running = provider.run();
    let lab = token(&provider, "lab");
    let taken = || submit(&running, &lab, &item(1)).0;
    eventually("the system to be known", || (taken() == 200).then_some(()));
    assert_eq!(provider.verb(&["submitter", "list"]).ok().lines(), ["lab"]);
    provider.verb(&["submitter", "remove", "lab"]).ok();
    eventually("the system to be gone", || (taken() == 403).then_some(()));
    provider.verb(&["submitter", "remove", "lab"]).exit(2);
    running.stop();
}

#[test]
fn exports_of_one_provider_are_imported_by_another() {
    let world = World::new();
    let pem = |name: &str| {
        let folder = repository().join("spec/vectors/gaen-export");
        folder.join(name).to_str().unwrap().to_owned()
    };
    let from = provider(&world);
    let running = from.run();
    let file = world.path("keys.txt");
    let file = file.to_str().unwrap();
    let submit = |level: &str, more: &[&str], units: &[String]| {
        std::fs::write(file, units.join("\n")).unwrap();
        let verb = [
            "submit", "--scheme", "gaen", "--level", level, "--zone", "gb/sct",
        ];
        let told = from.verb(&[&verb[..], more, &[file]].concat()).ok().json();
        told[0]["revision"].as_str().unwrap().to_owned()
    };
    let token = submit("clinically-diagnosed", &[], &[key(1), key(2)]);
    from.publish();
    let zip = world.path("export.zip");
    let zip = zip.to_str().unwrap();
    let export = |name: &str| {
        let (key, zip) = (pem("signer.key.pem"), zip.replace("export", name));
        let verb = [
            "export", "gaen", "--zone", "gb/sct", "--key", &key, "--key-id", "234",
        ];
        from.verb(&[&verb[..], &[&zip]].concat())
            .ok()
            .json()
            .remove(0)
    };
    let told = export("first");
    assert_eq!(
        (&told["keys"], &told["revised"], &told["sealed"]),
        (&json!(4), &json!(0), &json!(0))
    );

    let tokens = world.path("tokens.txt");
    std::fs::write(&tokens, token).unwrap();
    submit(
        "no-alert",
        &["--revisions", tokens.to_str().unwrap()],
        &[key(1)],
    );
    from.publish();
    let told = export("second");
    assert_eq!((&told["keys"], &told["revised"]), (&json!(3), &json!(1)));
    running.stop();

    let to = world.provider("other").init();
    let import = |name: &str| {
        let (key, zip) = (pem("signer.pem"), zip.replace("export", name));
        let verb = [
            "import", "gaen", "--zone", "gb/sct", "--key", &key, "--key-id", "234",
        ];
        to.verb(&[&verb[..], &[&zip]].concat())
    };
    let told = import("first").ok().json().remove(0);
    assert_eq!(
        (&told["new"], &told["refused"]),
        (&json!(200), &json!([])),
        "{told}"
    );
    let told = import("first").ok().json().remove(0);
    assert_eq!((&told["new"], &told["known"]), (&json!(0), &json!(200)));
    let told = import("second").ok().json().remove(0);
    assert_eq!(
        (&told["changed"], &told["others"]),
        (&json!(1), &json!(0)),
        "{told}"
    );
    // Several exports of one part each are taken in the order given.
    let third = world.provider("third").init();
    let [key, first, second] = [
        pem("signer.pem"),
        zip.replace("export", "first"),
        zip.replace("export", "second"),
    ];
    let both = [
        "import", "gaen", "--zone", "gb/sct", "--key", &key, "--key-id", "234", &first, &second,
    ];
    let told = third.verb(&both).ok().json().remove(0);
    assert_eq!(
        (&told["new"], &told["changed"], &told["refused"]),
        (&json!(397), &json!(1), &json!([])),
        "{told}"
    );
    // Not a byte of what somebody else signed is believed.
    let mut damaged = std::fs::read(zip.replace("export", "first")).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(zip.replace("export", "damaged"), damaged).unwrap();
    import("damaged").exit(2);
}

/// A list of exposed keys as DP-3T's first back end publishes it, and its signature.
fn exposed_list(key: &EcdsaKeyPair, released_at: u64, exposed: &[u8], day: u64) -> [Vec<u8>; 2] {
    fn varint(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
            number >>= 7;
        }
        bytes.push(u8::try_from(number).unwrap());
        bytes
    }
    let date = varint(day * 86_400_000);
    let exposee = [&[0x12, 32], exposed, &[0x18], &date].concat();
    let head = [vec![8], varint(released_at * 1000), vec![0x12]].concat();
    let list = [head, varint(u64::try_from(exposee.len()).unwrap()), exposee].concat();
    let hash = digest(&SHA256, &list);
    let claims = json!({
        "content-hash": BASE64.encode(hash.as_ref()), "hash-alg": "sha-256",
        "exp": released_at + 21 * 86_400,
    });
    let claims = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
    let header = BASE64URL_NOPAD.encode(br#"{"alg":"ES256"}"#);
    let signed = format!("{header}.{claims}");
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    let signature = BASE64URL_NOPAD.encode(signature.as_ref());
    let headers = format!("HTTP/1.1 200 OK\r\nSignature: {signed}.{signature}\r\n\r\n");
    [list, headers.into_bytes()]
}

#[test]
fn a_list_of_exposed_keys_alerts_who_was_near_before_it_was_public() {
    let world = World::new();
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let der: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        BASE64.encode(der.as_ref())
    );
    // A phone of three days, whose key another back end published an hour ago.
    let (noon, released) = (utc() / 86_400 * 86_400 - 2 * 86_400 + 43_200, utc() - 3600);
    let patient = world.device_by("patient", "dp3t-lowcost");
    let near = patient.id_at(noon);
    let replayed = patient.id_at(released + 900);
    let report = world.path("report");
    let report = report.to_str().unwrap();
    let to = ["report", "--publisher", "P", "--code", "C", "--out", report];
    patient.verb(&to).ok();
    let report: Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let exposed = report["unit"].as_str().unwrap().split(' ').next().unwrap();
    let exposed = HEXLOWER.decode(exposed.as_bytes()).unwrap();
    let list = exposed_list(&key, released, &exposed, noon / 86_400);

    let provider = world.provider("board").init();
    let file = |name: &str, content: &[u8]| {
        let path = world.path(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (pem, headers) = (file("key.pem", pem.as_bytes()), file("headers", &list[1]));
    let import = |level: &str, file: &str| {
        let verb = ["import", "dp3t", "--zone", "gb/sct", "--key", &pem];
        let more = ["--level", level, "--signature", &headers, file];
        provider.verb(&[&verb[..], &more].concat())
    };
    let good = file("list", &list[0]);
    let told = import("diagnosed", &good).ok().json().remove(0);
    assert_eq!(
        told,
        json!({ "keys": 1, "new": 1, "known": 0, "changed": 0, "others": 0, "refused": [] })
    );
    let mut damaged = list[0].clone();
    *damaged.last_mut().unwrap() ^= 1;
    let refused = import("diagnosed", &file("damaged", &damaged)).exit(2);
    assert!(refused.stderr.contains("content-hash"), "{refused:?}");

    let running = provider.run();
    let batch = provider.publish();
    let phone = world.phone("near");
    phone.follow(&running.text("share"));
    phone.observed_of("dp3t", &[near], noon);
    phone.sync();
    assert_eq!(phone.alerts().levels(), ["diagnosed"], "{batch:?}");
    // Whoever read the list can broadcast what follows from it, today as well.
    let victim = world.phone("victim");
    victim.follow(&running.text("share"));
    victim.observed_of("dp3t", &[replayed], released + 900);
    victim.sync();
    assert_eq!(victim.alerts().levels(), [""; 0]);

    let told = import("no-alert", &good).ok().json().remove(0);
    assert_eq!(told["changed"], 1, "{told}");
    provider.publish();
    phone.sync();
    assert_eq!(phone.alerts().levels(), [""; 0]);
    running.stop();
}

#[test]
fn no_log_line_holds_a_unit_a_code_or_a_token() {
    let world = World::new();
    let provider = provider(&world);
    let lab = token(&provider, "lab");
    let code = provider.codes(1).remove(0);
    let running = provider.run_talkative();
    let (_, told) = submit(
        &running,
        &lab,
        &[item(1), item(2), "{}\n".to_owned()].concat(),
    );
    assert_eq!(told[2]["error"], "value");
    let hidden = "b7".repeat(16);
    let unit = key(3).replacen(&format!("{:032x}", 3), &hidden, 1);
    let phone = json!({"scheme": "gaen", "unit": unit}).to_string();
    let wrong = "1234-5678-9012-3456";
    let statuses = [code.as_str(), wrong].map(|code| {
        let fields = [
            ("Bellwether-Code", code),
            ("Content-Type", "application/x-ndjson"),
        ];
        post(&running, "/v1/submissions", &fields, phone.as_bytes()).0
    });
    assert_eq!(statuses, [200, 403]);
    assert_eq!(submit(&running, "wrong-token", "").0, 403);
    let report = tcn::report(&[5; 32], &tcn::first_key(&[5; 32]), (1, 9), 0, b"").unwrap();
    let octets = [("Content-Type", "application/octet-stream")];
    assert_eq!(post(&running, "/v1/tcn", &octets, &report).0, 200);
    provider.publish();
    let log = running.log();
    for said in [
        "submission",
        "token-unknown",
        "code-unknown",
        "report accepted",
        "TRACE",
    ] {
        assert!(log.contains(said), "the log is complete: {said}");
    }
    let mut secrets = vec![code.as_str(), wrong, lab.as_str(), "wrong-token", &hidden];
    let (first, rvk) = (format!("{:032x}", 1), HEXLOWER.encode(&report[..32]));
    secrets.extend([first.as_str(), &rvk]);
    secrets.extend(told.iter().filter_map(|line| line["revision"].as_str()));
    for secret in secrets {
        assert!(!log.contains(secret), "`{secret}` is in the log");
    }
    let ours = log
        .lines()
        .filter(|line| line.contains("bellwether_node::intake"));
    for line in ours {
        assert!(
            !line.contains("127.0.0.1"),
            "an address beside what it sent: {line}"
        );
    }
    running.stop();
}
