// SPDX-License-Identifier: GPL-2.0-only
//! Migration by the region that came before the feature protocol.

use nix::errno::Errno;

use vfio_client::device::Device;
use vfio_client::ktap::{check, check_eq, Miss, Outcome};
use vfio_client::migration::v1::{
    Region, DATA_OFFSET, DATA_SIZE, PENDING_BYTES, PRE_COPY, RESUMING, RUNNING, STOPPED, STOP_COPY,
};
use vfio_client::migration::{guest, v2};

use super::{cases, World};

cases![
    changes_state_or_keeps_it,
    runs_with_a_loaded_state_or_still_waits,
    saves_on_where_it_stood,
    loads_on_where_it_stood,
];

/// The ways from one state to another.
const WAYS: [(u32, u32); 10] = [
    (RUNNING, STOPPED),
    (RUNNING, PRE_COPY),
    (RUNNING, STOP_COPY),
    (RUNNING, RESUMING),
    (STOPPED, RUNNING),
    (PRE_COPY, STOP_COPY),
    (PRE_COPY, RUNNING),
    (STOP_COPY, STOPPED),
    (STOP_COPY, RUNNING),
    (RESUMING, RUNNING),
];

fn changes_state_or_keeps_it(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let region = Region::of(&device)?;
    for (from, to) in WAYS {
        world.faults.each(
            || {
                world.busy(&device)?;
                Ok(region.set_state(from)?)
            },
            |()| region.set_state(to),
            |(), came| {
                came.is_clean(&[])?;
                let want = if came.answer.is_ok() { to } else { from };
                check_eq!(region.state()?, want, "the state");
                if came.answer.is_err() {
                    region.set_state(to)?;
                    check_eq!(region.state()?, to, "the state, at the next try");
                }
                world.works(&device)
            },
        )?;
    }
    Ok(())
}

/// The state of a busy device, and what is seen of a device that has it.
fn saved(world: &World, device: &Device) -> Result<(Vec<u8>, guest::View), Miss> {
    world.busy(device)?;
    let region = Region::of(device)?;
    let stream = region.save()?;
    region.set_state(RUNNING)?;
    let view = guest::examine(device, world.ports)?;
    Ok((stream, view))
}

fn runs_with_a_loaded_state_or_still_waits(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let (stream, want) = saved(world, &device)?;
    let region = Region::of(&device)?;
    world.faults.each(
        || {
            device.reset()?;
            region.set_state(RESUMING)?;
            Ok(region.feed(&stream, 4096, vfio_client::migration::v1::Carry::Trapped(8))?)
        },
        |()| region.set_state(RUNNING),
        |(), came| {
            came.is_clean(&[])?;
            let state = region.state()?;
            if came.answer.is_err() {
                check_eq!(state, RESUMING, "the state");
                region.set_state(RUNNING)?;
            } else {
                check_eq!(state, RUNNING, "the state");
            }
            let got = guest::examine(&device, world.ports)?;
            guest::same(&got, &want, "loaded")
        },
    )?;
    world.works(&device)
}

/// Makes a call that may fail once; the second time it must not. What failed is kept.
fn once_more<R>(
    failed: &mut Result<(), Errno>,
    mut call: impl FnMut() -> Result<R, Errno>,
) -> Result<R, Errno> {
    match call() {
        Err(errno) if failed.is_ok() => {
            *failed = Err(errno);
            call()
        }
        answer => answer,
    }
}

/// Moves the data section in accesses of at most this many bytes.
const WIDTH: usize = 64;

/// The loop of a client that saves, into memory that is there. Each access that fails is made again.
fn save(
    device: &Device,
    region: &Region<'_>,
    stream: &mut [u8],
) -> Result<(usize, Result<(), Errno>), Errno> {
    let mut failed = Ok(());
    let mut at = 0;
    let field = |failed: &mut Result<(), Errno>, field| {
        once_more(failed, || device.get::<8>(region.index, field)).map(u64::from_le_bytes)
    };
    once_more(&mut failed, || region.set_state(STOP_COPY))?;
    while field(&mut failed, PENDING_BYTES)? > 0 {
        let start = field(&mut failed, DATA_OFFSET)?;
        let size = field(&mut failed, DATA_SIZE)? as usize;
        let chunk = stream.get_mut(at..at + size).ok_or(Errno::EOVERFLOW)?;
        for (number, piece) in chunk.chunks_mut(WIDTH).enumerate() {
            let place = start + (number * WIDTH) as u64;
            once_more(&mut failed, || device.read(region.index, place, piece))?;
        }
        at += size;
    }
    Ok((at, failed))
}

fn saves_on_where_it_stood(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let (want, _) = saved(world, &device)?;
    let region = Region::of(&device)?;
    world.faults.each(
        || {
            world.busy(&device)?;
            Ok((vec![0; want.len() + WIDTH], 0))
        },
        |(stream, length)| {
            let (at, failed) = save(&device, &region, stream)?;
            *length = at;
            failed
        },
        |(stream, length), came| {
            came.is_clean(&[])?;
            check_eq!(stream[..length], want[..], "the stream");
            region.set_state(RUNNING)?;
            Ok(())
        },
    )?;
    world.works(&device)
}

/// The loop of a client that loads. Each access that fails is made again.
fn load(device: &Device, region: &Region<'_>, stream: &[u8]) -> Result<Result<(), Errno>, Errno> {
    let mut failed = Ok(());
    once_more(&mut failed, || region.set_state(RESUMING))?;
    for chunk in stream.chunks(2 * WIDTH) {
        let start = once_more(&mut failed, || region.data_offset())?;
        for (number, piece) in chunk.chunks(WIDTH).enumerate() {
            let place = start + (number * WIDTH) as u64;
            once_more(&mut failed, || device.put(region.index, place, piece))?;
        }
        once_more(&mut failed, || region.set_data_size(chunk.len() as u64))?;
    }
    once_more(&mut failed, || region.set_state(RUNNING))?;
    Ok(failed)
}

fn loads_on_where_it_stood(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let (stream, want) = saved(world, &device)?;
    let region = Region::of(&device)?;
    check!(stream.len() > 2 * WIDTH, "the state is one chunk");
    world.faults.each(
        || Ok(device.reset()?),
        |()| load(&device, &region, &stream)?,
        |(), came| {
            came.is_clean(&[])?;
            check_eq!(v2::state(&device)?, v2::RUNNING, "the state");
            let got = guest::examine(&device, world.ports)?;
            guest::same(&got, &want, "loaded")
        },
    )?;
    world.works(&device)
}
