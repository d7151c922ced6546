// SPDX-License-Identifier: GPL-2.0-only

//! The mdev driver: creates and removes cards.

use super::{
    attributes::MigrationVersion,
    device::SerialDevice,
    instances::{
        Claim,
        Instances, //
    },
    kinds::Kind,
};
use crate::{
    mdev,
    ratelimit::RateLimit, //
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
#[pin_data]
pub(super) struct Shared {
    instances: Arc<Instances>,
    /// How often a refused string is logged.
    #[pin]
    pub(super) refusals: RateLimit,
}

impl Shared {
    /// Returns an initializer for a parent without devices.
    pub(super) fn new(instances: Arc<Instances>) -> impl PinInit<Self> {
        pin_init!(Self {
            instances,
            refusals <- RateLimit::new(),
        })
    }
}

/// A card that exists.
pub(super) struct Card {
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

        try_init!(Card {
            _claim: shared.instances.claim()?,
            kind,
            device: device.as_ref().into(),
            shared: shared.clone(),
        })
    }

    fn vfio(_device: &mdev::Device<Self>, card: Pin<&Card>) -> impl PinInit<SerialDevice, Error> {
        SerialDevice::new(card.kind.ports)
    }

    fn available_instances(ty: &mdev::Type<Self>) -> u32 {
        ty.parent_data().instances.available()
    }

    fn description(ty: &mdev::Type<Self>, text: &mut dyn fmt::Write) -> Result {
        text.write_str(ty.data().description)?;
        Ok(())
    }
}
