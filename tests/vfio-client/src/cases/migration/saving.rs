// SPDX-License-Identifier: GPL-2.0-only
//! The data file of a device whose state is saved.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, FdFlag, OFlag};
use nix::poll::PollFlags;
use nix::sys::uio::{pread, pwrite};
use nix::unistd::{lseek, Whence};
use vfio_bindings::bindings::vfio::VFIO_DEVICE_FEATURE_SET;

use super::super::{cases, World};
use super::{busy, BUSY};
use vfio_client::device::{ioctl, request, requests};
use vfio_client::ktap::{check, check_eq, check_errno, Outcome};
use vfio_client::memory::{Argument, Cliff};
use vfio_client::migration::guest;
use vfio_client::migration::stream::{Stream, MANDATORY};
use vfio_client::migration::v2::{
    self, DataFile, PRECOPY_INFO_V2, PRE_COPY, PRE_COPY_P2P, RESUMING, RUNNING, RUNNING_P2P, STOP,
    STOP_COPY,
};

cases![
    writes_the_documented_stream,
    names_its_own_version_in_the_stream,
    gives_the_same_bytes_in_pieces_of_any_size,
    gives_the_same_bytes_with_and_without_pre_copy,
    ends_with_zero_again_and_again,
    has_no_message_once_pre_copy_is_drained,
    tells_poll_what_can_be_read,
    wakes_a_reader_that_waits_for_stop_copy,
    wakes_a_reader_when_the_transfer_ends,
    is_a_file_to_read_and_nothing_else,
    loses_nothing_to_a_buffer_that_is_not_there,
    tells_what_is_left_in_pre_copy_only,
    reports_no_reinitialisation_to_who_asks,
    tells_how_much_stop_copy_will_take,
    starts_anew_after_a_reader_that_stopped,
];

fn writes_the_documented_stream(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let bytes = v2::save(&device)?;
    let stream = match Stream::parse(&bytes) {
        Ok(stream) => stream,
        Err(text) => {
            check!(false, "{text}; the stream is {bytes:02x?}");
            return Ok(());
        }
    };
    check_eq!(stream.bytes(), bytes, "the stream put together again");
    let tags: Vec<_> = stream.records.iter().map(|record| record.tag).collect();
    let want: &[u16] = if world.ports() == 1 {
        &[1, 2, 3]
    } else {
        &[1, 2, 2, 3]
    };
    check_eq!(tags, want, "tags of the records");
    for record in &stream.records {
        check_eq!(record.flags, MANDATORY, "flags of record {}", record.tag);
    }
    for (number, port) in stream.records[1..=world.ports()].iter().enumerate() {
        check_eq!(
            port.payload.first().copied(),
            Some(number as u8),
            "index of the port"
        );
    }
    Ok(())
}

fn names_its_own_version_in_the_stream(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let stream = Stream::parse(&v2::save(&device)?);
    let text = stream.map(|stream| stream.text()).unwrap_or_default();
    let want = std::fs::read_to_string(world.mdev.path().join("migration_version"))?;
    check_eq!(text, want.trim_end(), "the version in the head");
    Ok(())
}

fn gives_the_same_bytes_in_pieces_of_any_size(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let want = v2::save(&device)?;
    for piece in [1, 2, 3, 7, 16, 64, 255, 256, 257, 4096, 1 << 20] {
        let file = v2::open(&device, STOP_COPY)?;
        check_eq!(file.drain(piece)?, want, "the stream in pieces of {piece}");
        v2::set(&device, STOP)?;
    }
    let file = v2::open(&device, STOP_COPY)?;
    let mut buffer = vec![0; want.len() + 1];
    check_eq!(file.read(&mut buffer)?, want.len(), "one read of it all");
    Ok(())
}

fn gives_the_same_bytes_with_and_without_pre_copy(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let want = v2::save(&device)?;
    // Each is a way to stop-copy, and how much is read before each step of it.
    for (states, early) in [
        (&[PRE_COPY, STOP_COPY][..], 0),
        (&[PRE_COPY, STOP_COPY], 5),
        (&[PRE_COPY, STOP_COPY], 4096),
        (&[PRE_COPY_P2P, STOP_COPY], 20),
        (
            &[PRE_COPY, PRE_COPY_P2P, PRE_COPY, PRE_COPY_P2P, STOP_COPY],
            9,
        ),
        (&[PRE_COPY, PRE_COPY_P2P, STOP_COPY], 4096),
    ] {
        v2::set(&device, RUNNING)?;
        let file = v2::open(&device, states[0])?;
        let mut got = Vec::new();
        for state in &states[1..] {
            let mut buffer = vec![0; early];
            match file.read(&mut buffer) {
                Ok(count) => got.extend(&buffer[..count]),
                Err(errno) => check_eq!(errno, Errno::ENOMSG, "an early read"),
            }
            check!(v2::set(&device, *state)?.is_none(), "a second file");
        }
        got.extend(file.drain(4096)?);
        check_eq!(got, want, "the stream by {states:?}, {early} bytes early");
    }
    Ok(())
}

