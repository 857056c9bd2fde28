use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn hash(fill: u8) -> PasswordHash {
    let text = "A".repeat(21);
    let salt = char::from(b'A' + fill % 26);
    // The hash of no known password: what it is of does not matter here.
    let text = format!(
        "$argon2id$v=19$m=19456,t=2,p=1${salt}{text}${}",
        "A".repeat(43)
    );
    PasswordHash::parse(&text).unwrap()
}

#[test]
fn a_file_is_written_and_read_by_its_owner_alone() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("users");
    assert_eq!(UserList::read(&path).unwrap(), UserList::default());
    let mut users = UserList::default();
    assert!(users.set("bo", hash(1)).unwrap());
    assert!(users.set("anna@example.org", hash(2)).unwrap());
    assert!(!users.set("bo", hash(3)).unwrap());
    users.write(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(UserList::read(&path).unwrap(), users);
    assert_eq!(
        users.names().collect::<Vec<_>>(),
        ["anna@example.org", "bo"]
    );
    assert_eq!(users.hash("bo"), Some(&hash(3)));
    assert!(users.remove("bo"));
    assert!(!users.remove("bo"));

    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let error = UserList::read(&path).unwrap_err();
        assert!(matches!(error, UsersError::Mode { .. }), "{error}");
    }
}

#[test]
fn lines_that_are_none_are_refused_by_number() {
    let good = format!("bo:{}\n", hash(1).text());
    assert_eq!(UserList::parse(&good).unwrap().names().count(), 1);
    let refused = |text: &str| UserList::parse(text).unwrap_err().to_string();
    for (more, told) in [
        ("", "line 2: a user is written"),
        ("anna", "line 2: a user is written"),
        ("anna:", "line 2: a hash is written"),
        (good.trim_end(), "line 2: this name stands there twice"),
    ] {
        let told_now = refused(&format!("{good}{more}\n"));
        assert!(told_now.starts_with(told), "{told_now}");
    }
    let long = "a".repeat(MAX_NAME_BYTES + 1);
    for name in ["", "Anna", "a b", "ä", "a\u{0}", &long] {
        let told = refused(&format!("{name}:{}\n", hash(1).text()));
        assert!(told.starts_with("a name has"), "{name:?}: {told}");
    }
}

#[test]
fn a_file_is_bounded() {
    let line = |n: usize| format!("{n:064}:{}\n", hash(1).text());
    let most: String = (0..MAX_USERS).map(line).collect();
    assert_eq!(UserList::parse(&most).unwrap().names().count(), MAX_USERS);
    let error = UserList::parse(&format!("{most}{}", line(MAX_USERS))).unwrap_err();
    assert!(matches!(error, UsersError::TooMany), "{error}");

    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("users");
    fs::write(&path, "\n".repeat(1 << 20)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let error = UserList::read(&path).unwrap_err();
    assert!(matches!(error, UsersError::TooMany), "{error}");
}
