// SPDX-License-Identifier: GPL-2.0-only

//! Puts the strings of a domain's mdevs into its metadata, so that the domain carries them to
//! wherever it goes.

use super::{
    virsh::{
        Scope,
        Virsh, //
    },
    xml::{
        self,
        Domain, //
    },
    Uuid, //
};

use crate::{
    exit::os_text,
    host::{
        self,
        attribute, //
    },
    Error, //
};

use std::{
    fmt,
    path::Path, //
};

/// What happened to the metadata of a domain in one place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It says already what it has to.
    Unchanged,
    /// It was set.
    Set,
    /// It was removed.
    Removed,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unchanged => "unchanged",
            Self::Set => "set",
            Self::Removed => "removed",
        })
    }
}

/// An mdev of a domain, and what is known of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mdev {
    /// The device.
    pub uuid: Uuid,
    /// What is told of it.
    pub version: Told,
}

/// What is told of a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// What it says of itself.
    ByDevice(String),
    /// It does not exist now: what was stamped earlier.
    ByMetadata(String),
    /// It exists and does not migrate.
    DoesNotMigrate,
    /// It does not exist, and nothing was stamped.
    Nothing,
}

impl Told {
    /// Returns the string.
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::ByDevice(version) | Self::ByMetadata(version) => Some(version),
            Self::DoesNotMigrate | Self::Nothing => None,
        }
    }
}

/// What was found of a domain in one place, and what was done.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// Where.
    pub scope: Scope,
    /// Its mdevs, in the order of its XML.
    pub mdevs: Vec<Mdev>,
    /// What was done, or would be.
    pub change: Change,
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Where sysfs is mounted.
    pub sysfs: &'a Path,
    /// libvirt.
    pub virsh: &'a Virsh,
    /// Whether to take the metadata away.
    pub remove: bool,
    /// Whether to change nothing.
    pub dry_run: bool,
}

/// Stamps a domain wherever it exists: where it runs, and in its definition.
///
/// # Errors
///
/// Those of virsh and of sysfs, and if a domain's XML cannot be read.
pub fn stamp(task: Task<'_>, name: &str) -> Result<Vec<Stamp>, Error> {
    let scopes = task.virsh.scopes(name)?;
    scopes
        .into_iter()
        .map(|scope| stamp_in(task, name, scope))
        .collect()
}

fn stamp_in(task: Task<'_>, name: &str, scope: Scope) -> Result<Stamp, Error> {
    let text = task.virsh.dumpxml(name, scope)?;
    let domain = xml::parse(text.as_bytes())
        .map_err(|error| Error::new(format_args!("the XML of domain {name}"), error))?;
    let mdevs = mdevs(task.sysfs, &domain)?;
    let is: Vec<(&Uuid, &str)> = domain
        .pins
        .iter()
        .map(|pin| (&pin.uuid.value, pin.version.value.as_str()))
        .collect();
    let wanted: Vec<(&Uuid, &str)> = mdevs
        .iter()
        .filter(|_| !task.remove)
        .filter_map(|mdev| Some((&mdev.uuid, mdev.version.version()?)))
        .collect();
    let change = match (is == wanted, wanted.is_empty()) {
        (true, _) => Change::Unchanged,
        (false, true) => Change::Removed,
        (false, false) => Change::Set,
    };
    if !task.dry_run {
        match change {
            Change::Unchanged => {}
            Change::Set => task.virsh.set_metadata(name, scope, &element(&wanted))?,
            Change::Removed => task.virsh.remove_metadata(name, scope)?,
        }
    }
    Ok(Stamp {
        scope,
        mdevs,
        change,
    })
}

/// Reads what each mdev of a domain says of itself.
fn mdevs(sysfs: &Path, domain: &Domain) -> Result<Vec<Mdev>, Error> {
    let mdevs = domain.mdevs.iter().map(|mdev| {
        let uuid = mdev.value.clone();
        let dir = host::device_dir(sysfs, uuid.as_str());
        let path = dir.join(attribute::MIGRATION_VERSION);
        let read =
            attribute::read(&path).map_err(|error| Error::new(path.display(), os_text(&error)))?;
        let version = match (read, domain.pin(&uuid)) {
            (Some(version), _) => Told::ByDevice(version),
            (None, _) if dir.exists() => Told::DoesNotMigrate,
            (None, Some(pin)) => Told::ByMetadata(pin.version.value.clone()),
            (None, None) => Told::Nothing,
        };
        Ok(Mdev { uuid, version })
    });
    mdevs.collect()
}

/// Returns the element for the metadata, without a namespace: libvirt adds it.
fn element(devices: &[(&Uuid, &str)]) -> String {
    let devices: Vec<_> = devices
        .iter()
        .map(|(uuid, version)| {
            let version = quick_xml::escape::escape(*version);
            format!("<device uuid='{uuid}' version='{version}'/>")
        })
        .collect();
    format!("<migration>{}</migration>", devices.concat())
}
