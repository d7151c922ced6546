// SPDX-License-Identifier: GPL-2.0-only

//! Parents of mediated devices.
//!
//! A [`Parent`] is what makes a device offer types: a card that a driver is bound to, or a device without hardware. It is
//! listed under `/sys/class/mdev_bus` by the device's name; the directories of its types begin with the name of the
//! device's driver, or of its class where it has none.
//!
//! # Lifetime
//!
//! mdev reads the parent and a type when the last reference to a mediated device goes, and that may be later than
//! `mdev_unregister_parent()`. So they stay where they are until every type has been released, and dropping a [`Parent`]
//! waits for that. Releasing a type gives up the reference to the parent's device that the type holds, which
//! is how it is noticed: by then the parent names a device of its own, `last`, that nothing else refers to. A module that
//! drops its parents before it is unloaded is therefore not called afterwards. (Forgetting a [`Parent`], as forgetting any
//! registration, is a promise that the module and the device stay.)

use super::{
    Driver,
    DriverRegistration,
    Type,
    TypeInfo, //
};
use crate::{
    bindings as c,
    class,
    device::as_raw, //
};
use core::ptr::null_mut;
use kernel::{
    bindings,
    container_of,
    device,
    error::to_result,
    pci,
    prelude::*,
    sync::{
        Arc,
        Completion, //
    },
    types::Opaque, //
};

/// A device that can be the parent of mediated devices.
///
/// # Safety
///
/// What [`device`](Self::device) returns must always be the same, and registered for as long as `self` is not dropped.
pub unsafe trait ParentDevice {
    /// Returns the device.
    fn device(&self) -> &device::Device;
}

// SAFETY: It unregisters the device when it is dropped, not before.
unsafe impl ParentDevice for class::Device {
    fn device(&self) -> &device::Device {
        self.as_ref()
    }
}

// SAFETY: A device is registered for as long as it is bound.
unsafe impl ParentDevice for &pci::Device<device::Bound> {
    fn device(&self) -> &device::Device {
        (**self).as_ref()
    }
}

/// A registered parent, which is the device `D`. Dropping it removes the mediated devices, waiting for those in use, and
/// then the parent itself.
pub struct Parent<D: ParentDevice, T: Driver> {
    inner: Pin<KBox<Inner<T>>>,
    device: D,
}

/// # Invariants
///
/// - `last` was initialised by `device_initialize()`, and this has not yet given up its first reference.
/// - The memory is kept until `released` is completed, which the release of `last` does.
#[pin_data]
pub(super) struct Inner<T: Driver> {
    #[pin]
    raw: Opaque<c::mdev_parent>,
    #[pin]
    last: Opaque<bindings::device>,
    #[pin]
    released: Completion,
    data: T::ParentData,
    types: KVec<KBox<Type<T>>>,
    /// What mdev keeps a pointer to: the address of each element of `types`.
    raw_types: KVec<*mut c::mdev_type>,
    driver: Arc<DriverRegistration<T>>,
}

// SAFETY: Nothing in a parent belongs to a thread: the C structures lock themselves, the pointers are to `types`.
unsafe impl<T: Driver> Send for Inner<T> {}

// SAFETY: As above; the Rust fields do not change once the parent is registered.
unsafe impl<T: Driver> Sync for Inner<T> {}

impl<T: Driver> Inner<T> {
    /// Returns a parent that is not registered yet.
    fn new(
        driver: Arc<DriverRegistration<T>>,
        data: T::ParentData,
        types: impl IntoIterator<Item = (TypeInfo, T::TypeData)>,
    ) -> Result<Pin<KBox<Self>>> {
        let mut boxed = KVec::new();
        let mut raw_types = KVec::new();
        for (info, data) in types {
            let ty = KBox::new(Type::new(info, data), GFP_KERNEL)?;
            raw_types.push(ty.as_raw(), GFP_KERNEL)?;
            boxed.push(ty, GFP_KERNEL)?;
        }

        let inner: Pin<KBox<Self>> = KBox::try_pin_init(
            try_pin_init!(Self {
                raw <- pin_init::init_zeroed(),
                last <- pin_init::init_zeroed(),
                released <- Completion::new(),
                data,
                types: boxed,
                raw_types,
                driver,
            }),
            GFP_KERNEL,
        )?;

        let last = inner.last.get();
        // SAFETY: The device is zeroed memory that stays where it is.
        unsafe { bindings::device_initialize(last) };
        // SAFETY: The device is initialised and nobody else knows it yet. INVARIANT: The release completes `released`.
        unsafe { (*last).release = Some(Self::release_callback) };
        Ok(inner)
    }

    /// Returns the driver's data of this parent.
    pub(super) fn data(&self) -> &T::ParentData {
        &self.data
    }

