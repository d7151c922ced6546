// SPDX-License-Identifier: GPL-2.0-only
//! The data file of a device whose state is loaded.

use std::time::Duration;

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::uio::{pread, pwrite};
use nix::unistd::{lseek, Whence};

use super::super::{cases, World};
use super::{idle, plays, BUSY};
use vfio_client::device::{ioctl, request, requests};
use vfio_client::ktap::{check, check_eq, check_errno, Miss, Outcome};
use vfio_client::memory::{Argument, Cliff};
use vfio_client::migration::guest;
use vfio_client::migration::stream::{Record, Stream};
use vfio_client::migration::v2::{self, RESUMING, RUNNING, RUNNING_P2P, STATES, STOP, STOP_COPY};
use vfio_client::serial::{config16, CONFIG, INTERRUPT_LINE};

cases![
    loads_a_stream_in_pieces_of_any_size,
    is_a_file_to_write_and_nothing_else,
    can_always_be_written_as_poll_has_it,
    takes_nothing_from_a_buffer_that_is_not_there,
    refuses_to_leave_with_an_incomplete_stream,
    applies_nothing_before_the_stream_is_complete,
    is_aborted_by_a_reset,
    refuses_what_follows_the_end,
    keeps_what_is_written_to_configuration_after_the_stream,
    tells_how_much_of_a_long_write_was_good,
    loads_again_and_again,
];

/// In what a long write is taken, as the documentation has it.
const PIECE: usize = 256;

fn loads_a_stream_in_pieces_of_any_size(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    for piece in [1, 2, 3, 7, 15, 16, 17, 64, 255, 256, 257, 4096] {
        let file = v2::open(&device, RESUMING)?;
        file.feed(&stream, piece)?;
        v2::set(&device, RUNNING)?;
        plays(world, &device, BUSY, &format!("after pieces of {piece}"))?;
    }
    Ok(())
}

fn is_a_file_to_write_and_nothing_else(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    let file = v2::open(&device, RESUMING)?;
    let mut buffer = [0; 8];
    check_errno!(file.read(&mut buffer), EBADF, "a read");
    check_errno!(pread(file.fd(), &mut buffer, 0), ESPIPE, "pread");
    check_errno!(pwrite(file.fd(), &stream, 0), ESPIPE, "pwrite");
    for whence in [Whence::SeekSet, Whence::SeekCur, Whence::SeekEnd] {
        check_errno!(lseek(file.fd(), 0, whence), ESPIPE, "lseek {whence:?}");
    }
    for number in [requests::RESET, requests::FEATURE, request(0), request(22)] {
        let call = ioctl(file.fd(), number, &mut Argument::words(&[64]));
        check_errno!(call, ENOTTY, "request {number:#x}");
    }
    check_eq!(file.write(&[])?, 0, "a write of nothing");
    file.feed(&stream, 4096)?;
    v2::set(&device, RUNNING)?;
    plays(world, &device, BUSY, "after all that")
}

fn can_always_be_written_as_poll_has_it(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    let file = v2::open(&device, RESUMING)?;
    for part in stream.chunks(100) {
        let events = file.events(Duration::ZERO)?;
        check!(
            events.contains(PollFlags::POLLOUT),
            "before a part: {events:?}"
        );
        file.feed(part, 100)?;
    }
    v2::set(&device, STOP)?;
    check!(
        !file.events(Duration::ZERO)?.is_empty(),
        "silent once cut off"
    );
    check_errno!(file.write(&[0]), ENODEV, "a write once cut off");
    Ok(())
}

fn takes_nothing_from_a_buffer_that_is_not_there(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    let file = v2::open(&device, RESUMING)?;
    let (mut cliff, mut at) = (Cliff::new()?, 0);
    for (length, valid) in [(1, 0), (64, 0), (64, 10), (stream.len(), 63)] {
        cliff.put(&stream[at..at + valid]);
        match file.write_cliff(length, &cliff, valid) {
            Err(Errno::EFAULT) => {}
            // What was there may be taken, if that is said.
            Ok(count) if count <= valid => at += count,
            other => check!(false, "a write of {length} from {valid} bytes: {other:?}"),
        }
    }
    file.feed(&stream[at..], 4096)?;
    v2::set(&device, RUNNING)?;
    plays(world, &device, BUSY, "after faults")
}

fn refuses_to_leave_with_an_incomplete_stream(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    for part in [0, 1, 16, stream.len() / 2, stream.len() - 1] {
        let file = v2::open(&device, RESUMING)?;
        file.feed(&stream[..part], 4096)?;
        for state in STATES.into_iter().filter(|state| *state != RESUMING) {
            check_errno!(
                v2::set(&device, state),
                EINVAL,
                "to {state} after {part} bytes"
            );
            check_eq!(v2::state(&device)?, RESUMING, "state after that");
        }
        // What was refused has changed nothing: the rest may still come.
        file.feed(&stream[part..], 4096)?;
        v2::set(&device, RUNNING)?;
        plays(
            world,
            &device,
            BUSY,
            &format!("after a rest from {part} on"),
        )?;
    }
    Ok(())
}

