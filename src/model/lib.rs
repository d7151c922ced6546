// SPDX-License-Identifier: GPL-2.0-only

//! The serial card's model as an ordinary crate, for host tests and tools.
//!
//! The kernel module compiles `mod.rs` and the files below it as its `model` module. This root adds nothing to them,
//! it only gives them the same place below a crate, so that their `super::` paths mean the same on both sides.

#![no_std]
#![forbid(unsafe_code)]

#[path = "mod.rs"]
mod model;

pub use model::*;
