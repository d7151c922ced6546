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

    /// Waits for the release of a type whose last reference is gone. It is over already, unless the kernel was
    /// configured to find those who rely on that.
    pub(super) fn finish_release(&self) {
        #[cfg(CONFIG_DEBUG_KOBJECT_RELEASE)]
        {
            let kobj = self.kobject();
            // SAFETY: The memory is that of a kobject, and nobody else uses it but the release.
            if unsafe { (*kobj).state_initialized() } != 0 {
                // SAFETY: Giving up the last reference initialised the work.
                unsafe { bindings::flush_delayed_work(&raw mut (*kobj).release) };
            }
        }
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
