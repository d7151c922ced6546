// SPDX-License-Identifier: GPL-2.0-only
//! Mediated devices as sysfs shows them: types under a parent, devices under a type.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// The types that the cases know, each with its number of serial ports, and whether its devices migrate.
const KINDS: [(&str, usize, bool); 3] = [
    ("migdev-serial1", 1, true),
    ("migdev-serial1-local", 1, false),
    ("migdev-serial2", 2, true),
];

/// A directory in a parent's `mdev_supported_types`.
#[derive(Clone, Debug)]
pub struct MdevType {
    path: PathBuf,
}

impl MdevType {
    /// All types of the parent, by name. The parent is a name in `/sys/class/mdev_bus`.
    ///
    /// # Errors
    ///
    /// `ENOENT` where no such parent is registered.
    pub fn all(parent: &str) -> Result<Vec<Self>, Errno> {
        let folder = Path::new("/sys/class/mdev_bus")
            .join(parent)
            .join("mdev_supported_types");
        let mut types = Vec::new();
        for entry in fs::read_dir(folder).map_err(errno_of)? {
            types.push(MdevType {
                path: entry.map_err(errno_of)?.path(),
            });
        }
        types.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(types)
    }

    /// The directory's name, such as `migdev-serial1`.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of serial ports that a device of this type has; `None` for a type that is not in the list.
    pub fn ports(&self) -> Option<usize> {
        self.kind().map(|(_, ports, _)| *ports)
    }

    /// Whether a device of this type migrates.
    pub fn migrates(&self) -> bool {
        self.kind().is_some_and(|(_, _, migrates)| *migrates)
    }

    /// Another type of the same parent, by its name.
    pub fn sibling(&self, name: &str) -> Self {
        MdevType {
            path: self.path.with_file_name(name),
        }
    }

    /// The same type under another parent, if there is one.
    ///
    /// # Errors
    ///
    /// What sysfs answers.
    pub fn elsewhere(&self) -> Result<Option<Self>, Errno> {
        let here = fs::canonicalize(&self.path).map_err(errno_of)?;
        for parent in fs::read_dir("/sys/class/mdev_bus").map_err(errno_of)? {
            let types = parent.map_err(errno_of)?.path();
            let path = types.join("mdev_supported_types").join(self.name());
            if fs::canonicalize(&path).is_ok_and(|there| there != here) {
                return Ok(Some(MdevType { path }));
            }
        }
        Ok(None)
    }

    /// How many more devices of it there can be.
    ///
    /// # Errors
    ///
    /// As for [`available`].
    pub fn available(&self) -> Result<u32, Errno> {
        available(&self.path)
    }

    /// At which versions its devices are created, or are to be from now on.
    pub fn baseline(&self) -> PathBuf {
        self.path.join("migration_baseline")
    }

    fn kind(&self) -> Option<&'static (&'static str, usize, bool)> {
        let name = self.name();
        KINDS.iter().find(|(known, _, _)| *known == name)
    }
}

/// A mediated device. One that was created here is removed when it goes out of scope.
#[derive(Debug)]
pub struct Mdev {
    path: PathBuf,
    kind: MdevType,
    created: bool,
}

impl Mdev {
    /// Creates a device of the type under a fresh UUID.
    ///
    /// # Errors
    ///
    /// What the write to `create` answers; `ETIMEDOUT` when the device did not appear.
    pub fn create(kind: &MdevType) -> Result<Self, Errno> {
        let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(errno_of)?;
        let uuid = uuid.trim();
        fs::write(kind.path.join("create"), uuid).map_err(errno_of)?;
        Ok(Mdev {
            path: Path::new("/sys/bus/mdev/devices").join(uuid),
            kind: kind.clone(),
            created: true,
        })
    }

    /// Takes a device that exists already, and leaves it there at the end.
    ///
    /// # Errors
    ///
    /// `ENOENT` when there is none with this UUID.
    pub fn existing(uuid: &str) -> Result<Self, Errno> {
        let path = Path::new("/sys/bus/mdev/devices").join(uuid);
        let kind = fs::canonicalize(path.join("mdev_type")).map_err(errno_of)?;
        Ok(Mdev {
            path,
            kind: MdevType { path: kind },
            created: false,
        })
    }

    /// Its directory in `/sys/bus/mdev/devices`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its type.
    pub fn kind(&self) -> &MdevType {
        &self.kind
    }

    /// Its UUID, which is also its name in its group.
    pub fn uuid(&self) -> String {
        self.path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    }

    /// Removes it; returns when the kernel has.
    ///
    /// # Errors
    ///
    /// What the write to `remove` answers.
    pub fn remove(mut self) -> Result<(), Errno> {
        self.created = false;
        remove(&self.path)
    }
}

impl Drop for Mdev {
    fn drop(&mut self) {
        if self.created {
            if let Err(errno) = remove(&self.path) {
                println!("# {} was not removed: {errno}", self.path.display());
            }
        }
    }
}

/// How many more devices there can be of the type that has this directory, by one read(2) of `available_instances`.
///
/// # Errors
///
/// What open(2) and read(2) answer; `EPROTO` when it is no number.
pub fn available(kind: &Path) -> Result<u32, Errno> {
    let mut text = [0; 16];
    let count = File::open(kind.join("available_instances"))
        .and_then(|mut file| file.read(&mut text))
        .map_err(errno_of)?;
    let text = std::str::from_utf8(&text[..count]).map_err(|_| Errno::EPROTO)?;
    text.trim().parse().map_err(|_| Errno::EPROTO)
}

/// Writes to the `remove` file of a device's directory.
///
/// # Errors
///
/// What the write answers.
pub fn remove(device: &Path) -> Result<(), Errno> {
    fs::write(device.join("remove"), "1").map_err(errno_of)
}

/// The errno of an I/O error; `EIO` for one that has none.
pub fn errno_of(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
