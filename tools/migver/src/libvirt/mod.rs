// SPDX-License-Identifier: GPL-2.0-only

//! libvirt: the hook that finds a device for a domain that comes to this host, and the stamp that
//! lets a domain carry the strings of its devices with it.
//!
//! [`hook`] is the whole of it. The domain's XML is read and changed by [`xml`]; which device a
//! domain gets is decided by [`choose`](mod@choose), within a [`Transaction`], against a [`Host`],
//! of which [`SysfsHost`] is the real one. [`stamp`] goes the other way.

pub mod choose;
pub mod config;
pub mod hook;
pub mod log;
pub mod stamp;
pub mod virsh;
pub mod xml;

mod domains;
mod host;
mod record;
mod sysfs;
mod transaction;
mod users;
mod uuid;

pub use choose::{
    choose,
    Choice,
    Fault,
    How,
    Policy,
    Refusal,
    Wish, //
};
pub use config::Config;
pub use host::{
    Entry,
    Host,
    Node, //
};
pub use record::{
    Record,
    State, //
};
pub use sysfs::SysfsHost;
pub use transaction::Transaction;
pub use uuid::{
    NotAUuid,
    Uuid, //
};
