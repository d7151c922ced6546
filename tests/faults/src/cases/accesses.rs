// SPDX-License-Identifier: GPL-2.0-only
//! Reads and writes of regions, and the mapping of the data section.

use nix::errno::Errno;

use vfio_client::device::{Access, Device};
use vfio_client::ktap::{check, check_eq, Outcome};
use vfio_client::migration::guest;
use vfio_client::migration::v1::{Mapping, Region, RESUMING, RUNNING};
use vfio_client::serial::{Port, BAR0, BAR0_REGISTER, CONFIG, DATA, INTERRUPT_LINE, SCR};

use super::{cases, World};

cases![
    reads_whole_pieces_of_a_region,
    writes_whole_pieces_of_a_region,
    loses_a_character_that_could_not_be_given,
    maps_the_data_section_or_does_not,
    makes_the_data_section_for_who_first_reads_the_region,
    makes_the_data_section_for_who_first_maps_it,
];

/// Where the data section is in the migration region.
fn data(region: &Region<'_>) -> Result<u64, Errno> {
    region.areas.first().map(|area| area.0).ok_or(Errno::ENXIO)
}

/// What a region that was read in part is filled with from there on.
const UNTOUCHED: u8 = 0xa5;

fn reads_whole_pieces_of_a_region(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    world.busy(&device)?;
    let region = Region::of(&device)?;
    region.set_state(RESUMING)?;
    let at = data(&region)?;
    let section: Vec<u8> = (0..4096_u32).map(|number| number as u8).collect();
    device.put(region.index, at, &section)?;
    // Of BAR 0 only registers that do not change by being read.
    let mut places = vec![
        (BAR0, SCR, 1),
        (region.index, at, 4096),
        (region.index, at + 3, 1000),
        (region.index, 0, 4),
        (region.index, 16, 8),
    ];
    places.extend([1, 2, 4, 8, 64, 256].map(|length| (CONFIG, 0, length)));
    for (index, at, length) in places {
        let mut want = vec![0; length];
        check_eq!(device.read(index, at, &mut want)?, length, "all of it");
        world.faults.each(
            || Ok(vec![UNTOUCHED; length]),
            |buffer| device.read(index, at, buffer),
            |mut buffer, came| {
                came.is_clean(&[])?;
                let count = came.answer.unwrap_or(0);
                check!(
                    came.fault.is_some() || count == length,
                    "{count} bytes of {length}"
                );
                check!(came.answer != Ok(0), "an end in the middle of the region");
                check_eq!(buffer[..count], want[..count], "what was read");
                check!(
                    buffer[count..].iter().all(|byte| *byte == UNTOUCHED),
                    "more was written than was said"
                );
                device.read(index, at, &mut buffer)?;
                check_eq!(buffer, want, "the next try");
                Ok(())
            },
        )?;
    }
    device.reset()?;
    world.works(&device)
}

/// What there is to see after a write: of the card, or of the section that it went to.
fn seen(world: &World, device: &Device, index: u32, at: u64) -> Result<Vec<u8>, Errno> {
    if index <= CONFIG {
        let view = guest::glance(device, world.ports)?;
        return Ok(view.into_iter().flat_map(|(_, bytes)| bytes).collect());
    }
    let mut section = vec![0; 4096];
    let start = at / 4096 * 4096;
    device.read(index, start, &mut section)?;
    Ok(section)
}

