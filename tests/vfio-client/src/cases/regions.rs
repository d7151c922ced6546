// SPDX-License-Identifier: GPL-2.0-only
//! What the device is, its regions, and how they are read and written.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::sys::uio::{preadv, pwritev};
use nix::unistd::{read, write};
use vfio_bindings::bindings::vfio::{
    VFIO_DEVICE_FLAGS_PCI, VFIO_DEVICE_FLAGS_RESET, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS,
    VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};

use super::{cases, World};
use vfio_client::device::{file_offset, requests, Device};
use vfio_client::ktap::{check, check_eq, check_errno, Outcome};
use vfio_client::memory::{Argument, Cliff};
use vfio_client::serial::{
    enable, Port, BAR0, BAR0_REGISTER, CONFIG, DATA, FCR_ENABLE, IER, IIR_FCR, INTERRUPT_LINE, LCR,
    MCR, SCR,
};

cases![
    is_a_pci_device_that_can_be_reset,
    has_the_nine_pci_regions_of_the_documented_sizes,
    refuses_regions_that_it_does_not_have,
    reads_configuration_alike_in_every_width_and_alignment,
    writes_configuration_alike_in_every_width,
    reads_eight_registers_in_one_access,
    writes_eight_registers_in_one_access,
    reaches_registers_at_every_alignment,
    gives_a_short_count_at_the_end_of_a_region,
    refuses_accesses_outside_the_regions,
    answers_zero_to_an_access_of_no_length,
    advances_the_position_of_read_and_write,
    keeps_the_progress_of_a_vector_that_leaves_the_region,
    refuses_a_buffer_that_is_not_there,
    refuses_a_read_into_a_buffer_that_is_too_short,
    refuses_a_write_from_a_buffer_that_is_too_short,
    loses_what_was_read_for_a_buffer_that_is_not_there,
    cannot_be_mapped,
];

const READ_WRITE: u32 = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;

fn is_a_pci_device_that_can_be_reset(world: &World<'_>) -> Outcome {
    let (flags, regions, irqs) = world.open()?.info()?;
    let want = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
    check_eq!(flags, want, "device flags");
    let want = VFIO_PCI_NUM_REGIONS + u32::from(world.migrates());
    check_eq!(regions, want, "number of regions");
    check_eq!(irqs, VFIO_PCI_NUM_IRQS, "number of interrupt indexes");
    Ok(())
}

fn has_the_nine_pci_regions_of_the_documented_sizes(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for index in 0..9 {
        let region = device.region(index)?;
        let (size, flags) = match index {
            BAR0 => (world.bar_size() as u64, READ_WRITE),
            CONFIG => (256, READ_WRITE),
            _ => (0, 0),
        };
        check_eq!(region.size, size, "size of region {index}");
        check_eq!(region.flags, flags, "flags of region {index}");
        let offset = file_offset(index, 0) as u64;
        check_eq!(region.offset, offset, "offset of region {index}");
    }
    Ok(())
}

fn refuses_regions_that_it_does_not_have(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let first = VFIO_PCI_NUM_REGIONS + u32::from(world.migrates());
    for index in [first, 11, 255, 256, 1 << 24, i32::MAX as u32, u32::MAX] {
        check_errno!(device.region(index), EINVAL, "GET_REGION_INFO of {index}");
    }
    Ok(())
}

fn reads_configuration_alike_in_every_width_and_alignment(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let mut whole = [0; 256];
    for (at, byte) in whole.iter_mut().enumerate() {
        *byte = device.get::<1>(CONFIG, at as u64)?[0];
    }
    for width in [2, 3, 4, 5, 7, 8, 9, 16, 31, 64, 128, 255, 256] {
        for at in 0..=(256 - width) {
            let mut buffer = vec![0xa5; width];
            let count = device.read(CONFIG, at as u64, &mut buffer)?;
            check_eq!(count, width, "count of {width} bytes at {at:#x}");
            check_eq!(
                buffer[..],
                whole[at..at + width],
                "{width} bytes at {at:#x}"
            );
        }
    }
    Ok(())
}

