//! Documents are tests: what they say can be run, their links lead somewhere, and the command line
//! is as the spec has it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use bellwether_node::config::Config;
use bellwether_tests::{World, command, repository};
use serde_yaml_ng::Value;

const NODE: &str = "bellwether-node";
const CLIENT: &str = "bellwether";

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The fenced blocks of a language, lines that end in `\` joined.
fn blocks(text: &str, language: &str) -> Vec<Vec<String>> {
    let mut blocks = Vec::new();
    let mut inside: Option<Vec<String>> = None;
    for line in text.replace("\\\n", " ").lines() {
        match &mut inside {
            Some(_) if line == "```" => blocks.extend(inside.take()),
            Some(block) => block.push(line.to_owned()),
            None if line == format!("```{language}") => inside = Some(Vec::new()),
            None => {}
        }
    }
    blocks
}

/// Verbs of a binary with their options, as `--help` tells them: `code issue` is one verb.
fn helped(binary: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut verbs = BTreeMap::new();
    help(binary, &[], &mut verbs);
    verbs
}

fn help(binary: &str, verb: &[&str], verbs: &mut BTreeMap<String, BTreeSet<String>>) {
    let mut command = if binary == NODE {
        command::node()
    } else {
        command::client()
    };
    let told = command::run(command.args(verb).arg("--help")).ok().stdout;
    let commands = told.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| line.starts_with("  "));
    let names = commands.filter(|line| !line.starts_with("   "));
    let names: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for name in names.iter().filter(|name| **name != "help") {
        help(binary, &[verb, &[*name]].concat(), verbs);
    }
    if names.is_empty() {
        let words = told.split(|letter: char| !matches!(letter, 'a'..='z' | '0'..='9' | '-'));
        let options = words.filter(|word| word.starts_with("--") && word.len() > 2);
        let options: BTreeSet<String> = options
            .filter(|word| *word != "--help")
            .map(str::to_owned)
            .collect();
        verbs.insert(verb.join(" "), options);
    }
}

/// Whether a word can be a verb.
fn is_verb(word: &str) -> bool {
    let letters = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    word != NODE && word != CLIENT && word.chars().all(letters)
}

/// The commands of our binaries in a line: binary, the words that may be its verb, the options.
fn commands(line: &str) -> Vec<(String, Vec<String>, Vec<String>)> {
    let plain = line.replace(['"', '\'', '`', '[', ']', ',', '$', ';', '<', '>'], " ");
    let words: Vec<&str> = plain.split_whitespace().collect();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let binary = word.rsplit('/').next().unwrap();
        if binary != NODE && binary != CLIENT {
            continue;
        }
        let rest = &words[at + 1..];
        let verb: Vec<String> = rest
            .iter()
            .take_while(|word| is_verb(word))
            .map(|word| (*word).to_owned())
            .collect();
        if verb.is_empty() {
            continue;
        }
        let options = rest.iter().take_while(|word| **word != "|");
        let options = options.filter(|word| word.starts_with("--") && !word.contains('…'));
        let options = options
            .map(|word| word.trim_end_matches('…').to_owned())
            .collect();
        found.push((binary.to_owned(), verb, options));
    }
    found
}

/// The verb that some words start with.
fn verb_of(verbs: &BTreeMap<String, BTreeSet<String>>, words: &[String]) -> Option<String> {
    (1..=words.len().min(2))
        .rev()
        .map(|len| words[..len].join(" "))
        .find(|verb| verbs.contains_key(verb))
}

#[test]
fn readmes_commands_are_what_the_check_runs() {
    let blocks = blocks(&read("README.md"), "sh");
    let [first] = &blocks[0][..] else {
        panic!("one line: {blocks:?}")
    };
    assert!(first.starts_with("cargo run --locked "), "{first}");
    let [second] = &blocks[1][..] else {
        panic!("one line: {blocks:?}")
    };
    assert!(
        second.starts_with("cargo test --locked --workspace"),
        "{second}"
    );
    let (cargo, ours) = first.split_once(" -- ").unwrap();
    assert!(cargo.ends_with("--bin bellwether-node"), "{cargo}");
    assert!(helped(NODE).contains_key(ours), "{ours}");
}

