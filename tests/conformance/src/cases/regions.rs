// SPDX-License-Identifier: GPL-2.0-only
//! Regions: what there is, and what is refused.

use super::support::*;
use crate::world::BARS;
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FLAGS_PCI, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS, VFIO_PCI_ROM_REGION_INDEX,
    VFIO_PCI_VGA_REGION_INDEX, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};
use vfio_client::device::requests;
use vfio_client::memory::{Argument, Cliff};

const READ_WRITE: u32 = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;

cases![
    tells_that_it_is_a_pci_device: UAPI, "GET_INFO shows a PCI device with at least the regions and interrupts of vfio-pci.";
    answers_for_every_region: UAPI, "GET_REGION_INFO answers for every index, with size 0 for what is not there.";
    allows_access_to_what_has_a_size: UAPI, "A region with a size can be read and written.";
    allows_nothing_to_what_has_none: UAPI, "A region of size 0 has no READ or WRITE flag.";
    refuses_indexes_it_does_not_have: UAPI, "GET_REGION_INFO answers EINVAL for an index behind the last.";
    refuses_arguments_that_are_too_short: UAPI, "An argsz too short for the answer is EINVAL.";
    refuses_reads_of_absent_bars: VFIO_PCI, "BAR 1 of a card with one BAR, or another that is absent, cannot be read.";
    @perilous refuses_reads_of_all_absent_regions: VFIO_PCI, "A region of size 0 cannot be read.";
    @perilous refuses_writes_of_all_absent_regions: VFIO_PCI, "A region of size 0 cannot be written.";
    refuses_access_behind_the_last_region: VFIO_PCI, "Offsets behind the last region are refused.";
    refuses_reads_behind_the_end_of_a_bar: SAFETY, "A read behind the end of a BAR gives no byte; least of all one from the kernel's stack.";
    does_not_alias_far_offsets: VFIO_PCI, "A write far behind the end of a BAR reaches no register.";
    reads_registers_side_by_side: SAFETY, "A read of 2 or 4 registers is refused or gives the value of each.";
    writes_registers_side_by_side: POSIX, "A write of 2 or 4 registers that reports success has written each.";
    says_how_much_a_failing_write_did: POSIX, "A write whose buffer ends early either did nothing or says how much it did.";
    survives_buffers_that_are_not_there: POSIX, "A read or write with a bad address is EFAULT, and the device works after it.";
];

fn tells_that_it_is_a_pci_device(world: &World) -> Outcome {
    let card = world.card()?;
    let (flags, regions, irqs) = card.info()?;
    check!(flags & VFIO_DEVICE_FLAGS_PCI != 0, "flags are {flags:#x}");
    check!(regions >= VFIO_PCI_NUM_REGIONS, "{regions} regions");
    check!(irqs >= VFIO_PCI_NUM_IRQS, "{irqs} interrupt indexes");
    Ok(())
}

fn answers_for_every_region(world: &World) -> Outcome {
    let card = world.card()?;
    let (_, regions, _) = card.info()?;
    for index in 0..regions {
        card.region(index)?;
    }
    Ok(())
}

fn allows_access_to_what_has_a_size(world: &World) -> Outcome {
    let card = world.card()?;
    for index in [card.place(0).0, CONFIG] {
        let region = card.region(index)?;
        check!(region.size > 0, "region {index} has no size");
        check_eq!(
            region.flags & READ_WRITE,
            READ_WRITE,
            "flags of region {index}"
        );
    }
    Ok(())
}

fn allows_nothing_to_what_has_none(world: &World) -> Outcome {
    let card = world.card()?;
    for index in 0..VFIO_PCI_NUM_REGIONS {
        let region = card.region(index)?;
        if region.size == 0 {
            check_eq!(
                region.flags & READ_WRITE,
                0,
                "flags of region {index}, which is empty"
            );
        }
    }
    Ok(())
}

fn refuses_indexes_it_does_not_have(world: &World) -> Outcome {
    let card = world.card()?;
    let (_, regions, _) = card.info()?;
    for index in [regions, regions + 1, 1 << 16, 1 << 31, u32::MAX] {
        check_errno!(card.region(index), EINVAL, "region {index}");
    }
    Ok(())
}

fn refuses_arguments_that_are_too_short(world: &World) -> Outcome {
    let card = world.card()?;
    for (request, least) in [
        (requests::GET_INFO, 16),
        (requests::GET_REGION_INFO, 32),
        (requests::GET_IRQ_INFO, 16),
        (requests::SET_IRQS, 20),
    ] {
        for argsz in [0, 4, least - 1] {
            let call = card.ioctl(request, &mut Argument::words(&[argsz]));
            check_errno!(call, EINVAL, "request {request:#x} with {argsz} bytes");
        }
    }
    Ok(())
}

/// The regions of PCI that the card says it does not have.
fn absent(card: &Card) -> Result<Vec<u32>, Errno> {
    let mut found = Vec::new();
    for index in (0..BARS).chain([VFIO_PCI_ROM_REGION_INDEX, VFIO_PCI_VGA_REGION_INDEX]) {
        if card.region(index)?.size == 0 {
            found.push(index);
        }
    }
    Ok(found)
}

fn no_byte(card: &Card, index: u32, at: u64) -> Outcome {
    let mut buffer = [0];
    match card.read(index, at, &mut buffer) {
        Err(_) | Ok(0) => Ok(()),
        Ok(_) => Err(Miss::Failed(format!(
            "a read at {at:#x} of region {index} gave {:#04x}",
            buffer[0]
        ))),
    }
}

