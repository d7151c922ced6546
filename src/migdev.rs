// SPDX-License-Identifier: GPL-2.0-only

//! migdev: virtual PCI serial cards that need no hardware, for virtual machines to use through VFIO and to migrate.
//!
//! Three kinds of modules, which import in one direction only:
//!
//! - PURE, all of the logic, which also runs in user space: [`migration`], [`migver`],
//!   [`model`];
//! - BINDING, safe wrappers of kernel interfaces that the kernel crate does not wrap: [`mdev`], [`vfio`] and the
//!   small ones; the only ones that call C;
//! - DRIVER, which puts PURE behind BINDING: [`driver`].

use core::borrow::Borrow;
use kernel::prelude::*;

mod bindings;
pub mod class;
pub mod crc32c;
pub mod debugfs;
mod device;
pub mod eventfd;
pub mod mdev;
pub mod pci;
pub mod ratelimit;
pub mod sysfs;
mod this_module;
pub mod trace;
pub mod vfio;
pub mod waitqueue;

#[deny(unsafe_code)]
pub mod migration;
#[deny(unsafe_code)]
pub mod migver;
#[deny(unsafe_code)]
pub mod model;

#[deny(unsafe_code)]
pub mod driver;

module! {
    type: Migdev,
    name: "migdev",
    authors: ["The migdev developers"],
    description: "Migratable virtual PCI serial cards (mdev)",
    license: "GPL",
    params: {
        max_instances: u32 {
            default: 4096,
            description: "How many devices may exist at once, at least 1 (default 4096)",
        },
    },
}

/// The loaded module.
struct Migdev {
    _driver: driver::Driver,
}

impl kernel::Module for Migdev {
    fn init(module: &'static ThisModule) -> Result<Self> {
        // Linux 7.2 lends the value, 7.3 copies it.
        let max_instances = module_parameters::max_instances.value();

        Ok(Self {
            _driver: driver::Driver::new(module, *Borrow::<u32>::borrow(&max_instances))?,
        })
    }
}
