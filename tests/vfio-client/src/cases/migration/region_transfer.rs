// SPDX-License-Identifier: GPL-2.0-only
//! What passes through the migration region: the loops of a client that saves and of one that loads.

use nix::errno::Errno;

use super::super::{cases, World};
use super::{busy, idle, plays, BUSY};
use vfio_client::ktap::{check, check_eq, check_errno, Outcome};
use vfio_client::migration::stream::Stream;
use vfio_client::migration::v1::{
    Carry, Mapping, Region, PRE_COPY, RESUMING, RUNNING, STOPPED, STOP_COPY,
};
use vfio_client::migration::{guest, v2};
use vfio_client::serial::{CONFIG, INTERRUPT_LINE};

cases![
    saves_in_several_chunks_that_it_counts_down,
    gives_a_chunk_again_until_it_is_acknowledged,
    gives_the_head_in_pre_copy_and_the_rest_when_stopped,
    saves_alike_by_every_access,
    loads_alike_by_every_access,
    loads_in_chunks_of_any_size,
    moves_as_qemu_7_2_does_it,
    refuses_lengths_that_cannot_be,
    tells_the_writer_of_a_length_what_is_wrong,
    cancels_from_every_state,
    loses_nothing_to_a_load_that_is_given_up,
    is_reset_after_a_load_that_did_not_end,
    keeps_what_is_written_to_configuration_after_the_data,
    saves_and_loads_while_paused,
];

fn saves_in_several_chunks_that_it_counts_down(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let want = v2::save(&device)?;
    let region = Region::of(&device)?;
    region.set_state(STOP_COPY)?;
    let (mut got, mut chunks) = (Vec::new(), 0);
    loop {
        let left = (want.len() - got.len()) as u64;
        check_eq!(
            region.pending()?,
            left,
            "pending_bytes before chunk {chunks}"
        );
        if left == 0 {
            break;
        }
        let chunk = region.take_chunk(Carry::Trapped(8))?;
        check!(
            !chunk.is_empty(),
            "chunk {chunks} is empty with {left} left"
        );
        got.extend(chunk);
        chunks += 1;
    }
    check_eq!(got, want, "the chunks");
    check!(chunks > 1, "all came in one chunk");
    for _ in 0..2 {
        check_eq!(region.pending()?, 0, "pending_bytes at the end");
        check!(
            region.take_chunk(Carry::Trapped(8))?.is_empty(),
            "a chunk behind the end"
        );
    }
    Ok(())
}

fn gives_a_chunk_again_until_it_is_acknowledged(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let want = v2::save(&device)?;
    let region = Region::of(&device)?;
    region.set_state(STOP_COPY)?;
    for _ in 0..3 {
        check_eq!(region.pending()?, want.len() as u64, "pending_bytes, again");
    }
    let first = region.take_chunk(Carry::Trapped(8))?;
    // Whoever reads a field twice, or the data in the wrong order, gets the same.
    for _ in 0..2 {
        check_eq!(region.data_size()?, first.len() as u64, "data_size, again");
        check_eq!(
            region.take_chunk(Carry::Trapped(3))?,
            first,
            "the chunk, again"
        );
    }
    let left = (want.len() - first.len()) as u64;
    for _ in 0..3 {
        check_eq!(
            region.pending()?,
            left,
            "pending_bytes after the first chunk"
        );
    }
    check_eq!(region.data_size()?, 0, "data_size with no chunk asked for");
    let rest = region.drain(Carry::Trapped(8))?;
    check_eq!([first, rest].concat(), want, "the stream");
    Ok(())
}

fn gives_the_head_in_pre_copy_and_the_rest_when_stopped(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let want = v2::save(&device)?;
    let region = Region::of(&device)?;
    region.set_state(RUNNING)?;
    region.set_state(PRE_COPY)?;
    let head = region.drain(Carry::Trapped(8))?;
    let text = Stream::parse(&want).map(|stream| stream.head.len());
    check_eq!(text, Ok(head.len()), "length of what pre-copy gives");
    for _ in 0..3 {
        check_eq!(
            region.pending()?,
            0,
            "pending_bytes in pre-copy when drained"
        );
    }
    region.set_state(STOP_COPY)?;
    let rest = region.drain(Carry::Trapped(8))?;
    check_eq!([head, rest].concat(), want, "the stream");
    // A client that leaves pre-copy before it has read anything, or in the middle of a chunk.
    for taken in [false, true] {
        region.set_state(RUNNING)?;
        region.set_state(PRE_COPY)?;
        let early = match taken {
            false => Vec::new(),
            true => region.take_chunk(Carry::Trapped(8))?,
        };
        region.set_state(STOP_COPY)?;
        let rest = region.drain(Carry::Trapped(8))?;
        check_eq!([early, rest].concat(), want, "the stream, left early");
    }
    Ok(())
}

