// SPDX-License-Identifier: GPL-2.0-only

//! The module's tracepoints, in `/sys/kernel/tracing/events/migdev`.
//!
//! C header: `include/migdev_trace.h`

use kernel::prelude::*;

unsafe extern "C" {
    /// `trace_migdev_state()`, which is inline in C; see `helpers.c`.
    fn rust_helper_trace_migdev_state(device: *const c_char, from: u32, to: u32);
}

/// A device went from one state of migration to another, by their numbers in `enum vfio_device_mig_state`.
pub fn state(device: &CStr, from: u32, to: u32) {
    // SAFETY: The name is a C string, which is copied.
    unsafe { rust_helper_trace_migdev_state(device.as_char_ptr(), from, to) };
}