fn ends_with_zero_again_and_again(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let file = v2::open(&device, STOP_COPY)?;
    file.drain(4096)?;
    for length in [1, 8, 4096] {
        check_eq!(file.read(&mut vec![0; length])?, 0, "a read at the end");
    }
    Ok(())
}

fn has_no_message_once_pre_copy_is_drained(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let file = v2::open(&device, PRE_COPY)?;
    let head = file.drain(4096)?;
    check!(!head.is_empty(), "nothing to read in pre-copy");
    for state in [PRE_COPY, PRE_COPY_P2P, PRE_COPY] {
        v2::set(&device, state)?;
        for length in [1, 4096] {
            let read = file.read(&mut vec![0; length]);
            check_errno!(read, ENOMSG, "a read of {length} when drained");
        }
    }
    fcntl(file.fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    check_errno!(file.read(&mut [0]), ENOMSG, "without blocking");
    v2::set(&device, STOP_COPY)?;
    let rest = file.drain(4096)?;
    check!(
        Stream::parse(&[head, rest].concat()).is_ok(),
        "no whole stream"
    );
    Ok(())
}

/// What there is to poll for.
const READ_WRITE: PollFlags = PollFlags::POLLIN.union(PollFlags::POLLOUT);

fn tells_poll_what_can_be_read(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let file = v2::open(&device, PRE_COPY)?;
    let now = |file: &DataFile| {
        file.events(Duration::ZERO)
            .map(|events| events & READ_WRITE)
    };
    check_eq!(now(&file)?, PollFlags::POLLIN, "with something to read");
    file.drain(4096)?;
    check_eq!(
        file.events(Duration::ZERO)?,
        PollFlags::empty(),
        "with nothing to read in pre-copy"
    );
    v2::set(&device, STOP_COPY)?;
    check_eq!(now(&file)?, PollFlags::POLLIN, "in stop-copy");
    file.drain(4096)?;
    check_eq!(now(&file)?, PollFlags::POLLIN, "at the end of the stream");
    v2::set(&device, STOP)?;
    check!(
        !file.events(Duration::ZERO)?.is_empty(),
        "silent once cut off"
    );
    Ok(())
}

/// How long it may take until it is woken.
const LATE: Duration = Duration::from_secs(3);

/// Waits in another thread while something is done, and returns what the wait brought and how long it took.
fn wake(
    file: &DataFile,
    act: impl FnOnce() -> Result<(), Errno>,
) -> Result<(PollFlags, Duration), Errno> {
    let (ready, begun) = mpsc::channel();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            let _ = ready.send(());
            let start = Instant::now();
            file.events(LATE + Duration::from_secs(1))
                .map(|events| (events, start.elapsed()))
        });
        let _ = begun.recv();
        std::thread::sleep(Duration::from_millis(40));
        act()?;
        waiter.join().unwrap_or(Err(Errno::EIO))
    })
}

fn wakes_a_reader_that_waits_for_stop_copy(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let file = v2::open(&device, PRE_COPY)?;
    file.drain(4096)?;
    let (events, after) = wake(&file, || v2::set(&device, STOP_COPY).map(|_| ()))?;
    check!(
        events.contains(PollFlags::POLLIN),
        "woken with {events:?} after {after:?}"
    );
    check!(after < LATE, "woken after {after:?}");
    Ok(())
}

fn wakes_a_reader_when_the_transfer_ends(world: &World<'_>) -> Outcome {
    for how in ["left", "reset", "closed"] {
        let device = busy(world)?;
        let file = v2::open(&device, PRE_COPY)?;
        file.drain(4096)?;
        let mut device = Some(device);
        let (events, after) = wake(&file, || match (how, &device) {
            ("left", Some(device)) => v2::set(device, RUNNING).map(|_| ()),
            ("reset", Some(device)) => device.reset(),
            _ => {
                device = None;
                Ok(())
            }
        })?;
        check!(!events.is_empty(), "{how}: not woken within {after:?}");
        check!(after < LATE, "{how}: woken after {after:?}");
        check_errno!(file.read(&mut [0]), ENODEV, "{how}: a read");
    }
    Ok(())
}

fn is_a_file_to_read_and_nothing_else(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let file = v2::open(&device, STOP_COPY)?;
    check_errno!(file.write(&[0; 8]), EBADF, "a write");
    let mut buffer = [0; 8];
    check_errno!(pread(file.fd(), &mut buffer, 0), ESPIPE, "pread");
    check_errno!(pwrite(file.fd(), &buffer, 0), ESPIPE, "pwrite");
    for whence in [Whence::SeekSet, Whence::SeekCur, Whence::SeekEnd] {
        check_errno!(lseek(file.fd(), 0, whence), ESPIPE, "lseek {whence:?}");
    }
    let flags = FdFlag::from_bits_truncate(fcntl(file.fd(), FcntlArg::F_GETFD)?);
    check!(flags.contains(FdFlag::FD_CLOEXEC), "it would be inherited");
    for number in [
        requests::RESET,
        requests::FEATURE,
        request(0),
        request(22),
        0x5401,
    ] {
        let call = ioctl(file.fd(), number, &mut Argument::words(&[64]));
        check_errno!(call, ENOTTY, "request {number:#x}");
    }
    let stream = file.drain(100)?;
    check!(Stream::parse(&stream).is_ok(), "no whole stream after that");
    Ok(())
}

