// SPDX-License-Identifier: GPL-2.0-only

//! migdev.

use kernel::prelude::*;

mod bindings;
pub mod class;
pub mod eventfd;
pub mod mdev;
pub mod ratelimit;
pub mod sysfs;
pub mod vfio;

module! {
    type: Migdev,
    name: "migdev",
    authors: ["The migdev developers"],
    description: "Migratable virtual PCI serial cards (mdev)",
    license: "GPL",
}
struct Migdev;
impl kernel::Module for Migdev {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Migdev)
    }
}