fn refuses_reads_of_absent_bars(world: &World) -> Outcome {
    let card = world.card_with(1)?;
    let Some(first) = absent(&card)?.first().copied() else {
        vfio_client::ktap::skip!("it has all BARs");
    };
    (0..8).try_for_each(|at| no_byte(&card, first, at))
}

fn refuses_reads_of_all_absent_regions(world: &World) -> Outcome {
    let card = world.card()?;
    for index in absent(&card)? {
        (0..8).try_for_each(|at| no_byte(&card, index, at))?;
    }
    Ok(())
}

fn refuses_writes_of_all_absent_regions(world: &World) -> Outcome {
    let card = world.card()?;
    let mut taken = Vec::new();
    for index in absent(&card)? {
        for at in [LCR, SCR, IIR_FCR, DATA] {
            if card.write(index, at, &[0x03]) == Ok(1) {
                taken.push((index, at));
            }
        }
    }
    works(&card, "after writes to regions that are not there")?;
    check!(taken.is_empty(), "taken (region, offset): {taken:?}");
    Ok(())
}

fn refuses_access_behind_the_last_region(world: &World) -> Outcome {
    let card = world.card()?;
    let (_, regions, _) = card.info()?;
    for index in [regions, regions + 1, 1000, (1 << 23) - 1] {
        no_byte(&card, index, 0)?;
        let call = card.write(index, 0, &[0]);
        check!(!matches!(call, Ok(1)), "region {index} was written");
    }
    Ok(())
}

fn refuses_reads_behind_the_end_of_a_bar(world: &World) -> Outcome {
    let card = world.card()?;
    let (bar, _) = card.place(0);
    let size = card.region(bar)?.size;
    [0, 1, 4, 0x100, 0xff8]
        .into_iter()
        .try_for_each(|more| no_byte(&card, bar, size + more))
}

fn does_not_alias_far_offsets(world: &World) -> Outcome {
    let card = world.card()?;
    let (bar, base) = card.place(0);
    card.port(0).set(SCR, 0x11)?;
    for far in [1 << 8, 1 << 12, 1 << 16, 1 << 32] {
        let _ = card.write(bar, base + SCR + far, &[0x77]);
        check_eq!(
            card.port(0).get(SCR)?,
            0x11,
            "scratch after a write at {far:#x} more"
        );
    }
    Ok(())
}

fn reads_registers_side_by_side(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    for number in 0..card.ports() {
        let (bar, base) = card.place(number);
        let port = card.port(number);
        port.set(SCR, 0xc3)?;
        // So that no delta of the modem status is left to be reported once.
        port.get(MSR)?;
        let want = [MCR, LSR, MSR, SCR].map(|register| port.get(register));
        let want = want.into_iter().collect::<Result<Vec<_>, _>>()?;
        if let Ok(got) = card.get::<4>(bar, base + MCR) {
            check_eq!(got, want.as_slice(), "MCR, LSR, MSR, SCR of port {number}");
        }
        if let Ok(got) = card.get::<2>(bar, base + MSR) {
            check_eq!(got, &want[2..], "MSR, SCR of port {number}");
        }
    }
    Ok(())
}

fn writes_registers_side_by_side(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    for number in 0..card.ports() {
        let (bar, base) = card.place(number);
        let port = card.port(number);
        if card.put(bar, base + MCR, &[MCR_OUT2, 0, 0, 0x5c]).is_ok() {
            check_eq!(
                port.get(MCR)?,
                MCR_OUT2,
                "MCR of port {number} after four bytes"
            );
            check_eq!(
                port.get(SCR)?,
                0x5c,
                "SCR of port {number} after four bytes"
            );
        }
        if card.put(bar, base + MSR, &[0, 0xa3]).is_ok() {
            check_eq!(port.get(SCR)?, 0xa3, "SCR of port {number} after two bytes");
        }
    }
    Ok(())
}

fn says_how_much_a_failing_write_did(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let (bar, base) = card.place(0);
    let port = card.port(0);
    let mut cliff = Cliff::new()?;
    // LCR's byte is among the first four, of which three are harmless.
    cliff.put(&[0, 0, 0, 0x1b]);
    let call = card.write_cliff(bar, base, 8, &cliff, 4);
    let done = call.unwrap_or(0) as u64;
    check!(done <= 4, "{call:?} of four bytes");
    check_eq!(
        port.get(LSR)? & LSR_DR != 0,
        done > DATA && received(&port)?,
        "whether a character was sent by a write that did {done} bytes"
    );
    check_eq!(
        port.get(LCR)? == 0x1b,
        done > LCR,
        "whether LCR is set by a write that did {done} bytes"
    );
    Ok(())
}

/// Whether a sent character arrives without a loop, through what the device has for a cable.
fn received(port: &vfio_client::serial::Port<'_>) -> Result<bool, Errno> {
    port.receive(64)?;
    port.set(DATA, 0x55)?;
    Ok(!port.receive(64)?.is_empty())
}

fn survives_buffers_that_are_not_there(world: &World) -> Outcome {
    let card = world.card()?;
    card.enable()?;
    let (bar, base) = card.place(0);
    let mut cliff = Cliff::new()?;
    for (index, at) in [(bar, base + SCR), (CONFIG, 0)] {
        for length in [1, 4] {
            let read = card.read_cliff(index, at - at % length, length as usize, &mut cliff, 0);
            check_errno!(read, EFAULT, "a read of {length} of region {index}");
            let write = card.write_cliff(index, at - at % length, length as usize, &cliff, 0);
            check_errno!(write, EFAULT, "a write of {length} of region {index}");
        }
    }
    works(&card, "after faults")
}
