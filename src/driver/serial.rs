// SPDX-License-Identifier: GPL-2.0-only

//! The mdev driver: creates and removes cards.

use super::{
    attributes::MigrationVersion,
    baseline,
    debugfs::observe,
    device::SerialDevice,
    instances::Claim,
    live::Live,
    offers::{
        Counted,
        Offer, //
    },
    shared::Shared, //
};
use crate::{
    debugfs::Observed,
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

/// A card that exists.
pub(super) struct Card {
    _debugfs: Option<Observed<Live>>,
    pub(super) live: Arc<Live>,
    counted: Counted,
    _claim: Claim,
    pub(super) device: ARef<device::Device>,
    pub(super) shared: Arc<Shared>,
}

/// The mdev driver.
pub(super) struct Serial;

impl mdev::Driver for Serial {
    type ParentData = Arc<Shared>;
    type TypeData = Arc<Offer>;
    type Data = Card;
    type Vfio = SerialDevice;

    const NAME: &'static CStr = c"migdev";
    const DEVICE_API: &'static CStr = c"vfio-pci";
    const TYPE_ATTRIBUTES: &'static [mdev::TypeAttribute<Self>] = &[
        mdev::TypeAttribute::new::<MigrationVersion>(),
        mdev::TypeAttribute::new::<baseline::Present>(),
        mdev::TypeAttribute::new::<baseline::Supported>(),
    ];
    const DEVICE_ATTRIBUTES: &'static [mdev::DeviceAttribute<Self>] =
        &[mdev::DeviceAttribute::new::<MigrationVersion>()];

    fn probe(device: &mdev::Device<Self>) -> impl PinInit<Card, Error> {
        let offer = device.ty().data();
        let shared = device.ty().parent_data();
        let name = device.as_ref().name();

        try_init!(Card {
            _claim: shared.instances.claim()?,
            counted: offer.make(),
            live: Arc::pin_init(Live::new(counted.made(), name), GFP_KERNEL)?,
            _debugfs: live
                .made
                .identity()
                .map(|_| observe(shared.debugfs.clone(), live.clone())),
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
        text.write_str(ty.data().kind.description)?;
        if let Some((major, minor)) = ty.parent_data().revision {
            write!(text, ", on a card of revision {major}.{minor}")?;
        }
        Ok(())
    }
}
