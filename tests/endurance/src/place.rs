// SPDX-License-Identifier: GPL-2.0-only
//! Where parents and devices are in sysfs, the calls that are made there, and the module.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::kmod::{delete_module, finit_module, DeleteModuleFlags, ModuleInitFlags};
use vfio_client::sysfs::{available, errno_of};
use vfio_client::wait::{poll_while, releases_late};

use crate::registry::PARENTS;

/// Where the devices are.
pub const DEVICES: &str = "/sys/bus/mdev/devices";

/// Where the driver of the cards is.
const CARDS: &str = "/sys/bus/pci/drivers/migdev";

/// How many devices there may be when the module is not told.
pub const DEFAULT_LIMIT: u32 = 4096;

/// The types that migrate, with their number of ports.
pub const TYPES: [(&str, usize); 2] = [("migdev-serial1", 1), ("migdev-serial2", 2)];

/// The parents: the software parent, and the cards that there are.
#[derive(Clone, Debug)]
pub struct Places {
    /// By their names.
    pub parents: Vec<String>,
}

impl Places {
    /// Looks which there are: the software parent first.
    ///
    /// # Errors
    ///
    /// What sysfs answers.
    pub fn find() -> Result<Self, Errno> {
        let mut cards = Vec::new();
        for entry in fs::read_dir("/sys/class/mdev_bus").map_err(errno_of)? {
            let name = entry.map_err(errno_of)?.file_name();
            let name = name.to_string_lossy().into_owned();
            if Path::new("/sys/bus/pci/devices").join(&name).exists() {
                cards.push(name);
            }
        }
        cards.sort();
        cards.truncate(PARENTS - 1);
        cards.insert(0, "migdev".to_owned());
        Ok(Places { parents: cards })
    }

    /// The directory of a type under a parent.
    pub fn kind(&self, parent: usize, kind: usize) -> PathBuf {
        Path::new("/sys/class/mdev_bus")
            .join(&self.parents[parent])
            .join("mdev_supported_types")
            .join(TYPES[kind].0)
    }

    /// Creates a device.
    ///
    /// # Errors
    ///
    /// What open(2) and write(2) answer.
    pub fn create(&self, parent: usize, kind: usize, uuid: &str) -> Result<(), Errno> {
        write(&self.kind(parent, kind).join("create"), uuid)
    }

    /// Creates a device under a UUID that one had before, as soon as the kernel has let go of that.
    ///
    /// # Errors
    ///
    /// As for [`create`](Self::create).
    pub fn create_again(&self, parent: usize, kind: usize, uuid: &str) -> Result<(), Errno> {
        poll_while(
            Duration::from_secs(60),
            Duration::from_millis(100),
            || self.create(parent, kind, uuid),
            |done| *done == Err(Errno::EEXIST) && releases_late() && !device(uuid).exists(),
        )
    }

    /// How many more there can be.
    ///
    /// # Errors
    ///
    /// What open(2) and read(2) answer.
    pub fn available(&self, parent: usize) -> Result<u32, Errno> {
        available(&self.kind(parent, 0))
    }

    /// Unbinds the driver from a card; returns when everything below is gone.
    ///
    /// # Errors
    ///
    /// What open(2) and write(2) answer.
    pub fn unbind(&self, parent: usize) -> Result<(), Errno> {
        write(&Path::new(CARDS).join("unbind"), &self.parents[parent])
    }

    /// Binds it.
    ///
    /// # Errors
    ///
    /// What open(2) and write(2) answer.
    pub fn bind(&self, parent: usize) -> Result<(), Errno> {
        write(&Path::new(CARDS).join("bind"), &self.parents[parent])
    }
}

/// The directory of a device.
pub fn device(uuid: &str) -> PathBuf {
    Path::new(DEVICES).join(uuid)
}

/// Removes a device; returns when it is gone, unless another one does the same.
///
/// # Errors
///
/// What open(2) and write(2) answer.
pub fn remove(uuid: &str) -> Result<(), Errno> {
    write(&device(uuid).join("remove"), "1")
}

/// Writes to a file that is there: no other is made.
///
/// # Errors
///
/// What open(2) and write(2) answer.
pub fn write(path: &Path, text: &str) -> Result<(), Errno> {
    let mut file = OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(errno_of)?;
    match file.write(text.as_bytes()).map_err(errno_of)? {
        count if count == text.len() => Ok(()),
        _ => Err(Errno::EPROTO),
    }
}

/// Reads a file of up to a page.
///
/// # Errors
///
/// What open(2) and read(2) answer.
pub fn read(path: &Path) -> Result<String, Errno> {
    let mut bytes = [0; 4096];
    let count = File::open(path)
        .and_then(|mut file| file.read(&mut bytes))
        .map_err(errno_of)?;
    Ok(String::from_utf8_lossy(&bytes[..count]).into_owned())
}

/// The module, which a run loads again and again.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its file.
    pub path: PathBuf,
}

impl Module {
    /// Loads it.
    ///
    /// # Errors
    ///
    /// What open(2) and finit_module(2) answer.
    pub fn load(&self, limit: u32) -> Result<(), Errno> {
        let file = File::open(&self.path).map_err(errno_of)?;
        let parameters = std::ffi::CString::new(format!("max_instances={limit}"));
        let parameters = parameters.map_err(|_| Errno::EINVAL)?;
        finit_module(&file, &parameters, ModuleInitFlags::empty())
    }

    /// Unloads it, unless it is in use.
    ///
    /// # Errors
    ///
    /// `EAGAIN` when it is in use; what delete_module(2) answers.
    pub fn unload(&self) -> Result<(), Errno> {
        delete_module(c"migdev", DeleteModuleFlags::O_NONBLOCK)
    }

    /// Waits until the names of the drivers are free again, which a kernel that releases objects late takes its time for.
    pub fn wait_until_gone(&self) {
        let names = ["/sys/bus/mdev/drivers/migdev", CARDS];
        while names.iter().any(|name| Path::new(name).exists()) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Loads it anew, with no device. Waits for those who still have something of it open.
    ///
    /// # Errors
    ///
    /// What the calls answer; `EAGAIN` when it is in use for good.
    pub fn reload(&self, limit: u32) -> Result<(), Errno> {
        let unloaded = poll_while(
            Duration::from_secs(60),
            Duration::from_millis(20),
            || self.unload(),
            |done| *done == Err(Errno::EAGAIN),
        );
        match unloaded {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno),
        }
        self.wait_until_gone();
        self.load(limit)
    }
}
