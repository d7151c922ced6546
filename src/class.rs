// SPDX-License-Identifier: GPL-2.0-only

//! Device classes, the directories under `/sys/class`, and devices of them that have no hardware.
//!
//! C header: [`include/linux/device/class.h`](srctree/include/linux/device/class.h)

use core::ptr::{
    null_mut,
    NonNull, //
};
use kernel::{
    bindings,
    device,
    error::from_err_ptr,
    prelude::*,
    sync::Arc, //
};

/// A registered class. Unregistered when dropped, which must be after the last device of it was released.
///
/// # Invariants
///
/// The pointer is to a class that `class_create()` returned and that was not yet destroyed.
pub struct Class(NonNull<bindings::class>);

// SAFETY: Classes belong to no thread; the driver core does its own locking.
unsafe impl Send for Class {}

// SAFETY: As above.
unsafe impl Sync for Class {}

impl Class {
    /// Registers a class, and with it the directory `/sys/class/<name>`.
    ///
    /// # Errors
    ///
    /// `EEXIST` when there is a class of this name, `ENOMEM`.
    pub fn new(name: &'static CStr) -> Result<Self> {
        // SAFETY: `name` is a C string that lives forever.
        let class = from_err_ptr(unsafe { bindings::class_create(name.as_char_ptr()) })?;

        // INVARIANT: `class_create()` succeeded.
        NonNull::new(class).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the class is registered, and nobody uses it after this.
        unsafe { bindings::class_destroy(self.0.as_ptr()) };
    }
}

/// A registered device of a class, without hardware behind it. Unregistered when dropped.
///
/// # Invariants
///
/// The pointer is to a device that `device_create()` returned and that was not yet unregistered.
pub struct Device {
    raw: NonNull<bindings::device>,
    _class: Arc<Class>,
}

// SAFETY: A device belongs to no thread, and may be unregistered by any.
unsafe impl Send for Device {}

// SAFETY: The driver core does its own locking.
unsafe impl Sync for Device {}

impl Device {
    /// Registers the device `/sys/class/<class>/<name>`.
    ///
    /// # Errors
    ///
    /// `EEXIST` when the class has a device of this name, `ENOMEM`.
    pub fn new(class: Arc<Class>, name: &'static CStr) -> Result<Self> {
        // SAFETY: The class is registered. Both strings are C strings, the first one the format of the second.
        let device = from_err_ptr(unsafe {
            bindings::device_create(
                class.0.as_ptr(),
                null_mut(),
                0,
                null_mut(),
                c"%s".as_char_ptr(),
                name.as_char_ptr(),
            )
        })?;

        // INVARIANT: `device_create()` succeeded.
        Ok(Self {
            raw: NonNull::new(device).ok_or(ENOMEM)?,
            _class: class,
        })
    }
}

impl AsRef<device::Device> for Device {
    fn as_ref(&self) -> &device::Device {
        // SAFETY: By the type invariant the device is registered, until `self` is dropped.
        unsafe { device::Device::from_raw(self.raw.as_ptr()) }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the device is registered, and nobody uses it through `self` after this.
        unsafe { bindings::device_unregister(self.raw.as_ptr()) };
    }
}
