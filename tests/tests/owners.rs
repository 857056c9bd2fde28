//! A node that runs as a user of its own, and verbs that root runs.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use bellwether_tests::{Provider, World, eventually, utc, web};
use serde_json::{Value, json};

/// A user that is not root; nothing else of this machine is theirs.
const OTHER: u32 = 54_321;

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("skipped: only root can give files to another user");
    }
    root
}

/// Everything below a folder, itself too.
fn below(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    if path.is_dir() && !path.is_symlink() {
        let entries = fs::read_dir(path).unwrap();
        found.extend(entries.flat_map(|entry| below(&entry.unwrap().path())));
    }
    found
}

fn give(path: &Path) {
    for path in below(path) {
        lchown(path, Some(OTHER), Some(OTHER)).unwrap();
    }
}

fn foreign(path: &Path) -> Vec<PathBuf> {
    let mut found = below(path);
    found.retain(|path| fs::symlink_metadata(path).unwrap().uid() != OTHER);
    found
}

fn signer_dir(provider: &Provider) -> PathBuf {
    provider.dir.with_extension("signer")
}

/// A provider whose node runs as another user than the test.
fn provider(world: &World) -> Provider {
    fs::set_permissions(world.path(""), Permissions::from_mode(0o755)).unwrap();
    let provider = world.provider("board").init();
    provider.configure(|config| {
        let intake = &mut config.provider.as_mut().unwrap().intake;
        (intake.tls_cert, intake.tls_key) = (None, None);
        intake.users = Some("users".into());
    });
    give(&provider.dir);
    give(&signer_dir(&provider));
    provider
}

fn errors(provider: &Provider) -> Vec<Value> {
    let said = provider.verb(&["check", "--json"]).json().remove(0);
    said["errors"].as_array().unwrap().clone()
}

#[test]
fn what_root_writes_for_a_running_node_can_be_read_by_it() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let provider = provider(&world);
    let running = provider.run();
    let token = provider.verb(&["submitter", "add", "lab"]).ok();
    let token = format!("Bearer {}", token.lines()[0]);
    provider
        .verb_fed(&["user", "add", "nurse"], "a long password\n")
        .ok();
    assert_eq!(foreign(&provider.dir), Vec::<PathBuf>::new());
    let start = utc() / 86_400 * 144 - 288;
    let item = json!({
        "scheme": "gaen", "zone": "gb/sct", "level": "diagnosed", "unit": format!("{:032x} {start}", 7),
    });
    let url = format!("{}/v1/submissions", running.text("intake"));
    eventually("the system to be known", || {
        let fields = [("Authorization", token.as_str())];
        let told = web::post_with(&url, &fields, item.to_string().as_bytes()).unwrap();
        assert_ne!(told.status, 503);
        (told.status == 200).then_some(())
    });
    assert_eq!(errors(&provider), [json!(null); 0]);
    running.stop();
}

#[test]
fn what_root_writes_for_a_node_that_is_down_can_be_read_when_it_starts() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let provider = provider(&world);
    // The ledger is lost: it is written anew, its directory too.
    fs::remove_dir_all(signer_dir(&provider)).unwrap();
    lchown(world.path(""), Some(OTHER), Some(OTHER)).unwrap();
    provider.verb(&["signer", "adopt"]).ok();
    provider.codes(2);
    provider.publish();
    let root = provider.dir.join("root.key");
    provider
        .verb(&["descriptor", "renew", "--root", root.to_str().unwrap()])
        .ok();
    provider.verb(&["submitter", "add", "lab"]).ok();
    provider
        .verb_fed(&["user", "add", "nurse"], "a long password\n")
        .ok();
    for dir in [&provider.dir, &signer_dir(&provider)] {
        assert_eq!(foreign(dir), Vec::<PathBuf>::new());
    }
    let running = provider.run();
    provider.publish();
    assert_eq!(errors(&provider), [json!(null); 0]);
    running.stop();
    // One that is made in somebody's directory is theirs.
    let made = world.path("made");
    fs::create_dir(&made).unwrap();
    give(&made);
    let verb = ["init", "--name", "N", "--zone", "gb", "--signer-dir"];
    let signer = world.path("made.signer");
    world
        .node(&made, &[&verb[..], &[signer.to_str().unwrap()]].concat())
        .ok();
    assert_eq!(foreign(&made), Vec::<PathBuf>::new());
    assert_eq!(foreign(&signer), Vec::<PathBuf>::new());
}

#[test]
fn a_file_that_the_node_cannot_read_is_an_error_of_check() {
    if !is_root() {
        return;
    }
    let world = World::new();
    let provider = provider(&world);
    provider.verb(&["submitter", "add", "lab"]).ok();
    let file = provider.dir.join("submitters");
    lchown(&file, Some(0), Some(0)).unwrap();
    let named = |said: &[Value]| {
        said.iter()
            .any(|error| error.to_string().contains(file.to_str().unwrap()))
    };
    // Whoever asks: root while the node is down, and the node's own user.
    assert!(named(&errors(&provider)));
    let running = provider.run();
    assert!(named(&errors(&provider)));
    // A file keeps its owner: whoever changes it says whose it is.
    provider.verb(&["submitter", "add", "clinic"]).ok();
    assert_eq!(fs::metadata(&file).unwrap().uid(), 0);
    lchown(&file, Some(OTHER), Some(OTHER)).unwrap();
    assert!(!named(&errors(&provider)));
    running.stop();
}
