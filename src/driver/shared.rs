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

#[cfg_attr(CONFIG_MIGDEV_KUNIT_TEST, kunit_tests(migdev_parents))]
#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
mod tests {
    use super::{
        super::device::SerialDevice,
        *, //
    };
    use crate::{
        class,
        mdev::Driver,
        this_module::THIS_MODULE, //
    };
    use core::fmt;

    /// A driver beside that of the module, whose name is taken.
    struct Other;

    impl Driver for Other {
        type ParentData = ();
        type TypeData = ();
        type Data = ();
        type Vfio = SerialDevice;

        const NAME: &'static CStr = c"migdev-kunit";
        const DEVICE_API: &'static CStr = c"vfio-pci";

        fn probe(_: &mdev::Device<Self>) -> impl PinInit<(), Error> {
            Err::<(), _>(ENODEV)
        }

        fn vfio(_: &mdev::Device<Self>, _: Pin<&()>) -> impl PinInit<SerialDevice, Error> {
            Err::<SerialDevice, _>(ENODEV)
        }

        fn available_instances(_: &mdev::Type<Self>) -> u32 {
            0
        }

        fn description(_: &mdev::Type<Self>, _: &mut dyn fmt::Write) -> Result {
            Ok(())
        }
    }

    #[test]
    fn a_parent_has_types_of_different_names_or_is_none() -> Result {
        let driver = Arc::pin_init(mdev::DriverRegistration::new(&THIS_MODULE), GFP_KERNEL)?;
        let class = Arc::new(class::Class::new(Other::NAME)?, GFP_KERNEL)?;
        let parent = |names: &[&'static CStr]| {
            let device = class::Device::new(class.clone(), Other::NAME)?;
            let types = names.iter().map(|name| {
                let info = mdev::TypeInfo {
                    name,
                    pretty_name: name,
                };
                (info, ())
            });
            mdev::Parent::<_, Other>::new(driver.clone(), device, (), types)
        };

        assert!(parent(&[]).is_err_and(|error| error == EINVAL));
        assert!(parent(&[c"one", c"two"]).is_ok());
        // By then the first type is there already, and is to go again.
        assert!(parent(&[c"one", c"one"]).is_err_and(|error| error == EEXIST));
        assert!(parent(&[c"one", c"two"]).is_ok());
        Ok(())
    }
}