fn applies_nothing_before_the_stream_is_complete(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    guest::play(&device, world.ports(), 5)?;
    let want = guest::glance(&device, world.ports())?;
    let file = v2::open(&device, RESUMING)?;
    for (at, byte) in stream.iter().enumerate() {
        let seen = guest::glance(&device, world.ports())?;
        guest::same(&seen, &want, &format!("after {at} bytes"))?;
        file.feed(&[*byte], 1)?;
    }
    let seen = guest::glance(&device, world.ports())?;
    check!(seen != want, "the whole stream changed nothing");
    v2::set(&device, RUNNING)?;
    plays(world, &device, BUSY, "after it all")
}

fn is_aborted_by_a_reset(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    for part in [0, 10, stream.len() - 1, stream.len()] {
        let file = v2::open(&device, RESUMING)?;
        file.feed(&stream[..part], 4096)?;
        device.reset()?;
        check_errno!(file.write(&[0]), ENODEV, "a write after the reset");
        plays(world, &device, 0, &format!("after a reset at {part}"))?;
    }
    Ok(())
}

fn refuses_what_follows_the_end(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    for piece in [1, stream.len(), stream.len() + 1] {
        let file = v2::open(&device, RESUMING)?;
        let more = [&stream[..], &[0]].concat();
        check_errno!(
            file.feed(&more, piece),
            EINVAL,
            "a byte after the end, by {piece}"
        );
        check_errno!(file.write(&stream), EINVAL, "another stream behind it");
        check_errno!(v2::set(&device, RUNNING), EINVAL, "to run with that");
        device.reset()?;
    }
    plays(world, &device, 0, "after that")
}

fn keeps_what_is_written_to_configuration_after_the_stream(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    let file = v2::open(&device, RESUMING)?;
    file.feed(&stream, 4096)?;
    device.put(CONFIG, INTERRUPT_LINE, &[0x77])?;
    device.put(CONFIG, 0x4c, &0x1234_u16.to_le_bytes())?;
    for state in [STOP, RUNNING_P2P, RUNNING] {
        v2::set(&device, state)?;
        check_eq!(
            device.get::<1>(CONFIG, INTERRUPT_LINE)?,
            [0x77],
            "line in {state}"
        );
        check_eq!(config16(&device, 0x4c)?, 0x1234, "message data in {state}");
    }
    // And the next one saves what was written.
    let next = v2::save(&device)?;
    check!(next != stream, "the write is not in the next stream");
    device.reset()?;
    v2::load(&device, &next)?;
    check_eq!(
        device.get::<1>(CONFIG, INTERRUPT_LINE)?,
        [0x77],
        "line after another move"
    );
    Ok(())
}

/// Pieces of a long write are taken one by one, and the count says how many were good.
fn tells_how_much_of_a_long_write_was_good(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    let right = Stream::parse(&bytes).map_err(Miss::Failed)?;
    let padded = |length| {
        let mut stream = right.clone();
        let record = Record::new(0x1234, 0, vec![0; length]);
        stream.records.push(record);
        stream.bytes()
    };
    let before = guest::glance(&device, world.ports())?;
    let least = padded(0).len();
    // A stream of six pieces, or of six and a part of one.
    for (length, more) in [(6 * PIECE, 0), (6 * PIECE + 1, 0), (6 * PIECE + 100, 0)]
        .into_iter()
        .chain([(6 * PIECE, 1), (6 * PIECE, 1000), (6 * PIECE + 100, 1)])
    {
        let what = format!("a stream of {length} bytes and {more} more");
        let mut stream = padded(length - least);
        check_eq!(stream.len(), length, "the length of {what}");
        // The first byte at fault is the last of the checksum, or the first that follows.
        let fault = if more == 0 { length - 1 } else { length };
        match more {
            0 => stream[length - 1] ^= 1,
            _ => stream.resize(length + more, 0),
        }
        let good = fault / PIECE * PIECE;
        let want = if more == 0 {
            Errno::EBADMSG
        } else {
            Errno::EINVAL
        };
        let file = v2::open(&device, RESUMING)?;
        check_eq!(file.write(&stream), Ok(good), "the first write of {what}");
        check_eq!(
            file.write(&stream[good..]),
            Err(want),
            "the next write of {what}"
        );
        check_eq!(file.write(&[0]), Err(want), "a byte after {what}");
        check_errno!(v2::set(&device, RUNNING), EINVAL, "to run with {what}");
        // A stream that was whole before anything followed it has been applied, and only a reset undoes that.
        let changed = guest::glance(&device, world.ports())? != before;
        check_eq!(changed, good == length, "whether {what} changed the device");
        device.reset()?;
        plays(world, &device, 0, &format!("after {what}"))?;
    }
    Ok(())
}

fn loads_again_and_again(world: &World<'_>) -> Outcome {
    let (device, mut stream) = idle(world)?;
    for round in 0..20 {
        v2::load(&device, &stream)?;
        let file = v2::open(&device, STOP_COPY)?;
        let again = file.drain(4096)?;
        check_eq!(again, stream, "the stream of round {round}");
        stream = again;
        // On without a reset: what is loaded replaces all that was.
        guest::play(&device, world.ports(), 1 + round % 5)?;
    }
    v2::load(&device, &stream)?;
    plays(world, &device, BUSY, "after twenty moves")
}
