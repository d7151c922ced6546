// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Migration version strings, as a crate for user space.
//!
//! The kernel module compiles the same files as `mod migver;`, so that a verdict reached here is
//! the verdict of the kernel. See [`Version`] for the parts of a string, [`Version::parse`] for
//! reading one, and [`compare`] for the rules.
//!
//! # Examples
//!
//! ```
//! let old = migver::Version::parse(b"migver:1,vendor=acme,model=nic,abi=1.0,stream=1:1-1")?;
//! let new = migver::Version::parse(b"migver:1,vendor=acme,model=nic,abi=1.1,stream=2:1-2")?;
//!
//! assert!(migver::compare(&old, &new).is_compatible());
//! assert_eq!(
//!     migver::compare(&new, &old).to_string(),
//!     "abi: source 1.1, destination 1.0: the destination is too old; \
//!      stream: source writes 2, destination loads 1-1: the destination is too old",
//! );
//! # Ok::<(), migver::ParseError>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]
// The kernel has no way back from a panic, so these files have no way there.
// Tests may panic: it is how they fail.
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
mod migver;

pub use migver::*;
