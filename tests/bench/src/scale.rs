// SPDX-License-Identifier: GPL-2.0-only
//! What one more device costs where there are many: the time of what is done with it, and the memory it takes.

use std::fs;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use vfio_client::device::{Access, Device};
use vfio_client::sysfs::{errno_of, Mdev, MdevType};

use crate::attributes::read_anew;
use crate::lifecycle;
use crate::measure::{median_of, Operation};
use crate::results::Scale;
use crate::v2::{self, BUFFER};

/// Measures a driver, given its type, at each of these numbers of devices, as far as it can have as many and one more.
///
/// # Errors
///
/// What any of the operations answers.
pub fn measure(
    kind: &MdevType,
    numbers: &[usize],
    rounds: usize,
    clock: f64,
) -> Result<Vec<Scale>, Errno> {
    let most = kind.available()? as usize;
    let mut devices: Vec<Mdev> = Vec::new();
    let mut scales = Vec::new();
    for &number in numbers.iter().filter(|number| **number < most) {
        while devices.len() < number {
            devices.push(Mdev::create(kind)?);
        }
        let last = devices.last().ok_or(Errno::EINVAL)?;
        let mut scale = Scale {
            devices: number,
            create: median_of(&mut lifecycle::create(kind.path())?, rounds, clock)?,
            remove: median_of(&mut lifecycle::remove(kind.path())?, rounds, clock)?,
            ..Scale::default()
        };
        let version = last.path().join("migration_version");
        if version.exists() {
            scale.attribute = Some(median_of(&mut read_anew(&version)?, rounds, clock)?);
        }
        let device = Device::open(last.path(), Access::Cdev)?;
        let (fd, mut buffer) = (device.file().as_raw_fd(), [0; BUFFER]);
        let mut save = Operation::new(|| v2::save(fd, false, &mut buffer).map(drop));
        scale.save = median_of(&mut save, rounds, clock)?;
        scales.push(scale);
    }
    Ok(scales)
}

/// How many bytes of the kernel's memory each device takes, at each of these numbers of devices: all of it is in objects
/// of which the kernel keeps the number.
///
/// That number is exact in a kernel that was started with `slab_debug=F`. Otherwise free objects that the kernel keeps at
/// hand count as used.
///
/// # Errors
///
/// What any of the operations answers.
pub fn memory(kind: &MdevType, numbers: &[usize]) -> Result<Vec<(usize, f64)>, Errno> {
    let most = kind.available()? as usize;
    let none = settled()? as f64;
    let mut devices = Vec::new();
    let numbers = numbers.iter().filter(|number| **number < most);
    numbers
        .map(|&number| {
            while devices.len() < number {
                devices.push(Mdev::create(kind)?);
            }
            Ok((number, (settled()? as f64 - none) / number as f64))
        })
        .collect()
}

/// The bytes of all objects, after what is only kept to be faster was given back, and what is freed late was freed.
fn settled() -> Result<u64, Errno> {
    for _ in 0..3 {
        // The kernel collects what it frees after a grace period, for up to 5 seconds.
        thread::sleep(Duration::from_secs(6));
        fs::write("/proc/sys/vm/drop_caches", "3").map_err(errno_of)?;
        for cache in fs::read_dir("/sys/kernel/slab")
            .map_err(errno_of)?
            .flatten()
        {
            // Not every one can be: some are names of others.
            let _ = fs::write(cache.path().join("shrink"), "1");
        }
    }
    objects()
}

/// The sum over all caches of objects: how many there are, by their size.
fn objects() -> Result<u64, Errno> {
    let table = fs::read_to_string("/proc/slabinfo").map_err(errno_of)?;
    let bytes = table.lines().skip(2).filter_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let active: u64 = columns.next()?.parse().ok()?;
        let size: u64 = columns.nth(1)?.parse().ok()?;
        Some(active * size)
    });
    Ok(bytes.sum())
}
