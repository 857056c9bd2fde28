//! The binaries under test, and how a verb is run: to its end, within a time, output captured.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Longest time that a verb takes, on a machine that has other things to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a verb said.
#[derive(Debug)]
pub struct Output {
    /// The command line, for messages.
    pub line: String,
    /// Exit status.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// The output of a verb that must have ended with `code`.
    #[track_caller]
    pub fn exit(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }

    /// The output of a verb that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exit(0)
    }

    /// The lines of standard output.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    /// Standard output as one JSON object a line.
    #[track_caller]
    pub fn json(&self) -> Vec<serde_json::Value> {
        let read = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{self:#?}"));
        self.lines().into_iter().map(read).collect()
    }
}

/// The node's binary.
pub fn node() -> Command {
    Command::new(&binaries().0)
}

/// What relays run: the node's binary, or the one that `BELLWETHER_RELAY` names, as that of an
/// earlier version.
pub fn relay() -> Command {
    std::env::var_os("BELLWETHER_RELAY").map_or_else(node, Command::new)
}

/// The client's binary.
pub fn client() -> Command {
    Command::new(&binaries().1)
}

/// Runs a command to its end. It must neither hang nor panic.
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    run_within(command, PATIENCE)
}

/// Runs a command to its end, with this on its standard input.
#[track_caller]
pub fn run_fed(command: &mut Command, input: &str) -> Output {
    run_to_end(command, Some(input), PATIENCE)
}

/// Runs a command to its end, within a time.
#[track_caller]
pub fn run_within(command: &mut Command, patience: Duration) -> Output {
    run_to_end(command, None, patience)
}

#[track_caller]
fn run_to_end(command: &mut Command, input: Option<&str>, patience: Duration) -> Output {
    let args = command.get_args().map(OsStr::to_string_lossy);
    let line = args.collect::<Vec<_>>().join(" ");
    crate::shim::attach(command);
    command.stdin(input.map_or_else(Stdio::null, |_| Stdio::piped()));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // Less than a pipe holds, so this does not wait; one that ended early did not want it.
        let _ = stdin.write_all(input.as_bytes());
    }
    let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let (stdout, stderr) = (
        thread::spawn(|| slurp(stdout)),
        thread::spawn(|| slurp(stderr)),
    );
    let status = wait(&mut child, patience);
    if status.is_none() {
        // This very child, by its handle.
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    assert!(
        status.is_some(),
        "`{line}` hangs; it said: {stdout}\n{stderr}"
    );
    assert!(!stderr.contains("panicked"), "`{line}` panicked: {stderr}");
    let code = status.and_then(|status| status.code()).unwrap_or(-1);
    Output {
        line,
        code,
        stdout,
        stderr,
    }
}

/// Waits for a child's end; none if it takes too long.
pub fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let began = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return Some(status),
            None if began.elapsed() > patience => return None,
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn slurp(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Where the two binaries lie: beside the test's own executable, built if they are not there or
/// older than what they are built from.
fn binaries() -> &'static (PathBuf, PathBuf) {
    static BINARIES: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    BINARIES.get_or_init(|| {
        let exe = std::env::current_exe().unwrap();
        let folder = exe.ancestors().nth(2).unwrap().to_owned();
        let suffix = std::env::consts::EXE_SUFFIX;
        let path = |name| folder.join(format!("{name}{suffix}"));
        let both = (path("bellwether-node"), path("bellwether"));
        if !is_fresh(&both.0) || !is_fresh(&both.1) {
            build(&folder);
        }
        both
    })
}

fn build(folder: &Path) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(crate::repository())
        .arg("build")
        .arg("--locked");
    cargo.args(["-p", "bellwether-node", "-p", "bellwether-client", "--bins"]);
    cargo.arg("--target-dir").arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(
        cargo.status().unwrap().success(),
        "the binaries do not build"
    );
}

/// Whether a binary is newer than everything in the workspace that it is built from. (Cargo's own
/// list of that stands beside it only after `cargo build`, not after `cargo test`.)
fn is_fresh(binary: &Path) -> bool {
    let Ok(built) = fs::metadata(binary).and_then(|file| file.modified()) else {
        return false;
    };
    let root = crate::repository();
    let sources = ["formats", "node", "client"].map(|member| root.join(member));
    let mut left: Vec<PathBuf> = vec![root.join("Cargo.toml"), root.join("Cargo.lock")];
    for member in sources {
        left.extend([member.join("Cargo.toml"), member.join("src")]);
    }
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if !is_older(&path, built) {
            return false;
        }
    }
    true
}

fn is_older(source: &Path, built: SystemTime) -> bool {
    let changed = fs::metadata(source).and_then(|file| file.modified());
    changed.is_ok_and(|changed| changed <= built)
}
