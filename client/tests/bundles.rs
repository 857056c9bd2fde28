//! Bundles and other files, through the binary.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::fixture::{Mirror, Provider, Server};
use crate::phone::{Done, Phone, World, uuid};
use serde_json::Value;

#[test]
fn a_bundle_carries_all_without_a_network() {
    let world = World::new();
    let server = Server::start(world.mirror());
    let sender = Phone::new();
    sender.follow(&world.provider, &[&server]);
    sender.run("sync", &[]).ok();
    let file = sender.path("all.car");
    let file = file.to_str().unwrap();
    sender.run("export", &[file]).ok();

    let receiver = Phone::new();
    receiver
        .run(
            "observe",
            &["--scheme", "cx", "--at", &world.hour_ago(), &uuid(7, 3)],
        )
        .ok();
    let done = receiver.run("import", &[file]).exits(2);
    assert!(
        done.err.contains("no provider is followed") && done.err.contains("hint: "),
        "{}",
        done.err
    );
    receiver.follow(&Provider::new(2, world.now), &[]);
    let done = receiver.run("import", &[file]).exits(2);
    assert!(
        done.err.contains("nothing of what is followed"),
        "{}",
        done.err
    );

    let receiver = Phone::new();
    receiver.follow(&world.provider, &[]);
    receiver
        .run(
            "observe",
            &["--scheme", "cx", "--at", &world.hour_ago(), &uuid(7, 3)],
        )
        .ok();
    receiver.run("import", &[file]).ok();
    receiver.run("alerts", &["--json"]).exits(1);
    receiver.run("import", &[file]).ok();
    let again = receiver.path("again.car");
    receiver.run("export", &[again.to_str().unwrap()]).ok();
    assert_eq!(fs::read(again).unwrap(), fs::read(file).unwrap());

    // A gateway's answer is a bundle as well.
    let receiver = Phone::new();
    receiver.follow(&world.provider, &[]);
    let page = receiver.path("page.car");
    fs::write(
        &page,
        world
            .mirror()
            .answer(&format!("/v1/feeds/{}/gb/sct/after/0", world.provider.id()))
            .unwrap(),
    )
    .unwrap();
    receiver.run("import", &[page.to_str().unwrap()]).ok();
    receiver.run("alerts", &[]).exits(0);
}

#[test]
fn a_changed_bundle_is_refused() {
    let world = World::new();
    let bytes = world
        .mirror()
        .answer(&format!("/v1/feeds/{}/gb/sct/after/0", world.provider.id()))
        .unwrap();
    let phone = Phone::new();
    phone.follow(&world.provider, &[]);
    let file = phone.path("changed.car");
    for at in (0..bytes.len()).step_by(bytes.len() / 40) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        fs::write(&file, &changed).unwrap();
        let done = phone.run("import", &[file.to_str().unwrap()]);
        assert_eq!(done.status, 2, "byte {at}: {}", done.err);
    }
    let status = phone.run("status", &["--json"]).ok().json();
    assert_eq!(
        (&status[0]["head"], &status[0]["batches"]),
        (&Value::Null, &Value::from(0))
    );

    // Without its body, a batch is not taken, and what comes before it is.
    let lean = Mirror {
        lean: true,
        ..world.mirror()
    };
    fs::write(
        &file,
        lean.answer(&format!("/v1/feeds/{}/gb/sct/after/0", world.provider.id()))
            .unwrap(),
    )
    .unwrap();
    let done = phone.run("import", &[file.to_str().unwrap()]).exits(2);
    assert!(done.err.contains("is missing"), "{}", done.err);
    assert_eq!(phone.run("status", &["--json"]).ok().json()[0]["head"], 2);
    let done = phone.run("alerts", &[]).exits(3);
    assert!(
        done.err.contains("a batch is known to exist"),
        "{}",
        done.err
    );
    fs::write(&file, bytes.get(..bytes.len() / 2).unwrap()).unwrap();
    for verb in ["import", "inspect"] {
        let done = phone.run(verb, &[file.to_str().unwrap()]).exits(2);
        assert!(
            done.err.contains("the bundle is malformed (car-section)"),
            "{}",
            done.err
        );
    }
}

#[test]
fn objects_are_shown_as_text() {
    let world = World::new();
    let server = Server::start(world.mirror());
    let phone = Phone::new();
    phone.follow(&world.provider, &[&server]);
    phone.run("sync", &[]).ok();
    let show = |what: &str| phone.run("inspect", &[what]);
    let batch = show(&world.chain[2].cid().to_string()).ok().out;
    assert!(
        batch.contains("signature holds") && batch.contains("\"published_at\""),
        "{batch}"
    );
    let body = show(&world.body.cid().to_string()).ok().out;
    assert!(
        body.contains("open body of notifications: 2 of cx1"),
        "{body}"
    );
    show("nonsense").exits(2);
    show(&world.provider.signed().cid().to_string()).exits(2);

    let file = phone.path("object");
    let show_bytes = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        inspect(&file).out
    };
    let mut envelope = world.chain[0].envelope().to_vec();
    envelope[60] ^= 1;
    assert!(show_bytes(&envelope).contains("NOT BELIEVED"));
    assert!(show_bytes(world.provider.signed().envelope()).contains("descriptor of z6Mk"));
    assert!(
        show_bytes(&world.mirror().answer("/v1/zones/gb/sct/heads").unwrap()).contains("CAR of")
    );
    assert!(show_bytes(b"\xff").contains("not CBOR"));
}

/// Without a state.
fn inspect(file: &Path) -> Done {
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .arg("inspect")
        .arg(file)
        .output();
    Done::from(output.unwrap()).ok()
}
