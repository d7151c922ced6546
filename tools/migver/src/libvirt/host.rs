// SPDX-License-Identifier: GPL-2.0-only

//! What the choice of a device asks of this host, as a trait, so that it can be tried against a
//! host that refuses at any step.
//!
//! [`SysfsHost`](super::SysfsHost) is the real one.

use super::Uuid;

use crate::{
    inventory::Inventory,
    Error, //
};

use serde::{
    Deserialize,
    Serialize, //
};

use std::{
    fmt,
    io, //
};

/// Something that has a `migration_version`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Node {
    /// A type of a parent.
    Type {
        /// The parent's name in `/sys/class/mdev_bus`.
        parent: String,
        /// The type's identifier.
        name: String,
    },
    /// A device that exists.
    Device(Uuid),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type { parent, name } => write!(f, "type {parent}/{name}"),
            Self::Device(uuid) => write!(f, "device {uuid}"),
        }
    }
}

/// A device that was given to a domain.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// The device.
    pub uuid: Uuid,
    /// Whether it was created for the domain, and so is to be removed after it.
    pub created: bool,
}

/// The host that a domain comes to.
pub trait Host {
    /// Reads which parents, types and devices there are.
    ///
    /// # Errors
    ///
    /// If sysfs cannot be read.
    fn inventory(&self) -> Result<Inventory, Error>;

    /// Writes a source's string to the `migration_version` of a node. The kernel decides.
    ///
    /// # Errors
    ///
    /// That of `write(2)`: the node does not take the source's device.
    fn offer(&mut self, node: &Node, source: &str) -> io::Result<()>;

    /// Reads the string of a device.
    ///
    /// # Errors
    ///
    /// Those of `open(2)` and `read(2)`; `ENOENT` if the device does not migrate.
    fn version(&self, uuid: &Uuid) -> io::Result<String>;

    /// Creates a device.
    ///
    /// # Errors
    ///
    /// Those of the type's `create`; `EEXIST` if there is one of this UUID.
    fn create(&mut self, parent: &str, name: &str, uuid: &Uuid) -> io::Result<()>;

    /// Removes a device. It must be free: else the kernel waits for its user. One that is gone is
    /// no error.
    ///
    /// # Errors
    ///
    /// Those of the device's `remove`.
    fn remove(&mut self, uuid: &Uuid) -> io::Result<()>;

    /// Tells who uses a device or has a claim to it, other than the domain that is dealt with.
    /// Nothing is opened for it, so nobody is disturbed.
    ///
    /// # Errors
    ///
    /// If that cannot be told.
    fn user(&self, uuid: &Uuid) -> io::Result<Option<String>>;

    /// Makes a new UUID.
    ///
    /// # Errors
    ///
    /// If there is no randomness.
    fn fresh(&mut self) -> io::Result<Uuid>;

    /// Replaces what is written down of the domain: the devices it was given. It must outlive
    /// this process.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    fn note(&mut self, entries: &[Entry]) -> io::Result<()>;

    /// Whether a signal has asked this process to end.
    fn interrupted(&self) -> bool;
}