/// Every way in which data is carried.
const WAYS: [Carry; 8] = [
    Carry::Trapped(1),
    Carry::Trapped(2),
    Carry::Trapped(4),
    Carry::Trapped(8),
    Carry::Trapped(13),
    Carry::Trapped(4096),
    Carry::Mapped,
    Carry::Mixed,
];

fn saves_alike_by_every_access(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let want = v2::save(&device)?;
    let region = Region::of(&device)?;
    for carry in WAYS {
        region.set_state(RUNNING)?;
        region.set_state(STOP_COPY)?;
        check_eq!(region.drain(carry)?, want, "the stream by {carry:?}");
    }
    Ok(())
}

fn loads_alike_by_every_access(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    let region = Region::of(&device)?;
    for carry in WAYS {
        region.set_state(RESUMING)?;
        region.feed(&stream, 100, carry)?;
        region.set_state(RUNNING)?;
        plays(world, &device, BUSY, &format!("loaded by {carry:?}"))?;
    }
    Ok(())
}

fn loads_in_chunks_of_any_size(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    let region = Region::of(&device)?;
    for chunk in [1, 5, 16, 255, 256, 257, 4096] {
        region.set_state(RESUMING)?;
        region.feed(&stream, chunk, Carry::Trapped(4096))?;
        region.set_state(RUNNING)?;
        plays(world, &device, BUSY, &format!("after chunks of {chunk}"))?;
    }
    Ok(())
}

/// QEMU 7.2 saves with a state that it writes twice, sends what it gets as a sequence of chunks, and splits what is
/// longer than the other side's data section; configuration comes last.
fn moves_as_qemu_7_2_does_it(world: &World<'_>) -> Outcome {
    let source = busy(world)?;
    let (_mdev, destination) = world.another()?;
    let (from, to) = (Region::of(&source)?, Region::of(&destination)?);

    from.set_state(from.state()? & !7 | PRE_COPY)?;
    let mut chunks = Vec::new();
    while from.pending()? > 0 {
        chunks.push(from.take_chunk(Carry::Trapped(8))?);
    }
    from.set_state(from.state()? & !7 | STOP_COPY)?;
    from.set_state(from.state()? & !7 | STOP_COPY)?;
    while from.pending()? > 0 {
        chunks.push(from.take_chunk(Carry::Mapped)?);
    }
    let config = source.get::<256>(CONFIG, 0)?;
    from.set_state(from.state()? & !7 | STOPPED)?;

    to.set_state(to.state()? & !7 | RESUMING)?;
    for chunk in &chunks {
        // The parts of a chunk that would not fit, each with its own length.
        for part in chunk.chunks(0x1000) {
            to.give_chunk(part, Carry::Mapped)?;
        }
    }
    for at in [
        0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x3c, 0x44, 0x48, 0x4c, 0x42, 0x04,
    ] {
        let length = if [0x42, 0x04, 0x4c].contains(&at) {
            2
        } else {
            4
        };
        destination.put(CONFIG, at as u64, &config[at..at + length])?;
    }
    to.set_state(to.state()? & !7 | RUNNING)?;
    plays(world, &destination, BUSY, "at the destination")
}

fn refuses_lengths_that_cannot_be(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    let region = Region::of(&device)?;
    region.set_state(RESUMING)?;
    let wrong = [0, 0x1001, 0x2000, 1 << 32, (1 << 32) + 1, 1 << 63, u64::MAX];
    for size in wrong {
        check_errno!(region.set_data_size(size), EINVAL, "data_size {size:#x}");
    }
    check_eq!(region.data_size()?, 0, "data_size while resuming");
    check_eq!(region.pending()?, 0, "pending_bytes while resuming");
    // None of that was data.
    region.feed(&stream, 4096, Carry::Mapped)?;
    region.set_state(RUNNING)?;
    plays(world, &device, BUSY, "after wrong lengths")
}

