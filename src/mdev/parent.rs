// SPDX-License-Identifier: GPL-2.0-only

//! Parents of mediated devices.
//!
//! A [`Parent`] is a device of its own, without hardware behind it, that offers types. It is listed under
//! `/sys/class/mdev_bus` by its name; the directories of its types begin with the name of its class.
//!
//! # Lifetime
//!
//! mdev reads the parent when the last reference to a mediated device goes, which may be later than
//! `mdev_unregister_parent()`; the references to the types, and through them to the parent's `struct device`,
//! are what tells that this has happened. So the parent and its types stay where they are until the `struct device`
//! is released, and dropping a [`Parent`] waits for that. A module that drops its parents before it is unloaded
//! is therefore not called afterwards. (Forgetting a [`Parent`], as forgetting any registration, is a promise that the
//! module stays.)

use super::{
    Driver,
    DriverRegistration,
    Type,
    TypeInfo, //
};
use crate::{
    bindings as c,
    class::Class, //
};
use core::ptr::null_mut;
use kernel::{
    bindings,
    container_of,
    device,
    error::to_result,
    prelude::*,
    sync::{
        Arc,
        Completion, //
    },
    types::Opaque, //
};

/// A registered parent. Dropping it removes its devices, waiting for those in use, and then the parent itself.
pub struct Parent<T: Driver>(Pin<KBox<Inner<T>>>);

/// # Invariants
///
/// - `device` was initialised by `device_initialize()`, and this has not yet given up its first reference.
/// - The memory is kept until `released` is completed, which the release of `device` does.
#[pin_data]
pub(super) struct Inner<T: Driver> {
    #[pin]
    device: Opaque<bindings::device>,
    #[pin]
    raw: Opaque<c::mdev_parent>,
    #[pin]
    released: Completion,
    data: T::ParentData,
    types: KVec<KBox<Type<T>>>,
    /// What mdev keeps a pointer to: the address of each element of `types`.
    raw_types: KVec<*mut c::mdev_type>,
    driver: Arc<DriverRegistration<T>>,
    class: Arc<Class>,
}

// SAFETY: Nothing in a parent belongs to a thread: the C structures lock themselves, the pointers are to `types`.
unsafe impl<T: Driver> Send for Inner<T> {}

// SAFETY: As above; the Rust fields do not change once the parent is registered.
unsafe impl<T: Driver> Sync for Inner<T> {}

impl<T: Driver> Inner<T> {
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

    /// Tells user space to look at the parent again. mdev did so when it registered the parent, which was before
    /// the types had the driver's files.
    fn announce(&self) {
        let state = c"MDEV_STATE=registered".as_char_ptr().cast_mut();
        let mut environment = [state, null_mut()];

        // SAFETY: The device is registered; the environment is ended by a null pointer and only read.
        let ret = unsafe {
            bindings::kobject_uevent_env(
                &raw mut (*self.device.get()).kobj,
                bindings::kobject_action_KOBJ_CHANGE,
                environment.as_mut_ptr(),
            )
        };
        if ret != 0 {
            // Whoever looks finds the files all the same.
            dev_dbg!(
                self.as_ref(),
                "no uevent for the added files: error {}\n",
                ret
            );
        }
    }

    /// # Safety
    ///
    /// Only the driver core may call this, when the last reference to the `device` in a `Inner<T>` is gone.
    unsafe extern "C" fn release_callback(device: *mut bindings::device) {
        // SAFETY: The device is inside an `Inner<T>`, which is kept until the completion.
        let this = unsafe { &*container_of!(Opaque::cast_from(device), Self, device) };
        this.released.complete_all();
    }

    /// Gives up the first reference to the device, and waits until there is none left.
    fn release(&self) {
        // SAFETY: By the type invariant there is a reference to give up.
        unsafe { bindings::put_device(self.device.get()) };
        self.released.wait_for_completion();
    }
}

