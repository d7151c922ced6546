// SPDX-License-Identifier: GPL-2.0-only

//! What may take a device in: a type that one can be created of, or a device that exists.

use crate::inventory::Inventory;

use serde_json::{
    json,
    Value, //
};

use std::fmt;

/// A type or a device of one host that migrates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Candidate<'a> {
    /// The host's name.
    pub host: &'a str,
    /// The name of the parent in `/sys/class/mdev_bus`.
    pub parent: &'a str,
    /// The identifier of the type, or of the device's type.
    pub type_name: &'a str,
    /// Whether it is the type itself or a device of it.
    pub what: What<'a>,
    /// What its `migration_version` reads. Nothing has looked at it yet.
    pub string: &'a str,
}

/// Whether a candidate exists or would have to be created.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum What<'a> {
    /// A type.
    Type {
        /// How many more devices can be created of it.
        available: u64,
    },
    /// A device.
    Device {
        /// Its UUID.
        uuid: &'a str,
    },
}

impl<'a> Candidate<'a> {
    /// Returns the UUID of a device.
    pub const fn uuid(&self) -> Option<&'a str> {
        match self.what {
            What::Type { .. } => None,
            What::Device { uuid } => Some(uuid),
        }
    }

    /// Returns how many more devices can be created of a type.
    pub const fn available(&self) -> Option<u64> {
        match self.what {
            What::Type { available } => Some(available),
            What::Device { .. } => None,
        }
    }

    /// Returns `"type"` or `"device"`.
    pub const fn kind(&self) -> &'static str {
        match self.what {
            What::Type { .. } => "type",
            What::Device { .. } => "device",
        }
    }

    /// Returns what there is to tell a program about where it is.
    pub fn json(&self) -> Value {
        let mut object = json!({
            "host": self.host,
            "parent": self.parent,
            "kind": self.kind(),
            "type": self.type_name,
        });
        match self.what {
            What::Type { available } => object["available_instances"] = available.into(),
            What::Device { uuid } => object["uuid"] = uuid.into(),
        }
        object
    }
}

impl fmt::Display for Candidate<'_> {
    /// Shows where it is on its host: `PARENT/TYPE`, or the UUID.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Type { .. } => write!(f, "{}/{}", self.parent, self.type_name),
            What::Device { uuid } => f.write_str(uuid),
        }
    }
}

/// Iterates over everything of a host that migrates: types by parent and name, then devices by UUID.
pub fn candidates(inventory: &Inventory) -> impl Iterator<Item = Candidate<'_>> {
    let types = inventory.types().filter_map(|(parent, item)| {
        Some(Candidate {
            host: &inventory.host,
            parent: &parent.name,
            type_name: &item.name,
            what: What::Type {
                available: item.available_instances,
            },
            string: item.migration_version.as_deref()?,
        })
    });
    let devices = inventory.devices.iter().filter_map(|device| {
        Some(Candidate {
            host: &inventory.host,
            parent: &device.parent,
            type_name: &device.type_name,
            what: What::Device { uuid: &device.uuid },
            string: device.migration_version.as_deref()?,
        })
    });
    types.chain(devices)
}
