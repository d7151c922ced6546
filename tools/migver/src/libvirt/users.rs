// SPDX-License-Identifier: GPL-2.0-only

//! Which process has a device open.
//!
//! Opening a VFIO group or device to see whether it is free would take it from somebody who
//! opens it at that moment. So nothing is opened: the links in `/proc/PID/fd` tell. A process
//! that uses a device has open
//!
//! - its group, the character device `/dev/vfio/N`, or its own, `/dev/vfio/devices/vfioN`: both
//!   are known by their numbers, since a process may have them under another name or in another
//!   mount namespace,
//! - or the device's file, an `anon_inode:[vfio-device]`, of which `/proc/PID/fdinfo` tells the
//!   device (`vfio-device-syspath`, from Linux 6.17 on).

use crate::host;

use rustix::fs::{
    major,
    minor, //
};

use std::{
    collections::BTreeSet,
    fs,
    io,
    os::unix::fs::{
        FileTypeExt,
        MetadataExt, //
    },
    path::Path, //
};

/// What tells the files of a device.
#[derive(Debug)]
struct Marks {
    /// The numbers of its character devices, as `MAJOR:MINOR`.
    numbers: BTreeSet<String>,
    /// Its path below sysfs.
    path: String,
}

/// Finds a process that has a device open, and describes it.
///
/// # Errors
///
/// If there is no such device, or the files of a process cannot be listed.
pub fn process_that_uses(sysfs: &Path, proc: &Path, uuid: &str) -> io::Result<Option<String>> {
    let marks = marks(sysfs, uuid)?;
    for entry in fs::read_dir(proc)? {
        let name = entry?.file_name();
        let Some(pid) = name
            .to_str()
            .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
        else {
            continue;
        };
        let dir = proc.join(pid);
        if uses(&dir, &marks)? {
            let comm = fs::read_to_string(dir.join("comm")).unwrap_or_default();
            return Ok(Some(format!("process {pid} ({})", comm.trim_end())));
        }
    }
    Ok(None)
}

fn marks(sysfs: &Path, uuid: &str) -> io::Result<Marks> {
    let sysfs = fs::canonicalize(sysfs)?;
    let device = fs::canonicalize(host::device_dir(&sysfs, uuid))?;
    let mut numbers = BTreeSet::new();
    let mut add = |dir: &Path| {
        if let Ok(number) = fs::read_to_string(dir.join("dev")) {
            numbers.insert(number.trim_end().to_owned());
        }
    };
    if let Ok(entries) = fs::read_dir(device.join("vfio-dev")) {
        entries.flatten().for_each(|entry| add(&entry.path()));
    }
    if let Ok(group) = fs::read_link(device.join("iommu_group")) {
        if let Some(number) = group.file_name() {
            add(&sysfs.join("class/vfio").join(number));
        }
    }
    let below = device.strip_prefix(&sysfs).unwrap_or(&device);
    Ok(Marks {
        numbers,
        path: below.to_string_lossy().into_owned(),
    })
}

/// Whether a process has a file open that belongs to the device.
fn uses(process: &Path, marks: &Marks) -> io::Result<bool> {
    let files = match fs::read_dir(process.join("fd")) {
        Ok(files) => files,
        Err(error) if is_over(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    for file in files {
        let file = match file {
            Ok(file) => file,
            Err(error) if is_over(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let Ok(link) = fs::read_link(file.path()) else {
            continue;
        };
        let link = link.to_string_lossy();
        // Other files are not looked at: one on a file system that does not answer would hold the
        // hook up.
        if !link.contains("vfio") {
            continue;
        }
        if link.starts_with("anon_inode:") {
            let info = process.join("fdinfo").join(file.file_name());
            let info = fs::read_to_string(info).unwrap_or_default();
            let line = format!("vfio-device-syspath: /sys/{}", marks.path);
            if info.lines().any(|other| other == line) {
                return Ok(true);
            }
        } else if let Ok(metadata) = fs::metadata(file.path()) {
            let number = format!("{}:{}", major(metadata.rdev()), minor(metadata.rdev()));
            if metadata.file_type().is_char_device() && marks.numbers.contains(&number) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Whether an error says that the process has ended.
fn is_over(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}
