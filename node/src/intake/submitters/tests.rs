use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

struct World {
    file: PathBuf,
    submitters: Submitters,
    start: Instant,
    _dir: tempfile::TempDir,
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "an instant to count from")]
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("submitters");
        Self {
            submitters: Submitters::new(file.clone()),
            file,
            start: Instant::now(),
            _dir: dir,
        }
    }

    /// Whose a token is, after so many milliseconds.
    fn find(&self, token: &str, ms: u64) -> Option<String> {
        self.tried(token, ms).unwrap()
    }

    fn tried(&self, token: &str, ms: u64) -> Result<Option<String>, Unusable> {
        self.submitters
            .find(token, self.start + Duration::from_millis(ms))
    }

    fn write(&self, text: &str) {
        files::replace(&self.file, text.as_bytes(), files::SECRET).unwrap();
    }
}

#[test]
fn the_file_is_read_again_when_it_changes() {
    let world = World::new();
    assert_eq!(world.find("x", 0), None, "there is no file yet");
    let first = add(&world.file, "laboratory-1", [1; 32]).unwrap();
    assert_eq!(first.len(), 43);
    assert_eq!(world.find(&first, 999), None, "not looked at so soon");
    assert_eq!(world.find(&first, 1000).as_deref(), Some("laboratory-1"));
    let second = add(&world.file, "laboratory-2", [2; 32]).unwrap();
    assert_eq!(world.find(&second, 2000).as_deref(), Some("laboratory-2"));
    assert_eq!(world.find(&first, 2000).as_deref(), Some("laboratory-1"));
    remove(&world.file, "laboratory-1").unwrap();
    assert_eq!(world.find(&first, 3000), None);
    assert_eq!(world.find(&second, 3000).as_deref(), Some("laboratory-2"));
    // Nothing that is not the whole token will do.
    for wrong in ["", &second[1..], &second[..42], &format!("{second} ")] {
        assert_eq!(world.find(wrong, 3000), None);
    }
    let held = fs::read_to_string(&world.file).unwrap();
    assert!(!held.contains(&second), "the token is not in the file");
}

#[test]
fn a_file_that_cannot_be_used_lets_nobody_in() {
    let world = World::new();
    let token = add(&world.file, "a", [1; 32]).unwrap();
    let good = fs::read_to_string(&world.file).unwrap();
    assert_eq!(world.find(&token, 0).as_deref(), Some("a"));
    for (at, bad) in (1..).zip([
        format!("{good}b:00\n"),
        format!("{good}{good}"),
        format!("{good}:{}\n", "00".repeat(32)),
        format!("{good}b {}\n", "00".repeat(32)),
        format!("{good}#{}\n", "x".repeat(128 * 1024)),
    ]) {
        world.write(&bad);
        assert_eq!(world.tried(&token, 1000 * at), Err(Unusable), "{at}");
    }
    world.write(&format!("# those who may\n\n{good}"));
    assert_eq!(world.find(&token, 9000).as_deref(), Some("a"));
    fs::set_permissions(&world.file, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(world.tried(&token, 10_000), Err(Unusable));
    assert!(matches!(load(&world.file), Err(SubmittersError::Mode)));
}

#[test]
fn a_file_that_went_away_is_not_one_that_names_nobody() {
    let world = World::new();
    let token = add(&world.file, "a", [1; 32]).unwrap();
    assert_eq!(world.find(&token, 0).as_deref(), Some("a"));
    let text = fs::read_to_string(&world.file).unwrap();
    fs::remove_file(&world.file).unwrap();
    for ms in [1000, 2000, 3000] {
        assert_eq!(world.tried(&token, ms), Err(Unusable));
    }
    world.write(&text);
    assert_eq!(world.find(&token, 4000).as_deref(), Some("a"));
}

#[test]
fn what_cannot_be_added_or_removed_changes_nothing() {
    let world = World::new();
    add(&world.file, "a", [1; 32]).unwrap();
    let before = fs::read(&world.file).unwrap();
    let mode = fs::metadata(&world.file).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let long = "x".repeat(33);
    for name in ["", "A", "a:b", "a b", &long] {
        let error = add(&world.file, name, [2; 32]).unwrap_err();
        assert!(matches!(error, SubmittersError::Name), "{name}");
    }
    let known = add(&world.file, "a", [2; 32]).unwrap_err();
    assert!(matches!(known, SubmittersError::Known { .. }));
    let unknown = remove(&world.file, "b").unwrap_err();
    assert!(matches!(unknown, SubmittersError::Unknown { .. }));
    assert_eq!(fs::read(&world.file).unwrap(), before);
}
