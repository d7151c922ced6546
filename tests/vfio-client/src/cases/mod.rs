// SPDX-License-Identifier: GPL-2.0-only
//! The cases: each is one promise of the device, and is named for it.

use nix::errno::Errno;

use vfio_client::device::{Access, Device};
use vfio_client::ktap::Outcome;
use vfio_client::sysfs::Mdev;

mod config;
mod hostile;
mod interrupts;
mod irq_calls;
mod lifecycle;
mod migration;
mod msi;
mod regions;
mod reset;
mod stress;
mod third_party;
mod uart;

/// What a case works on.
pub struct World<'a> {
    /// The device, not open.
    pub mdev: &'a Mdev,
    /// The way to open it.
    pub access: Access,
    /// The number of serial ports that it is to have.
    pub ports: usize,
}

impl World<'_> {
    /// Opens the device the way this run asks for.
    ///
    /// # Errors
    ///
    /// What the calls on the way answer.
    pub fn open(&self) -> Result<Device, Errno> {
        Device::open(self.mdev.path(), self.access)
    }

    /// Whether the device migrates.
    pub fn migrates(&self) -> bool {
        self.mdev.kind().migrates()
    }

    /// Makes another device of the same type and opens it the same way.
    ///
    /// # Errors
    ///
    /// What the calls on the way answer.
    pub fn another(&self) -> Result<(Mdev, Device), Errno> {
        let mdev = Mdev::create(self.mdev.kind())?;
        let device = Device::open(mdev.path(), self.access)?;
        Ok((mdev, device))
    }

    /// The number of serial ports.
    pub fn ports(&self) -> usize {
        self.ports
    }

    /// The size of BAR 0: eight registers a port.
    pub fn bar_size(&self) -> usize {
        8 * self.ports()
    }
}

/// A promise and how it is tried.
pub struct Case {
    /// The promise, as a name.
    pub name: &'static str,
    /// Tries it on a device that is closed and idle, and leaves it so.
    pub run: fn(&World<'_>) -> Outcome,
}

/// Lists functions as cases under their own names.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        /// The promises of this file.
        pub const CASES: &[$crate::cases::Case] =
            &[$($crate::cases::Case { name: stringify!($name), run: $name }),+];
    };
}

use cases;

/// All cases, each with the name of its group.
pub fn all() -> impl Iterator<Item = (&'static str, &'static Case)> {
    named(&GROUPS).chain(named(&migration::GROUPS))
}

/// The cases for a device that migrates, or for one that does not.
pub fn of(migrates: bool) -> impl Iterator<Item = (&'static str, &'static Case)> {
    let more: &[Group] = if migrates { &migration::GROUPS } else { &[] };
    named(&GROUPS).chain(named(more))
}

/// Some cases and the name that they have in common.
type Group = (&'static str, &'static [Case]);

/// What every device promises.
const GROUPS: [Group; 11] = [
    ("regions", regions::CASES),
    ("config", config::CASES),
    ("uart", uart::CASES),
    ("interrupts", interrupts::CASES),
    ("msi", msi::CASES),
    ("irq_calls", irq_calls::CASES),
    ("reset", reset::CASES),
    ("lifecycle", lifecycle::CASES),
    ("third_party", third_party::CASES),
    ("hostile", hostile::CASES),
    ("stress", stress::CASES),
];

fn named(groups: &'static [Group]) -> impl Iterator<Item = (&'static str, &'static Case)> {
    let each = |(group, cases): &'static Group| cases.iter().map(|case| (*group, case));
    groups.iter().flat_map(each)
}
