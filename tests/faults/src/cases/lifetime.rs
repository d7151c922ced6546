// SPDX-License-Identifier: GPL-2.0-only
//! Devices come and go.

use std::fs::File;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::uio::pwrite;

use vfio_client::ktap::{check, Outcome};
use vfio_client::sysfs::{errno_of, Mdev};

use super::{cases, World};

cases![
    creates_a_device_or_leaves_nothing,
    removes_a_device_or_leaves_it_whole,
];

fn creates_a_device_or_leaves_nothing(world: &World) -> Outcome {
    let before = world.available()?;
    let create = write_only(&world.kind.path().join("create"))?;
    world.faults.each(
        || Ok(uuid()?),
        |uuid| pwrite(&create, uuid.as_bytes(), 0),
        |uuid, came| {
            // A device that no driver took is created all the same, as the mdev core has it, but not usable: it says ENXIO.
            came.is_clean(&[])?;
            let path = Path::new("/sys/bus/mdev/devices").join(&uuid);
            if came.answer.is_err() {
                check!(!path.exists(), "the device is there");
                let next = world.create()?;
                next.remove()?;
                return Ok(());
            }
            let mdev = Mdev::existing(&uuid)?;
            world.opens_and_works(&mdev)?;
            vfio_client::sysfs::remove(mdev.path())?;
            Ok(())
        },
    )?;
    world.gave_back(before)
}

fn removes_a_device_or_leaves_it_whole(world: &World) -> Outcome {
    let before = world.available()?;
    world.faults.each(
        || {
            let mdev = world.create()?;
            let remove = write_only(&mdev.path().join("remove"))?;
            Ok((mdev, remove))
        },
        |(_, remove)| pwrite(remove, b"1", 0),
        |(mdev, _), came| {
            came.is_clean(&[])?;
            let path: PathBuf = mdev.path().into();
            if came.answer.is_err() {
                check!(path.exists(), "the device is gone");
                world.opens_and_works(&mdev)?;
                mdev.remove()?;
            } else {
                // It is not there to be removed when this goes out of scope.
                std::mem::forget(mdev);
            }
            check!(!path.exists(), "the device is still there");
            Ok(())
        },
    )?;
    world.gave_back(before)
}

/// A file of sysfs, to be written.
fn write_only(path: &Path) -> Result<File, Errno> {
    OpenOptions::new().write(true).open(path).map_err(errno_of)
}

/// A name that no device has had.
fn uuid() -> Result<String, Errno> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/uuid").map_err(errno_of)?;
    Ok(text.trim().to_owned())
}
