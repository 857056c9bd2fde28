use std::collections::BTreeSet;

use super::*;

/// The rows of the table in the specification that name a condition.
fn rows() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/12-cli.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once("## 12.4 Conditions").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(str::to_owned).collect()
}

#[test]
fn the_catalogue_is_the_table_of_the_specification() {
    let catalogue = ConditionKind::ALL.iter().map(|kind| {
        format!(
            "| `{}` | {} | {} | {} | {} |",
            kind.name(),
            kind.severity().name(),
            if kind.is_public() { "yes" } else { "no" },
            kind.meaning(),
            kind.remedy()
        )
    });
    let catalogue: Vec<String> = catalogue.collect();
    assert_eq!(rows().join("\n"), catalogue.join("\n"));
}

#[test]
fn names_are_unique_and_in_kebab_case() {
    let names: BTreeSet<&str> = ConditionKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), ConditionKind::ALL.len());
    for name in names {
        let kebab = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(kebab, "{name}");
    }
}

#[test]
fn a_raised_condition_keeps_its_first_time_until_it_is_cleared() {
    let board = Conditions::default();
    let of = |text: &str, since| {
        vec![Condition::new(ConditionKind::StoreBroken, Subject::Node, text).since(since)]
    };
    board.raise(ConditionKind::StoreBroken, Subject::Node, "one", 10);
    assert_eq!(board.list(), of("one", 10));
    board.raise(ConditionKind::StoreBroken, Subject::Node, "two", 20);
    assert_eq!(board.list(), of("two", 10));
    board.clear(ConditionKind::StoreBroken, &Subject::Name("other".into()));
    assert_eq!(board.list(), of("two", 10));
    board.clear(ConditionKind::StoreBroken, &Subject::Node);
    assert_eq!(board.list(), []);
    board.raise(ConditionKind::StoreBroken, Subject::Node, "three", 30);
    assert_eq!(board.list(), of("three", 30));
}

#[test]
fn a_computed_condition_begins_when_it_is_first_seen() {
    let board = Conditions::default();
    let found = || Condition::new(ConditionKind::RootKeyOnline, Subject::Node, "here");
    board.replace(vec![found()], 10);
    board.replace(vec![found()], 20);
    assert_eq!(board.list(), [found().since(10)]);
    board.replace(Vec::new(), 30);
    assert_eq!(board.list(), []);
    board.replace(vec![found()], 40);
    assert_eq!(board.list(), [found().since(40)]);
    board.replace(vec![found().since(5)], 50);
    assert_eq!(
        board.list(),
        [found().since(5)],
        "who knows better is right"
    );
}

#[test]
fn errors_come_before_warnings() {
    let board = Conditions::default();
    let warning = Condition::new(ConditionKind::RootKeyOnline, Subject::Node, "");
    board.replace(vec![warning], 10);
    board.raise(ConditionKind::StoreBroken, Subject::Node, "", 10);
    let list = board.list();
    let kinds: Vec<_> = list.iter().map(|condition| condition.kind).collect();
    assert_eq!(
        kinds,
        [ConditionKind::StoreBroken, ConditionKind::RootKeyOnline]
    );
    assert!(!no_error(&board.list()));
    board.clear(ConditionKind::StoreBroken, &Subject::Node);
    assert!(no_error(&board.list()));
}