fn writes_whole_pieces_of_a_region(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let region = Region::of(&device)?;
    let at = data(&region)?;
    let all: Vec<u8> = (0..4096_u32).map(|number| !number as u8).collect();
    let line: &[u8] = &[0x0a];
    let places = [
        (CONFIG, INTERRUPT_LINE, line),
        (CONFIG, 0x0c, &all[..2]),
        (CONFIG, BAR0_REGISTER, &[0xf0, 0xc0, 0, 0]),
        (CONFIG, BAR0_REGISTER, &all[..8]),
        (CONFIG, 0, &all[..256]),
        (BAR0, SCR, &all[7..8]),
        (region.index, at, &all[..]),
        (region.index, at + 3, &all[..1000]),
    ];
    for (index, at, bytes) in places {
        let prepare = || -> Outcome {
            world.busy(&device)?;
            if index == region.index {
                region.set_state(RESUMING)?;
                device.put(index, at / 4096 * 4096, &[0; 4096])?;
            }
            Ok(())
        };
        world.faults.each(
            prepare,
            |()| device.write(index, at, bytes),
            |(), came| {
                came.is_clean(&[])?;
                let count = came.answer.unwrap_or(0);
                check!(
                    came.fault.is_some() || count == bytes.len(),
                    "{count} bytes of {}",
                    bytes.len()
                );
                let got = seen(world, &device, index, at)?;
                // As if it had been no more from the start.
                prepare()?;
                if count > 0 {
                    device.put(index, at, &bytes[..count])?;
                }
                check_eq!(
                    got,
                    seen(world, &device, index, at)?,
                    "{count} were written"
                );
                Ok(())
            },
        )?;
    }
    device.reset()?;
    world.works(&device)
}

fn loses_a_character_that_could_not_be_given(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let port = Port::new(&device, 0);
    world.faults.each(
        || {
            world.busy(&device)?;
            Ok([UNTOUCHED])
        },
        |buffer| device.read(BAR0, DATA, buffer),
        |buffer, came| {
            came.is_clean(&[])?;
            // A register is read when the device gives it, whether or not somebody gets it.
            let rest = port.receive(64)?;
            check_eq!(rest, b"wenty-one characters", "what comes after the first");
            let want = if came.answer.is_ok() { b't' } else { UNTOUCHED };
            check_eq!(buffer[0], want, "the first");
            Ok(())
        },
    )?;
    world.works(&device)
}

fn maps_the_data_section_or_does_not(world: &World) -> Outcome {
    let (_mdev, device) = world.opened()?;
    let region = Region::of(&device)?;
    let at = data(&region)?;
    region.set_state(RESUMING)?;
    world.faults.each(
        || Ok(()),
        |()| {
            let mapping = Mapping::new(&region)?;
            // The page is there as soon as the mapping is.
            mapping.write(b"mapped");
            Ok(mapping)
        },
        |(), came| {
            came.is_clean(&[])?;
            let mapping = match came.answer {
                Ok(mapping) => mapping,
                Err(_) => Mapping::new(&region)?,
            };
            let mut bytes = [0; 8];
            mapping.write(b"in there");
            device.read(region.index, at, &mut bytes)?;
            check_eq!(&bytes, b"in there", "what was written through the mapping");
            Ok(())
        },
    )?;
    device.reset()?;
    world.works(&device)
}

// The memory of the data section comes with its first use, hence a device that was just opened each time.

fn makes_the_data_section_for_who_first_reads_the_region(world: &World) -> Outcome {
    let mdev = world.create()?;
    world.faults.each(
        || Ok(Device::open(mdev.path(), Access::Cdev)?),
        |device| Region::of(device)?.state(),
        |device, came| {
            came.is_clean(&[])?;
            let state = Region::of(&device)?.state()?;
            check_eq!(state, RUNNING, "the state, at the next try");
            world.works(&device)
        },
    )
}

fn makes_the_data_section_for_who_first_maps_it(world: &World) -> Outcome {
    let mdev = world.create()?;
    world.faults.each(
        || Ok(Device::open(mdev.path(), Access::Cdev)?),
        |device| Mapping::new(&Region::of(device)?),
        |device, came| {
            came.is_clean(&[])?;
            drop(came);
            let mapping = Mapping::new(&Region::of(&device)?)?;
            mapping.write(b"mapped");
            drop(mapping);
            world.works(&device)
        },
    )
}
