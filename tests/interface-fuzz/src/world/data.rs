// SPDX-License-Identifier: GPL-2.0-only
//! Calls of the migration feature, and on its data files.

use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::pipe;
use vfio_client::device::request;
use vfio_client::migration::v2::{self, DataFile};

use super::{answer, World};
use crate::calls::Answer;

impl World {
    fn data(&self, number: u64) -> Option<&DataFile> {
        self.files[number as usize % 4].as_ref()
    }
}

/// Asks for a state, and keeps the data file that comes.
pub fn set_state(world: &mut World, arguments: &[u64]) -> Answer {
    let &[device, file, state] = arguments else {
        return None;
    };
    let done = v2::set(world.device(device)?, state as u32);
    Some(done.map(|made| {
        if made.is_some() {
            world.files[file as usize % 4] = made;
        }
        0
    }))
}

/// Reads into memory of any kind.
pub fn read(world: &mut World, arguments: &[u64]) -> Answer {
    let &[file, memory, length] = arguments else {
        return None;
    };
    let (place, fd) = (
        world.arena.place(memory),
        world.data(file)?.fd().as_raw_fd(),
    );
    // SAFETY: what the kernel writes to begins in the arena, behind which nothing is mapped, or is not mapped; and a
    // stream is shorter than the arena.
    Some(answer(unsafe { libc::read(fd, place, length as usize) }))
}

/// Writes from memory of any kind, which is filled with bytes.
pub fn write(world: &mut World, arguments: &[u64]) -> Answer {
    let &[file, memory, length, value] = arguments else {
        return None;
    };
    let place = world.arena.put(memory, &pattern(value, length));
    let fd = world.data(file)?.fd().as_raw_fd();
    // SAFETY: the kernel reads, and writes nothing.
    Some(answer(unsafe { libc::write(fd, place, length as usize) }))
}

/// A request to the file.
pub fn ioctl(world: &mut World, arguments: &[u64]) -> Answer {
    let &[file, number, memory, argsz] = arguments else {
        return None;
    };
    let place = world.arena.put(memory, &(argsz as u32).to_ne_bytes());
    let fd = world.data(file)?.fd().as_raw_fd();
    let number = request(number as u32 % 32);
    // SAFETY: as for reading; no structure is as long as the arena.
    let done = unsafe { libc::ioctl(fd, libc::Ioctl::from(number), place) };
    Some(answer(done as isize))
}

/// Asks what it can do.
pub fn poll(world: &mut World, arguments: &[u64]) -> Answer {
    let events = world.data(arguments[0])?.events(Duration::ZERO);
    Some(events.map(|events| events.bits() as u64))
}

/// Moves its position, which it does not have.
pub fn seek(world: &mut World, arguments: &[u64]) -> Answer {
    let fd = world.data(arguments[0])?.fd().as_raw_fd();
    // SAFETY: no memory is involved.
    let done = unsafe { libc::lseek(fd, arguments[1] as i64, libc::SEEK_CUR) };
    Some(answer(done as isize))
}

/// Keeps another descriptor of it.
pub fn duplicate(world: &mut World, arguments: &[u64]) -> Answer {
    let made = world.data(arguments[0])?.duplicate();
    Some(made.map(|file| {
        world.files[arguments[1] as usize % 4] = Some(file);
        0
    }))
}

/// Closes it.
pub fn close(world: &mut World, arguments: &[u64]) -> Answer {
    world.files[arguments[0] as usize % 4].take().map(|_| Ok(0))
}

/// Maps it, which cannot be.
pub fn map(world: &mut World, arguments: &[u64]) -> Answer {
    let fd = world.data(arguments[0])?.fd().as_raw_fd();
    let (rights, length) = (libc::PROT_READ, arguments[1] as usize);
    // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            length,
            rights,
            libc::MAP_SHARED,
            fd,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Some(Err(Errno::last()));
    }
    // SAFETY: the mapping is new, and nothing refers to it.
    Some(answer(unsafe { libc::munmap(start, length) } as isize))
}

/// Moves what it has to a pipe without user memory.
pub fn splice(world: &mut World, arguments: &[u64]) -> Answer {
    let fd = world.data(arguments[0])?.fd().as_raw_fd();
    let (_read, write) = pipe().ok()?;
    let (none, flags) = (std::ptr::null_mut(), libc::SPLICE_F_NONBLOCK);
    // SAFETY: neither offset is used.
    Some(answer(unsafe {
        libc::splice(
            fd,
            none,
            write.as_raw_fd(),
            none,
            arguments[1] as usize,
            flags,
        )
    }))
}

/// Reads pieces until there is no more; that is the stream from then on.
pub fn drain(world: &mut World, arguments: &[u64]) -> Answer {
    let piece = (arguments[1] as usize).clamp(1, 4096);
    let stream = world.data(arguments[0])?.drain(piece);
    Some(stream.map(|stream| {
        world.stream = stream;
        0
    }))
}

/// Writes the stream in pieces.
pub fn feed(world: &mut World, arguments: &[u64]) -> Answer {
    let piece = (arguments[1] as usize).clamp(1, 65536);
    Some(
        world
            .data(arguments[0])?
            .feed(&world.stream, piece)
            .map(|()| 0),
    )
}

/// Saves a device whole.
pub fn save(world: &mut World, arguments: &[u64]) -> Answer {
    let saved = v2::save(world.device(arguments[0])?);
    whole(saved.map(|stream| world.stream = stream))
}

/// Loads the stream whole.
pub fn load(world: &mut World, arguments: &[u64]) -> Answer {
    let stream = world.stream.clone();
    whole(v2::load(world.device(arguments[0])?, &stream))
}

/// The answer of several calls. Where one gives no data file, as the device is in that state already, there is none.
fn whole(done: Result<(), Errno>) -> Answer {
    match done {
        Err(Errno::EBADF) => None,
        done => Some(done.map(|()| 0)),
    }
}

/// As many bytes, the number's lowest first, again and again; no more than memory has.
pub fn pattern(value: u64, length: u64) -> Vec<u8> {
    let length = (length as usize).min(super::arena::LENGTH);
    value
        .to_le_bytes()
        .into_iter()
        .cycle()
        .take(length)
        .collect()
}