fn writes_configuration_alike_in_every_width(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let value = [0xff; 8];
    for (at, width) in [
        (0x3c, 1),
        (0x3c, 2),
        (0x3c, 4),
        (0x3b, 2),
        (0x39, 5),
        (0x38, 8),
    ] {
        device.put(CONFIG, INTERRUPT_LINE, &[0x5a])?;
        device.put(CONFIG, at, &value[..width])?;
        let line = device.get::<1>(CONFIG, INTERRUPT_LINE)?;
        check_eq!(
            line,
            [0xff],
            "interrupt line after {width} bytes at {at:#x}"
        );
    }
    // A register in two halves, and in four, is what it is in one piece.
    let whole = 0xffff_ffff_u32.to_le_bytes();
    device.put(CONFIG, BAR0_REGISTER, &whole)?;
    let want = device.get::<4>(CONFIG, BAR0_REGISTER)?;
    for width in [1, 2] {
        device.put(CONFIG, BAR0_REGISTER, &[0; 4])?;
        for at in (0..4).step_by(width) {
            device.put(CONFIG, BAR0_REGISTER + at as u64, &whole[..width])?;
        }
        let got = device.get::<4>(CONFIG, BAR0_REGISTER)?;
        check_eq!(got, want, "BAR 0 after writes of {width} bytes");
    }
    Ok(())
}

/// The registers of a port that has nothing to say: reading them changes nothing.
fn quiet_registers(device: &Device, ports: usize) -> Result<Vec<u8>, Errno> {
    enable(device, ports)?;
    let mut registers = Vec::new();
    for number in 0..ports {
        let port = Port::new(device, number);
        port.set(SCR, 0x60 + number as u8)?;
        port.set(LCR, 0x1b)?;
        // The first look takes the modem status deltas with it.
        (0..8).try_for_each(|register| port.get(register).map(|_| ()))?;
        for register in 0..8 {
            registers.push(port.get(register)?);
        }
    }
    Ok(registers)
}

fn reads_eight_registers_in_one_access(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let want = quiet_registers(&device, world.ports())?;
    for at in (0..world.bar_size()).step_by(8) {
        let got = device.get::<8>(BAR0, at as u64)?;
        check_eq!(got[..], want[at..at + 8], "eight registers at {at}");
    }
    let mut all = vec![0; world.bar_size()];
    check_eq!(
        device.read(BAR0, 0, &mut all)?,
        all.len(),
        "count of the whole BAR"
    );
    check_eq!(all, want, "all registers");
    Ok(())
}

fn writes_eight_registers_in_one_access(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    for number in 0..world.ports() {
        let port = Port::new(&device, number);
        // The first byte is sent before the fourth sets the word length; at power-on that is 5 bits.
        port.set(LCR, 0x03)?;
        // Transmit, interrupt enable, FIFO control, line control, modem control, two registers
        // that are read only, scratch.
        let bytes = [b'x', 0x05, 0x00, 0x1b, 0x0b, 0xff, 0xff, 0xc3];
        device.put(BAR0, 8 * number as u64, &bytes)?;
        check_eq!(port.get(IER)?, 0x05, "IER of port {number}");
        check_eq!(port.get(LCR)?, 0x1b, "LCR of port {number}");
        check_eq!(port.get(MCR)?, 0x0b, "MCR of port {number}");
        check_eq!(port.get(SCR)?, 0xc3, "SCR of port {number}");
        check_eq!(port.receive(9)?, b"x", "text through port {number}");
    }
    Ok(())
}

fn reaches_registers_at_every_alignment(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let want = quiet_registers(&device, world.ports())?;
    for width in 1..=want.len() {
        for at in 0..=(want.len() - width) {
            let mut buffer = vec![0xa5; width];
            let count = device.read(BAR0, at as u64, &mut buffer)?;
            check_eq!(count, width, "count of {width} registers at {at}");
            check_eq!(
                buffer[..],
                want[at..at + width],
                "{width} registers at {at}"
            );
        }
    }
    // Three registers from the middle: line control, modem control, line status (read only).
    device.put(BAR0, LCR, &[0x03, 0x02, 0xff])?;
    let port = Port::new(&device, 0);
    check_eq!(port.get(LCR)?, 0x03, "LCR after an unaligned write");
    check_eq!(port.get(MCR)?, 0x02, "MCR after an unaligned write");
    Ok(())
}

fn gives_a_short_count_at_the_end_of_a_region(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let bar = world.bar_size() as u64;
    let mut buffer = vec![0xa5; 1 << 20];
    for (index, size) in [(BAR0, bar), (CONFIG, 256)] {
        for left in [1, 2, 3, 5, 8] {
            let at = size - left;
            for length in [left as usize + 1, 64, 4096, buffer.len()] {
                let got = device.read(index, at, &mut buffer[..length])?;
                check_eq!(
                    got as u64,
                    left,
                    "read of {length} at {left} before the end"
                );
            }
        }
        check_eq!(buffer[8], 0xa5, "the byte behind the longest read");
    }
    // The write stops at the same place, and what is before it takes effect.
    let count = device.write(BAR0, bar - 1, &[0x77; 300])?;
    check_eq!(count, 1, "count of a write across the end");
    let last = Port::new(&device, world.ports() - 1);
    check_eq!(last.get(SCR)?, 0x77, "scratch after a write across the end");
    check_eq!(
        device.write(CONFIG, 255, &[0; 9])?,
        1,
        "count of a write at 255"
    );
    Ok(())
}

