// SPDX-License-Identifier: GPL-2.0-only

//! Moving a device: which state it is in, and how its state travels as a stream of bytes.
//!
//! [`Migration`] is the state machine of one device. Both of the kernel's protocols are faces of it:
//!
//! - the migration feature and its data files, version 2 of the protocol, which QEMU 8 and later speak: a state is
//!   asked for with [`Migration::set_state`], and bytes go through [`Migration::peek`] and [`Migration::write`];
//! - the migration region, version 1, which QEMU 5.2 to 7.2 speak: [`Migration::region_read`] and
//!   [`Migration::region_write`].
//!
//! They differ in how bytes are carried and in nothing else: [`State`] and [`arcs`] are one, and so is the [`stream`].
//! `Documentation/migration-states.rst` tells it all in prose and tables.
//!
//! The code is a state machine without locks, time or memory allocation; whoever owns a [`Migration`] brings those.
//! A device is whatever implements [`stream::Snapshot`].

pub mod arcs;
mod counters;
mod data_file;
pub mod device_state;
mod error;
mod machine;
pub mod region;
mod session;
mod state;
pub mod stream;

#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod testing;

pub use counters::Counters;
pub use data_file::{
    PrecopyInfo,
    Readiness, //
};
pub use error::Error;
pub use machine::{
    Migration,
    Opened, //
};
pub use region::Window;
pub use session::{
    Direction,
    Session, //
};
pub use state::State;
