// SPDX-License-Identifier: GPL-2.0-only

//! The types of mediated devices that a parent offers.

use super::{
    parent,
    Driver, //
};
use crate::bindings as c;
use kernel::{
    bindings,
    container_of,
    device,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

/// What user space sees of a type.
#[derive(Clone, Copy)]
pub struct TypeInfo {
    /// The end of the type's directory name, `<parent's driver or class>-<name>`.
    pub name: &'static CStr,
    /// What the `name` file of the type says.
    pub pretty_name: &'static CStr,
}

/// A type of mediated device under a [`Parent`](super::Parent).
///
/// # Invariants
///
/// - `raw` is at offset 0, so that a `struct mdev_type` can be told from its address alone.
/// - Once the parent is registered, `raw.parent` points to the `mdev_parent` inside a parent of `T`.
#[repr(C)]
pub struct Type<T: Driver> {
    raw: Opaque<c::mdev_type>,
    data: T::TypeData,
}

// SAFETY: An `mdev_type` belongs to no thread, and `T::TypeData` may be sent.
unsafe impl<T: Driver> Send for Type<T> {}

// SAFETY: The fields of `mdev_type` do not change while it is registered; mdev locks the rest itself.
unsafe impl<T: Driver> Sync for Type<T> {}

impl<T: Driver> Type<T> {
    /// Creates a type that is not registered yet.
    pub(super) fn new(info: TypeInfo, data: T::TypeData) -> Self {
        Self {
            raw: Opaque::new(c::mdev_type {
                sysfs_name: info.name.as_char_ptr(),
                pretty_name: info.pretty_name.as_char_ptr(),
                ..pin_init::zeroed()
            }),
            data,
        }
    }

    /// Returns the C type.
    pub(super) fn as_raw(&self) -> *mut c::mdev_type {
        self.raw.get()
    }

    /// Takes a reference to the type, which must be registered.
    pub(super) fn get(&self) {
        // SAFETY: The registration has a reference.
        unsafe { bindings::kobject_get(self.kobject()) };
    }

    /// Gives up the reference that [`Self::get`] took.
    pub(super) fn put(&self) {
        // SAFETY: There is this reference.
        unsafe { bindings::kobject_put(self.kobject()) };
    }

    /// Waits until a type is released whose parent could not be registered. To be called when mdev has given up its own
    /// reference, if it came as far as to take one.
    pub(super) fn finish_release(&self) {
        let kobj = self.kobject();
        // SAFETY: The memory is that of a kobject, which is all zeroes where mdev did not come to it.
        if unsafe { (*kobj).state_initialized() } == 0 {
            return;
        }
        // SAFETY: The kobject is initialised.
        if !unsafe { bindings::kobject_get_unless_zero(kobj) }.is_null() {
            // What else refers to it is the directory in it, until the release of that, and who made a device meanwhile.
            while self.references() > 1 {
                fsleep(Delta::from_millis(10));
            }
            self.put();
        }
        // What follows the last reference is over already, unless the kernel was configured to find those who rely on that.
        #[cfg(CONFIG_DEBUG_KOBJECT_RELEASE)]
        {
            // SAFETY: Giving up the last reference, here or in mdev, initialised the work.
            unsafe { bindings::flush_delayed_work(&raw mut (*kobj).release) };
        }
    }

    /// Returns how many references to the type there are now.
    fn references(&self) -> i32 {
        // SAFETY: Only an address inside the kobject is taken.
        let count = unsafe { &raw mut (*self.kobject()).kref.refcount.refs.counter };
        // SAFETY: The number is valid for as long as `self`, and is only accessed atomically.
        unsafe { Atomic::from_ptr(count) }.load(Relaxed)
    }

    /// Returns the directory of the type.
    pub(super) fn kobject(&self) -> *mut bindings::kobject {
        // SAFETY: `raw` is valid; only an address inside it is taken.
        unsafe { &raw mut (*self.as_raw()).kobj }
    }

    /// Borrows a type from the C one.
    ///
    /// # Safety
    ///
    /// `raw` must be inside a `Type<T>` that is registered, and stays so for `'a`.
    pub(super) unsafe fn from_raw<'a>(raw: *mut c::mdev_type) -> &'a Self {
        // SAFETY: By the type invariant the C type is at offset 0.
        unsafe { &*raw.cast() }
    }

    /// Borrows a type from its directory.
    ///
    /// # Safety
    ///
    /// `kobj` must be the `kobj` of a type for which [`Self::from_raw`] may be called.
    pub(super) unsafe fn from_kobject<'a>(kobj: *mut bindings::kobject) -> &'a Self {
        // SAFETY: By the requirements `kobj` is inside a `mdev_type`.
        let raw = unsafe { container_of!(kobj, c::mdev_type, kobj) };
        // SAFETY: The requirements are the same.
        unsafe { Self::from_raw(raw) }
    }

    /// Returns the name of the directory of the type.
    pub fn name(&self) -> &CStr {
        // SAFETY: References to types are only given out while they are registered; so there is a name, and it does
        // not change.
        unsafe { CStr::from_char_ptr((*self.kobject()).name) }
    }

    /// Returns the device of the parent that offers this type.
    pub fn parent(&self) -> &device::Device {
        // SAFETY: References to types are only given out while the parent is registered. Its device is registered for
        // longer.
        unsafe { device::Device::from_raw((*(*self.as_raw()).parent).dev) }
    }

    /// Returns the driver's data of this type.
    pub fn data(&self) -> &T::TypeData {
        &self.data
    }

    /// Returns the driver's data of the parent that offers this type.
    pub fn parent_data(&self) -> &T::ParentData {
        // SAFETY: References to types are only given out while the parent is registered, and the field does not
        // change meanwhile.
        let raw = unsafe { (*self.as_raw()).parent };
        // SAFETY: By the type invariant `raw` is inside a parent of `T`, which outlives its types.
        unsafe { parent::from_raw::<T>(raw) }.data()
    }
}
