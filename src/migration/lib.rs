// SPDX-License-Identifier: GPL-2.0-only

//! The migration state machine and the stream as an ordinary crate, for host tests and tools.
//!
//! The kernel module compiles `mod.rs` and the files below it as its `migration` module. This root adds nothing to
//! them, it only gives them the same neighbours: `crate::migver` and `crate::migration` are what they are in the module.

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
mod migration;

pub use migration::*;
pub use migver;
