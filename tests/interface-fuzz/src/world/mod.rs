// SPDX-License-Identifier: GPL-2.0-only
//! What programs work on: three devices, what was opened of them, memory, and a stream.

pub mod arena;
pub mod data;
pub mod device;
mod oracle;
pub mod region;
pub mod stream;
pub mod sysfs;

use std::fs::{self, File};
use std::thread::JoinHandle;

use nix::errno::Errno;

use vfio_client::device::{Access, Device};
use vfio_client::migration::v2::DataFile;
use vfio_client::serial::Signal;
use vfio_client::sysfs::{Mdev, MdevType};

use crate::kcov::Kcov;
use arena::Arena;
use oracle::Pristine;
use region::Mapping;

/// A removal that goes on, with what was reached by it.
type Removal = JoinHandle<(Result<(), Errno>, Option<Kcov>)>;

/// The types of the devices.
const TYPES: [&str; DEVICES] = ["migdev-serial2", "migdev-serial1", "migdev-serial1-local"];

/// How many devices there are.
const DEVICES: usize = 3;

/// A device and what there is of it.
pub struct Slot {
    kind: MdevType,
    mdev: Option<Mdev>,
    device: Option<Device>,
    /// Other descriptors of the same open device.
    extras: Vec<File>,
    removal: Option<Removal>,
    /// Whether the program has opened it.
    was_open: bool,
    /// Whether its type was held at another version.
    held: bool,
    pristine: Option<Pristine>,
}

/// All that a program can reach.
pub struct World {
    slots: [Slot; DEVICES],
    files: [Option<DataFile>; 4],
    mappings: [Option<Mapping>; 2],
    events: [Signal; 4],
    arena: Arena,
    /// What is no eventfd.
    null: File,
    stream: Vec<u8>,
    kcov_of_removals: Option<Kcov>,
}

impl World {
    /// Makes the devices below this parent.
    ///
    /// # Errors
    ///
    /// What of it failed.
    pub fn new(parent: &str, kcov_of_removals: Option<Kcov>) -> Result<Self, String> {
        let kinds =
            MdevType::all(parent).map_err(|errno| format!("no parent {parent}: {errno}"))?;
        let slot = |name: &str| {
            let kind = kinds.iter().find(|kind| kind.name() == name);
            let kind = kind.ok_or_else(|| format!("{parent} has no type {name}"))?;
            Slot::new(kind.clone())
        };
        let mut world = World {
            slots: [slot(TYPES[0])?, slot(TYPES[1])?, slot(TYPES[2])?],
            files: [const { None }; 4],
            mappings: [const { None }; 2],
            events: events().map_err(|errno| format!("no eventfd: {errno}"))?,
            arena: Arena::new().map_err(|errno| format!("no memory: {errno}"))?,
            null: File::open("/dev/null").map_err(|error| format!("no /dev/null: {error}"))?,
            stream: Vec::new(),
            kcov_of_removals,
        };
        for slot in &mut world.slots {
            slot.refresh()?;
        }
        Ok(world)
    }

    /// The slot of a device.
    fn slot(&mut self, number: u64) -> &mut Slot {
        &mut self.slots[number as usize % DEVICES]
    }

    /// The open device of a number.
    fn device(&mut self, number: u64) -> Option<&Device> {
        self.slot(number).device.as_ref()
    }

    /// A descriptor of a device: its first, or another where there is one.
    fn file(&mut self, number: u64) -> Option<&File> {
        let slot = self.slot(number);
        let first = slot.device.as_ref().map(Device::file);
        if number as usize >= DEVICES {
            slot.extras.last().or(first)
        } else {
            first
        }
    }

    /// Coverage of what was removed in the background since it was last asked.
    pub fn kcov_of_removals(&mut self) -> Option<&mut Kcov> {
        self.kcov_of_removals.as_mut()
    }
}

impl Slot {
    fn new(kind: MdevType) -> Result<Self, String> {
        Ok(Slot {
            kind,
            mdev: None,
            device: None,
            extras: Vec::new(),
            removal: None,
            was_open: false,
            held: false,
            pristine: None,
        })
    }

    /// Makes its device where there is none, as the driver makes it that knows the most.
    fn refresh(&mut self) -> Result<(), String> {
        if std::mem::take(&mut self.held) {
            if let Some(mdev) = self.mdev.take() {
                mdev.remove().map_err(|errno| format!("remove: {errno}"))?;
            }
            let newest = fs::read_to_string(self.kind.path().join("migration_baselines"));
            let newest = newest.map_err(|error| format!("migration_baselines: {error}"))?;
            let newest = newest.lines().next().unwrap_or_default().to_owned();
            fs::write(self.kind.baseline(), newest)
                .map_err(|error| format!("migration_baseline: {error}"))?;
        }
        if self.mdev.is_none() {
            let mdev = Mdev::create(&self.kind).map_err(|errno| format!("create: {errno}"))?;
            self.mdev = Some(mdev);
        }
        Ok(())
    }

    /// Opens its device.
    fn open(&self, access: Access) -> Result<Device, Errno> {
        let mdev = self.mdev.as_ref().ok_or(Errno::ENODEV)?;
        Device::open(mdev.path(), access)
    }
}

fn events() -> Result<[Signal; 4], Errno> {
    Ok([
        Signal::new()?,
        Signal::new()?,
        Signal::new()?,
        Signal::new()?,
    ])
}

/// A system call's count, or its errno.
fn answer(count: isize) -> Result<u64, Errno> {
    Errno::result(count).map(|count| count as u64)
}
