//! Nodes: made by `init`, run as processes of their own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bellwether_node::config::Config;
use serde_json::Value;

use crate::command::{self, Output};
use crate::world::homely;
use crate::{World, web};

/// Longest wait for the line of `run`. The surface says 5 s, which a test of its own holds; this
/// machine may be busy.
const UP: Duration = Duration::from_secs(30);

/// Longest wait for a node that was asked to stop.
const DOWN: Duration = Duration::from_secs(30);

/// A provider about to be made.
#[derive(Clone, Debug)]
pub struct Init {
    home: PathBuf,
    dir: PathBuf,
    name: String,
    zone: String,
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

    /// Makes it.
    #[track_caller]
    pub fn init(self) -> Provider {
        let mut command = homely(command::node(), &self.home);
        command.args(["init", "--name", &self.name, "--zone", &self.zone]).args(LISTEN);
        command.args(["--listen-intake", "127.0.0.1:0"]);
        command.args(["--interval", &self.interval, "--k", &self.k]).args(&self.more);
        command.arg("--signer-dir").arg(signer_dir(&self.dir));
        command.arg("--data-dir").arg(&self.dir);
        let made = command::run(&mut command).ok();
        let share = made.stdout.trim_end().to_owned();
        assert!(share.starts_with("bellwether:z6Mk") && !share.contains('\n'), "{made:?}");
        let id = share["bellwether:".len()..].split('?').next().unwrap().to_owned();
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
const LISTEN: [&str; 4] = ["--listen-http", "127.0.0.1:0", "--listen-p2p", "/ip4/127.0.0.1/tcp/0"];

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
        Running::start(&self.home, &self.dir)
    }

    /// Starts it and does not wait until it is up.
    #[track_caller]
    pub fn start(&self) -> Starting {
        let (child, lines, log) = spawn(&self.home, &self.dir);
        Starting { child, lines, log }
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
        let count = count.to_string();
        let issue = ["code", "issue", "--level", "diagnosed", "--zone", &self.zone];
        let issued = self.verb(&[&issue[..], &["--count", &count]].concat()).ok();
        issued.lines().into_iter().map(str::to_owned).collect()
    }

    /// Imports codes of level diagnosed.
    #[track_caller]
    pub fn import_codes(&self, codes: &[String]) {
        let file = self.dir.with_extension("codes");
        fs::write(&file, codes.join("\n")).unwrap();
        let file = file.to_str().unwrap();
        self.verb(&["code", "import", "--level", "diagnosed", "--zone", &self.zone, file]).ok();
    }

    /// Closes the batch and gives its CID.
    #[track_caller]
    pub fn publish(&self) -> String {
        let published = self.verb(&["publish"]).ok();
        let [cid] = published.lines()[..] else {
            panic!("one zone, one batch: {published:?}");
        };
        cid.to_owned()
    }

    /// `status --json` or `check --json`.
    #[track_caller]
    pub fn look(&self, verb: &str) -> Value {
        self.verb(&[verb, "--json"]).ok().json().remove(0)
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
        format!("bellwether:{}?zone={}{}", self.id, self.zone, named.collect::<String>())
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
        Self { home: world.path(""), dir }
    }

    /// Starts it.
    #[track_caller]
    pub fn run(&self) -> Running {
        Running::start(&self.home, &self.dir)
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

/// A node that starts. Dropped, it is killed; it must not have panicked.
#[derive(Debug)]
pub struct Starting {
    child: Child,
    lines: mpsc::Receiver<String>,
    log: PathBuf,
}

impl Starting {
    /// Its line, if it comes within a time.
    pub fn line(&mut self, patience: Duration) -> Option<String> {
        self.lines.recv_timeout(patience).ok()
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        end(&mut self.child, &self.log);
    }
}

/// A node that runs, as a process. Dropped, it is killed; it must not have panicked.
#[derive(Debug)]
pub struct Running {
    child: Child,
    log: PathBuf,
    /// The line that `run` printed.
    pub info: Value,
}

impl Running {
    /// Starts the node of a directory and waits for its line.
    #[track_caller]
    fn start(home: &Path, dir: &Path) -> Self {
        let (child, lines, log) = spawn(home, dir);
        let mut running = Self { child, log, info: Value::Null };
        let line = lines.recv_timeout(UP).unwrap_or_else(|_| {
            panic!("`run` printed no line; its log: {}", running.log());
        });
        running.info = serde_json::from_str(&line).unwrap();
        running
    }

    /// Asks it to stop, and waits for that.
    #[track_caller]
    pub fn stop(mut self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        let status = command::wait(&mut self.child, DOWN);
        let code = status.and_then(|status| status.code());
        assert_eq!(code, Some(0), "it was asked to stop; its log: {}", self.log());
    }

    /// Kills it, as a power cut would.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A text of its line.
    #[track_caller]
    pub fn text(&self, key: &str) -> String {
        let text = self.info[key].as_str();
        text.unwrap_or_else(|| panic!("no `{key}` in {}", self.info)).to_owned()
    }

    /// Its gateway's URL.
    #[track_caller]
    pub fn gateway(&self) -> String {
        self.text("gateway")
    }

    /// Its first address in the network.
    #[track_caller]
    pub fn p2p(&self) -> String {
        self.info["p2p"][0].as_str().unwrap().to_owned()
    }

    /// Whether its gateway serves a block.
    pub fn has(&self, cid: &str) -> bool {
        let url = format!("{}/ipfs/{cid}?format=raw", self.gateway());
        web::get(&url).is_ok_and(|answer| answer.status == 200)
    }

    /// What it logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        end(&mut self.child, &self.log);
    }
}

/// Ends a node's process, by its handle; one that has ended is no error.
fn end(child: &mut Child, log: &Path) {
    let _ = child.kill();
    let _ = child.wait();
    if !thread::panicking() {
        let log = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
        assert!(!log.contains("panicked"), "a node panicked: {log}");
    }
}

/// Starts `run` of a directory: the process, the lines that it prints, and its log's file.
fn spawn(home: &Path, dir: &Path) -> (Child, mpsc::Receiver<String>, PathBuf) {
    let log = dir.with_extension("log");
    let mut file = File::options().create(true).append(true).open(&log).unwrap();
    writeln!(file, "--- run").unwrap();
    let mut command = homely(command::node(), home);
    command.arg("run").arg("--data-dir").arg(dir);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(file);
    let mut child = command.spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::sync_channel(16);
    thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            // A test that no longer listens has what it wanted.
            let _ = sender.try_send(line);
        }
    });
    (child, lines, log)
}
