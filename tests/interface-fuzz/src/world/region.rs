// SPDX-License-Identifier: GPL-2.0-only
//! Calls on the regions of a device: accesses, mappings, and the protocol of the migration region.

use std::os::fd::AsRawFd;

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::VFIO_PCI_NUM_REGIONS;
use vfio_client::device::Device;
use vfio_client::migration::guest;
use vfio_client::migration::v1::{Carry, Region, DEVICE_STATE, PENDING_BYTES};

use super::data::pattern;
use super::{answer, World, DEVICES};
use crate::calls::Answer;
use crate::kinds::memory;

/// The index of the migration region.
const MIGRATION: u32 = VFIO_PCI_NUM_REGIONS;

/// How many ports the devices have.
const PORTS: [usize; DEVICES] = [2, 1, 1];

/// Where a region's byte lies in the file of the device, whatever comes of it.
fn position(region: u64, offset: u64) -> i64 {
    (region << 40).wrapping_add(offset) as i64
}

/// Reads a region into memory of any kind.
pub fn read(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, memory, region, offset, length] = arguments else {
        return None;
    };
    read_to(world, device, memory, position(region, offset), length)
}

/// Reads the file of the device at any position.
pub fn read_at(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, position, length] = arguments else {
        return None;
    };
    read_to(world, device, memory::GOOD, position as i64, length)
}

fn read_to(world: &mut World, device: u64, memory: u64, position: i64, length: u64) -> Answer {
    let place = world.arena.place(memory);
    let fd = world.file(device)?.as_raw_fd();
    // SAFETY: what the kernel writes to begins in the arena, behind which nothing is mapped, or is not mapped; and no
    // region is as long as the arena.
    Some(answer(unsafe {
        libc::pread(fd, place, length as usize, position)
    }))
}

/// Writes a region from memory of any kind, which is filled with bytes.
pub fn write(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, memory, region, offset, length, value] = arguments else {
        return None;
    };
    write_from(
        world,
        device,
        memory,
        position(region, offset),
        length,
        value,
    )
}

/// Writes the file of the device at any position.
pub fn write_at(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, position, length, value] = arguments else {
        return None;
    };
    write_from(world, device, memory::GOOD, position as i64, length, value)
}

fn write_from(
    world: &mut World,
    device: u64,
    memory: u64,
    position: i64,
    length: u64,
    value: u64,
) -> Answer {
    let place = world.arena.put(memory, &pattern(value, length));
    let fd = world.file(device)?.as_raw_fd();
    // SAFETY: the kernel reads, and writes nothing.
    Some(answer(unsafe {
        libc::pwrite(fd, place, length as usize, position)
    }))
}

/// A part of a region that is mapped.
pub struct Mapping {
    start: *mut u8,
    length: usize,
    is_writable: bool,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no pointer into it is used after this.
        unsafe { libc::munmap(self.start.cast(), self.length) };
    }
}

/// Maps a part of a region.
pub fn map(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, mapping, region, offset, length, flags] = arguments else {
        return None;
    };
    let is_writable = flags & 2 == 0;
    let rights = libc::PROT_READ | if is_writable { libc::PROT_WRITE } else { 0 };
    let sharing = if flags & 1 == 0 {
        libc::MAP_SHARED
    } else {
        libc::MAP_PRIVATE
    };
    let (fd, length) = (world.file(device)?.as_raw_fd(), length as usize);
    let (none, position) = (std::ptr::null_mut(), position(region, offset));
    // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
    let start = unsafe { libc::mmap(none, length, rights, sharing, fd, position) };
    if start == libc::MAP_FAILED {
        return Some(Err(Errno::last()));
    }
    world.mappings[mapping as usize % 2] = Some(Mapping {
        start: start.cast(),
        length,
        is_writable,
    });
    Some(Ok(0))
}

/// Reads and writes a byte that is mapped.
pub fn touch(world: &mut World, arguments: &[u64]) -> Answer {
    let &[mapping, place, value] = arguments else {
        return None;
    };
    let mapping = world.mappings[mapping as usize % 2].as_ref()?;
    let byte = mapping.start.wrapping_add(place as usize % mapping.length);
    // SAFETY: the byte is within the mapping, which is ours; the kernel may change it at any time, which a volatile access
    // allows for.
    let before = unsafe { byte.read_volatile() };
    if mapping.is_writable {
        // SAFETY: as for reading.
        unsafe { byte.write_volatile(value as u8) };
    }
    Some(Ok(before.into()))
}

/// Ends a mapping.
pub fn unmap(world: &mut World, arguments: &[u64]) -> Answer {
    world.mappings[arguments[0] as usize % 2]
        .take()
        .map(|_| Ok(0))
}

/// Does what a guest does.
pub fn scene(world: &mut World, arguments: &[u64]) -> Answer {
    let ports = PORTS[arguments[0] as usize % DEVICES];
    let device = world.device(arguments[0])?;
    Some(guest::play(device, ports, arguments[1] as usize % guest::SCENES).map(|()| 0))
}

/// Writes `device_state`.
pub fn set_state(world: &mut World, arguments: &[u64]) -> Answer {
    let state = (arguments[1] as u32).to_ne_bytes();
    let device = world.device(arguments[0])?;
    Some(device.put(MIGRATION, DEVICE_STATE, &state).map(|()| 0))
}

/// Reads `pending_bytes`.
pub fn pending(world: &mut World, arguments: &[u64]) -> Answer {
    let device = world.device(arguments[0])?;
    let bytes = device.get::<8>(MIGRATION, PENDING_BYTES);
    Some(bytes.map(u64::from_ne_bytes))
}

/// Reads a chunk.
pub fn take(world: &mut World, arguments: &[u64]) -> Answer {
    with_region(world, arguments[0], |region, _| {
        region.take_chunk(Carry::Trapped(8)).map(drop)
    })
}

/// Writes a chunk, the first bytes of the stream, which are no part of it afterwards.
pub fn give(world: &mut World, arguments: &[u64]) -> Answer {
    let length = (arguments[1] as usize).min(world.stream.len()).min(4096);
    with_region(world, arguments[0], |region, stream| {
        let given = region.give_chunk(&stream[..length], Carry::Mixed);
        stream.drain(..length);
        given
    })
}

/// Saves a device whole.
pub fn save(world: &mut World, arguments: &[u64]) -> Answer {
    with_region(world, arguments[0], |region, stream| {
        *stream = region.save()?;
        Ok(())
    })
}

/// Loads the stream whole.
pub fn load(world: &mut World, arguments: &[u64]) -> Answer {
    with_region(world, arguments[0], |region, stream| region.load(stream))
}

/// Does something with the migration region of an open device, if it has one, and the stream.
fn with_region(
    world: &mut World,
    number: u64,
    action: impl FnOnce(&Region<'_>, &mut Vec<u8>) -> Result<(), Errno>,
) -> Answer {
    let mut stream = std::mem::take(&mut world.stream);
    let done = world
        .device(number)
        .and_then(|device| apply(device, &mut stream, action));
    world.stream = stream;
    done
}

fn apply(
    device: &Device,
    stream: &mut Vec<u8>,
    action: impl FnOnce(&Region<'_>, &mut Vec<u8>) -> Result<(), Errno>,
) -> Answer {
    match Region::find(device) {
        Ok(Some(region)) => Some(action(&region, stream).map(|()| 0)),
        Ok(None) => None,
        Err(errno) => Some(Err(errno)),
    }
}
