// SPDX-License-Identifier: GPL-2.0-only

//! The mdev driver: creates and removes cards.

use super::{
    attributes::MigrationVersion,
    debugfs::observe,
    device::SerialDevice,
    instances::{
        Claim,
        Instances, //
    },
    kinds::Kind,
    live::Live,
    refusals::Refusals, //
};
use crate::{
    debugfs::{
        Directory,
        Observed, //
    },
    mdev, //
};
use core::fmt;
use kernel::{
    device,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    },
};

/// What the devices of a parent share.
pub(super) struct Shared {
    instances: Arc<Instances>,
    /// Of strings that were written into files of types and devices.
    pub(super) refusals: Arc<Refusals>,
    debugfs: Arc<Directory>,
}

impl Shared {
    /// Returns what a parent without devices has.
    pub(super) fn new(instances: Arc<Instances>) -> Result<Self> {
        Ok(Self {
            instances,
            refusals: Arc::pin_init(Refusals::new(), GFP_KERNEL)?,
            debugfs: Arc::new(Directory::new(c"migdev"), GFP_KERNEL)?,
        })
    }
}

/// A card that exists.
pub(super) struct Card {
    _debugfs: Option<Observed<Live>>,
    live: Arc<Live>,
    _claim: Claim,
    pub(super) kind: &'static Kind,
    pub(super) device: ARef<device::Device>,
    pub(super) shared: Arc<Shared>,
}

/// The mdev driver.
pub(super) struct Serial;

impl mdev::Driver for Serial {
    type ParentData = Arc<Shared>;
    type TypeData = &'static Kind;
    type Data = Card;
    type Vfio = SerialDevice;

    const NAME: &'static CStr = c"migdev";
    const DEVICE_API: &'static CStr = c"vfio-pci";
    const TYPE_ATTRIBUTES: &'static [mdev::TypeAttribute<Self>] =
        &[mdev::TypeAttribute::new::<MigrationVersion>()];
    const DEVICE_ATTRIBUTES: &'static [mdev::DeviceAttribute<Self>] =
        &[mdev::DeviceAttribute::new::<MigrationVersion>()];

    fn probe(device: &mdev::Device<Self>) -> impl PinInit<Card, Error> {
        let kind = *device.ty().data();
        let shared = device.ty().parent_data();
        let name = device.as_ref().name();

        try_init!(Card {
            _claim: shared.instances.claim()?,
            live: Arc::pin_init(Live::new(kind, name), GFP_KERNEL)?,
            _debugfs: kind
                .identity
                .map(|_| observe(shared.debugfs.clone(), live.clone())),
            kind,
            device: device.as_ref().into(),
            shared: shared.clone(),
        })
    }

    fn vfio(_device: &mdev::Device<Self>, card: Pin<&Card>) -> impl PinInit<SerialDevice, Error> {
        let live = card.live.clone();
        try_init!(SerialDevice { live })
    }

    fn available_instances(ty: &mdev::Type<Self>) -> u32 {
        ty.parent_data().instances.available()
    }

    fn description(ty: &mdev::Type<Self>, text: &mut dyn fmt::Write) -> Result {
        text.write_str(ty.data().description)?;
        Ok(())
    }
}
