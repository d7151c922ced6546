// SPDX-License-Identifier: GPL-2.0-only

//! Bindings for the C headers that the kernel crate does not cover: mdev and vfio.
//!
//! bindgen makes them of `include/bindings_helper.h` when the module is built; see `Kbuild`. Types that the
//! kernel crate has are imported from there, so that both speak of the same `struct device`.

#![allow(
    clippy::all,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::cast_lossless,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unknown_lints, // bindgen names lints that an older rustc does not know
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports
)]

use kernel::ffi;
use pin_init::MaybeZeroable;

include!(env!("MIGDEV_BINDINGS"));
