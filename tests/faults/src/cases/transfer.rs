// SPDX-License-Identifier: GPL-2.0-only
//! Migration by the feature protocol: changes of state, and the data file.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, VFIO_DEVICE_FEATURE_SET,
};

use vfio_client::device::{requests, Device};
use vfio_client::ktap::{check, check_eq, Miss, Outcome};
use vfio_client::memory::Argument;
use vfio_client::migration::guest;
use vfio_client::migration::v2::{
    self, DataFile, PRE_COPY, PRE_COPY_P2P, RESUMING, RUNNING, RUNNING_P2P, STOP, STOP_COPY,
};

use super::{cases, World};
use crate::sweep::lowest_descriptor;

cases![
    changes_state_wholly_or_not_at_all,
    runs_with_a_loaded_state_or_still_waits,
    reads_on_where_it_stood,
    reads_at_once_what_it_could_not_before,
    writes_on_where_it_stood,
    polls_a_data_file_again,
];

/// The ways from one state to another, those with a data file first.
const WAYS: [(u32, u32); 14] = [
    (RUNNING, STOP_COPY),
    (RUNNING, PRE_COPY),
    (RUNNING, PRE_COPY_P2P),
    (RUNNING, RESUMING),
    (STOP, STOP_COPY),
    (STOP, RESUMING),
    (RUNNING, STOP),
    (RUNNING, RUNNING_P2P),
    (STOP, RUNNING),
    (PRE_COPY, STOP_COPY),
    (PRE_COPY, RUNNING),
    (STOP_COPY, STOP),
    (STOP_COPY, RUNNING),
    (STOP_COPY, RESUMING),
];

/// The argument that asks for a state.
fn asking(state: u32) -> Box<Argument> {
    let feature = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE | VFIO_DEVICE_FEATURE_SET;
    Box::new(Argument::words(&[16, feature, state, 0]))
}

/// The data file that an answer tells of.
fn given(argument: &Argument) -> Option<DataFile> {
    match argument.get(12) as i32 {
        -1 => None,
        // SAFETY: The kernel has just made this descriptor for us, and nobody else knows it.
        fd => Some(DataFile::from(File::from(unsafe {
            OwnedFd::from_raw_fd(fd)
        }))),
    }
}

/// Checks in which state a device is after it was asked to go from one to another.
///
/// Where the answer could not be copied, the core of vfio says `EFAULT` of what has happened already: a user has to ask for the state
/// after any error. Of memory there is none missing then.
fn went(device: &Device, from: u32, to: u32, answer: Result<i32, Errno>) -> Result<bool, Miss> {
    let now = v2::state(device)?;
    match answer {
        Ok(_) => check_eq!(now, to, "the state"),
        Err(Errno::EFAULT) => check!(now == from || now == to, "state {now} on the way to {to}"),
        Err(_) => check_eq!(now, from, "the state"),
    }
    Ok(now == to)
}

fn changes_state_wholly_or_not_at_all(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    for (from, to) in WAYS {
        // Whether a file is given: on this way there is one, or there is none.
        let wants_file = to == RESUMING || (v2::saves(to) && !v2::saves(from));
        let free = lowest_descriptor()?;
        world.faults.each(
            || {
                world.busy(&device)?;
                let file = match from {
                    RUNNING => None,
                    _ => v2::set(&device, from)?,
                };
                Ok((file, lowest_descriptor()?, asking(to)))
            },
            |(_, _, argument)| device.ioctl(requests::FEATURE, argument),
            |(before, lowest, argument), came| {
                came.is_clean(&[])?;
                let went = went(&device, from, to, came.answer)?;
                if came.answer.is_ok() {
                    let file = given(&argument);
                    check_eq!(file.is_some(), wants_file, "whether there is a file");
                } else {
                    check_eq!(lowest_descriptor()?, lowest, "the lowest free descriptor");
                    if !went {
                        let file = v2::set(&device, to)?;
                        check_eq!(file.is_some(), wants_file, "a file, at the next try");
                        check_eq!(v2::state(&device)?, to, "the state, at the next try");
                    }
                }
                drop(before);
                world.works(&device)
            },
        )?;
        check_eq!(lowest_descriptor()?, free, "the lowest free descriptor");
    }
    Ok(())
}

/// The state of a busy device, and what is seen of a device that has it.
fn saved(world: &World, device: &Device) -> Result<(Vec<u8>, guest::View), Miss> {
    world.busy(device)?;
    let stream = v2::save(device)?;
    v2::set(device, RUNNING)?;
    let view = guest::examine(device, world.ports)?;
    Ok((stream, view))
}

