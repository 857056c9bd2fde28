//! A phone on disk: JSON, readable by its owner only, replaced as a whole.
//!
//! Version 1 is a phone of CX, version 2 one of another scheme.

use super::Phone;
use super::cx::{Device, MAX_PAST_SEEDS, Preseed};
use bellwether_formats::scheme::cx::Generator;
use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use tempfile::NamedTempFile;
use zeroize::{Zeroize, Zeroizing};

/// Version of the form of CX's file.
const VERSION: u32 = 1;
/// Version of the form of all others.
const PHONE_VERSION: u32 = 2;
/// Longest device file that is read, in bytes (1 MiB); the longest that is written, of a seed an
/// epoch for three weeks, has less than half of it.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// What of a file must be known before the rest is read.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The content of the file of a phone of another scheme than CX.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct PhoneFile<P> {
    version: u32,
    phone: P,
}

/// The content of CX's file. Secrets are in hex.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct DeviceFile {
    version: u32,
    /// CX's generator type.
    generator: u64,
    signing_key: String,
    preseed: String,
    handed_out: usize,
    past_preseeds: Vec<String>,
}

impl Device {
    /// Reads a device from its file.
    ///
    /// # Errors
    ///
    /// [`DeviceFileError`] if the file cannot be read, or is anything but what
    /// [`save`](Self::save) writes.
    pub fn load(path: &Path) -> Result<Self, DeviceFileError> {
        let file: DeviceFile = parse(path, &read(path)?)?;
        file.to_device().map_err(|why| broken(path, why))
    }

    /// Writes the device to its file, replacing what was there in one step.
    ///
    /// When it returns, the device survives a power cut. Only the file's owner can read it.
    ///
    /// # Errors
    ///
    /// [`DeviceFileError::Write`]; the file is then as before.
    pub fn save(&self, path: &Path) -> Result<(), DeviceFileError> {
        replace(path, &DeviceFile::of(self))
    }

    /// As [`save`](Self::save), but refuses to replace a file: it may be somebody's only key.
    ///
    /// # Errors
    ///
    /// [`DeviceFileError::Write`], also if the file is there already.
    pub fn save_new(&self, path: &Path) -> Result<(), DeviceFileError> {
        create(path, &DeviceFile::of(self))
    }
}

/// As for a [`Device`], for a phone of any scheme.
impl Phone {
    /// Reads a phone from its file.
    ///
    /// # Errors
    ///
    /// [`DeviceFileError`] if the file cannot be read, or is anything but what
    /// [`save`](Self::save) writes.
    pub fn load(path: &Path) -> Result<Self, DeviceFileError> {
        let text = read(path)?;
        let Version { version } = parse(path, &text)?;
        match version {
            VERSION => Device::load(path).map(Self::Cx),
            PHONE_VERSION => {
                let file: PhoneFile<Self> = parse(path, &text)?;
                Ok(file.phone)
            }
            _ => Err(broken(path, OTHER_VERSION)),
        }
    }

    /// Writes the phone to its file, replacing what was there in one step. When it returns, the
    /// phone survives a power cut. Only the file's owner can read it.
    ///
    /// # Errors
    ///
    /// [`DeviceFileError::Write`]; the file is then as before.
    pub fn save(&self, path: &Path) -> Result<(), DeviceFileError> {
        match self {
            Self::Cx(device) => device.save(path),
            phone => replace(path, &PhoneFile::of(phone)),
        }
    }

    /// As [`save`](Self::save), but refuses to replace a file.
    ///
    /// # Errors
    ///
    /// [`DeviceFileError::Write`], also if the file is there already.
    pub fn save_new(&self, path: &Path) -> Result<(), DeviceFileError> {
        match self {
            Self::Cx(device) => device.save_new(path),
            phone => create(path, &PhoneFile::of(phone)),
        }
    }
}

impl<P> PhoneFile<P> {
    const fn of(phone: P) -> Self {
        Self {
            version: PHONE_VERSION,
            phone,
        }
    }
}