    /// Removes the files that the driver added to the directories of the types.
    fn remove_attributes(&self) {
        for ty in &self.types {
            for attribute in T::TYPE_ATTRIBUTES {
                attribute.remove(ty);
            }
        }
    }

    /// Adds the files of the driver to the directories of the types. On an error some are there.
    fn create_attributes(&self) -> Result {
        for ty in &self.types {
            for attribute in T::TYPE_ATTRIBUTES {
                attribute.create(ty)?;
            }
        }
        Ok(())
    }

    /// # Safety
    ///
    /// Only the driver core may call this, when the final reference to the `last` in a `Inner<T>` is gone.
    unsafe extern "C" fn release_callback(last: *mut bindings::device) {
        // SAFETY: The device is inside an `Inner<T>`, which is kept until the completion.
        let this = unsafe { &*container_of!(Opaque::cast_from(last), Self, last) };
        this.released.complete_all();
    }

    /// Gives up the first reference to `last`, and waits until there is none left.
    fn wait_for_release(&self) {
        // SAFETY: By the type invariant there is a reference to give up.
        unsafe { bindings::put_device(self.last.get()) };
        self.released.wait_for_completion();
    }
}

impl<D: ParentDevice, T: Driver> Parent<D, T> {
    /// Makes `device` a parent, with its types, and tells user space.
    ///
    /// # Errors
    ///
    /// `EINVAL` when there are no types, `ENOMEM`.
    pub fn new(
        driver: Arc<DriverRegistration<T>>,
        device: D,
        data: T::ParentData,
        types: impl IntoIterator<Item = (TypeInfo, T::TypeData)>,
    ) -> Result<Self> {
        let inner = Inner::new(driver, data, types)?;
        let nr_types = c_uint::try_from(inner.types.len())?;
        if nr_types == 0 {
            inner.wait_for_release();
            return Err(EINVAL);
        }

        // SAFETY: The device is registered, and kept until after `mdev_unregister_parent()`. The driver is registered
        // and `inner` holds a reference to it. The table of types, and the types, stay where they are.
        let ret = unsafe {
            c::mdev_register_parent(
                inner.raw.get(),
                as_raw(device.device()),
                inner.driver.as_raw(),
                inner.raw_types.as_ptr().cast_mut(),
                nr_types,
            )
        };
        if let Err(error) = to_result(ret) {
            for ty in &inner.types {
                ty.finish_release();
            }
            inner.wait_for_release();
            return Err(error);
        }
        for ty in &inner.types {
            ty.get();
        }

        // From here on dropping it undoes everything.
        let parent = Self { inner, device };
        parent.inner.create_attributes()?;
        parent.announce();
        Ok(parent)
    }

    /// Tells user space to look at the parent again. mdev did so when it registered the parent, which was before
    /// the types had the driver's files.
    fn announce(&self) {
        let state = c"MDEV_STATE=registered".as_char_ptr().cast_mut();
        let mut environment = [state, null_mut()];
        let device = self.device.device();

        // SAFETY: The device is registered; the environment is ended by a null pointer and only read.
        let ret = unsafe {
            bindings::kobject_uevent_env(
                &raw mut (*as_raw(device)).kobj,
                bindings::kobject_action_KOBJ_CHANGE,
                environment.as_mut_ptr(),
            )
        };
        if ret != 0 {
            // Whoever looks finds the files all the same.
            dev_dbg!(device, "no uevent for the added files: error {}\n", ret);
        }
    }
}

/// Borrows a parent from the C one.
///
/// # Safety
///
/// `raw` must be the `mdev_parent` of a parent of `T` that is valid for `'a`.
pub(super) unsafe fn from_raw<'a, T: Driver>(raw: *mut c::mdev_parent) -> &'a Inner<T> {
    // SAFETY: By the requirements `raw` is inside an `Inner<T>`.
    unsafe { &*container_of!(Opaque::cast_from(raw), Inner<T>, raw) }
}

impl<D: ParentDevice, T: Driver> Drop for Parent<D, T> {
    fn drop(&mut self) {
        let inner = &self.inner;
        // Before the directories go; and files that are removed are waited for.
        inner.remove_attributes();

        // SAFETY: `new()` registered the parent.
        unsafe { c::mdev_unregister_parent(inner.raw.get()) };

        for _ in &inner.types {
            // SAFETY: `last` has its first reference. This one is given up when the type is released.
            unsafe { bindings::get_device(inner.last.get()) };
            // SAFETY: This is the reference that the type took when it was registered.
            unsafe { bindings::put_device(as_raw(self.device.device())) };
        }
        // SAFETY: The parent is not registered any more, so that only the release of a type reads the field; and no type
        // is released before the references that `new()` took are given up, below.
        unsafe { (*inner.raw.get()).dev = inner.last.get() };
        for ty in &inner.types {
            ty.put();
        }
        inner.wait_for_release();
    }
}