fn runs_with_a_loaded_state_or_still_waits(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let (stream, want) = saved(world, &device)?;
    for to in [STOP, RUNNING, PRE_COPY, STOP_COPY] {
        world.faults.each(
            || {
                device.reset()?;
                let file = v2::open(&device, RESUMING)?;
                file.feed(&stream, stream.len())?;
                Ok((file, asking(to)))
            },
            |(_, argument)| device.ioctl(requests::FEATURE, argument),
            |(file, argument), came| {
                came.is_clean(&[])?;
                let mut second = came.answer.ok().and_then(|_| given(&argument));
                if !went(&device, RESUMING, to, came.answer)? {
                    second = v2::set(&device, to)?;
                }
                drop((file, second));
                if to != RUNNING {
                    v2::set(&device, RUNNING)?;
                }
                let got = guest::examine(&device, world.ports)?;
                guest::same(&got, &want, "loaded")
            },
        )?;
    }
    device.reset()?;
    world.works(&device)
}

/// Makes calls until one has moved nothing, and returns what failed on the way, if anything did. More than one fault there is not.
fn go_on(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<(), Errno> {
    let mut failed = Ok(());
    loop {
        match call() {
            Ok(0) => return failed,
            Ok(_) => {}
            Err(errno) if failed.is_ok() => failed = Err(errno),
            Err(errno) => return Err(errno),
        }
    }
}

/// The length of the pieces that a stream is moved in.
const PIECE: usize = 48;

fn reads_on_where_it_stood(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let (want, _) = saved(world, &device)?;
    world.faults.each(
        || {
            world.busy(&device)?;
            let file = v2::open(&device, STOP_COPY)?;
            Ok((file, vec![0; want.len() + PIECE], 0))
        },
        |(file, stream, at)| {
            go_on(|| {
                let count = file.read(&mut stream[*at..*at + PIECE])?;
                *at += count;
                Ok(count)
            })
        },
        |(file, stream, at), came| {
            came.is_clean(&[])?;
            check_eq!(stream[..at], want[..], "the stream");
            check_eq!(file.read(&mut [0])?, 0, "the end");
            v2::set(&device, RUNNING)?;
            Ok(())
        },
    )?;
    world.works(&device)
}

fn reads_at_once_what_it_could_not_before(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let (want, _) = saved(world, &device)?;
    world.faults.each(
        || {
            world.busy(&device)?;
            Ok((v2::open(&device, STOP_COPY)?, vec![0; 4096]))
        },
        |(file, buffer)| file.read(buffer),
        |(file, buffer), came| {
            came.is_clean(&[])?;
            check!(came.answer != Ok(0), "an end before there was anything");
            let mut stream = buffer[..came.answer.unwrap_or(0)].to_vec();
            stream.extend(file.drain(4096)?);
            check_eq!(stream, want, "the stream");
            Ok(())
        },
    )?;
    world.works(&device)
}

fn writes_on_where_it_stood(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let (stream, want) = saved(world, &device)?;
    // In small pieces, and all at once.
    for piece in [PIECE, stream.len()] {
        world.faults.each(
            || {
                device.reset()?;
                Ok((v2::open(&device, RESUMING)?, 0))
            },
            |(file, at)| {
                go_on(|| {
                    let rest = &stream[*at..];
                    if rest.is_empty() {
                        return Ok(0);
                    }
                    let count = file.write(&rest[..piece.min(rest.len())])?;
                    *at += count;
                    Ok(count)
                })
            },
            |(file, at), came| {
                came.is_clean(&[])?;
                check_eq!(at, stream.len(), "how much was written");
                drop(file);
                v2::set(&device, RUNNING)?;
                let got = guest::examine(&device, world.ports)?;
                guest::same(&got, &want, "loaded")
            },
        )?;
    }
    world.works(&device)
}

fn polls_a_data_file_again(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let (want, _) = saved(world, &device)?;
    world.faults.each(
        || {
            world.busy(&device)?;
            let file = v2::open(&device, STOP_COPY)?;
            let asked = libc::pollfd {
                fd: file.fd().as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            Ok((file, Box::new(asked)))
        },
        |(_, asked)| {
            // SAFETY: There is one structure, which is borrowed exclusively.
            Errno::result(unsafe { libc::poll(&mut **asked, 1, 0) })
        },
        |(file, asked), came| {
            came.is_clean(&[])?;
            if came.answer.is_ok() {
                check_eq!(asked.revents, libc::POLLIN, "what it is ready for");
            }
            check_eq!(file.drain(4096)?, want, "the stream");
            Ok(())
        },
    )?;
    world.works(&device)
}
