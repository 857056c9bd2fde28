//! Keys and certificates that are lost, of another, or over.

use std::fs;
use std::path::Path;

use bellwether_tests::shim::Shim;
use bellwether_tests::{Provider, Running, World, conditions, utc};

use super::{agree, condition, has_not, pair};

/// 1 January 2050, when the certificate that `init` makes ends.
const END: u64 = 2_524_608_000;

/// The node runs, and a key is lost: everybody says so. It would not come up again.
#[track_caller]
fn is_told(provider: &Provider, running: &Running, name: &str) {
    let list = agree(running, |verb| provider.verb(verb));
    assert!(list.contains(&pair(name, "error")), "{list:?}");
}

/// `run` refuses, and says what is wrong and what to do; `check` finds it, too.
#[track_caller]
fn refuses_to_start(provider: &Provider, name: &str, why: &str, hint: &str) {
    let refused = provider.verb(&["run"]).exit(2);
    assert_eq!(refused.stdout, "");
    assert!(refused.stderr.contains(why), "{refused:?}");
    let told = refused.stderr.split_once("hint: ").unwrap().1;
    assert!(told.contains(hint), "{told}");
    let checked = provider.verb(&["check", "--json"]).exit(2);
    let names = conditions(&checked).0;
    assert_eq!(names, ["not-running", name], "{checked:?}");
}

#[track_caller]
fn starts(provider: &Provider) -> Running {
    let running = provider.run();
    assert_eq!(provider.conditions().0, [""; 0]);
    running
}

#[test]
fn signing_keys_lost_or_of_another_are_told_and_the_node_does_not_start() {
    let world = World::new();
    let provider = world.provider("board").init();
    let (keys, away) = (provider.dir.join("keys"), world.path("away"));
    let name = "signing-key-missing";
    let running = starts(&provider);
    fs::rename(&keys, &away).unwrap();
    is_told(&provider, &running, name);
    running.stop();
    let restore = "restore the directory `keys`";
    refuses_to_start(&provider, name, "the signing keys cannot be used", restore);

    fs::create_dir(&keys).unwrap();
    refuses_to_start(
        &provider,
        name,
        "no signing key is on this machine",
        restore,
    );
    fs::remove_dir(&keys).unwrap();

    let other = world.provider("other").init();
    fs::rename(other.dir.join("keys"), &keys).unwrap();
    let why = "the descriptor lists none of the signing keys of this machine";
    refuses_to_start(&provider, name, why, restore);
    fs::remove_dir_all(&keys).unwrap();

    fs::rename(&away, &keys).unwrap();
    let running = starts(&provider);
    provider.publish();
    running.stop();

    let one = fs::read_dir(&keys).unwrap().next().unwrap().unwrap().path();
    fs::write(&one, "damaged").unwrap();
    refuses_to_start(&provider, name, "is not a key file", restore);
}

#[test]
fn code_key_lost_or_damaged_is_told_and_the_node_does_not_start() {
    let world = World::new();
    let provider = world.provider("board").init();
    let (key, away) = (provider.dir.join("code.key"), world.path("away"));
    let name = "code-key-missing";
    let running = starts(&provider);
    provider.codes(1);
    fs::rename(&key, &away).unwrap();
    is_told(&provider, &running, name);
    running.stop();
    let (why, restore) = (
        "the key that codes are hashed with cannot be used",
        "restore `code.key`",
    );
    refuses_to_start(&provider, name, why, restore);
    fs::write(&key, "damaged").unwrap();
    refuses_to_start(&provider, name, why, restore);
    // As the hint says, where there is no backup.
    fs::write(&key, format!("{:064x}\n", 7)).unwrap();
    starts(&provider).stop();
    fs::rename(&away, &key).unwrap();
    starts(&provider).stop();
}

/// A restore needs it: it signs nothing and takes no reports.
#[test]
fn node_that_only_catches_up_starts_without_keys() {
    let world = World::new();
    let provider = world.provider("board").init();
    fs::remove_dir_all(provider.dir.join("keys")).unwrap();
    fs::remove_file(provider.dir.join("code.key")).unwrap();
    let running = provider.run_without_publishing();
    let names = provider.conditions().0;
    assert_eq!(names, ["signing-key-missing", "code-key-missing"]);
    running.stop();
}

#[test]
fn certificate_lost_or_with_another_key_is_told_and_the_node_does_not_start() {
    let world = World::new();
    let provider = world.provider("board").init();
    let other = world.provider("other").init();
    let (cert, key) = (provider.certificate(), provider.dir.join("tls/key.pem"));
    let others = other.dir.join("tls/key.pem");
    let keep = |path: &Path| fs::read(path).unwrap();
    let good = [keep(&cert), keep(&key)];
    let name = "certificate-broken";
    let running = starts(&provider);
    fs::copy(&others, &key).unwrap();
    is_told(&provider, &running, name);
    fs::write(&key, &good[1]).unwrap();
    has_not(|verb| provider.verb(verb), name);
    fs::copy(&others, &key).unwrap();
    running.stop();
    let (why, put) = (
        "the certificate cannot be used",
        "put a certificate and its key",
    );
    refuses_to_start(&provider, name, why, put);
    fs::write(&key, &good[1]).unwrap();
    fs::remove_file(&cert).unwrap();
    refuses_to_start(&provider, name, why, put);
    fs::write(&cert, "no PEM").unwrap();
    refuses_to_start(&provider, name, why, put);
    fs::write(&cert, &good[0]).unwrap();
    starts(&provider).stop();
}

#[test]
fn certificate_that_ends_soon_is_a_warning_and_one_that_is_over_an_error() {
    let world = World::new();
    let provider = world.provider("board").init();
    let shim = Shim::of(&provider.dir);
    let running = provider.run();
    let checked_at = |at: u64| {
        shim.set_wall(i64::try_from(at).unwrap() - i64::try_from(utc()).unwrap());
        let checked = provider.verb(&["check", "--json"]);
        let names = ["certificate-expiring", "certificate-broken"];
        names.map(|name| condition(&checked, name))
    };
    let day = 86_400;
    assert_eq!(checked_at(END - 15 * day), [None, None]);
    let [soon, broken] = checked_at(END - 13 * day);
    let (soon, text) = (soon.unwrap(), "ends at 2050-01-01T00:00:00Z, in 1");
    assert!(soon["text"].as_str().unwrap().contains(text), "{soon}");
    assert_eq!((soon["severity"].as_str(), broken), (Some("warning"), None));
    let [soon, over] = checked_at(END + day);
    let over = over.unwrap();
    assert_eq!(over["since"], "2050-01-01T00:00:00Z", "{over}");
    assert_eq!(soon, None);
    let early = checked_at(1_500_000_000)[1].take().unwrap();
    assert!(
        early["text"].as_str().unwrap().contains("counts from 2020"),
        "{early}"
    );
    running.stop();
}
