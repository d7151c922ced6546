// SPDX-License-Identifier: GPL-2.0-only
//! Two threads on one data file.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sched::{sched_setaffinity, CpuSet};
use nix::unistd::Pid;

use super::super::{cases, World};
use super::{busy, idle, plays};
use vfio_client::device::Device;
use vfio_client::ktap::{check, check_eq, check_errno, skip, Miss, Outcome};
use vfio_client::memory::Cliff;
use vfio_client::migration::guest;
use vfio_client::migration::stream::{Record, Stream, RECORD};
use vfio_client::migration::v2::{self, DataFile, RESUMING, RUNNING, STOP, STOP_COPY};
use vfio_client::serial::{Port, CONFIG, FCR_ENABLE, IIR_FCR, INTERRUPT_LINE, LCR, SCR};

cases![
    gives_each_byte_to_one_of_two_readers,
    loses_nothing_to_a_fault_while_another_reads,
    takes_each_byte_of_two_writers_once,
    applies_no_mixture_of_two_streams,
];

/// How much a read or a write moves at once; what is longer may have bytes of another thread in between.
const PIECE: usize = 256;

/// Does the same in two threads that begin at once. Returns what they did, and whether they were at it at the same time.
fn twice<T: Send>(act: impl Fn(usize) -> Result<T, Errno> + Sync) -> Result<([T; 2], bool), Errno> {
    let ready = AtomicUsize::new(0);
    let done = std::thread::scope(|scope| {
        let threads = [0, 1].map(|number| {
            let (ready, act) = (&ready, &act);
            scope.spawn(move || {
                // On a processor each, where there are two. In the kernel one does not give way to the other.
                let mut own = CpuSet::new();
                let _ = own
                    .set(number)
                    .and_then(|()| sched_setaffinity(Pid::from_raw(0), &own));
                // Who sleeps until the other is there begins much later.
                ready.fetch_add(1, Ordering::SeqCst);
                while ready.load(Ordering::SeqCst) < 2 {
                    std::thread::yield_now();
                }
                let start = Instant::now();
                act(number).map(|done| (done, start, Instant::now()))
            })
        });
        threads.map(|thread| thread.join().unwrap_or(Err(Errno::EIO)))
    });
    let [first, second] = done;
    let ((first, a, b), (second, c, d)) = (first?, second?);
    Ok(([first, second], a < d && c < b))
}

/// Does rounds, each of which returns whether its threads met, until enough of them did, on a machine that may be too busy
/// to run two threads at once.
fn rounds(mut round: impl FnMut(usize) -> Result<bool, Miss>) -> Outcome {
    let (start, mut met) = (Instant::now(), 0);
    for number in 0.. {
        met += usize::from(round(number)?);
        if number >= 7 && (met >= 32 || start.elapsed() > Duration::from_secs(2)) {
            break;
        }
    }
    if met == 0 {
        skip!("the machine never ran both threads at once");
    }
    Ok(())
}

/// What a thread reads until there is no more, piece by piece. Each read is of the next of these sizes, into memory that is
/// only there once it is written to. With `faults`, half of that is not there at all in every other read.
fn pieces(file: &DataFile, sizes: &[usize], faults: bool) -> Result<Vec<Vec<u8>>, Errno> {
    let (mut cliff, mut pieces) = (Cliff::new()?, Vec::new());
    for (number, size) in sizes.iter().cycle().enumerate() {
        let valid = match faults && number % 2 == 0 {
            true => size / 2,
            false => *size,
        };
        cliff.evict()?;
        match file.read_cliff(*size, &mut cliff, valid) {
            Ok(0) => break,
            Ok(count) if count <= valid => {
                let bytes = cliff.bytes(valid);
                pieces.extend(bytes[..count].chunks(PIECE).map(<[u8]>::to_vec));
            }
            Err(Errno::EFAULT) if valid < *size => {}
            Ok(_) => return Err(Errno::EPROTO),
            Err(errno) => return Err(errno),
        }
    }
    Ok(pieces)
}

/// Whether the pieces of two threads, each in its order, are together the bytes.
fn is_woven_of(bytes: &[u8], [first, second]: &[Vec<Vec<u8>>; 2]) -> bool {
    // By how many of the first thread's pieces there have been: how far they reach with those of the second so far, if they can.
    let mut ways = vec![Some(0)];
    let follows = |at: Option<usize>, piece: &[u8]| at.filter(|at| bytes[*at..].starts_with(piece));
    for piece in first {
        let last = ways[ways.len() - 1];
        ways.push(follows(last, piece).map(|at| at + piece.len()));
    }
    for theirs in second {
        for taken in 0..ways.len() {
            let across = follows(ways[taken], theirs).map(|at| at + theirs.len());
            let along = match taken {
                0 => None,
                _ => follows(ways[taken - 1], &first[taken - 1])
                    .map(|at| at + first[taken - 1].len()),
            };
            ways[taken] = across.or(along);
        }
    }
    ways.last() == Some(&Some(bytes.len()))
}

