//! Directories that are copies, were put back, or know less than relays do.

use std::fs;
use std::path::Path;

use bellwether_node::store::Store;
use bellwether_tests::feed::Feed;
use bellwether_tests::{Running, World, conditions, eventually};

/// Copies a directory as `cp -a` does.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), &to).unwrap();
        }
    }
}

/// What refuses to sign says why, with exit 2.
#[track_caller]
fn refuses(world: &World, dir: &Path, verb: &[&str], why: &str) {
    let said = world.node(dir, verb).exit(2);
    assert!(said.stdout.is_empty(), "{said:?}");
    assert!(
        said.stderr.contains(why) && said.stderr.contains("hint: "),
        "{said:?}"
    );
}

#[test]
fn a_copied_or_restored_directory_does_not_sign() {
    let world = World::new();
    let provider = world.provider("board").init();
    provider.publish();
    provider.publish();
    let backup = world.path("backup");
    copy(&provider.dir, &backup);

    // A copy, as good as the original: there must not be two.
    refuses(&world, &backup, &["publish"], "copy or was restored");
    refuses(&world, &backup, &["run"], "copy or was restored");
    world.node(&backup, &["check"]).exit(2);
    // The original goes on; the copy is now old.
    provider.publish();
    refuses(&world, &backup, &["signer", "adopt"], "the store ends at 2");
    refuses(&world, &backup, &["publish"], "copy or was restored");

    // The old content in the original's very files: no copy by its looks, and yet it is old.
    let newest = world.path("newest");
    copy(&provider.dir, &newest);
    fs::copy(backup.join("store.redb"), provider.dir.join("store.redb")).unwrap();
    refuses(&world, &provider.dir, &["publish"], "the store ends at 2");
    refuses(&world, &provider.dir, &["run"], "the store ends at 2");
    world.node(&provider.dir, &["check"]).exit(2);

    // An up-to-date copy can be adopted, and then it alone signs.
    world.node(&newest, &["signer", "adopt"]).ok();
    let published = world.node(&newest, &["publish"]).ok();
    assert_eq!(published.lines().len(), 1);
    let status = world
        .node(&newest, &["status", "--json"])
        .ok()
        .json()
        .remove(0);
    assert_eq!(status["feeds"][0]["seq"], 4, "{status}");
    assert_eq!(
        conditions(&world.node(&newest, &["check", "--json"])).0,
        ["not-running"]
    );
    refuses(&world, &provider.dir, &["publish"], "copy or was restored");
}

/// A signer without its memory does not begin anew.
#[test]
fn a_lost_memory_of_the_signer_is_not_made_up() {
    let world = World::new();
    let provider = world.provider("board").init();
    provider.publish();
    let memory = provider.dir.with_extension("signer");
    fs::rename(&memory, world.path("elsewhere")).unwrap();
    refuses(&world, &provider.dir, &["publish"], "memory");
    fs::remove_dir_all(&memory).unwrap();
    fs::rename(world.path("elsewhere"), &memory).unwrap();
    provider.publish();
}

/// The second fence: relays know more than this directory, and the signer's memory is as old. It
/// signs nothing in the place of what they have: it refuses, or goes on after the newest.
#[test]
fn a_provider_behind_its_relays_signs_nothing_twice() {
    let world = World::new();
    let provider = world.provider("board").init();
    let node: Running = provider.run();
    let relay = bellwether_tests::Relay::init(&world, "relay", &["--follow", &node.text("share")]);
    let relaying = relay.run();
    let first = provider.publish();
    eventually("the relay to have it", || {
        relaying.has(&first).then_some(())
    });
    node.stop();
    // Both the directory and the signer's memory are put back later.
    let (dir, memory) = (provider.dir.clone(), provider.dir.with_extension("signer"));
    let stored = fs::read(dir.join("store.redb")).unwrap();
    let signer = world.path("signer-backup");
    copy(&memory, &signer);

    provider.configure(|config| config.network.bootstrap = vec![relaying.p2p()]);
    let node = provider.run();
    let newest = provider.publish();
    eventually("the relay to have it", || {
        relaying.has(&newest).then_some(())
    });
    node.stop();
    // In place, so that the store's file is the one that the signer knows.
    fs::write(dir.join("store.redb"), stored).unwrap();
    fs::remove_dir_all(&memory).unwrap();
    copy(&signer, &memory);

    // The node is down: the verb itself asks the relay, and so does a node that runs.
    for running in [false, true] {
        let node = running.then(|| provider.run());
        let said = provider.verb(&["publish"]);
        let fenced = said.code == 2 && said.stderr.contains("relays have batch");
        assert!(fenced || said.code == 0, "{said:?}");
        drop(node);
    }
    let feed = Feed::after(&relaying.gateway(), &provider.feed(), 0).unwrap();
    let kept: Vec<String> = feed.batches.iter().map(|b| b.cid().to_string()).collect();
    assert!(kept.contains(&newest), "{kept:?}");
    let status = relay.verb(&["status", "--json"]).ok().json().remove(0);
    assert_eq!(status["feeds"][0]["forked"], false, "{status}");
    // What it signed since stands on what the relay had, in its own store too.
    let store = Store::open(&dir.join("store.redb")).unwrap();
    let feed = store.heads().unwrap().remove(0).feed;
    let own = store.rows_after(&feed, 0, 100).unwrap();
    let own: Vec<String> = own
        .iter()
        .map(|row| row.cid().unwrap().to_string())
        .collect();
    let shared = kept.len().min(own.len());
    assert_eq!(own[..shared], kept[..shared], "nothing was signed twice");
}
