// SPDX-License-Identifier: GPL-2.0-only
//! The file through which a state leaves or enters a device, and what becomes of it.

use std::time::Duration;

use super::support::*;
use nix::fcntl::{fcntl, FcntlArg, FdFlag, OFlag};
use nix::poll::PollFlags;
use nix::sys::uio::pread;
use nix::unistd::{lseek, Whence};
use vfio_client::memory::Cliff;
use vfio_client::migration::v2::{
    self, DataFile, PRE_COPY, PRE_COPY_P2P, RESUMING, RUNNING, STOP, STOP_COPY,
};
use vfio_client::wait::{poll_until_quiet, poll_while, releases_late};

use crate::world::{LATE, PAUSE, QUIET};

cases![
    is_read_in_pieces_of_any_size: POSIX, "The stream is the same in pieces of any size.";
    is_the_same_file_from_pre_copy_on: UAPI, "The data file of PRE_COPY goes on in STOP_COPY.";
    has_one_direction: UAPI, "A saving file cannot be written, a resuming file cannot be read.";
    has_no_position: UAPI, "The data file is a stream: it cannot be sought, nor read at an offset.";
    is_closed_on_exec: UAPI, "The data file is not inherited across execve(2).";
    ends_with_zero_for_good: UAPI, "At the end of STOP_COPY read(2) returns 0, again and again.";
    ends_with_no_message_in_pre_copy: UAPI, "When all of pre-copy is read, read(2) is ENOMSG.";
    ends_alike_without_blocking: UAPI, "ENOMSG comes with O_NONBLOCK too.";
    is_readable_while_there_is_data: UAPI, "poll(2) tells of data in PRE_COPY.";
    is_not_readable_when_drained: UAPI, "poll(2) waits at the temporary end of PRE_COPY.";
    is_readable_at_its_end: UAPI, "poll(2) says readable in STOP_COPY, at the end too.";
    wakes_who_polls_when_cut_off: UAPI, "poll(2) has something to say of a file that was cut off.";
    tells_what_is_left_in_pre_copy: UAPI, "PRECOPY_INFO starts with initial bytes, which decrease to 0 as data is read.";
    tells_it_in_pre_copy_only: UAPI, "PRECOPY_INFO is EINVAL in every other state.";
    refuses_short_precopy_info: UAPI, "PRECOPY_INFO with an argsz too short is EINVAL.";
    loses_nothing_to_a_bad_address: POSIX, "A read or write that faults moves nothing and loses nothing.";
    survives_a_bad_address_in_precopy_info: POSIX, "PRECOPY_INFO with a bad address is EFAULT, and the device goes on.";
    is_cut_off_when_its_state_is_left: UAPI, "A data file gives and takes nothing once its state was left.";
    is_cut_off_by_reset: UAPI, "A data file gives and takes nothing after a reset.";
    is_cut_off_by_close: SAFETY, "A data file gives and takes nothing once the device is closed.";
    @perilous outlives_its_device_for_reads: SAFETY, "A read of the data file of a removed device is an error.";
    @perilous outlives_its_device_for_writes: SAFETY, "A write to the data file of a removed device is an error.";
    @perilous outlives_its_device_for_ioctls: SAFETY, "PRECOPY_INFO of a removed device is an error.";
    takes_a_closed_file_for_no_end: UAPI, "Who closes the data file early leaves the device usable.";
    starts_anew_for_the_next_transfer: UAPI, "A transfer that was given up leaves nothing in the next.";
];

fn is_read_in_pieces_of_any_size(world: &World) -> Outcome {
    let card = world.card()?;
    mark(&card, 0x21)?;
    let want = v2::save(&card)?;
    check!(!want.is_empty(), "nothing was saved");
    for piece in [1, 3, 16, 17, want.len(), 4096, 1 << 20] {
        let file = v2::open(&card, STOP_COPY)?;
        check_eq!(file.drain(piece)?, want, "the stream in pieces of {piece}");
        v2::set(&card, STOP)?;
    }
    Ok(())
}

fn is_the_same_file_from_pre_copy_on(world: &World) -> Outcome {
    let card = world.card()?;
    mark(&card, 0x22)?;
    let file = v2::open(&card, PRE_COPY)?;
    let mut stream = file.drain(16)?;
    for state in [PRE_COPY_P2P, STOP_COPY] {
        check!(v2::set(&card, state)?.is_none(), "a second file in {state}");
        stream.extend(file.drain(16)?);
    }
    v2::set(&card, STOP)?;
    let other = world.card()?;
    v2::load(&other, &stream)?;
    check_eq!(
        other.port(0).get(SCR)?,
        0x22,
        "scratch after a load of what came"
    );
    Ok(())
}