fn loses_nothing_to_a_buffer_that_is_not_there(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let want = v2::save(&device)?;
    let file = v2::open(&device, STOP_COPY)?;
    let (mut cliff, mut got) = (Cliff::new()?, Vec::new());
    for (length, valid) in [(1, 0), (64, 0), (64, 10), (4096, 63)] {
        match file.read_cliff(length, &mut cliff, valid) {
            Err(Errno::EFAULT) => {}
            // What fitted may be taken, if that is said.
            Ok(count) if count <= valid => got.extend_from_slice(&cliff.bytes(valid)[..count]),
            other => check!(false, "a read of {length} into {valid} bytes: {other:?}"),
        }
    }
    got.extend(file.drain(4096)?);
    check_eq!(got, want, "the stream after faults");
    Ok(())
}

fn tells_what_is_left_in_pre_copy_only(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let file = v2::open(&device, PRE_COPY)?;
    for argsz in [0, 8, 23] {
        check_errno!(file.precopy_info(argsz), EINVAL, "an argument of {argsz}");
    }
    let first = file.precopy_info(24)?;
    check!(first.initial > 0, "nothing to send first");
    check_eq!(first.dirty, 0, "dirty bytes");
    check_eq!(
        file.precopy_info(4096)?.initial,
        first.initial,
        "with a larger argument"
    );
    let mut left = first.initial;
    for state in [PRE_COPY, PRE_COPY_P2P, PRE_COPY] {
        v2::set(&device, state)?;
        left -= file.read(&mut [0; 7])? as u64;
        check_eq!(
            file.precopy_info(24)?.initial,
            left,
            "left after 7 bytes more"
        );
    }
    check_eq!(file.drain(4096)?.len() as u64, left, "what was left");
    check_eq!(file.precopy_info(24)?.initial, 0, "left when drained");
    v2::set(&device, STOP_COPY)?;
    check_errno!(file.precopy_info(24), EINVAL, "in stop-copy");
    v2::set(&device, STOP)?;
    check!(file.precopy_info(24).is_err(), "answered when cut off");
    let loading = v2::open(&device, RESUMING)?;
    check_errno!(loading.precopy_info(24), EINVAL, "while resuming");
    Ok(())
}

fn reports_no_reinitialisation_to_who_asks(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let feature = PRECOPY_INFO_V2 | VFIO_DEVICE_FEATURE_SET;
    device.ioctl(requests::FEATURE, &mut Argument::words(&[8, feature]))?;
    let file = v2::open(&device, PRE_COPY)?;
    check_eq!(file.precopy_info(24)?.flags, 0, "flags at first");
    file.drain(4096)?;
    check_eq!(file.precopy_info(24)?.flags, 0, "flags when drained");
    Ok(())
}

fn tells_how_much_stop_copy_will_take(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let whole = v2::save(&device)?.len() as u64;
    for state in [STOP, RUNNING_P2P, RUNNING] {
        v2::set(&device, state)?;
        check_eq!(v2::data_size(&device)?, whole, "in state {state}");
    }
    let file = v2::open(&device, PRE_COPY)?;
    check_eq!(v2::data_size(&device)?, whole, "with nothing read");
    let head = file.drain(4096)?.len() as u64;
    check_eq!(v2::data_size(&device)?, whole - head, "with the head read");
    v2::set(&device, STOP_COPY)?;
    let mut left = whole - head;
    for _ in 0..4 {
        check_eq!(v2::data_size(&device)?, left, "in stop-copy");
        left -= file.read(&mut [0; 9])? as u64;
    }
    file.drain(4096)?;
    check_eq!(v2::data_size(&device)?, 0, "at the end");
    v2::set(&device, STOP)?;
    check_eq!(v2::data_size(&device)?, whole, "after it");
    let _file = v2::open(&device, RESUMING)?;
    v2::data_size(&device)?;
    Ok(())
}

fn starts_anew_after_a_reader_that_stopped(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let want = v2::save(&device)?;
    for early in [PRE_COPY, PRE_COPY_P2P, STOP_COPY] {
        for read in [0, 1, 20, want.len() - 1] {
            v2::set(&device, RUNNING)?;
            let file = v2::open(&device, early)?;
            let _ = file.read(&mut vec![0; read]);
            v2::set(&device, RUNNING)?;
            check_errno!(file.read(&mut [0]), ENODEV, "the file left at {read}");
            check_eq!(
                v2::save(&device)?,
                want,
                "the next, after {read} in {early}"
            );
        }
    }
    v2::set(&device, RUNNING)?;
    let seen = guest::examine(&device, world.ports())?;
    let (_mdev, fresh) = world.another()?;
    guest::play(&fresh, world.ports(), BUSY)?;
    guest::same(
        &seen,
        &guest::examine(&fresh, world.ports())?,
        "after all that",
    )
}
