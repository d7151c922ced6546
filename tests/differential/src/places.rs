// SPDX-License-Identifier: GPL-2.0-only

//! The types and devices of every parent, and their files.

use std::{
    fs::{
        self,
        File,
        OpenOptions, //
    },
    io,
    os::unix::fs::FileExt,
    path::{
        Path,
        PathBuf, //
    },
};

/// A type that migrates, under one parent.
#[derive(Debug)]
pub struct Type {
    path: PathBuf,
    name: String,
}

impl Type {
    /// All of them, in order.
    pub fn all() -> io::Result<Vec<Self>> {
        let mut types = Vec::new();
        for parent in entries(Path::new("/sys/class/mdev_bus"))? {
            for path in entries(&parent.join("mdev_supported_types"))? {
                if path.join("migration_version").exists() {
                    let name = format!("{}/{}", last(&parent), last(&path));
                    types.push(Self { path, name });
                }
            }
        }
        Ok(types)
    }

    /// `PARENT/TYPE`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its `migration_version`.
    pub fn version(&self) -> io::Result<Attribute> {
        Attribute::open(self.path.join("migration_version"))
    }

    /// Its `migration_baseline`.
    pub fn baseline(&self) -> io::Result<Attribute> {
        Attribute::open(self.path.join("migration_baseline"))
    }

    /// What can be written to that, one a line.
    pub fn baselines(&self) -> io::Result<Vec<String>> {
        let text = fs::read_to_string(self.path.join("migration_baselines"))?;
        Ok(text.lines().map(String::from).collect())
    }

    /// Creates a device.
    pub fn create(&self) -> io::Result<Device> {
        let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        let uuid = uuid.trim().to_string();
        fs::write(self.path.join("create"), &uuid)?;
        Ok(Device { uuid })
    }
}

/// A device, which is removed when this is dropped.
pub struct Device {
    uuid: String,
}

impl Device {
    /// Its name.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// Its `migration_version`.
    pub fn version(&self) -> io::Result<Attribute> {
        Attribute::open(self.path().join("migration_version"))
    }

    fn path(&self) -> PathBuf {
        Path::new("/sys/bus/mdev/devices").join(&self.uuid)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Err(error) = fs::write(self.path().join("remove"), "1") {
            println!("# {} is not removed: {error}", self.uuid);
        }
    }
}

/// An open file of sysfs.
pub struct Attribute {
    path: PathBuf,
    file: File,
}

/// What the kernel answers a write: 0, or a positive errno.
pub type Answer = i32;

impl Attribute {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).open(&path)?;
        Ok(Self { path, file })
    }

    /// What it says, without the newline.
    pub fn read(&self) -> io::Result<String> {
        let text = fs::read_to_string(&self.path)?;
        match text.strip_suffix('\n') {
            Some(line) => Ok(line.into()),
            None => Err(io::Error::other(format!("no newline ends {text:?}"))),
        }
    }

    /// Writes a text, which is not empty, in one pwrite(2).
    ///
    /// # Errors
    ///
    /// A write that is accepted in part only, which no attribute should do.
    pub fn write(&self, text: &[u8]) -> io::Result<Answer> {
        // The files take what is written at their beginning.
        match self.file.write_at(text, 0) {
            // More than a page is not handed to the driver; what the driver was handed, it took whole.
            Ok(count) if count == text.len() => Ok(0),
            Ok(count) => Err(io::Error::other(format!(
                "{count} of {} bytes written",
                text.len()
            ))),
            Err(error) => error.raw_os_error().ok_or(error),
        }
    }
}

/// The entries of a directory, in order.
fn entries(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect();
    let mut entries = entries?;
    entries.sort();
    Ok(entries)
}

fn last(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