fn has_one_direction(world: &World) -> Outcome {
    let card = world.card()?;
    let saving = v2::open(&card, STOP_COPY)?;
    check_errno!(saving.write(&[0; 8]), EBADF, "a write to the saving file");
    v2::set(&card, STOP)?;
    let resuming = v2::open(&card, RESUMING)?;
    check_errno!(
        resuming.read(&mut [0; 8]),
        EBADF,
        "a read of the resuming file"
    );
    Ok(())
}

fn has_no_position(world: &World) -> Outcome {
    let card = world.card()?;
    let file = v2::open(&card, STOP_COPY)?;
    check_errno!(pread(file.fd(), &mut [0; 8], 0), ESPIPE, "pread");
    check_errno!(lseek(file.fd(), 0, Whence::SeekSet), ESPIPE, "lseek");
    check!(!file.drain(64)?.is_empty(), "nothing to read afterwards");
    Ok(())
}

fn is_closed_on_exec(world: &World) -> Outcome {
    let card = world.card()?;
    let file = v2::open(&card, STOP_COPY)?;
    let flags = FdFlag::from_bits_truncate(fcntl(file.fd(), FcntlArg::F_GETFD)?);
    check!(flags.contains(FdFlag::FD_CLOEXEC), "flags are {flags:?}");
    Ok(())
}

fn ends_with_zero_for_good(world: &World) -> Outcome {
    let card = world.card()?;
    let file = v2::open(&card, STOP_COPY)?;
    check!(!file.drain(64)?.is_empty(), "nothing to read");
    for length in [1, 8, 4096] {
        check_eq!(
            file.read(&mut vec![0; length])?,
            0,
            "a read of {length} at the end"
        );
    }
    Ok(())
}

/// What read(2) says of a file in PRE_COPY that was read as far as there was something.
fn at_the_end_of_pre_copy(file: &DataFile) -> Result<usize, Errno> {
    let mut buffer = [0; 64];
    for _ in 0..1024 {
        match file.read(&mut buffer) {
            Ok(count) if count > 0 => {}
            end => return end,
        }
    }
    Err(Errno::EFBIG)
}

fn ends_with_no_message_in_pre_copy(world: &World) -> Outcome {
    let card = world.card()?;
    let file = v2::open(&card, PRE_COPY)?;
    check_errno!(at_the_end_of_pre_copy(&file), ENOMSG, "in PRE_COPY");
    v2::set(&card, PRE_COPY_P2P)?;
    check_errno!(at_the_end_of_pre_copy(&file), ENOMSG, "in PRE_COPY_P2P");
    Ok(())
}

