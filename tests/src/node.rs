//! Nodes' directories, made by `init`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether_node::config::{Config, Privacy};
use bellwether_node::init::{self, Listen, NewProvider};
use serde_json::Value;

use crate::command::{self, Output};
use crate::running::spawn;
use crate::world::homely;
use crate::{Running, Starting, World};

/// A provider about to be made.
#[derive(Clone, Debug)]
pub struct Init {
    home: PathBuf,
    dir: PathBuf,
    name: String,
    zone: String,
    privacy: Privacy,
    interval: String,
    k: String,
    more: Vec<String>,
}

impl Init {
    pub(crate) fn new(world: &World, name: &str) -> Self {
        Self {
            home: world.path(""),
            dir: world.path(name),
            name: format!("{name} of the test"),
            zone: "gb/sct".to_owned(),
            privacy: Privacy::Linkable,
            interval: "1h".to_owned(),
            k: "4".to_owned(),
            more: Vec::new(),
        }
    }

    /// The name that reports are addressed to.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// That it publishes sealed parts.
    pub fn unlinkable(mut self) -> Self {
        self.privacy = Privacy::Unlinkable;
        self
    }

    /// How often it publishes.
    pub fn every(mut self, interval: &str) -> Self {
        interval.clone_into(&mut self.interval);
        self
    }

    /// Further arguments of `init`.
    pub fn with(mut self, args: &[&str]) -> Self {
        self.more.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Makes it as if it were that time, in seconds of UTC: its keys count from then on.
    #[track_caller]
    pub fn init_at(self, now: u64) -> Provider {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let new = NewProvider {
            name: self.name.clone(),
            zones: vec![self.zone.parse().unwrap()],
            privacy: self.privacy,
            interval: Duration::from_hours(6),
            k: 4,
            listen: Listen {
                http: Some(any),
                intake: Some(any),
                p2p: vec!["/ip4/127.0.0.1/tcp/0".to_owned()],
                bootstrap: Vec::new(),
            },
            tls: None,
            gateways: Vec::new(),
            signer_dir: Some(signer_dir(&self.dir)),
            operator: None,
        };
        let share = init::provider(&self.dir, new, now).unwrap();
        Provider {
            home: self.home,
            dir: self.dir,
            name: self.name,
            zone: self.zone,
            id: share.provider.to_string(),
        }
    }

    /// Makes it.
    #[track_caller]
    pub fn init(self) -> Provider {
        let mut command = homely(command::node(), &self.home);
        command
            .args(["init", "--name", &self.name, "--zone", &self.zone])
            .args(LISTEN);
        command.args(["--listen-intake", "127.0.0.1:0"]);
        let privacy = match self.privacy {
            Privacy::Unlinkable => "unlinkable",
            Privacy::Linkable => "linkable",
        };
        command
            .args(["--privacy", privacy])
            .args(["--interval", &self.interval, "--k", &self.k])
            .args(&self.more);
        command.arg("--signer-dir").arg(signer_dir(&self.dir));
        command.arg("--data-dir").arg(&self.dir);
        let made = command::run(&mut command).ok();
        let share = made.stdout.trim_end().to_owned();
        assert!(
            share.starts_with("bellwether:z6Mk") && !share.contains('\n'),
            "{made:?}"
        );
        let id = share["bellwether:".len()..]
            .split('?')
            .next()
            .unwrap()
            .to_owned();
        Provider {
            home: self.home,
            dir: self.dir,
            name: self.name,
            zone: self.zone,
            id,
        }
    }
}

/// Free ports of loopback.
const LISTEN: [&str; 4] = [
    "--listen-http",
    "127.0.0.1:0",
    "--listen-p2p",
    "/ip4/127.0.0.1/tcp/0",
];

/// Where the signer of a provider's directory remembers: beside it.
pub(crate) fn signer_dir(dir: &Path) -> PathBuf {
    dir.with_extension("signer")
}

/// A provider's directory.
#[derive(Clone, Debug)]
pub struct Provider {
    home: PathBuf,
    /// Its data directory.
    pub dir: PathBuf,
    /// The name that reports are addressed to.
    pub name: String,
    /// Its zone.
    pub zone: String,
    /// Its id.
    pub id: String,
}

impl Provider {
    /// Starts it.
    #[track_caller]
    pub fn run(&self) -> Running {
        Running::start(&self.home, &self.dir, None)
    }

    /// Starts it, so that it logs as much as there is to log.
    #[track_caller]
    pub fn run_talkative(&self) -> Running {
        Running::start(&self.home, &self.dir, Some("trace"))
    }

    /// Has the professional's page, with these users and their passwords.
    #[track_caller]
    pub fn with_users(self, users: &[(&str, &str)]) -> Self {
        self.configure(|config| {
            config.provider.as_mut().unwrap().intake.users = Some("users".into());
        });
        for (name, password) in users {
            self.verb_fed(&["user", "add", name], &format!("{password}\n"))
                .ok();
        }
        self
    }

    /// A verb on it, `--data-dir` added, with this on its standard input.
    #[track_caller]
    pub fn verb_fed(&self, verb: &[&str], input: &str) -> Output {
        let mut command = homely(command::node(), &self.home);
        command.args(verb).arg("--data-dir").arg(&self.dir);
        command::run_fed(&mut command, input)
    }

