// SPDX-License-Identifier: GPL-2.0-only

//! The module itself, for the tables of callbacks that keep it loaded.
//!
//! C header: [`include/linux/export.h`](srctree/include/linux/export.h)

use kernel::bindings;

/// Returns `THIS_MODULE`: null for what is built into the kernel.
pub(crate) const fn this_module() -> *mut bindings::module {
    #[cfg(MODULE)]
    {
        use kernel::types::Opaque;

        unsafe extern "C" {
            // Of the structure, which is not one to pass by value, only the address is used.
            static __this_module: Opaque<u8>;
        }
        Opaque::cast_into(&raw const __this_module).cast()
    }
    #[cfg(not(MODULE))]
    core::ptr::null_mut()
}

/// The module itself, for unit tests that register something.
#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
// SAFETY: It is the pointer to this module.
pub(crate) static THIS_MODULE: kernel::ThisModule =
    unsafe { kernel::ThisModule::from_ptr(this_module()) };
