// SPDX-License-Identifier: GPL-2.0-only
//! The `migration_version` files of types and devices, which the peer does not have, beside the plainest attributes of
//! the same places.

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use vfio_client::sysfs::{errno_of, MdevType};

use crate::calls;
use crate::measure::{Bench, Operation};
use crate::results::Goal;
use crate::World;

/// More than an attribute of these has.
const BUFFER: usize = 512;

/// A constant text that mdev itself shows: the type's API.
const PLAIN_TYPE: &str = "a type's device_api";
/// A number that the driver core itself shows: the device's.
const PLAIN_DEVICE: &str = "a device's dev";
/// A flag that the driver core itself sets, from the first of as many bytes.
const PLAIN_STORE: &str = "write to a bus's drivers_autoprobe";

/// Reads and writes, at a type and at a device.
///
/// # Errors
///
/// What opening the files answers.
pub fn add<'a>(world: &'a World, benches: &mut Vec<Bench<'a>>) -> Result<(), Errno> {
    let kind = world.ours.kind.path();
    let device = world.ours.source.path();
    let number = only_entry(&device.join("vfio-dev"))?.join("dev");
    for (place, file, plain, plain_is) in [
        ("type", kind, kind.join("device_api"), PLAIN_TYPE),
        ("device", device, number, PLAIN_DEVICE),
    ] {
        let file = file.join("migration_version");
        let version = fs::read(&file).map_err(errno_of)?;
        let autoprobe = Path::new("/sys/bus/mdev/drivers_autoprobe");
        benches.push(
            Bench::new(format!("attribute of a {place}: read"))
                .goal(Goal::Attribute)
                .ours(read(&file)?)
                .limit(plain_is, read(&plain)?),
        );
        benches.push(
            Bench::new(format!("attribute of a {place}: open, read, close"))
                .goal(Goal::Attribute)
                .ours(read_anew(&file)?)
                .limit(plain_is, read_anew(&plain)?),
        );
        benches.push(
            Bench::new(format!("attribute of a {place}: write what fits"))
                .goal(Goal::None)
                .ours(write(&file, version.clone())?)
                .limit(PLAIN_STORE, write(autoprobe, version)?),
        );
    }
    let instances = |kind: &MdevType| read(&kind.path().join("available_instances"));
    benches.push(
        Bench::new("attribute of a type: read available_instances")
            .ours(instances(&world.ours.kind)?)
            .peer(instances(&world.peer.kind)?)
            .limit(PLAIN_TYPE, read(&kind.join("device_api"))?),
    );
    Ok(())
}

/// The only thing in a directory.
///
/// # Errors
///
/// `ENOENT` where there is nothing.
pub fn only_entry(directory: &Path) -> Result<PathBuf, Errno> {
    let mut entries = fs::read_dir(directory).map_err(errno_of)?;
    let entry = entries.next().ok_or(Errno::ENOENT)?;
    Ok(entry.map_err(errno_of)?.path())
}

/// A path as the kernel takes it.
///
/// # Errors
///
/// `EINVAL` for one that cannot be.
pub fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

fn open(path: &Path, flags: i32) -> Result<OwnedFd, Errno> {
    calls::open(&c_path(path)?, flags)
}

/// Reads an open attribute from its start.
fn read<'a>(path: &Path) -> Result<Operation<'a>, Errno> {
    let file = open(path, libc::O_RDONLY)?;
    let mut buffer = [0; BUFFER];
    Ok(Operation::new(move || {
        calls::pread_some(file.as_raw_fd(), &mut buffer).map(drop)
    }))
}

/// Does what `cat` does.
///
/// # Errors
///
/// `EINVAL` for a path that cannot be.
pub fn read_anew<'a>(path: &Path) -> Result<Operation<'a>, Errno> {
    let path = c_path(path)?;
    let mut buffer = [0; BUFFER];
    Ok(Operation::new(move || {
        let file = calls::open(&path, libc::O_RDONLY)?;
        calls::read(file.as_raw_fd(), &mut buffer).map(drop)
    }))
}

/// Writes to an open attribute.
fn write<'a>(path: &Path, text: Vec<u8>) -> Result<Operation<'a>, Errno> {
    let file = open(path, libc::O_WRONLY)?;
    Ok(Operation::new(move || {
        calls::pwrite(file.as_raw_fd(), &text, 0)
    }))
}
