// SPDX-License-Identifier: GPL-2.0-only
//! Calls on the attributes of a device and of its type, and on the device's file in debugfs.

use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use vfio_client::sysfs::errno_of;

use super::{answer, Slot, World, DEVICES};
use crate::calls::Answer;
use crate::kinds::memory;

/// Which attribute a number means: first those that can be written.
const ATTRIBUTES: [&str; 10] = [
    "migration_version",
    "mdev_type/migration_version",
    "mdev_type/migration_baseline",
    "mdev_type/migration_baselines",
    "mdev_type/name",
    "mdev_type/description",
    "mdev_type/device_api",
    "mdev_type/available_instances",
    "uevent",
    DEBUGFS,
];

/// The device's file in debugfs.
const DEBUGFS: &str = "migration";

/// Which text a number means. The first two are read from the device's type and from another's.
const TEXTS: [&str; 14] = [
    "",
    "",
    "migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,param.ports=eq:2\n",
    "migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:1",
    "migver:1,vendor=migdev,model=serial,abi=1.9,stream=9:9-9,param.ports=eq:2",
    "migver:1,vendor=other,model=serial,abi=1.1,stream=2:1-2,param.ports=eq:2",
    "migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,needs=fifo64,takes=fifo64,param.ports=eq:2",
    "migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,param.ports=ge:1,param.depth=le:3,ext.x=must:1",
    "migver:2,",
    "abi=1.0,stream=1",
    "abi=1.1,stream=2\n",
    "stream=1",
    "abi=2.0,stream=2",
    "\n",
];

/// Which attribute of a device that exists, or of its type when it does not.
fn path(slot: &Slot, number: u64) -> Option<PathBuf> {
    let name = ATTRIBUTES[number as usize % ATTRIBUTES.len()];
    if let Some(of_type) = name.strip_prefix("mdev_type/") {
        return Some(slot.kind.path().join(of_type));
    }
    let mdev = slot.mdev.as_ref()?;
    if name == DEBUGFS {
        return Some(
            Path::new("/sys/kernel/debug/migdev")
                .join(mdev.uuid())
                .join(name),
        );
    }
    Some(mdev.path().join(name))
}

/// Reads an attribute.
pub fn read(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, attribute, length] = arguments else {
        return None;
    };
    let file = fs::File::open(path(world.slot(device), attribute)?);
    let place = world.arena.place(memory::GOOD);
    let length = (length as usize).min(4096);
    let read = |file: fs::File| {
        // SAFETY: the memory is longer than that, and nothing else refers to it.
        answer(unsafe { libc::read(file.as_raw_fd(), place, length) })
    };
    Some(file.map_err(errno_of).and_then(read))
}

/// Writes a text to an attribute, of which a byte was changed if the value is not 0.
pub fn write(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, attribute, text, place, value] = arguments else {
        return None;
    };
    let mut text = text_of(world, device, text);
    if value != 0 {
        match text.get_mut(place as usize) {
            Some(byte) => *byte = value as u8,
            None => text.extend(super::data::pattern(value, place)),
        }
    }
    let offset = u64::from(value & 0x8_0000 != 0);
    let slot = world.slot(device);
    let path = path(slot, attribute)?;
    // What can be written to a device's uevent is not the driver's.
    if path.ends_with("uevent") {
        return None;
    }
    let holds = path.ends_with("migration_baseline");
    let opened = OpenOptions::new().write(true).open(path);
    let written = opened.and_then(|file| file.write_at(&text, offset));
    slot.held |= holds && written.is_ok();
    Some(written.map(|count| count as u64).map_err(errno_of))
}

fn text_of(world: &World, device: u64, number: u64) -> Vec<u8> {
    let of_type = |slot: u64| {
        let kind = &world.slots[slot as usize % DEVICES].kind;
        fs::read(kind.path().join("migration_version")).unwrap_or_default()
    };
    match number as usize % TEXTS.len() {
        0 => of_type(device),
        1 => of_type(device.wrapping_add(1)),
        fixed => TEXTS[fixed].as_bytes().to_vec(),
    }
}
