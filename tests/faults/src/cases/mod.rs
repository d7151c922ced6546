// SPDX-License-Identifier: GPL-2.0-only
//! The cases: each is a path into the module, and says what holds when something on it fails.

use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;

use vfio_client::device::{Access, Device};
use vfio_client::ktap::{check, Outcome};
use vfio_client::migration::guest::{self, View};
use vfio_client::migration::v2;
use vfio_client::sysfs::{Mdev, MdevType};
use vfio_client::wait::poll_while;

use crate::sweep::{Faults, Part};

mod accesses;
mod cards;
mod eventfds;
mod files;
mod interrupts;
pub mod leaks;
mod lifetime;
mod module;
mod opening;
mod queries;
mod refusals;
mod region;
mod transfer;

/// What a case works with.
pub struct World {
    /// Makes the faults.
    pub faults: Faults,
    /// The type of the devices.
    pub kind: MdevType,
    /// How many ports they have.
    pub ports: usize,
    /// The module's file.
    pub module: PathBuf,
    /// Whether what takes minutes is swept as a whole.
    pub all: bool,
}

/// The scene of [`guest::play`] that the devices are in: full FIFOs, waiting interrupts.
pub const BUSY: usize = 1;

impl World {
    /// Of a path that ends with the module or a parent going, some faults, unless all are asked for: what goes is waited
    /// for, for seconds where the kernel delays the release of objects to find who uses them too long.
    pub fn slow(&self) -> Part {
        Part {
            most: (!self.all).then_some(3),
            ..Part::default()
        }
    }

    /// Makes a device.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn create(&self) -> Result<Mdev, Errno> {
        Mdev::create(&self.kind)
    }

    /// Makes a device and opens it.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn opened(&self) -> Result<(Mdev, Device), Errno> {
        let mdev = self.create()?;
        let device = Device::open(mdev.path(), Access::Cdev)?;
        Ok((mdev, device))
    }

    /// Takes an open device to power-on, and from there into [`BUSY`]. Returns what is seen of it.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn busy(&self, device: &Device) -> Result<View, Errno> {
        device.reset()?;
        guest::play(device, self.ports, BUSY)?;
        guest::glance(device, self.ports)
    }

    /// Checks that a device works: it is used, saved, loaded, and is the same then.
    ///
    /// # Errors
    ///
    /// Fails the case otherwise.
    pub fn works(&self, device: &Device) -> Outcome {
        self.busy(device)?;
        let stream = v2::save(device)?;
        v2::set(device, v2::RUNNING)?;
        let want = guest::examine(device, self.ports)?;
        device.reset()?;
        v2::load(device, &stream)?;
        guest::same(&guest::examine(device, self.ports)?, &want, "loaded")
    }

    /// Checks that a device can be opened, and [`works`](Self::works).
    ///
    /// # Errors
    ///
    /// Fails the case otherwise.
    pub fn opens_and_works(&self, mdev: &Mdev) -> Outcome {
        self.works(&Device::open(mdev.path(), Access::Cdev)?)
    }

    /// How many devices can be created.
    ///
    /// # Errors
    ///
    /// What the file answers.
    pub fn available(&self) -> Result<u32, Errno> {
        self.kind.available()
    }

    /// Checks that as many devices can be created as before, once all has been released: that may come late.
    ///
    /// # Errors
    ///
    /// Fails the case otherwise.
    pub fn gave_back(&self, before: u32) -> Outcome {
        let now = poll_while(
            PATIENCE,
            Duration::from_millis(100),
            || self.available(),
            |now| now.is_ok_and(|now| now != before),
        )?;
        check!(now == before, "{now} instances available, before {before}");
        Ok(())
    }
}

/// How long what is released late is waited for: many times what it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether anything can fail on a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expect {
    /// Something can. If nothing was made to fail, nothing was tried.
    Faults,
    /// Nothing can: the path promises to succeed.
    None,
}

/// A path and what holds on it.
pub struct Case {
    /// The promise, as a name.
    pub name: &'static str,
    /// Whether anything can fail.
    pub expect: Expect,
    /// Tries it.
    pub run: fn(&World) -> Outcome,
}

/// Lists functions as cases under their own names.
macro_rules! cases {
    ($($name:ident),+ $(,)?) => {
        cases![$($name),+; ];
    };
    ($($name:ident),* $(,)?; $($certain:ident),* $(,)?) => {
        /// The promises of this file.
        pub const CASES: &[$crate::cases::Case] = &[
            $($crate::cases::Case {
                name: stringify!($name),
                expect: $crate::cases::Expect::Faults,
                run: $name,
            },)*
            $($crate::cases::Case {
                name: stringify!($certain),
                expect: $crate::cases::Expect::None,
                run: $certain,
            },)*
        ];
    };
}

use cases;

/// All cases, each with the name of its group.
pub fn all() -> impl Iterator<Item = (&'static str, &'static Case)> {
    let each = |(group, cases): &'static (&'static str, &'static [Case])| {
        cases.iter().map(|case| (*group, case))
    };
    GROUPS.iter().flat_map(each)
}

const GROUPS: [(&str, &[Case]); 12] = [
    ("lifetime", lifetime::CASES),
    ("opening", opening::CASES),
    ("queries", queries::CASES),
    ("interrupts", interrupts::CASES),
    ("eventfds", eventfds::CASES),
    ("accesses", accesses::CASES),
    ("transfer", transfer::CASES),
    ("region", region::CASES),
    ("files", files::CASES),
    ("refusals", refusals::CASES),
    ("cards", cards::CASES),
    ("module", module::CASES),
];