fn refuses_accesses_outside_the_regions(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let bar = world.bar_size() as u64;
    let mut places = vec![
        (BAR0, bar),
        (BAR0, bar + 1),
        (BAR0, 4096),
        (BAR0, u64::from(u32::MAX)),
        (BAR0, (1 << 40) - 1),
        (CONFIG, 256),
        (CONFIG, 257),
        (CONFIG, 4095),
        (CONFIG, (1 << 40) - 1),
        (10, 0),
        (10, 1 << 39),
        (255, 0),
        (1 << 22, 0),
        ((1 << 23) - 1, (1 << 40) - 8),
    ];
    for index in [1, 2, 3, 4, 5, 6, 8] {
        places.extend([(index, 0), (index, 1), (index, 255), (index, 1 << 20)]);
    }
    for (index, at) in places {
        for length in [1, 4, 8, 4096] {
            let mut buffer = vec![0xa5; length];
            let read = device.read(index, at, &mut buffer);
            check_errno!(read, EINVAL, "read of {length} at {index}:{at:#x}");
            check!(
                buffer.iter().all(|byte| *byte == 0xa5),
                "a refused read wrote"
            );
            let written = device.write(index, at, &buffer);
            check_errno!(written, EINVAL, "write of {length} at {index}:{at:#x}");
        }
    }
    Ok(())
}

fn answers_zero_to_an_access_of_no_length(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for (index, at) in [(BAR0, 0), (BAR0, SCR), (CONFIG, 0), (CONFIG, 255)] {
        check_eq!(device.read(index, at, &mut [])?, 0, "read at {index}:{at}");
        check_eq!(device.write(index, at, &[])?, 0, "write at {index}:{at}");
    }
    Ok(())
}

fn advances_the_position_of_read_and_write(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    Port::new(&device, 0).set(SCR, 0x39)?;
    Port::new(&device, world.ports() - 1).set(LCR, 0x03)?;
    // The descriptor's position starts at 0, which is the first register of BAR 0.
    let mut seven = [0; 7];
    check_eq!(
        read(device.file(), &mut seven)?,
        7,
        "count of the first read"
    );
    let mut one = [0];
    check_eq!(
        read(device.file(), &mut one)?,
        1,
        "count of the second read"
    );
    check_eq!(
        one,
        [0x39],
        "scratch, at the position that the first read left"
    );
    if world.ports() == 2 {
        check_eq!(write(device.file(), b"y")?, 1, "count of a write");
        let got = Port::new(&device, 1).receive(9)?;
        check_eq!(got, b"y", "what was written at the second port");
    } else {
        check_errno!(write(device.file(), b"y"), EINVAL, "a write at the end");
    }
    Ok(())
}

fn keeps_the_progress_of_a_vector_that_leaves_the_region(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let (mut first, mut second, mut third) = ([0; 4], [0; 8], [0; 8]);
    let mut vector = [
        IoSliceMut::new(&mut first),
        IoSliceMut::new(&mut second),
        IoSliceMut::new(&mut third),
    ];
    let count = preadv(device.file(), &mut vector, file_offset(CONFIG, 248))?;
    check_eq!(count, 8, "count of a vector that leaves at 256");
    let vector = [IoSlice::new(&[0; 8]), IoSlice::new(&[0; 8])];
    let count = pwritev(device.file(), &vector, file_offset(CONFIG, 248))?;
    check_eq!(count, 8, "count of a written vector that leaves at 256");
    Ok(())
}

