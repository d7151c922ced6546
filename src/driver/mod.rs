// SPDX-License-Identifier: GPL-2.0-only

//! The vendor driver: what puts the model of the card and the version strings behind mdev and vfio.
//!
//! It is the part to copy for a migratable mediated device of one's own.
//!
//! - `kinds` lists what each parent offers, and at which versions,
//! - `cards` binds the parents that are PCI cards,
//! - `shared` is what parents have in common, and the devices of each,
//! - `offers` is a type under a parent, which an operator can hold at an older version,
//! - `instances` counts the devices that there are,
//! - `serial` is the mdev driver: what happens when a device is created and removed,
//! - `live` is a card with all that changes, behind its lock,
//! - `device` is the VFIO device: what happens when it is used,
//! - `migration` moves its state by protocol v2, `transfer` through data files, and `region` by protocol v1,
//! - `interrupts` takes the card's interrupt to user space,
//! - `attributes` holds the `migration_version` files, and `baseline` those that hold a type,
//! - `debugfs` shows how migrations went, and `refusals` is where it is told why one did not.

mod attributes;
mod baseline;
mod cards;
mod debugfs;
mod device;
mod instances;
mod interrupts;
mod kinds;
mod live;
mod migration;
mod offers;
mod refusals;
mod region;
mod serial;
mod shared;
mod transfer;

use self::{
    cards::Cards,
    serial::Serial,
    shared::Common, //
};
use crate::{
    class,
    mdev,
    pci, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The driver, its software parent `/sys/class/mdev_bus/migdev`, and the cards that it is bound to, for as long as this
/// is not dropped.
pub struct Driver {
    _cards: Pin<KBox<pci::Registration<Cards>>>,
    _software: mdev::Parent<class::Device, Serial>,
}

impl Driver {
    /// Registers the driver and its parents, on behalf of `module`. At most `max_instances` devices can be created.
    ///
    /// # Errors
    ///
    /// `EINVAL` when `max_instances` is 0; what the registrations fail with.
    pub fn new(module: &'static ThisModule, max_instances: u32) -> Result<Self> {
        if max_instances == 0 {
            pr_err!("max_instances must be at least 1\n");
            return Err(EINVAL);
        }

        let common = Common::new(module, max_instances)?;
        // The names of the types begin with the name of the device's class, as under a card with that of its driver.
        let class = Arc::new(class::Class::new(c"migdev")?, GFP_KERNEL)?;
        let device = class::Device::new(class, c"migdev")?;
        let software = common.parent(device, None)?;
        let cards = pci::Registration::new(module, Cards(common));

        Ok(Self {
            _cards: KBox::pin_init(cards, GFP_KERNEL)?,
            _software: software,
        })
    }
}
