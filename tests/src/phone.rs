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
        let at = bellwether_client::time::format(at);
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        self.verb(&[&["observe", "--scheme", "cx", "--at", &at][..], &ids].concat())
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
        self.verb(&[&to[..], &["--post", intake, "--ca", ca]].concat())
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