fn refuses_a_buffer_that_is_not_there(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let port = Port::new(&device, 0);
    port.set(SCR, 0x42)?;
    let mut cliff = Cliff::new()?;
    for (index, at, length) in [
        (BAR0, SCR, 1),
        (BAR0, 0, 8),
        (CONFIG, 0, 4),
        (CONFIG, 0, 256),
    ] {
        let read = device.read_cliff(index, at, length, &mut cliff, 0);
        check_errno!(read, EFAULT, "read of {length} at {index}:{at}");
        let written = device.write_cliff(index, at, length, &cliff, 0);
        check_errno!(written, EFAULT, "write of {length} at {index}:{at}");
    }
    check_eq!(port.get(SCR)?, 0x42, "scratch after refused writes");
    for number in [
        requests::GET_INFO,
        requests::GET_REGION_INFO,
        requests::GET_IRQ_INFO,
    ] {
        let fd = std::os::fd::AsFd::as_fd(device.file());
        let call = vfio_client::device::ioctl_cliff(fd, number, &mut cliff, 0);
        check_errno!(call, EFAULT, "request {number:#x} without an argument");
    }
    Ok(())
}

// An access is copied from or to user space in pieces of up to 256 bytes. Neither region is longer than one piece, so
// that a buffer that lacks any part of an access is refused as a whole.

fn refuses_a_read_into_a_buffer_that_is_too_short(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let mut cliff = Cliff::new()?;
    for (index, length) in [(CONFIG, 16), (CONFIG, 256), (BAR0, 8)] {
        for valid in [1, 3, 4, 7, length - 1] {
            let read = device.read_cliff(index, 0, length, &mut cliff, valid);
            check_errno!(
                read,
                EFAULT,
                "read of {length} at {index}:0 into {valid} bytes"
            );
        }
        let read = device.read_cliff(index, 0, length, &mut cliff, length);
        check_eq!(
            read,
            Ok(length),
            "read of {length} at {index}:0 into as many"
        );
    }
    Ok(())
}

fn refuses_a_write_from_a_buffer_that_is_too_short(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let want = quiet_registers(&device, world.ports())?;
    device.put(CONFIG, INTERRUPT_LINE, &[0x5a])?;
    let mut cliff = Cliff::new()?;
    // A write that took effect in part would send the first byte and change the registers after it.
    let bytes = [b'x', 0x05, 0x01, 0x03, 0x0b, 0xff, 0xff, 0xc3];
    for valid in 0..bytes.len() {
        cliff.put(&bytes[..valid]);
        let written = device.write_cliff(BAR0, 0, bytes.len(), &cliff, valid);
        check_errno!(written, EFAULT, "write of 8 registers from {valid} bytes");
        let mut registers = vec![0; want.len()];
        let count = device.read(BAR0, 0, &mut registers)?;
        check_eq!(count, want.len(), "count of the registers");
        check_eq!(registers, want, "registers after {valid} bytes were there");
    }
    cliff.put(&[0xc3]);
    let written = device.write_cliff(CONFIG, INTERRUPT_LINE, 4, &cliff, 1);
    check_errno!(written, EFAULT, "write of 4 from 1 byte");
    let line = device.get::<1>(CONFIG, INTERRUPT_LINE)?;
    check_eq!(line, [0x5a], "interrupt line after a refused write");
    cliff.put(&bytes);
    let written = device.write_cliff(BAR0, 0, bytes.len(), &cliff, bytes.len());
    check_eq!(written, Ok(bytes.len()), "write of all that is there");
    check_eq!(Port::new(&device, 0).get(SCR)?, 0xc3, "scratch after that");
    Ok(())
}

fn loses_what_was_read_for_a_buffer_that_is_not_there(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    enable(&device, world.ports())?;
    let port = Port::new(&device, 0);
    port.set(LCR, 0x03)?;
    port.set(IIR_FCR, FCR_ENABLE)?;
    port.send(b"abc")?;
    let mut cliff = Cliff::new()?;
    // The device gives a character before anyone knows whether the buffer can take it.
    for (length, valid) in [(1, 0), (8, 4)] {
        let read = device.read_cliff(BAR0, DATA, length, &mut cliff, valid);
        check_errno!(read, EFAULT, "read of {length} into {valid} bytes");
    }
    check_eq!(port.receive(9)?, b"c", "what two refused reads left");
    Ok(())
}

/// The migration region can be, in part; it has cases of its own.
fn cannot_be_mapped(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for index in (0..9).chain([10]) {
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing; nothing
        // is mapped when the call fails, and the case ends when it does not.
        let mapped = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                device.file().as_raw_fd(),
                file_offset(index, 0),
            )
        };
        let result = if mapped == libc::MAP_FAILED {
            Err(Errno::last())
        } else {
            Ok(mapped)
        };
        check_errno!(result, EINVAL, "mmap of region {index}");
    }
    // The argument of the page that follows proves that the device still answers.
    device.ioctl(requests::GET_INFO, &mut Argument::words(&[16]))?;
    Ok(())
}
