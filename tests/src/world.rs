//! The folder of a test, and how it waits.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

use crate::command::{self, Output};
use crate::{Device, Init, Phone};

/// Everything of a test: one temporary folder, gone with the test.
#[derive(Debug)]
pub struct World {
    folder: TempDir,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// An empty one.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("bellwether-test-")
            .tempdir();
        Self {
            folder: folder.unwrap(),
        }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A provider to be made, named like its folder, in zone `gb/sct`, with few dummies.
    pub fn provider(&self, name: &str) -> Init {
        Init::new(self, name)
    }

    /// A phone with an empty memory.
    pub fn phone(&self, name: &str) -> Phone {
        Phone::new(self.path(name))
    }

    /// A phone that broadcasts.
    pub fn device(&self, name: &str) -> Device {
        Device::new(self.path(name), "1")
    }

    /// A phone that broadcasts by a CX generator of this type: 1 or 2.
    pub fn device_of(&self, name: &str, generator: &str) -> Device {
        Device::new(self.path(name), generator)
    }

    /// A phone that broadcasts by a scheme, with a file named for it.
    pub fn device_by(&self, name: &str, scheme: &str) -> Device {
        Device::of_scheme(self.path(&format!("{name}-{scheme}.json")), scheme)
    }

    /// A verb of the node, with a directory: `--data-dir` goes last.
    #[track_caller]
    pub fn node(&self, dir: &Path, verb: &[&str]) -> Output {
        command::run(
            self.homely(command::node())
                .args(verb)
                .arg("--data-dir")
                .arg(dir),
        )
    }

    /// A command that finds its home, its temporary folder and nothing else of the user's here.
    pub(crate) fn homely(&self, command: Command) -> Command {
        homely(command, self.folder.path())
    }
}

pub(crate) fn homely(mut command: Command, home: &Path) -> Command {
    command
        .env("HOME", home)
        .env("TMPDIR", home)
        .env_remove("XDG_STATE_HOME");
    command.env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
    command
}

/// Tries until something is there: often, and for a minute at most. What is waited for takes
/// milliseconds on an idle machine.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "waited a minute for {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Now, in seconds of UTC.
pub fn utc() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}
