// SPDX-License-Identifier: GPL-2.0-only

//! What parents have in common, and what the devices of one parent share.

use super::{
    instances::Instances,
    kinds,
    offers::Offer,
    refusals::Refusals,
    serial::Serial, //
};
use crate::{
    debugfs::Directory,
    mdev, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// What all parents have in common.
#[derive(Clone)]
pub(super) struct Common {
    driver: Arc<mdev::DriverRegistration<Serial>>,
    instances: Arc<Instances>,
    debugfs: Arc<Directory>,
}

impl Common {
    /// Registers the mdev driver, on behalf of `module`. At most `max_instances` devices can be created under all
    /// parents.
    pub(super) fn new(module: &'static ThisModule, max_instances: u32) -> Result<Self> {
        Ok(Self {
            driver: Arc::pin_init(mdev::DriverRegistration::new(module), GFP_KERNEL)?,
            instances: Instances::new(max_instances)?,
            debugfs: Arc::new(Directory::new(c"migdev"), GFP_KERNEL)?,
        })
    }

    /// Makes `device` a parent with all types.
    pub(super) fn parent<D: mdev::ParentDevice>(
        &self,
        device: D,
        revision: Option<Revision>,
    ) -> Result<mdev::Parent<D, Serial>> {
        let shared = Shared {
            instances: self.instances.clone(),
            refusals: Arc::pin_init(Refusals::new(), GFP_KERNEL)?,
            debugfs: self.debugfs.clone(),
            revision,
        };
        let mut types = KVec::with_capacity(kinds::ALL.len(), GFP_KERNEL)?;
        for kind in kinds::ALL {
            types.push((kind.info, Offer::new(kind)?), GFP_KERNEL)?;
        }
        let shared = Arc::new(shared, GFP_KERNEL)?;
        mdev::Parent::new(self.driver.clone(), device, shared, types)
    }
}

/// What the devices of a parent share.
pub(super) struct Shared {
    pub(super) instances: Arc<Instances>,
    /// Of what was written into files of types and devices.
    pub(super) refusals: Arc<Refusals>,
    pub(super) debugfs: Arc<Directory>,
    /// Of the parent, if it is a card.
    pub(super) revision: Option<Revision>,
}

/// The revision of a card: major and minor.
pub(super) type Revision = (u8, u8);
