// SPDX-License-Identifier: GPL-2.0-only

//! Mediated devices.

use super::{
    Driver,
    Type, //
};
use crate::bindings as c;
use core::marker::PhantomData;
use kernel::{
    device,
    types::Opaque, //
};

/// A mediated device that is bound, or being bound, to the driver `T`.
///
/// References to it are only given to the callbacks of the driver, for their duration.
///
/// # Invariants
///
/// The C device is valid and on the mdev bus, and its driver is a [`super::DriverRegistration<T>`].
#[repr(transparent)]
pub struct Device<T: Driver>(Opaque<c::mdev_device>, PhantomData<T>);

impl<T: Driver> Device<T> {
    /// Borrows a device from the C one.
    ///
    /// # Safety
    ///
    /// `raw` must be valid, and bound or being bound to a [`super::DriverRegistration<T>`], for `'a`.
    pub(super) unsafe fn from_raw<'a>(raw: *mut c::mdev_device) -> &'a Self {
        // SAFETY: `Self` is a transparent wrapper. INVARIANT: The requirements are those of the invariant.
        unsafe { &*raw.cast() }
    }

    /// Returns the type that the device was created from.
    pub fn ty(&self) -> &Type<T> {
        // SAFETY: By the type invariant the device is valid; the field does not change.
        let raw = unsafe { (*self.0.get()).type_ };
        // SAFETY: The device's type is one of a parent of this driver; the device holds a reference to it.
        unsafe { Type::from_raw(raw) }
    }
}

impl<T: Driver> AsRef<device::Device<device::Bound>> for Device<T> {
    fn as_ref(&self) -> &device::Device<device::Bound> {
        // SAFETY: By the type invariant the device is valid.
        let dev = unsafe { &raw mut (*self.0.get()).dev };
        // SAFETY: As above; and it is bound for as long as a reference to `Self` exists.
        unsafe { device::Device::from_raw(dev) }
    }
}
