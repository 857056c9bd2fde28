//! A phone that runs the binary, and a small world around it.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use bellwether_client::observations::{ContactId, Family};
use bellwether_client::time;
use bellwether_formats::batch::Batch;
use bellwether_formats::cid::Block;
use bellwether_formats::id::Level;
use bellwether_formats::share::Share;
use bellwether_formats::signed::Signed;
use serde_json::Value;

use crate::fixture::{Mirror, Provider, Server, identifier, part, zone};

/// A phone's state directory.
pub(crate) struct Phone {
    pub(crate) folder: tempfile::TempDir,
}

/// What a verb came to.
pub(crate) struct Done {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Phone {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    pub(crate) fn run(&self, verb: &str, args: &[&str]) -> Done {
        self.run_with(verb, args, "")
    }

    pub(crate) fn run_with(&self, verb: &str, args: &[&str], input: &str) -> Done {
        let state = self.folder.path().join("state");
        let verb = [verb, "--state", state.to_str().unwrap()];
        Self::spawn(&[&verb[..], args].concat(), input)
    }

    /// Plays a phone that broadcasts.
    pub(crate) fn device(&self, verb: &str, args: &[&str]) -> Done {
        Self::spawn(&[&["device", verb][..], args].concat(), "")
    }

    fn spawn(args: &[&str], input: &str) -> Done {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A verb that does not read its input may be gone by now.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    pub(crate) fn follow(&self, provider: &Provider, servers: &[&Server]) {
        let share = Share {
            provider: provider.id(),
            zones: vec![zone()],
            gateways: servers
                .iter()
                .enumerate()
                .map(|(number, server)| server.gateway(&format!("o{number}")))
                .collect(),
            peers: Vec::new(),
        };
        self.run("follow", &[&share.to_string()]).ok();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Done {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.out, self.err);
        self
    }

    /// Standard output as JSON lines.
    pub(crate) fn json(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

pub(crate) fn uuid(number: u8, index: usize) -> String {
    ContactId::from(identifier(number, index)).text(Family::Cx)
}

/// A provider that published seed 7 at level diagnosed, five minutes ago.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) provider: Provider,
    pub(crate) chain: Vec<Signed<Batch>>,
    pub(crate) body: Block,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = time::now();
        let provider = Provider::new(1, now);
        let (open, body) = part(now - 300, &[(7, Level::DIAGNOSED), (8, Level::SYMPTOMATIC)]);
        let mut chain = provider.heartbeats(2, now - 400);
        chain.push(provider.batch(chain.last(), now - 300, vec![open]));
        Self {
            now,
            provider,
            chain,
            body,
        }
    }

    pub(crate) fn mirror(&self) -> Mirror {
        Mirror::new(
            &self.provider,
            &self.chain,
            std::slice::from_ref(&self.body),
        )
    }

    pub(crate) fn hour_ago(&self) -> String {
        time::format(self.now - 3600)
    }
}
