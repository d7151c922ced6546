// SPDX-License-Identifier: GPL-2.0-only

//! The serial card's model as an ordinary crate, for host tests and tools.
//!
//! The kernel module compiles `mod.rs` and the files below it as its `model` module. This root adds nothing to them,
//! it only gives them the same place below a crate, so that their `super::` paths mean the same on both sides.

#![no_std]
#![forbid(unsafe_code)]
// The kernel has no way back from a panic, so these files have no way there. Tests may panic: it is how they fail.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[path = "mod.rs"]
mod model;

pub use migdev_migration as migration;
pub use model::*;