#[test]
fn every_command_in_a_document_exists() {
    let verbs = BTreeMap::from([(NODE, helped(NODE)), (CLIENT, helped(CLIENT))]);
    let mut seen = 0;
    for document in [
        "README.md",
        "SECURITY.md",
        "docker/Dockerfile",
        "docker/compose.yml",
        "docker/bellwether-node.service",
    ] {
        let text = read(document).replace("\\\n", " ");
        for line in text.lines() {
            // Prose speaks of the programs; commands are in backticks or lines of their own.
            let prose = document.ends_with(".md") && !line.starts_with("bellwether");
            let parts: Vec<&str> = if prose {
                line.split('`').skip(1).step_by(2).collect()
            } else {
                vec![line]
            };
            for (binary, words, options) in parts.into_iter().flat_map(commands) {
                let known = &verbs[binary.as_str()];
                let verb = verb_of(known, &words);
                let verb =
                    verb.unwrap_or_else(|| panic!("{document}: `{binary} {words:?}` in `{line}`"));
                for option in options {
                    assert!(
                        known[&verb].contains(&option),
                        "{document}: {binary} {verb} {option}"
                    );
                }
                seen += 1;
            }
        }
    }
    assert!(seen >= 20, "{seen} commands found");
    let dockerfile = read("docker/Dockerfile");
    assert!(dockerfile.contains(r#"CMD ["run", "--data-dir", "/data"]"#));
}

#[test]
fn the_spec_has_the_command_lines_verbs_and_options() {
    let mut spec: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for block in blocks(&read("spec/12-cli.md"), "text") {
        // A line that is indented goes on.
        let mut lines: Vec<String> = Vec::new();
        for line in block {
            match lines.last_mut() {
                Some(last) if line.starts_with(' ') => last.push_str(&line),
                _ => lines.push(line),
            }
        }
        for line in &lines {
            let (binary, rest) = line.split_once(' ').unwrap();
            let words = rest.split_whitespace();
            let words: Vec<&str> = words
                .take_while(|word| is_verb(word) || *word == "|")
                .collect();
            let plain = line.replace(['[', ']', '(', ')', '|'], " ");
            let options: BTreeSet<String> = plain
                .split_whitespace()
                .filter(|word| word.starts_with("--") && !word.contains('…'))
                .map(str::to_owned)
                .collect();
            for verb in words.join(" ").split(" | ") {
                spec.entry((binary.to_owned(), verb.to_owned()))
                    .or_default()
                    .extend(options.clone());
            }
        }
    }
    let mut help = BTreeMap::new();
    for binary in [NODE, CLIENT] {
        for (verb, options) in helped(binary) {
            help.insert((binary.to_owned(), verb), options);
        }
    }
    let verbs = |all: &BTreeMap<(String, String), BTreeSet<String>>| {
        all.keys()
            .map(|(binary, verb)| format!("{binary} {verb}"))
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(verbs(&spec), verbs(&help), "spec §12 and --help");
    for (verb, options) in &help {
        assert_eq!(
            &spec[verb], options,
            "options of {verb:?}: spec §12 and --help"
        );
    }
}

#[test]
fn the_compose_file_is_a_provider_and_two_relays_of_different_operators() {
    let mut compose: Value = serde_yaml_ng::from_str(&read("docker/compose.yml")).unwrap();
    compose.apply_merge().unwrap();
    let services = compose["services"].as_mapping().unwrap();
    assert_eq!(services.len(), 3);
    let mut operators = BTreeSet::new();
    let mut providers = 0;
    for (name, service) in services {
        let script = service["command"][0].as_str().unwrap();
        assert!(
            script.contains("bellwether-node init") && script.contains("exec bellwether-node run")
        );
        assert_eq!(service["image"], "bellwether", "{name:?}");
        assert_eq!(service["read_only"], true, "{name:?}");
        if script.contains("--relay") {
            assert!(script.contains(r#"--operator "$$OPERATOR""#), "{script}");
            operators.insert(
                service["environment"]["OPERATOR"]
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
        } else {
            assert!(script.contains("--signer-dir /signer") && !script.contains("--privacy"));
            providers += 1;
        }
        for volume in service["volumes"].as_sequence().unwrap() {
            let volume = volume.as_str().unwrap().split(':').next().unwrap();
            assert!(compose["volumes"].get(volume).is_some(), "{volume}");
        }
    }
    assert_eq!((providers, operators.len()), (1, 2), "{operators:?}");
}

#[test]
fn the_unit_runs_what_readme_says() {
    let unit = read("docker/bellwether-node.service");
    let value = |key: &str| {
        let line = unit
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {key}"))
    };
    assert_eq!(
        value("ExecStart"),
        "/usr/local/bin/bellwether-node run --data-dir /var/lib/bellwether"
    );
    assert_eq!(value("KillSignal"), "SIGTERM");
    assert!(read("README.md").contains("--data-dir /var/lib/bellwether"));
}

#[test]
fn the_example_configuration_is_one() {
    let world = World::new();
    fs::copy(
        repository().join("node/node.example.toml"),
        world.path("node.toml"),
    )
    .unwrap();
    Config::load(&world.path("")).unwrap();
}

/// Every file of the repository with this ending, in folders that are kept.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files(&path, ending, found);
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    let mut documents = Vec::new();
    files(&repository(), ".md", &mut documents);
    assert!(documents.len() >= 15, "{documents:?}");
    let mut links = 0;
    for document in &documents {
        let text = fs::read_to_string(document).unwrap();
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets {
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            let to = document.parent().unwrap().join(path);
            assert!(to.exists(), "{}: {target}", document.display());
            links += 1;
        }
    }
    assert!(links >= 15, "{links} links");
}

/// A file of tests that `main.rs` does not name would be read by nobody, and pass.
#[test]
fn every_file_of_tests_is_named_by_its_main() {
    for folder in ["formats", "node", "client", "tests"] {
        let folder = repository().join(folder).join("tests");
        let main = fs::read_to_string(folder.join("main.rs")).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let is_test = path.extension().is_some_and(|ending| ending == "rs") && name != "main";
            assert!(
                !is_test || main.contains(&format!("\nmod {name};")),
                "{} is not named in main.rs",
                path.display()
            );
        }
    }
}