    /// Starts it, so that it only catches up.
    #[track_caller]
    pub fn run_without_publishing(&self) -> Running {
        Running::start_with(&self.home, &self.dir, None, &["--no-publish"])
    }

    /// Starts it and does not wait until it is up.
    #[track_caller]
    pub fn start(&self) -> Starting {
        spawn(&self.home, &self.dir)
    }

    /// A verb on it, `--data-dir` added.
    #[track_caller]
    pub fn verb(&self, verb: &[&str]) -> Output {
        let mut command = homely(command::node(), &self.home);
        command::run(command.args(verb).arg("--data-dir").arg(&self.dir))
    }

    /// Issues codes of level diagnosed.
    #[track_caller]
    pub fn codes(&self, count: usize) -> Vec<String> {
        self.codes_in(&self.zone, count)
    }

    /// Issues codes of level diagnosed, of one of its zones.
    #[track_caller]
    pub fn codes_in(&self, zone: &str, count: usize) -> Vec<String> {
        let count = count.to_string();
        let issue = ["code", "issue", "--level", "diagnosed", "--zone", zone];
        let issued = self.verb(&[&issue[..], &["--count", &count]].concat()).ok();
        issued.lines().into_iter().map(str::to_owned).collect()
    }

    /// Imports codes of level diagnosed.
    #[track_caller]
    pub fn import_codes(&self, codes: &[String]) {
        let file = self.dir.with_extension("codes");
        fs::write(&file, codes.join("\n")).unwrap();
        let file = file.to_str().unwrap();
        self.verb(&[
            "code",
            "import",
            "--level",
            "diagnosed",
            "--zone",
            &self.zone,
            file,
        ])
        .ok();
    }

    /// Closes the batch and gives its CID.
    #[track_caller]
    pub fn publish(&self) -> String {
        let mut published = self.publish_all();
        assert_eq!(published.len(), 1, "one zone, one batch: {published:?}");
        published.remove(0)
    }

    /// Closes the batches of all zones, revisions and folds too, and gives their CIDs, in order.
    #[track_caller]
    pub fn publish_all(&self) -> Vec<String> {
        let published = self.verb(&["publish"]).ok();
        published.lines().into_iter().map(str::to_owned).collect()
    }

    /// `status --json` or `check --json`.
    #[track_caller]
    pub fn look(&self, verb: &str) -> Value {
        self.verb(&[verb, "--json"]).ok().json().remove(0)
    }

    /// Conditions that `check` finds: the names of errors and of warnings.
    #[track_caller]
    pub fn conditions(&self) -> (Vec<String>, Vec<String>) {
        conditions(&self.verb(&["check", "--json"]))
    }

    /// The certificate that its intake shows.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("tls/cert.pem")
    }

    /// Changes its `node.toml`.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        configure(&self.dir, change);
    }

    /// The feed's path under `/v1/feeds/`.
    pub fn feed(&self) -> String {
        format!("{}/{}", self.id, self.zone)
    }

    /// What a follower of other gateways than the provider's is given.
    pub fn share(&self, gateways: &[(&str, &str)]) -> String {
        let named = gateways.iter().map(|(url, operator)| {
            format!("&gateway={url}&operator={}", operator.replace(' ', "%20"))
        });
        format!(
            "bellwether:{}?zone={}{}",
            self.id,
            self.zone,
            named.collect::<String>()
        )
    }
}

/// A relay's directory.
#[derive(Clone, Debug)]
pub struct Relay {
    home: PathBuf,
    /// Its data directory.
    pub dir: PathBuf,
}

impl Relay {
    /// Makes a relay for what `follow` says: `["--follow", share]`, or `["--provider", …]`.
    #[track_caller]
    pub fn init(world: &World, name: &str, follow: &[&str]) -> Self {
        let dir = world.path(name);
        let operator = ["--operator", name];
        let verb = [&["init", "--relay"][..], &operator, &LISTEN, follow].concat();
        world.node(&dir, &verb).ok();
        Self {
            home: world.path(""),
            dir,
        }
    }

    /// Starts it.
    #[track_caller]
    pub fn run(&self) -> Running {
        Running::start(&self.home, &self.dir, None)
    }

    /// A verb on it, `--data-dir` added.
    #[track_caller]
    pub fn verb(&self, verb: &[&str]) -> Output {
        let mut command = homely(command::node(), &self.home);
        command::run(command.args(verb).arg("--data-dir").arg(&self.dir))
    }

    /// Changes its `node.toml`.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        configure(&self.dir, change);
    }
}

fn configure(dir: &Path, change: impl FnOnce(&mut Config)) {
    let mut config = Config::load(dir).unwrap();
    change(&mut config);
    config.save(dir).unwrap();
}

/// The names of the errors and warnings in what `check --json` or `status --json` prints.
#[track_caller]
pub fn conditions(said: &Output) -> (Vec<String>, Vec<String>) {
    let said = said.json().remove(0);
    let names = |list: &str| {
        let list = said[list].as_array().unwrap().iter();
        list.map(|entry| entry["name"].as_str().unwrap().to_owned())
            .collect()
    };
    (names("errors"), names("warnings"))
}
