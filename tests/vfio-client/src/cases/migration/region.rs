// SPDX-License-Identifier: GPL-2.0-only
//! What the migration region is: how it is found, its layout, and which accesses it takes.

use nix::errno::Errno;
use nix::sys::mman::MapFlags;
use vfio_bindings::bindings::vfio::{
    VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_CAPS, VFIO_REGION_INFO_FLAG_MMAP,
    VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};

use super::super::{cases, World};
use vfio_client::device::{requests, Device};
use vfio_client::ktap::{check, check_eq, check_errno, Outcome};
use vfio_client::memory::Argument;
use vfio_client::migration::v1::{
    Mapping, Region, DATA_OFFSET, DATA_SIZE, DEVICE_STATE, FIELDS_END, PENDING_BYTES, PRE_COPY,
    RESERVED, RESUMING, RUNNING, STOPPED, STOP_COPY,
};
use vfio_client::migration::{guest, v2};

cases![
    is_found_by_its_type,
    tells_who_gives_no_room_how_much_it_takes,
    takes_fields_whole_and_nothing_else,
    refuses_writes_to_what_is_read_only,
    ignores_writes_to_the_reserved_field,
    keeps_the_bits_that_are_not_the_state,
    starts_with_an_empty_data_section,
    reads_and_writes_data_at_any_width_and_alignment,
    shows_the_same_data_mapped_and_trapped,
    maps_its_data_section_and_nothing_else,
    keeps_a_mapping_when_the_device_is_gone,
    walks_its_arcs_and_refuses_the_others,
    refuses_bits_that_are_no_state,
    shows_the_states_of_the_feature_protocol,
];

/// Where the data section begins, and how long it is.
const DATA: (u64, u64) = (0x1000, 0x1000);
/// The region's length.
const SIZE: u64 = 0x2000;

fn is_found_by_its_type(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let region = Region::of(&device)?;
    check!(
        region.index >= VFIO_PCI_NUM_REGIONS,
        "at index {}",
        region.index
    );
    check_eq!(region.size, SIZE, "size");
    let want = VFIO_REGION_INFO_FLAG_READ
        | VFIO_REGION_INFO_FLAG_WRITE
        | VFIO_REGION_INFO_FLAG_MMAP
        | VFIO_REGION_INFO_FLAG_CAPS;
    check_eq!(region.flags, want, "flags");
    check_eq!(region.areas, [DATA], "areas that may be mapped");
    Ok(())
}

fn tells_who_gives_no_room_how_much_it_takes(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let index = Region::of(&device)?.index;
    let mut info = Argument::words(&[32, 0, index]);
    device.ioctl(requests::GET_REGION_INFO, &mut info)?;
    let (needs, chain) = (info.get(0), info.get(12));
    check!(needs > 32, "argsz {needs} has no room for a chain");
    check_eq!(chain, 0, "the chain that did not fit");
    check!(
        info.rest(32).iter().all(|byte| *byte == 0),
        "it was written"
    );
    let mut info = Argument::words(&[needs, 0, index]);
    device.ioctl(requests::GET_REGION_INFO, &mut info)?;
    check!(info.get(12) >= 32, "no chain with {needs} bytes");
    check!(
        info.rest(needs as usize).iter().all(|byte| *byte == 0),
        "more than {needs} bytes"
    );
    Ok(())
}

/// The fields, each with its length.
const FIELDS: [(u64, usize); 5] = [
    (DEVICE_STATE, 4),
    (RESERVED, 4),
    (PENDING_BYTES, 8),
    (DATA_OFFSET, 8),
    (DATA_SIZE, 8),
];

fn takes_fields_whole_and_nothing_else(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let index = Region::of(&device)?.index;
    for at in (0..FIELDS_END + 9).chain([0x7f8, 0xff8, 0xfff]) {
        for length in [1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 32, 64, 4096, 8192] {
            let mut buffer = vec![0xa5; length];
            let read = device.read(index, at, &mut buffer);
            if FIELDS.contains(&(at, length)) {
                check_eq!(read, Ok(length), "a read of {length} at {at:#x}");
                continue;
            }
            check_errno!(read, EINVAL, "a read of {length} at {at:#x}");
            check!(
                buffer.iter().all(|byte| *byte == 0xa5),
                "a refused read wrote"
            );
            let written = device.write(index, at, &vec![0; length]);
            check_errno!(written, EINVAL, "a write of {length} at {at:#x}");
        }
    }
    check_eq!(Region::of(&device)?.state()?, RUNNING, "state afterwards");
    for at in [SIZE, SIZE + 8, 1 << 20, (1 << 40) - 8] {
        check_errno!(
            device.read(index, at, &mut [0; 8]),
            EINVAL,
            "a read at {at:#x}"
        );
        check_errno!(
            device.write(index, at, &[0; 8]),
            EINVAL,
            "a write at {at:#x}"
        );
    }
    Ok(())
}

