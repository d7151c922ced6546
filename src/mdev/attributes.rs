// SPDX-License-Identifier: GPL-2.0-only

//! The files that a vendor driver adds to the directories of its types and of its devices.
//!
//! To a type's directory they are added one by one after the parent was registered, because mdev has no place to
//! name them before. To a device's they are added by the driver core (`dev_groups`), after `probe` and before user
//! space is told of the device; and they are removed before `remove`.

use super::{
    driver::DriverRegistration,
    Driver,
    Type, //
};
use crate::sysfs::{
    Attribute,
    Directory,
    File, //
};
use core::{
    marker::PhantomData,
    ptr::null, //
};
use kernel::{
    bindings,
    error::to_result,
    prelude::*, //
};

/// How many files a driver may add to one directory.
pub const MAX_ATTRIBUTES: usize = 8;

/// A file in the directory of a type. Its owner is the [`Type`].
pub struct TypeAttribute<T: Driver> {
    raw: &'static bindings::bin_attribute,
    is_visible: unsafe fn(*mut bindings::kobject) -> bool,
    _driver: PhantomData<fn(T)>,
}

impl<T: Driver> TypeAttribute<T> {
    /// Describes the file that `A` implements.
    pub const fn new<A: Attribute<Type<T>> + 'static>() -> Self {
        Self {
            raw: &File::<TypeDirectory<T>, A>::ATTRIBUTE,
            is_visible: File::<TypeDirectory<T>, A>::is_visible,
            _driver: PhantomData,
        }
    }

    /// Adds the file to the directory of `ty`, if it is to be there.
    pub(super) fn create(&self, ty: &Type<T>) -> Result {
        // SAFETY: The directory is that of a type of `T`.
        if !unsafe { (self.is_visible)(ty.kobject()) } {
            return Ok(());
        }
        // SAFETY: The type is registered, so that its directory exists; the attribute lives forever.
        to_result(unsafe { bindings::sysfs_create_bin_file(ty.kobject(), self.raw) })
    }

    /// Removes the file from the directory of `ty`, if it is there, and waits until nobody is in it.
    pub(super) fn remove(&self, ty: &Type<T>) {
        // SAFETY: As for `create()`; sysfs ignores a file that is not there.
        unsafe { bindings::sysfs_remove_bin_file(ty.kobject(), self.raw) };
    }
}

/// A file in the directory of a device. Its owner is the driver's data of the device.
pub struct DeviceAttribute<T: Driver> {
    raw: &'static bindings::bin_attribute,
    is_visible: unsafe fn(*mut bindings::kobject) -> bool,
    _driver: PhantomData<fn(T)>,
}

impl<T: Driver> DeviceAttribute<T> {
    /// Describes the file that `A` implements.
    pub const fn new<A: Attribute<T::Data> + 'static>() -> Self {
        Self {
            raw: &File::<DeviceDirectory<T>, A>::ATTRIBUTE,
            is_visible: File::<DeviceDirectory<T>, A>::is_visible,
            _driver: PhantomData,
        }
    }
}

/// The directory of a type of the driver `T`.
struct TypeDirectory<T: Driver>(PhantomData<T>);

// SAFETY: The directory of a type is the `kobj` in its `mdev_type`.
unsafe impl<T: Driver> Directory for TypeDirectory<T> {
    type Owner = Type<T>;

    unsafe fn owner<'a>(kobj: *mut bindings::kobject) -> &'a Type<T> {
        // SAFETY: The requirements are the same.
        unsafe { Type::from_kobject(kobj) }
    }
}

/// The directory of a device that is bound to the driver `T`.
struct DeviceDirectory<T: Driver>(PhantomData<T>);

// SAFETY: The directory of a device is the `kobj` in its `struct device`, and its data is the driver's.
unsafe impl<T: Driver> Directory for DeviceDirectory<T> {
    type Owner = T::Data;

    unsafe fn owner<'a>(kobj: *mut bindings::kobject) -> &'a T::Data {
        // SAFETY: The files are there only while the device is bound.
        Pin::get_ref(unsafe { DriverRegistration::<T>::data_from_kobject(kobj) })
    }
}

/// The tables that the driver core reads.
struct Tables<T: Driver>(PhantomData<T>);

impl<T: Driver> Tables<T> {
    /// The files, ended by a null pointer.
    const FILES: &'static [*const bindings::bin_attribute; MAX_ATTRIBUTES + 1] = &{
        assert!(T::DEVICE_ATTRIBUTES.len() <= MAX_ATTRIBUTES);
        assert!(T::TYPE_ATTRIBUTES.len() <= MAX_ATTRIBUTES);
        let mut files = [null(); MAX_ATTRIBUTES + 1];
        let mut i = 0;
        while i < T::DEVICE_ATTRIBUTES.len() {
            files[i] = T::DEVICE_ATTRIBUTES[i].raw;
            i += 1;
        }
        files
    };

    /// The one group of files.
    const GROUP: bindings::attribute_group = bindings::attribute_group {
        bin_attrs: Self::FILES.as_ptr(),
        is_bin_visible: Some(Self::is_visible_callback),
        ..pin_init::zeroed()
    };

    /// The groups, ended by a null pointer.
    const GROUPS: &'static [*const bindings::attribute_group; 2] = &[&Self::GROUP, null()];

    /// # Safety
    ///
    /// Only sysfs may call this, for a device that is bound to `T`, with `index` an index into `FILES`.
    unsafe extern "C" fn is_visible_callback(
        kobj: *mut bindings::kobject,
        attribute: *const bindings::bin_attribute,
        index: c_int,
    ) -> bindings::umode_t {
        let file = usize::try_from(index)
            .ok()
            .and_then(|index| T::DEVICE_ATTRIBUTES.get(index));
        match file {
            // SAFETY: The directory is that of a device that is bound to `T`.
            Some(file) if unsafe { (file.is_visible)(kobj) } => {
                // SAFETY: sysfs passes one of `FILES`, which live forever.
                unsafe { (*attribute).attr.mode }
            }
            _ => 0,
        }
    }
}

/// Returns the groups of files that the driver core adds to each device of `T`.
pub(super) fn device_groups<T: Driver>() -> *const *const bindings::attribute_group {
    Tables::<T>::GROUPS.as_ptr()
}