impl DeviceFile {
    fn of(device: &Device) -> Self {
        Self {
            version: VERSION,
            generator: device.generator.code().into(),
            signing_key: HEXLOWER.encode(device.key.as_bytes()),
            preseed: HEXLOWER.encode(&device.current),
            handed_out: device.handed_out,
            past_preseeds: (device.past.iter())
                .map(|preseed| HEXLOWER.encode(preseed))
                .collect(),
        }
    }

    /// Checks what a type does not say.
    fn to_device(&self) -> Result<Device, &'static str> {
        if self.version != VERSION {
            return Err(OTHER_VERSION);
        }
        let generator =
            Generator::from_code(self.generator).ok_or("its generator type is not known")?;
        let key = bytes(&self.signing_key, 32).ok_or("its signing key is not 32 bytes of hex")?;
        let key = key.as_slice().try_into().map_err(|_| "its signing key")?;
        let preseed = |text: &String| {
            bytes(text, generator.seed_len()).ok_or("a pre-seed is not of the generator's length")
        };
        if self.handed_out > Generator::MAX_IDENTIFIERS {
            return Err("it handed out more identifiers than a seed has");
        }
        if self.past_preseeds.len() > MAX_PAST_SEEDS {
            return Err("it has too many past pre-seeds");
        }
        Ok(Device {
            generator,
            key: SigningKey::from_bytes(key),
            current: preseed(&self.preseed)?,
            handed_out: self.handed_out,
            past: self
                .past_preseeds
                .iter()
                .map(preseed)
                .collect::<Result<_, _>>()?,
        })
    }
}

const OTHER_VERSION: &str = "it is of another scheme, or of another version of this program";

/// The text of a file.
fn read(path: &Path) -> Result<Zeroizing<String>, DeviceFileError> {
    let mut text = Zeroizing::new(String::new());
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|source| DeviceFileError::Read {
            path: path.to_owned(),
            source,
        })?;
    if u64::try_from(text.len()).is_ok_and(|len| len > MAX_FILE_BYTES) {
        return Err(broken(path, "it is too long"));
    }
    Ok(text)
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, DeviceFileError> {
    serde_json::from_str(text).map_err(|source| DeviceFileError::Json {
        path: path.to_owned(),
        source,
    })
}

fn replace(path: &Path, content: &impl Serialize) -> Result<(), DeviceFileError> {
    write(content, path, |file, path| file.persist(path)).map_err(|error| write_error(path, error))
}

fn create(path: &Path, content: &impl Serialize) -> Result<(), DeviceFileError> {
    write(content, path, |file, path| file.persist_noclobber(path))
        .map_err(|error| write_error(path, error))
}

/// Temporary file (mode 0600), fsync, `put` in place, fsync of the directory.
fn write<T>(
    content: &impl Serialize,
    path: &Path,
    put: impl FnOnce(NamedTempFile, &Path) -> Result<T, tempfile::PersistError>,
) -> io::Result<()> {
    let mut json = Zeroizing::new(serde_json::to_vec_pretty(content)?);
    json.push(b'\n');
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".device-")
        .tempfile_in(folder)?;
    file.write_all(&json)?;
    file.as_file().sync_all()?;
    put(file, path)?;
    File::open(folder)?.sync_all()
}

impl Drop for DeviceFile {
    fn drop(&mut self) {
        self.signing_key.zeroize();
        self.preseed.zeroize();
        self.past_preseeds.zeroize();
    }
}

/// The `len` bytes that `text` spells.
fn bytes(text: &str, len: usize) -> Option<Preseed> {
    let bytes = Zeroizing::new(HEXLOWER.decode(text.as_bytes()).ok()?);
    (bytes.len() == len).then_some(bytes)
}

fn broken(path: &Path, why: &'static str) -> DeviceFileError {
    DeviceFileError::Broken {
        path: path.to_owned(),
        why,
    }
}

fn write_error(path: &Path, source: io::Error) -> DeviceFileError {
    DeviceFileError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Why a device's file is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum DeviceFileError {
    #[error("cannot read the device `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{}` is not a device file", path.display())]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("`{}` is not a device file: {why}", path.display())]
    Broken { path: PathBuf, why: &'static str },
    #[error("cannot write the device `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
}
