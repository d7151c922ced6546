// SPDX-License-Identifier: GPL-2.0-only

//! Device classes: the directories under `/sys/class`.
//!
//! C header: [`include/linux/device/class.h`](srctree/include/linux/device/class.h)

use core::ptr::NonNull;
use kernel::{
    bindings,
    error::from_err_ptr,
    prelude::*, //
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

    /// Returns the C class, for the abstractions of devices that are of it.
    pub(crate) fn as_raw(&self) -> *const bindings::class {
        self.0.as_ptr()
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the class is registered, and nobody uses it after this.
        unsafe { bindings::class_destroy(self.0.as_ptr()) };
    }
}
