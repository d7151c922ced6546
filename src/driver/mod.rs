// SPDX-License-Identifier: GPL-2.0-only

//! The vendor driver: what puts the model of the card and the version strings behind mdev and vfio.
//!
//! It is the part to copy for a migratable mediated device of one's own.
//!
//! - `kinds` lists what the parent offers,
//! - `instances` counts the devices that there are,
//! - `serial` is the mdev driver: what happens when a device is created and removed,
//! - `live` is a card with all that changes, behind its lock,
//! - `device` is the VFIO device: what happens when it is used,
//! - `migration` moves its state by protocol v2, `transfer` through data files, and `region` by protocol v1,
//! - `interrupts` takes the card's interrupt to user space,
//! - `attributes` holds the `migration_version` files,
//! - `debugfs` shows how migrations went, and `refusals` is where it is told why one did not.

mod attributes;
mod debugfs;
mod device;
mod instances;
mod interrupts;
mod kinds;
mod live;
mod migration;
mod refusals;
mod region;
mod serial;
mod transfer;

use self::{
    instances::Instances,
    serial::{
        Serial,
        Shared, //
    },
};
use crate::{
    class::Class,
    mdev, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The driver and its software parent, `/sys/class/mdev_bus/migdev`, for as long as this is not dropped.
pub struct Driver {
    _parent: mdev::Parent<Serial>,
}

impl Driver {
    /// Registers the driver and the parent, on behalf of `module`. At most `max_instances` devices can be
    /// created.
    ///
    /// # Errors
    ///
    /// `EINVAL` when `max_instances` is 0; what the registrations fail with.
    pub fn new(module: &'static ThisModule, max_instances: u32) -> Result<Self> {
        if max_instances == 0 {
            pr_err!("max_instances must be at least 1\n");
            return Err(EINVAL);
        }

        let driver = Arc::pin_init(mdev::DriverRegistration::new(module), GFP_KERNEL)?;
        // The names of the types begin with the name of the parent's class.
        let class = Arc::new(Class::new(c"migdev")?, GFP_KERNEL)?;
        let shared = Arc::new(Shared::new(Instances::new(max_instances)?)?, GFP_KERNEL)?;
        let types = kinds::ALL.iter().map(|kind| (kind.info, *kind));

        Ok(Self {
            _parent: mdev::Parent::new(driver, class, c"migdev", shared, types)?,
        })
    }
}
