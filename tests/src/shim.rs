//! Clocks and disks of processes under test: a library of some lines of C (`shim.c`), compiled once
//! a run and preloaded, moves the clocks that a process reads and fails its writes as a full disk
//! does. A test changes both while the process runs.
//!
//! [`Shim::of`] a data directory or a phone's state: whatever the harness runs on that path from
//! then on has the shim, `run` and verbs alike.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Bytes of `struct control` in `shim.c`: two clocks, two flags, a folder, and what aligns it.
const SIZE: u64 = 1048;

/// Offsets of its fields.
const WALL: u64 = 0;
const MONOTONIC: u64 = 8;
const FULL: u64 = 16;
const DEAF: u64 = 17;
const PREFIX: u64 = 18;

/// Longest folder that can be full, in bytes; a zero follows.
const MAX_PREFIX: usize = 1023;

/// The clocks and the disk of the processes of one directory.
#[derive(Debug)]
pub struct Shim {
    control: File,
}

impl Shim {
    /// For all processes that the harness starts on this data directory, or this phone's state, from
    /// now on. Their clocks are right and their disk has room until something else is said.
    #[track_caller]
    pub fn of(dir: &Path) -> Self {
        let mut options = File::options();
        let control = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(control_file(dir))
            .unwrap();
        control.set_len(SIZE).unwrap();
        Self { control }
    }

    #[expect(
        clippy::host_endian_bytes,
        reason = "read by a process on this machine"
    )]
    fn number(&self, at: u64, seconds: i64) {
        self.write(at, &seconds.to_ne_bytes());
    }

    /// Moves the wall clock: it shows this many seconds more than the machine's.
    pub fn set_wall(&self, seconds: i64) {
        self.number(WALL, seconds);
    }

    /// Moves the monotonic clocks by this many seconds in all. They cannot go back.
    pub fn set_monotonic(&self, seconds: u32) {
        self.number(MONOTONIC, i64::from(seconds));
    }

    /// Lets time pass: both clocks go on by this many seconds from the machine's.
    pub fn pass(&self, seconds: u32) {
        self.set_monotonic(seconds);
        self.set_wall(i64::from(seconds));
    }

    /// Fills the disk on which `folder` lies: nothing can be written below it, nor made durable.
    #[track_caller]
    pub fn fill_disk(&self, folder: &Path) {
        let folder = fs::canonicalize(folder).unwrap();
        let mut prefix = folder.as_os_str().as_bytes().to_vec();
        prefix.push(b'/');
        assert!(prefix.len() <= MAX_PREFIX, "{folder:?} is too long");
        prefix.push(0);
        self.write(PREFIX, &prefix);
        self.write(FULL, &[1]);
    }

    /// Makes room on the disk again.
    pub fn free_disk(&self) {
        self.write(FULL, &[0]);
    }

    /// Tells whether standard error lies on a full disk.
    pub fn fill_stderr(&self, full: bool) {
        self.write(DEAF, &[u8::from(full)]);
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        self.control.write_all_at(bytes, at).unwrap();
    }
}

/// Gives a command the shim, if the directory that it is for has one.
pub(crate) fn attach(command: &mut Command) {
    let args: Vec<OsString> = command.get_args().map(OsString::from).collect();
    let of = |pair: &[OsString]| match pair {
        [name, dir] if name == "--data-dir" || name == "--state" => {
            Some(control_file(Path::new(dir)))
        }
        _ => None,
    };
    let control = args.windows(2).find_map(of).filter(|file| file.exists());
    if let Some(control) = control {
        command
            .env("LD_PRELOAD", library())
            .env("BELLWETHER_SHIM", control);
    }
}

/// Beside the directory, so that it is no file of the directory.
fn control_file(dir: &Path) -> PathBuf {
    dir.with_extension("shim")
}

/// The library, compiled by the C compiler that the build needs anyway.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = crate::repository().join("tests/src/shim.c");
        let folder = std::env::current_exe().unwrap();
        let folder = folder.parent().unwrap().to_owned();
        // Another run may compile it at the same moment: each under a name of its own, then renamed.
        let made = folder.join(format!("shim-{}.so", std::process::id()));
        let library = folder.join("shim.so");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let status = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(&made)
            .arg(&source)
            .arg("-ldl")
            .status();
        assert!(status.unwrap().success(), "{source:?} does not compile");
        fs::rename(&made, &library).unwrap();
        library
    })
}