fn ends_alike_without_blocking(world: &World) -> Outcome {
    let card = world.card()?;
    let file = v2::open(&card, PRE_COPY)?;
    fcntl(file.fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    check_errno!(at_the_end_of_pre_copy(&file), ENOMSG, "in PRE_COPY");
    Ok(())
}

fn readable(file: &DataFile) -> Result<bool, Errno> {
    Ok(file.events(Duration::ZERO)?.contains(PollFlags::POLLIN))
}

fn is_readable_while_there_is_data(world: &World) -> Outcome {
    let card = world.card()?;
    let file = v2::open(&card, PRE_COPY)?;
    let initial = file.precopy_info(24)?.initial;
    check_eq!(
        readable(&file)?,
        initial > 0,
        "readable with {initial} bytes"
    );
    Ok(())
}

fn is_not_readable_when_drained(world: &World) -> Outcome {
    let card = world.card()?;
    let file = v2::open(&card, PRE_COPY)?;
    let _ = at_the_end_of_pre_copy(&file);
    check_eq!(readable(&file)?, false, "readable");
    Ok(())
}

fn is_readable_at_its_end(world: &World) -> Outcome {
    let card = world.card()?;
    let file = v2::open(&card, STOP_COPY)?;
    check_eq!(readable(&file)?, true, "readable with data");
    file.drain(64)?;
    check_eq!(readable(&file)?, true, "readable at the end");
    Ok(())
}

fn wakes_who_polls_when_cut_off(world: &World) -> Outcome {
    for close in [false, true] {
        let card = world.card()?;
        let file = v2::open(&card, PRE_COPY)?;
        let _ = at_the_end_of_pre_copy(&file);
        if close {
            let _mdev = card.close();
            check!(
                !file.events(Duration::ZERO)?.is_empty(),
                "silent when closed"
            );
        } else {
            v2::set(&card, RUNNING)?;
            check!(!file.events(Duration::ZERO)?.is_empty(), "silent when left");
        }
    }
    Ok(())
}

fn tells_what_is_left_in_pre_copy(world: &World) -> Outcome {
    let card = world.card()?;
    let file = v2::open(&card, PRE_COPY)?;
    let first = file.precopy_info(24)?;
    check!(first.initial > 0, "no initial bytes");
    check_eq!(first.dirty, 0, "dirty bytes at first");
    let count = file.read(&mut [0; 5])? as u64;
    check_eq!(
        file.precopy_info(24)?.initial,
        first.initial - count,
        "initial bytes after a read of {count}"
    );
    let _ = at_the_end_of_pre_copy(&file);
    let last = file.precopy_info(24)?;
    check_eq!(
        (last.initial, last.dirty),
        (0, 0),
        "what is left in the end"
    );
    Ok(())
}

fn tells_it_in_pre_copy_only(world: &World) -> Outcome {
    let card = world.card()?;
    let file = v2::open(&card, PRE_COPY)?;
    file.precopy_info(24)?;
    v2::set(&card, STOP_COPY)?;
    check_errno!(file.precopy_info(24), EINVAL, "in STOP_COPY");
    v2::set(&card, STOP)?;
    check!(file.precopy_info(24).is_err(), "answered in STOP");
    let file = v2::open(&card, RESUMING)?;
    check!(file.precopy_info(24).is_err(), "answered in RESUMING");
    Ok(())
}

fn refuses_short_precopy_info(world: &World) -> Outcome {
    let card = world.card()?;
    let file = v2::open(&card, PRE_COPY)?;
    for argsz in [0, 8, 23] {
        check_errno!(file.precopy_info(argsz), EINVAL, "{argsz} bytes");
    }
    Ok(())
}

fn loses_nothing_to_a_bad_address(world: &World) -> Outcome {
    let card = world.card()?;
    mark(&card, 0x23)?;
    let want = v2::save(&card)?;
    let file = v2::open(&card, STOP_COPY)?;
    let (mut cliff, mut got) = (Cliff::new()?, Vec::new());
    for (length, valid) in [(1, 0), (64, 0), (64, 10)] {
        match file.read_cliff(length, &mut cliff, valid) {
            Err(Errno::EFAULT) => {}
            Ok(count) if count <= valid => got.extend_from_slice(&cliff.bytes(valid)[..count]),
            other => check!(false, "a read of {length} into {valid} bytes: {other:?}"),
        }
    }
    got.extend(file.drain(64)?);
    check_eq!(got, want, "the stream after faults");
    v2::set(&card, STOP)?;

    let other = world.card()?;
    let file = v2::open(&other, RESUMING)?;
    check_errno!(
        file.write_cliff(16, &cliff, 0),
        EFAULT,
        "a write from a bad address"
    );
    file.feed(&want, 7)?;
    v2::set(&other, RUNNING)?;
    check_eq!(other.port(0).get(SCR)?, 0x23, "scratch after the load");
    Ok(())
}

fn survives_a_bad_address_in_precopy_info(world: &World) -> Outcome {
    use vfio_client::device::{ioctl_cliff, ioctl_frozen};
    use vfio_client::memory::Frozen;
    let card = world.card()?;
    let file = v2::open(&card, PRE_COPY)?;
    let mut cliff = Cliff::new()?;
    let call = ioctl_cliff(file.fd(), v2::GET_PRECOPY_INFO, &mut cliff, 0);
    check_errno!(call, EFAULT, "with nothing to read");
    let mut frozen = Frozen::words(&[24])?;
    let call = ioctl_frozen(file.fd(), v2::GET_PRECOPY_INFO, &mut frozen);
    check_errno!(call, EFAULT, "with nothing to write to");
    file.precopy_info(24)?;
    check_eq!(v2::state(&card)?, PRE_COPY, "state");
    v2::set(&card, STOP_COPY)?;
    check!(!file.drain(64)?.is_empty(), "nothing to read afterwards");
    Ok(())
}

/// Checks that a file neither gives nor takes, and does not tell what is left.
fn is_dead(file: &DataFile, state: u32, when: &str) -> Outcome {
    for length in [1, 16] {
        let moved = match state {
            RESUMING => file.write(&vec![0; length]),
            _ => file.read(&mut vec![0; length]),
        };
        check!(
            moved.is_err(),
            "{when}: the file of state {state} moved {moved:?} of {length}"
        );
    }
    Ok(())
}

const TRANSFERS: [u32; 3] = [PRE_COPY, STOP_COPY, RESUMING];

fn is_cut_off_when_its_state_is_left(world: &World) -> Outcome {
    for state in TRANSFERS {
        let card = world.card()?;
        let stream = v2::save(&card)?;
        v2::set(&card, RUNNING)?;
        let file = v2::open(&card, state)?;
        if state == RESUMING {
            file.feed(&stream, stream.len())?;
        }
        v2::set(&card, RUNNING)?;
        is_dead(&file, state, "left")?;
        if state != RESUMING {
            check!(file.precopy_info(24).is_err(), "it tells what is left");
        }
    }
    Ok(())
}

fn is_cut_off_by_reset(world: &World) -> Outcome {
    for state in TRANSFERS {
        let card = world.card()?;
        let file = v2::open(&card, state)?;
        card.reset()?;
        is_dead(&file, state, "reset")?;
    }
    Ok(())
}

fn is_cut_off_by_close(world: &World) -> Outcome {
    for state in TRANSFERS {
        let card = world.card()?;
        let file = v2::open(&card, state)?;
        // The device itself stays.
        let _mdev = card.close();
        is_dead(&file, state, "closed")?;
    }
    Ok(())
}

/// The data file of a device that was removed, and whose memory has been given back and then to others.
fn orphan(world: &World, state: u32) -> Result<DataFile, Miss> {
    world.may_remove()?;
    let card = world.card()?;
    let kind = card.mdev().kind().clone();
    let file = v2::open(&card, state)?;
    let before = kind.available()?;
    card.close().remove()?;
    // The instance is given back with the memory, at once or late; late are those of devices before it, too.
    poll_while(LATE, PAUSE, || kind.available(), |now| *now == Ok(before))?;
    if releases_late() {
        poll_until_quiet(LATE, PAUSE, QUIET, || kind.available())?;
    }
    let others: Vec<_> = (0..4).map(|_| world.idle()).collect::<Result<_, _>>()?;
    drop(others);
    Ok(file)
}

fn outlives_its_device_for_reads(world: &World) -> Outcome {
    for state in [PRE_COPY, STOP_COPY] {
        is_dead(&orphan(world, state)?, state, "removed")?;
    }
    Ok(())
}

fn outlives_its_device_for_writes(world: &World) -> Outcome {
    is_dead(&orphan(world, RESUMING)?, RESUMING, "removed")
}

fn outlives_its_device_for_ioctls(world: &World) -> Outcome {
    let file = orphan(world, PRE_COPY)?;
    for _ in 0..16 {
        let call = file.precopy_info(24);
        check!(call.is_err(), "it tells {call:?}");
    }
    Ok(())
}

fn takes_a_closed_file_for_no_end(world: &World) -> Outcome {
    let card = world.card()?;
    mark(&card, 0x24)?;
    for state in [PRE_COPY, STOP_COPY] {
        let file = v2::open(&card, state)?;
        let _ = file.read(&mut [0; 3])?;
        drop(file);
        check_eq!(v2::state(&card)?, state, "state after its file was closed");
        v2::set(&card, RUNNING)?;
    }
    let stream = v2::save(&card)?;
    let other = world.card()?;
    v2::load(&other, &stream)?;
    check_eq!(
        other.port(0).get(SCR)?,
        0x24,
        "scratch after a load of the next"
    );
    Ok(())
}

fn starts_anew_for_the_next_transfer(world: &World) -> Outcome {
    let card = world.card()?;
    mark(&card, 0x25)?;
    let want = v2::save(&card)?;
    for state in TRANSFERS {
        for part in [0, 1, want.len() / 2] {
            v2::set(&card, STOP)?;
            v2::set(&card, if state == RESUMING { STOP } else { RUNNING })?;
            let file = v2::open(&card, state)?;
            if state == RESUMING {
                file.feed(&want[..part], 64)?;
                check!(
                    v2::set(&card, STOP).is_err(),
                    "{part} bytes are a whole stream"
                );
                card.reset()?;
                v2::load(&card, &want)?;
            } else {
                let _ = file.read(&mut vec![0; part]);
                v2::set(&card, RUNNING)?;
            }
            check_eq!(
                v2::save(&card)?,
                want,
                "the stream after one of {state} given up at {part}"
            );
        }
    }
    Ok(())
}