fn refuses_writes_to_what_is_read_only(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let region = Region::of(&device)?;
    for state in [RUNNING, STOP_COPY] {
        region.set_state(state)?;
        let (pending, offset) = (region.pending()?, region.data_offset()?);
        for at in [PENDING_BYTES, DATA_OFFSET] {
            let written = device.write(region.index, at, &[0xff; 8]);
            check_errno!(written, EINVAL, "a write at {at:#x} in {state:#b}");
        }
        check_eq!(region.data_offset()?, offset, "data_offset in {state:#b}");
        check!(
            region.pending()? <= pending,
            "pending_bytes grew in {state:#b}"
        );
    }
    // And data_size is for who loads.
    for size in [0, 1, 4096] {
        check_errno!(region.set_data_size(size), EINVAL, "data_size {size}");
    }
    Ok(())
}

fn ignores_writes_to_the_reserved_field(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let region = Region::of(&device)?;
    for value in [[0xff; 4], [0; 4]] {
        device.put(region.index, RESERVED, &value)?;
        check_eq!(
            device.get::<4>(region.index, RESERVED)?,
            [0; 4],
            "after {value:x?}"
        );
    }
    check_eq!(region.state()?, RUNNING, "state afterwards");
    Ok(())
}

fn keeps_the_bits_that_are_not_the_state(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let region = Region::of(&device)?;
    let free = 0xa5a5_5a58_u32;
    region.set_state(free | RUNNING)?;
    check_eq!(
        region.state()?,
        free | RUNNING,
        "written over the same state"
    );
    for state in [PRE_COPY, STOP_COPY, STOPPED, RUNNING] {
        let before = region.state()?;
        region.set_state(before & !7 | state)?;
        check_eq!(region.state()?, free | state, "read, changed, and written");
    }
    // What is refused changes them as little as the rest.
    check_errno!(region.set_state(7), EINVAL, "no state");
    check_eq!(region.state()?, free | RUNNING, "after a refusal");
    v2::set(&device, v2::STOP)?;
    check_eq!(region.state()?, free, "after the other protocol");
    device.reset()?;
    check_eq!(region.state()?, RUNNING, "after a reset");
    region.set_state(free | RUNNING)?;
    drop(device);
    let device = world.open()?;
    check_eq!(Region::of(&device)?.state()?, RUNNING, "for the next user");
    Ok(())
}

/// The whole data section.
fn data(device: &Device, index: u32) -> Result<Vec<u8>, Errno> {
    Ok(device.get::<{ DATA.1 as usize }>(index, DATA.0)?.to_vec())
}

fn starts_with_an_empty_data_section(world: &World<'_>) -> Outcome {
    for _ in 0..2 {
        let device = world.open()?;
        let index = Region::of(&device)?.index;
        check!(
            data(&device, index)?.iter().all(|byte| *byte == 0),
            "something was left there"
        );
        device.put(index, DATA.0, &[0x5a; DATA.1 as usize])?;
    }
    Ok(())
}

fn reads_and_writes_data_at_any_width_and_alignment(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let region = Region::of(&device)?;
    let mut want = vec![0; DATA.1 as usize];
    for state in [RUNNING, STOPPED, RESUMING] {
        region.set_state(state)?;
        let (mut at, mut byte) = (0, state as u8);
        for length in [1, 2, 3, 4, 5, 7, 8, 9, 16, 255, 256, 257, 1000, 2000] {
            byte = byte.wrapping_mul(5).wrapping_add(1);
            want[at..at + length].fill(byte);
            device.put(region.index, DATA.0 + at as u64, &vec![byte; length])?;
            let mut got = vec![0; length];
            check_eq!(
                device.read(region.index, DATA.0 + at as u64, &mut got)?,
                length,
                "count of {length} at {at}"
            );
            check_eq!(got[..], want[at..at + length], "{length} bytes at {at}");
            at += length;
        }
        check!(data(&device, region.index)? == want, "not what was written");
    }
    // At the end a count is short, as in any region.
    check_eq!(
        device.write(region.index, SIZE - 3, &[1; 8])?,
        3,
        "a write across the end"
    );
    check_eq!(
        device.read(region.index, SIZE - 3, &mut [0; 8])?,
        3,
        "a read across the end"
    );
    Ok(())
}

fn shows_the_same_data_mapped_and_trapped(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let region = Region::of(&device)?;
    let mapping = Mapping::new(&region)?;
    mapping.write(b"written to memory");
    check_eq!(
        device.get::<17>(region.index, DATA.0)?,
        *b"written to memory",
        "read by access"
    );
    device.put(region.index, DATA.0 + 8, b"by access")?;
    let mut got = [0; 17];
    mapping.read(&mut got);
    check_eq!(got, *b"written by access", "read from memory");
    Ok(())
}

