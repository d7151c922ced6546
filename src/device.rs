// SPDX-License-Identifier: GPL-2.0-only

//! The C side of devices of the driver core, which the kernel crate keeps to itself.
//!
//! C header: [`include/linux/device.h`](srctree/include/linux/device.h)

use kernel::{
    bindings,
    device,
    types::Opaque, //
};

/// Returns the C device.
pub(crate) fn as_raw(device: &device::Device) -> *mut bindings::device {
    // `device::Device` is a transparent wrapper of an `Opaque<bindings::device>`.
    Opaque::cast_into(core::ptr::from_ref(device).cast())
}
