// SPDX-License-Identifier: GPL-2.0-only

//! This host, as its sysfs tells: parents, types, devices.
//!
//! ```text
//! class/mdev_bus/PARENT/mdev_supported_types/TYPE/{name,device_api,available_instances,
//!                                                  migration_version,migration_baseline}
//! bus/mdev/devices/UUID/{mdev_type,migration_version}
//! ```
//!
//! What appears or disappears while it is read is there or not, and no error.

pub mod attribute;
pub mod machine;

use crate::{
    exit::os_text,
    inventory::{
        model::SCHEMA,
        Device,
        Inventory,
        Parent,
        Type, //
    },
    Error, //
};

use std::{
    ffi::OsStr,
    fs,
    io,
    path::{
        Path,
        PathBuf, //
    }, //
};

/// Returns the directory with all mdev parents, which exists once the `mdev` module is loaded.
pub fn parents_dir(sysfs: &Path) -> PathBuf {
    sysfs.join("class/mdev_bus")
}

/// Returns the directory of a type.
pub fn type_dir(sysfs: &Path, parent: &str, name: &str) -> PathBuf {
    types_dir(&parents_dir(sysfs).join(parent)).join(name)
}

/// Returns the directory with the types of a parent.
pub fn types_dir(parent: &Path) -> PathBuf {
    parent.join("mdev_supported_types")
}

/// Returns the directory with all mdev devices.
pub fn devices_dir(sysfs: &Path) -> PathBuf {
    sysfs.join("bus/mdev/devices")
}

/// Returns the directory of a device. The UUID's letters are lower-case.
pub fn device_dir(sysfs: &Path, uuid: &str) -> PathBuf {
    devices_dir(sysfs).join(uuid)
}

/// Reads what this host offers.
///
/// `host` is the name to give it, or [`None`] for the one that its kernel knows. Everything is
/// sorted by name.
///
/// # Errors
///
/// If `sysfs` is not there, if what is in it cannot be read, if the host has no name, and as
/// [`machine::time`].
pub fn inventory(sysfs: &Path, host: Option<&str>) -> Result<Inventory, Error> {
    let host = match host {
        Some(host) => host.to_owned(),
        None => machine::kernel_value(sysfs, "hostname"),
    };
    if host.is_empty() {
        return Err(Error::new("host", "the kernel tells no name of this host")
            .hint("give it one with --host NAME"));
    }
    Ok(Inventory {
        schema: SCHEMA,
        host,
        collected: machine::time()?,
        kernel: machine::kernel_value(sysfs, "osrelease"),
        parents: parents(sysfs)?,
        devices: devices(sysfs)?,
    })
}

/// Reads the mdev parents and their types, sorted by name.
///
/// # Errors
///
/// If `sysfs` is not there, or something in it cannot be read.
pub fn parents(sysfs: &Path) -> Result<Vec<Parent>, Error> {
    let dir = parents_dir(sysfs);
    names(sysfs, &dir)?
        .into_iter()
        .map(|name| {
            let types = types(sysfs, &dir.join(&name))?;
            Ok(Parent { name, types })
        })
        .collect()
}

fn types(sysfs: &Path, parent: &Path) -> Result<Vec<Type>, Error> {
    let dir = types_dir(parent);
    names(sysfs, &dir)?
        .into_iter()
        .map(|name| {
            let dir = dir.join(&name);
            let text = |name| read(&dir, name).map(Option::unwrap_or_default);
            Ok(Type {
                name,
                pretty_name: text("name")?,
                device_api: text("device_api")?,
                available_instances: text("available_instances")?.parse().unwrap_or(0),
                migration_version: read(&dir, attribute::MIGRATION_VERSION)?,
                migration_baseline: read(&dir, attribute::MIGRATION_BASELINE)?,
            })
        })
        .collect()
}

/// Reads the mdev devices, sorted by UUID.
///
/// # Errors
///
/// As [`parents`].
pub fn devices(sysfs: &Path) -> Result<Vec<Device>, Error> {
    let dir = devices_dir(sysfs);
    names(sysfs, &dir)?
        .into_iter()
        .filter_map(|name| device(&dir.join(&name), name).transpose())
        .collect()
}

/// Reads one device; [`None`] if it has gone.
fn device(dir: &Path, uuid: String) -> Result<Option<Device>, Error> {
    let links = fs::canonicalize(dir).and_then(|place| {
        let parent = place.parent().and_then(Path::file_name).map(lossy);
        let type_name = fs::read_link(dir.join("mdev_type"))?;
        Ok((parent, type_name.file_name().map(lossy)))
    });
    let (parent, type_name) = match links {
        Ok(links) => links,
        Err(error) if attribute::is_gone(&error) => return Ok(None),
        Err(error) => return Err(unreadable(dir, &error)),
    };
    Ok(Some(Device {
        uuid: uuid.to_ascii_lowercase(),
        parent: parent.unwrap_or_default(),
        type_name: type_name.unwrap_or_default(),
        migration_version: read(dir, attribute::MIGRATION_VERSION)?,
    }))
}

fn read(dir: &Path, name: &str) -> Result<Option<String>, Error> {
    let path = dir.join(name);
    attribute::read(&path).map_err(|error| unreadable(&path, &error))
}

/// Lists a directory of sysfs, sorted; nothing if it is not there.
fn names(sysfs: &Path, dir: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if attribute::is_gone(&error) && sysfs.is_dir() => return Ok(Vec::new()),
        Err(error) if attribute::is_gone(&error) => return Err(no_sysfs(sysfs)),
        Err(error) => return Err(unreadable(dir, &error)),
    };
    let mut names = entries
        .map(|entry| entry.map(|entry| lossy(&entry.file_name())))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(dir, &error))?;
    names.sort();
    Ok(names)
}

fn no_sysfs(sysfs: &Path) -> Error {
    Error::new(sysfs.display(), "no sysfs is mounted there").hint("--sysfs DIR says where it is")
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::new(path.display(), os_text(error))
}

fn lossy(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}