fn maps_its_data_section_and_nothing_else(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let region = Region::of(&device)?;
    for (offset, size) in [
        (0, SIZE),
        (0, 0x1000),
        (0x1000, 0x2000),
        (0x2000, 0x1000),
        (0x10_0000, 0x1000),
    ] {
        let mapped = Mapping::at(&region, offset, size as usize).map(drop);
        check_errno!(mapped, EINVAL, "mapping {size:#x} at {offset:#x}");
    }
    // A copy of one's own would not be what the device takes in.
    let private = Mapping::with(&region, DATA.0, DATA.1 as usize, MapFlags::MAP_PRIVATE);
    check_errno!(private.map(drop), EINVAL, "a private mapping");
    // Two at a time, in both of which the same is seen.
    let both = [Mapping::new(&region)?, Mapping::new(&region)?];
    both[0].write(&[0x11; 64]);
    let mut got = [0; 64];
    both[1].read(&mut got);
    check_eq!(got, [0x11; 64], "through the second mapping");
    Ok(())
}

fn keeps_a_mapping_when_the_device_is_gone(world: &World<'_>) -> Outcome {
    let migratable = world.open()?;
    drop(migratable);
    let (mdev, device) = world.another()?;
    let mapping = Mapping::new(&Region::of(&device)?)?;
    mapping.write(b"left");
    // A mapping holds the device's file, so that the device is in use until it goes.
    drop(device);
    let mut got = [0; 4];
    mapping.read(&mut got);
    check_eq!(got, *b"left", "the data once the descriptor is closed");
    drop(mapping);
    Ok(mdev.remove()?)
}

/// The arcs, by the bits that are there and those that are written.
const ARCS: [(u32, u32); 12] = [
    (RUNNING, STOPPED),
    (RUNNING, STOP_COPY),
    (RUNNING, PRE_COPY),
    (RUNNING, RESUMING),
    (PRE_COPY, STOP_COPY),
    (PRE_COPY, RUNNING),
    (STOP_COPY, STOPPED),
    (STOP_COPY, RUNNING),
    (STOPPED, RUNNING),
    (STOPPED, STOP_COPY),
    (STOPPED, RESUMING),
    (RESUMING, RUNNING),
];

fn walks_its_arcs_and_refuses_the_others(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let region = Region::of(&device)?;
    for from in [STOPPED, RUNNING, STOP_COPY, PRE_COPY, RESUMING] {
        for to in 0..8 {
            device.reset()?;
            region.set_state(from)?;
            let went = region.set_state(to);
            if from == to || ARCS.contains(&(from, to)) {
                check_eq!(went, Ok(()), "from {from:03b} to {to:03b}");
                check_eq!(region.state()?, to, "state from {from:03b} to {to:03b}");
            } else {
                check_errno!(went, EINVAL, "from {from:03b} to {to:03b}");
                check_eq!(region.state()?, from, "state after {to:03b} was refused");
            }
        }
    }
    Ok(())
}

fn refuses_bits_that_are_no_state(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    guest::play(&device, world.ports(), 1)?;
    let region = Region::of(&device)?;
    for state in [RUNNING, PRE_COPY, STOP_COPY] {
        region.set_state(state)?;
        let pending = region.pending()?;
        for none in [5, 6, 7, 0xffff_ffff, 0x8000_0006] {
            check_errno!(region.set_state(none), EINVAL, "{none:#x}");
            check_eq!(region.state()?, state, "state after {none:#x}");
            check_eq!(region.pending()?, pending, "pending after {none:#x}");
        }
    }
    Ok(())
}

fn shows_the_states_of_the_feature_protocol(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let region = Region::of(&device)?;
    for (state, bits) in [
        (v2::STOP, STOPPED),
        (v2::RUNNING, RUNNING),
        (v2::RUNNING_P2P, RUNNING),
        (v2::STOP_COPY, STOP_COPY),
        (v2::PRE_COPY, PRE_COPY),
        (v2::PRE_COPY_P2P, PRE_COPY),
        (v2::RESUMING, RESUMING),
    ] {
        device.reset()?;
        v2::set(&device, state)?;
        check_eq!(region.state()?, bits, "bits of state {state}");
        // The transfer is the data file's: the region has no part in it.
        check_eq!(region.pending()?, 0, "pending_bytes in state {state}");
        check_eq!(region.data_size()?, 0, "data_size in state {state}");
        check_eq!(
            region.data_offset()?,
            DATA.0,
            "data_offset in state {state}"
        );
        check_eq!(region.data_size()?, 0, "data_size after that in {state}");
    }
    device.reset()?;
    let _file = v2::open(&device, v2::RESUMING)?;
    check_errno!(region.set_data_size(1), EBUSY, "data beside the data file");
    device.reset()?;
    // And the other way round.
    for (bits, state) in [
        (RUNNING, v2::RUNNING),
        (STOPPED, v2::STOP),
        (STOP_COPY, v2::STOP_COPY),
        (STOPPED, v2::STOP),
        (RESUMING, v2::RESUMING),
        (RUNNING, v2::RUNNING),
        (PRE_COPY, v2::PRE_COPY),
    ] {
        region.set_state(bits)?;
        check_eq!(v2::state(&device)?, state, "state of bits {bits:03b}");
    }
    Ok(())
}
