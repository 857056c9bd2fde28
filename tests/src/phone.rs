//! Phones: `bellwether` with a state of its own, and the device that broadcasts.

use std::path::PathBuf;

use serde_json::Value;

use crate::command::{self, Output};

/// A phone that observes, syncs and is alerted.
#[derive(Clone, Debug)]
pub struct Phone {
    /// Its memory.
    pub state: PathBuf,
}

/// What `alerts --json` answered.
#[derive(Debug)]
pub struct Alerts {
    /// Exit status.
    pub code: i32,
    /// A line each.
    pub lines: Vec<Value>,
    /// What was told on stderr.
    pub told: String,
}

impl Phone {
    pub(crate) const fn new(state: PathBuf) -> Self {
        Self { state }
    }

    /// A verb on it, `--state` added.
    #[track_caller]
    pub fn verb(&self, verb: &[&str]) -> Output {
        let mut command = command::client();
        command
            .args(&verb[..1])
            .arg("--state")
            .arg(&self.state)
            .args(&verb[1..]);
        command::run(&mut command)
    }

    /// Follows a share string.
    #[track_caller]
    pub fn follow(&self, share: &str) -> &Self {
        self.verb(&["follow", share]).ok();
        self
    }

    /// Observed these an hour ago.
    #[track_caller]
    pub fn observed(&self, ids: &[String]) -> &Self {
        self.observed_at(ids, crate::utc() - 3600)
    }

    /// Observed these at a time.
    #[track_caller]
    pub fn observed_at(&self, ids: &[String], at: u64) -> &Self {
        self.observed_of("cx", ids, at)
    }

    /// Observed these of a family at a time.
    #[track_caller]
    pub fn observed_of(&self, family: &str, ids: &[String], at: u64) -> &Self {
        let at = bellwether_client::time::format(at);
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        self.verb(&[&["observe", "--scheme", family, "--at", &at][..], &ids].concat())
            .ok();
        self
    }

    /// Syncs; every feed must be reached.
    #[track_caller]
    pub fn sync(&self) -> Value {
        self.sync_with(&[])
    }

    /// Syncs with further arguments; every feed must be reached.
    #[track_caller]
    pub fn sync_with(&self, args: &[&str]) -> Value {
        let verb = [&["sync", "--json"], args].concat();
        self.verb(&verb).ok().json().remove(0)
    }

    /// What it is alerted of.
    #[track_caller]
    pub fn alerts(&self) -> Alerts {
        let said = self.verb(&["alerts", "--json"]);
        Alerts {
            code: said.code,
            lines: said.json(),
            told: said.stderr,
        }
    }
}

impl Alerts {
    /// The levels, one a line.
    pub fn levels(&self) -> Vec<&str> {
        self.lines
            .iter()
            .map(|line| line["level"].as_str().unwrap())
            .collect()
    }
}

/// A phone that broadcasts and reports.
#[derive(Clone, Debug)]
pub struct Device {
    file: PathBuf,
}

impl Device {
    #[track_caller]
    pub(crate) fn new(file: PathBuf, generator: &str) -> Self {
        let device = Self { file };
        device.verb(&["new", "--type", generator]).ok();
        device
    }

    #[track_caller]
    pub(crate) fn of_scheme(file: PathBuf, scheme: &str) -> Self {
        let device = Self { file };
        let verb: &[&str] = match scheme {
            "cx1" => &["new", "--scheme", "cx", "--type", "1"],
            "cx2" => &["new", "--scheme", "cx", "--type", "2"],
            other => &["new", "--scheme", other],
        };
        device.verb(verb).ok();
        device
    }

    /// What it broadcasts at a time.
    #[track_caller]
    pub fn id_at(&self, at: u64) -> String {
        let at = bellwether_client::time::format(at);
        let said = self.verb(&["ids", "--at", &at]).ok();
        said.lines().remove(0).to_owned()
    }

    /// Token and key that it and another have in common, for FANNY.
    #[track_caller]
    pub fn token_with(&self, peer: &str, at: u64) -> String {
        let at = bellwether_client::time::format(at);
        let said = self.verb(&["ids", "--peer", peer, "--at", &at]).ok();
        said.lines().remove(0).to_owned()
    }

    /// A copy, which reports what this one broadcast until now.
    #[track_caller]
    pub fn copy(&self) -> Self {
        let file = self.file.with_extension("copy");
        std::fs::copy(&self.file, &file).unwrap();
        Self { file }
    }

    /// What it broadcasts next.
    #[track_caller]
    pub fn ids(&self, count: usize) -> Vec<String> {
        let said = self.verb(&["ids", "--count", &count.to_string()]).ok();
        said.lines().into_iter().map(str::to_owned).collect()
    }

    /// Reports to an intake; gives what the verb said.
    #[track_caller]
    pub fn report(&self, provider: &crate::Provider, intake: &str, code: &str) -> Output {
        let ca = provider.certificate();
        let ca = ca.to_str().unwrap();
        let to = ["report", "--publisher", &provider.name, "--code", code];
        let at = ["--provider", &provider.id, "--post", intake, "--ca", ca];
        self.verb(&[&to[..], &at].concat())
    }

    /// A verb on it, `--file` added.
    #[track_caller]
    pub fn verb(&self, verb: &[&str]) -> Output {
        let mut command = command::client();
        command
            .arg("device")
            .args(&verb[..1])
            .arg("--file")
            .arg(&self.file)
            .args(&verb[1..]);
        command::run(&mut command)
    }
}
