// SPDX-License-Identifier: GPL-2.0-only
//! A card at its destination: the same for its guest, whichever protocol took it there.

use nix::errno::Errno;

use super::super::{cases, World};
use super::busy;
use vfio_client::device::Device;
use vfio_client::ktap::{check, check_eq, check_errno, Outcome};
use vfio_client::migration::v1::{self, Carry, Region};
use vfio_client::migration::{guest, v2};
use vfio_client::serial::{Port, DATA, IIR_FCR, LCR, LSR, LSR_DR};

cases![
    writes_the_same_stream_by_both_protocols,
    is_the_same_for_the_guest_at_its_destination,
    goes_on_at_its_source_as_if_nothing_was,
    keeps_every_character_in_order_across_moves,
    moves_on_from_where_it_came,
    carries_a_transfer_by_the_protocol_that_began_it,
];

/// A protocol.
#[derive(Clone, Copy, Debug)]
enum Protocol {
    Region,
    File,
}

use Protocol::{File, Region as Old};

/// The ways between two monitors.
const WAYS: [(Protocol, Protocol); 4] = [(Old, Old), (Old, File), (File, Old), (File, File)];

/// The state of a device that runs, which is stopped afterwards.
fn save(device: &Device, protocol: Protocol) -> Result<Vec<u8>, Errno> {
    match protocol {
        Protocol::Region => Region::of(device)?.save(),
        Protocol::File => v2::save(device),
    }
}

/// Gives a state to a device, which runs with it afterwards.
fn load(device: &Device, stream: &[u8], protocol: Protocol) -> Result<(), Errno> {
    match protocol {
        Protocol::Region => Region::of(device)?.load(stream),
        Protocol::File => v2::load(device, stream),
    }
}

/// Lets a device run that was stopped.
fn resume(device: &Device, protocol: Protocol) -> Result<(), Errno> {
    match protocol {
        Protocol::Region => Region::of(device)?.set_state(v1::RUNNING),
        Protocol::File => v2::set(device, v2::RUNNING).map(|_| ()),
    }
}

fn writes_the_same_stream_by_both_protocols(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for scene in 0..guest::SCENES {
        device.reset()?;
        guest::play(&device, world.ports(), scene)?;
        let file = save(&device, File)?;
        resume(&device, File)?;
        check_eq!(save(&device, Old)?, file, "the stream of scene {scene}");
    }
    Ok(())
}

fn is_the_same_for_the_guest_at_its_destination(world: &World<'_>) -> Outcome {
    let source = world.open()?;
    let (_mdev, destination) = world.another()?;
    for scene in 0..guest::SCENES {
        source.reset()?;
        guest::play(&source, world.ports(), scene)?;
        let want = guest::examine(&source, world.ports())?;
        for (from, to) in WAYS {
            source.reset()?;
            destination.reset()?;
            guest::play(&source, world.ports(), scene)?;
            // What the destination was before is of no account.
            guest::play(&destination, world.ports(), 1 + scene % 3)?;
            load(&destination, &save(&source, from)?, to)?;
            let when = format!("scene {scene}, {from:?} to {to:?}");
            guest::same(&guest::examine(&destination, world.ports())?, &want, &when)?;
        }
    }
    Ok(())
}

fn goes_on_at_its_source_as_if_nothing_was(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for scene in 0..guest::SCENES {
        device.reset()?;
        guest::play(&device, world.ports(), scene)?;
        let want = guest::examine(&device, world.ports())?;
        for protocol in [Old, File] {
            device.reset()?;
            guest::play(&device, world.ports(), scene)?;
            save(&device, protocol)?;
            resume(&device, protocol)?;
            let when = format!("scene {scene}, saved by {protocol:?}");
            guest::same(&guest::examine(&device, world.ports())?, &want, &when)?;
        }
    }
    Ok(())
}