/// Has two threads read the longest stream that there is, in many ways.
fn read_at_once(world: &World<'_>, faults: bool) -> Outcome {
    let device = busy(world)?;
    for number in 0..world.ports() {
        let port = Port::new(&device, number);
        port.set(LCR, 0x03)?;
        port.set(IIR_FCR, FCR_ENABLE)?;
        port.send(b"more than both of the FIFOs can hold.")?;
    }
    let want = v2::save(&device)?;
    let is_long = want.len() > PIECE;
    check_eq!(is_long, world.ports() > 1, "{} bytes long", want.len());
    rounds(|round| {
        let file = v2::open(&device, STOP_COPY)?;
        let sizes: &[usize] = [&[5][..], &[1, 3, 7], &[300, 11], &[2, 257, 13]][round % 4];
        let (read, met) = twice(|number| pieces(&file, sizes, faults && number == 0))?;
        check!(
            is_woven_of(&want, &read),
            "round {round}: lost, doubled or moved: {read:02x?} of {want:02x?}"
        );
        v2::set(&device, STOP)?;
        Ok(met)
    })
}

fn gives_each_byte_to_one_of_two_readers(world: &World<'_>) -> Outcome {
    read_at_once(world, false)
}

fn loses_nothing_to_a_fault_while_another_reads(world: &World<'_>) -> Outcome {
    read_at_once(world, true)
}

/// A stream with a long record that no device knows, of bytes that are all the same, at a place among the others; and where
/// these bytes begin.
fn padded(bytes: &[u8], at: usize, length: usize) -> Result<(Vec<u8>, usize), Miss> {
    let mut stream = Stream::parse(bytes).map_err(Miss::Failed)?;
    let at = at.min(stream.records.len());
    let before = &stream.records[..at];
    let start = before
        .iter()
        .map(|record| RECORD + record.payload.len())
        .sum::<usize>();
    let start = stream.head.len() + start + RECORD;
    stream
        .records
        .insert(at, Record::new(0x1234, 0, vec![0; length]));
    Ok((stream.bytes(), start))
}

/// It is all the same which writer's bytes of the long record come first. So the stream is right if and only if each byte is
/// taken once: were one lost or doubled, or the checksum continued by two at a time, the end would not fit.
fn takes_each_byte_of_two_writers_once(world: &World<'_>) -> Outcome {
    const LENGTH: usize = 60_000;
    let (device, bytes) = idle(world)?;
    rounds(|round| {
        let (stream, start) = padded(&bytes, [0, usize::MAX][round % 2], LENGTH)?;
        let file = v2::open(&device, RESUMING)?;
        file.feed(&stream[..start], 4096)?;
        let half = [0; LENGTH / 2];
        let sizes = [[half.len(), 7001], [4099, 700], [255, 300]][round % 3];
        let (_, met) = twice(|number| file.feed(&half, sizes[number]))?;
        file.feed(&stream[start + LENGTH..], 4096)?;
        v2::set(&device, RUNNING)?;
        let saved = v2::save(&device)?;
        check!(saved == bytes, "round {round}: another state than was sent");
        device.reset()?;
        Ok(met)
    })
}

/// Leaves marks in a device that is as after a reset, and returns how it looks.
fn mark(world: &World<'_>, device: &Device) -> Result<guest::View, Errno> {
    device.put(CONFIG, INTERRUPT_LINE, &[0xee])?;
    for number in 0..world.ports() {
        Port::new(device, number).set(SCR, 0xe0)?;
    }
    guest::glance(device, world.ports())
}

/// Both writers give a whole stream. Whatever comes of that, it is no stream, and no part of it gets into the device.
fn applies_no_mixture_of_two_streams(world: &World<'_>) -> Outcome {
    let (device, bytes) = idle(world)?;
    v2::load(&device, &bytes)?;
    let loaded = guest::glance(&device, world.ports())?;
    device.reset()?;
    rounds(|round| {
        let marked = mark(world, &device)?;
        // The state comes first, or last.
        let (stream, _) = padded(&bytes, [usize::MAX, 0][round % 2], 4_000)?;
        let piece = [stream.len(), 256, 100, 1000][round / 2 % 4];
        let file = v2::open(&device, RESUMING)?;
        let ([first, second], met) = twice(|_| Ok(file.feed(&stream, piece)))?;
        check!(
            first.is_err() || second.is_err(),
            "round {round}: both streams were taken"
        );
        check_errno!(v2::set(&device, RUNNING), EINVAL, "round {round}: to run");
        check_eq!(v2::state(&device)?, RESUMING, "round {round}: state");
        // One may have come to its end before the other began: then that is in the device, until it is reset. That each of its
        // bytes was taken does not say so: what the other wrote may have begun a record that had room for the rest.
        let seen = guest::glance(&device, world.ports())?;
        let when = format!("round {round}");
        if (first.is_err() && second.is_err()) || guest::same(&seen, &loaded, &when).is_err() {
            guest::same(&seen, &marked, &when)?;
        }
        device.reset()?;
        plays(world, &device, 0, "after a reset")?;
        Ok(met)
    })
}
