//! Nodes that run, as processes of their own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::world::homely;
use crate::{command, web};

/// Longest wait for the line of `run`. The surface says 5 s, which a test of its own holds; this
/// machine may be busy.
const UP: Duration = Duration::from_secs(30);

/// Longest wait for a node that was asked to stop.
const DOWN: Duration = Duration::from_secs(30);

/// Longest wait for a node that ends by itself.
const ENDS: Duration = Duration::from_secs(60);

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
    pub(crate) fn start(home: &Path, dir: &Path, filter: Option<&str>) -> Self {
        Self::start_with(home, dir, filter, &[])
    }

    /// The same, with further arguments of `run`.
    #[track_caller]
    pub(crate) fn start_with(home: &Path, dir: &Path, filter: Option<&str>, more: &[&str]) -> Self {
        let (child, lines, log) = process(home, dir, filter, more);
        let mut running = Self {
            child,
            log,
            info: Value::Null,
        };
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
        assert_eq!(
            code,
            Some(0),
            "it was asked to stop; its log: {}",
            self.log()
        );
    }

    /// Waits until it ends by itself; gives its exit status.
    #[track_caller]
    pub fn ends(mut self) -> i32 {
        let status = command::wait(&mut self.child, ENDS);
        let code = status.and_then(|status| status.code());
        code.unwrap_or_else(|| panic!("it did not end; its log: {}", self.log()))
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
        text.unwrap_or_else(|| panic!("no `{key}` in {}", self.info))
            .to_owned()
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

/// Starts `run` of a directory.
pub(crate) fn spawn(home: &Path, dir: &Path) -> Starting {
    let (child, lines, log) = process(home, dir, None, &[]);
    Starting { child, lines, log }
}

/// `run` of a directory, logging what `filter` says: the process, the lines that it prints, and its
/// log's file.
fn process(
    home: &Path,
    dir: &Path,
    filter: Option<&str>,
    more: &[&str],
) -> (Child, mpsc::Receiver<String>, PathBuf) {
    let log = dir.with_extension("log");
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .unwrap();
    writeln!(file, "--- run").unwrap();
    let config = bellwether_node::config::Config::load(dir).unwrap();
    let program = if config.provider.is_some() {
        command::node()
    } else {
        command::relay()
    };
    let mut command = homely(program, home);
    command.arg("run").args(more).arg("--data-dir").arg(dir);
    // A node runs as the owner of its directory; a test of root may give that to another.
    let owner = fs::metadata(dir).unwrap();
    if owner.uid() != rustix::process::geteuid().as_raw() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.envs(filter.map(|filter| ("RUST_LOG", filter)));
    crate::shim::attach(&mut command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file);
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
