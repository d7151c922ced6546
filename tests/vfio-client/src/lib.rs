// SPDX-License-Identifier: GPL-2.0-only
//! What it takes to be the user of a mediated device: its place in sysfs, its calls with every errno and every short
//! count, its registers, both migration protocols, and a report (KTAP) of what it kept of its promises.
//!
//! The programs that try a device are made of this: the client beside it, and those of the other folders of tests.

pub mod device;
pub mod kmsg;
pub mod ktap;
pub mod memory;
pub mod migration;
pub mod serial;
pub mod sysfs;
pub mod wait;