impl<T: Driver> AsRef<device::Device> for Inner<T> {
    fn as_ref(&self) -> &device::Device {
        // SAFETY: By the type invariant the device is initialised and has a reference.
        unsafe { device::Device::from_raw(self.device.get()) }
    }
}

impl<T: Driver> Parent<T> {
    /// Registers a parent named `name`, with its types, and tells user space.
    ///
    /// # Errors
    ///
    /// `EEXIST` when the class has a device of this name, `EINVAL` when there are no types, `ENOMEM`.
    pub fn new(
        driver: Arc<DriverRegistration<T>>,
        class: Arc<Class>,
        name: &'static CStr,
        data: T::ParentData,
        types: impl IntoIterator<Item = (TypeInfo, T::TypeData)>,
    ) -> Result<Self> {
        let mut boxed = KVec::new();
        let mut raw_types = KVec::new();
        for (info, data) in types {
            let ty = KBox::new(Type::new(info, data), GFP_KERNEL)?;
            raw_types.push(ty.as_raw(), GFP_KERNEL)?;
            boxed.push(ty, GFP_KERNEL)?;
        }
        let nr_types = c_uint::try_from(raw_types.len())?;
        if nr_types == 0 {
            return Err(EINVAL);
        }

        let inner: Pin<KBox<Inner<T>>> = KBox::try_pin_init(
            try_pin_init!(Inner {
                device <- pin_init::init_zeroed(),
                raw <- pin_init::init_zeroed(),
                released <- Completion::new(),
                data,
                types: boxed,
                raw_types,
                driver,
                class,
            }),
            GFP_KERNEL,
        )?;

        let device = inner.device.get();
        // SAFETY: The device is zeroed memory that stays where it is.
        unsafe { bindings::device_initialize(device) };
        // SAFETY: The device is initialised and nobody else knows it yet. INVARIANT: The release completes `released`.
        unsafe {
            (*device).class = inner.class.as_raw();
            (*device).release = Some(Inner::<T>::release_callback);
        }

        // SAFETY: The device is initialised; both strings are C strings, the first one the format of the second.
        let ret =
            unsafe { bindings::dev_set_name(device, c"%s".as_char_ptr(), name.as_char_ptr()) };
        to_result(ret)
            // SAFETY: The device is initialised and has a name.
            .and_then(|()| to_result(unsafe { bindings::device_add(device) }))
            .inspect_err(|_| inner.release())?;

        // SAFETY: The device is registered, and kept until after `mdev_unregister_parent()`. The driver is registered
        // and `inner` holds a reference to it. The table of types, and the types, stay where they are.
        let ret = unsafe {
            c::mdev_register_parent(
                inner.raw.get(),
                device,
                inner.driver.as_raw(),
                inner.raw_types.as_ptr().cast_mut(),
                nr_types,
            )
        };
        if let Err(error) = to_result(ret) {
            // SAFETY: The device was added above.
            unsafe { bindings::device_del(device) };
            inner.release();
            return Err(error);
        }

        // From here on dropping it undoes everything.
        let parent = Self(inner);
        parent.0.create_attributes()?;
        parent.0.announce();
        Ok(parent)
    }

    /// Borrows a parent from the C one.
    ///
    /// # Safety
    ///
    /// `raw` must be the `mdev_parent` of a `Parent<T>` that is valid for `'a`.
    pub(super) unsafe fn from_raw<'a>(raw: *mut c::mdev_parent) -> &'a Inner<T> {
        // SAFETY: By the requirements `raw` is inside an `Inner<T>`.
        unsafe { &*container_of!(Opaque::cast_from(raw), Inner<T>, raw) }
    }
}

impl<T: Driver> Drop for Parent<T> {
    fn drop(&mut self) {
        // Before the directories go; and files that are removed are waited for.
        self.0.remove_attributes();

        // SAFETY: `new()` registered the parent.
        unsafe { c::mdev_unregister_parent(self.0.raw.get()) };
        // SAFETY: `new()` added the device.
        unsafe { bindings::device_del(self.0.device.get()) };

        self.0.release();
    }
}