fn tells_the_writer_of_a_length_what_is_wrong(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    let mut broken = stream.clone();
    *broken.last_mut().ok_or(Errno::EIO)? ^= 1;
    let region = Region::of(&device)?;
    region.set_state(RESUMING)?;
    check_errno!(
        region.feed(&broken, 4096, Carry::Mapped),
        EBADMSG,
        "a broken checksum"
    );
    // Nothing makes it good again, but starting anew.
    for _ in 0..2 {
        let more = region.feed(&stream, 4096, Carry::Mapped);
        check_errno!(more, EBADMSG, "the right stream behind it");
    }
    check_errno!(region.set_state(RUNNING), EINVAL, "leaving with that");
    check_eq!(region.state()?, RESUMING, "state after that");
    region.set_state(RUNNING)?;
    plays(world, &device, 0, "after giving up")
}

fn cancels_from_every_state(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let want = v2::save(&device)?;
    let region = Region::of(&device)?;
    region.set_state(RUNNING)?;
    for state in [PRE_COPY, STOP_COPY] {
        for taken in 0..3 {
            region.set_state(state)?;
            for _ in 0..taken {
                region.pending()?;
                region.take_chunk(Carry::Trapped(8))?;
            }
            region.set_state(RUNNING)?;
            check_eq!(region.pending()?, 0, "pending_bytes once cancelled");
            check_eq!(region.data_size()?, 0, "data_size once cancelled");
        }
    }
    region.set_state(RESUMING)?;
    region.set_state(RUNNING)?;
    check_eq!(region.save()?, want, "the stream after all that");
    region.set_state(RUNNING)?;
    plays(world, &device, BUSY, "after all that")
}

fn loses_nothing_to_a_load_that_is_given_up(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    guest::play(&device, world.ports(), 4)?;
    let region = Region::of(&device)?;
    for part in [1, 16, stream.len() - 1] {
        region.set_state(RESUMING)?;
        region.feed(&stream[..part], 4096, Carry::Mapped)?;
        check_errno!(
            region.set_state(RUNNING),
            EINVAL,
            "to run with {part} bytes"
        );
        check_eq!(region.state()?, RESUMING, "state after that");
        let more = region.give_chunk(&stream[part..], Carry::Mapped);
        check!(more.is_err(), "more was taken once it was given up");
        region.set_state(RUNNING)?;
    }
    plays(world, &device, 4, "after what never arrived")
}

/// Bytes behind the end refuse what was whole. If the state was there by then, there is no way back to what was before
/// but a reset.
fn is_reset_after_a_load_that_did_not_end(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    let more = [&stream[..], &[0]].concat();
    let region = Region::of(&device)?;
    for at_once in [true, false] {
        guest::play(&device, world.ports(), 4)?;
        region.set_state(RESUMING)?;
        let chunk = if at_once { more.len() } else { stream.len() };
        let fed = region.feed(&more, chunk, Carry::Mapped);
        check_errno!(fed, EINVAL, "a byte behind the end");
        check_errno!(region.set_state(RUNNING), EINVAL, "to run with that");
        check_eq!(region.state()?, RESUMING, "state after that");
        if at_once {
            region.set_state(RUNNING)?;
            plays(world, &device, 4, "with nothing of it")?;
        } else {
            check_errno!(region.set_state(RUNNING), EINVAL, "a cancel of it");
            device.reset()?;
            plays(world, &device, 0, "after a reset")?;
        }
    }
    Ok(())
}

fn keeps_what_is_written_to_configuration_after_the_data(world: &World<'_>) -> Outcome {
    let (device, stream) = idle(world)?;
    let region = Region::of(&device)?;
    region.set_state(RESUMING)?;
    region.feed(&stream, 4096, Carry::Mapped)?;
    device.put(CONFIG, INTERRUPT_LINE, &[0x77])?;
    region.set_state(RUNNING)?;
    check_eq!(
        device.get::<1>(CONFIG, INTERRUPT_LINE)?,
        [0x77],
        "interrupt line"
    );
    Ok(())
}

fn saves_and_loads_while_paused(world: &World<'_>) -> Outcome {
    let source = busy(world)?;
    let (_mdev, destination) = world.another()?;
    let (from, to) = (Region::of(&source)?, Region::of(&destination)?);
    from.set_state(STOPPED)?;
    from.set_state(STOP_COPY)?;
    let stream = from.drain(Carry::Trapped(8))?;
    from.set_state(STOPPED)?;
    to.set_state(STOPPED)?;
    to.set_state(RESUMING)?;
    let mapping = Mapping::new(&to)?;
    for chunk in stream.chunks(99) {
        to.data_offset()?;
        mapping.write(chunk);
        to.set_data_size(chunk.len() as u64)?;
    }
    to.set_state(RUNNING)?;
    plays(world, &destination, BUSY, "once it runs")
}