/// A guest sends numbers while it is moved to and fro, always with characters under way in both directions.
fn keeps_every_character_in_order_across_moves(world: &World<'_>) -> Outcome {
    let first = world.open()?;
    let (_mdev, second) = world.another()?;
    let (mut here, mut there) = (&first, &second);
    for number in 0..world.ports() {
        let port = Port::new(here, number);
        port.set(LCR, 0x03)?;
        port.set(IIR_FCR, 0x01)?;
    }
    let (mut sent, mut received) = (0_u8, vec![0_u8; world.ports()]);
    for round in 0..24 {
        // Twenty under way: the receiver is full, and the transmitter holds the rest.
        for number in 0..world.ports() {
            let port = Port::new(here, number);
            for offset in 0..20 {
                port.set(DATA, sent.wrapping_add(offset))?;
            }
        }
        sent = sent.wrapping_add(20);
        let (from, to) = WAYS[round % WAYS.len()];
        load(there, &save(here, from)?, to)?;
        here.reset()?;
        std::mem::swap(&mut here, &mut there);
        for (number, received) in received.iter_mut().enumerate() {
            let port = Port::new(here, number);
            for _ in 0..20 {
                check_eq!(port.get(LSR)? & LSR_DR, LSR_DR, "round {round}: data ready");
                check_eq!(port.get(DATA)?, *received, "round {round}: the character");
                *received = received.wrapping_add(1);
            }
            check_eq!(port.get(LSR)? & LSR_DR, 0, "round {round}: one too many");
        }
    }
    Ok(())
}

fn moves_on_from_where_it_came(world: &World<'_>) -> Outcome {
    let first = world.open()?;
    let (_mdev, second) = world.another()?;
    guest::play(&first, world.ports(), 1)?;
    let (mut here, mut there) = (&first, &second);
    let mut want = None;
    for (from, to) in WAYS.into_iter().cycle().take(12) {
        let stream = save(here, from)?;
        let want = want.get_or_insert_with(|| stream.clone());
        check_eq!(stream, *want, "the stream, {from:?} to {to:?}");
        load(there, &stream, to)?;
        std::mem::swap(&mut here, &mut there);
    }
    Ok(())
}

fn carries_a_transfer_by_the_protocol_that_began_it(world: &World<'_>) -> Outcome {
    let device = busy(world)?;
    let want = v2::save(&device)?;
    let region = Region::of(&device)?;
    for early in [false, true] {
        // Begun by the region, stopped by the other.
        v2::set(&device, v2::RUNNING)?;
        region.set_state(v1::PRE_COPY)?;
        let mut got = match early {
            true => region.drain(Carry::Mapped)?,
            false => Vec::new(),
        };
        let file = v2::set(&device, v2::STOP_COPY)?;
        check!(file.is_none(), "a data file for what the region carries");
        got.extend(region.drain(Carry::Mapped)?);
        check_eq!(got, want, "the stream by the region");
        // Begun by the data file, stopped by the other.
        region.set_state(v1::RUNNING)?;
        let file = v2::open(&device, v2::PRE_COPY)?;
        let mut got = match early {
            true => file.drain(4096)?,
            false => Vec::new(),
        };
        region.set_state(v1::STOP_COPY)?;
        check_eq!(
            region.pending()?,
            0,
            "pending_bytes of what the file carries"
        );
        got.extend(file.drain(4096)?);
        check_eq!(got, want, "the stream by the file");
    }
    // What the region takes in can be finished, or refused, by either.
    for part in [want.len() / 2, want.len()] {
        device.reset()?;
        region.set_state(v1::RESUMING)?;
        region.feed(&want[..part], 256, Carry::Mapped)?;
        check!(
            v2::set(&device, v2::RESUMING)?.is_none(),
            "a second transfer"
        );
        let left = v2::set(&device, v2::RUNNING).map(|_| ());
        let end = match part == want.len() {
            true => Ok(()),
            false => Err(Errno::EINVAL),
        };
        check_eq!(left, end, "to run with {part} bytes");
    }
    // And what the data file takes in is nobody's to cancel.
    device.reset()?;
    let file = v2::open(&device, v2::RESUMING)?;
    for _ in 0..3 {
        check_errno!(
            region.set_state(v1::RUNNING),
            EINVAL,
            "a cancel of the other's"
        );
    }
    file.feed(&want, 256)?;
    region.set_state(v1::RUNNING)?;
    check_eq!(v2::save(&device)?, want, "the stream saved again");
    Ok(())
}
