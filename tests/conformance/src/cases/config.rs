// SPDX-License-Identifier: GPL-2.0-only
//! PCI configuration space, as a guest and its VMM use it.

use super::support::*;
use crate::world::BARS;
use vfio_bindings::bindings::vfio::VFIO_PCI_MSI_IRQ_INDEX;
use vfio_client::serial::{config16, config32, COMMAND_INTX_DISABLE, COMMAND_IO, COMMAND_MASTER};

cases![
    is_256_bytes_long: PCI, "Configuration space has 256 bytes.";
    reads_alike_in_every_width: PCI, "Reads of 1, 2, 4 and 8 bytes tell of the same bytes.";
    @perilous reads_its_last_bytes: PCI, "The last four bytes can be read as one word.";
    @perilous refuses_reads_just_beyond_its_end: VFIO_PCI, "A read behind the end gives no byte.";
    @perilous refuses_reads_far_beyond_its_end: VFIO_PCI, "A read anywhere in the region's offsets but behind its end gives no byte.";
    does_not_alias_writes_beyond_its_end: VFIO_PCI, "A write behind the end changes no register before it.";
    is_a_16550_serial_controller: PCI, "The class code is that of a 16550-compatible serial controller.";
    keeps_its_identity: PCI, "Vendor, device, revision, class and header type cannot be written.";
    sizes_its_bars: PCI, "All ones in a BAR read back as its size, and the size is the region's.";
    keeps_bar_addresses: PCI, "A BAR keeps the address that is written.";
    keeps_bar_addresses_aligned: PCI, "The bits of an address below the BAR's size read as zero.";
    has_no_registers_for_bars_it_lacks: PCI, "An unimplemented BAR reads as zero whatever is written.";
    @perilous takes_writes_of_single_bytes: PCI, "A write of one byte changes that byte and no other.";
    takes_writes_to_any_byte: PCI, "The upper bytes of a register can be written by themselves.";
    keeps_the_command_register: PCI, "I/O enable, bus master and interrupt disable can be set and cleared.";
    keeps_the_interrupt_line: PCI, "The interrupt line register is free storage.";
    names_its_interrupt_pin: PCI, "A device with INTx names a pin, which cannot be written.";
    has_a_capability_for_its_msi: PCI, "A device with an MSI vector has the capability through which a guest finds it.";
];

fn is_256_bytes_long(world: &World) -> Outcome {
    let card = world.card()?;
    check_eq!(card.region(CONFIG)?.size, 256, "size of the region");
    Ok(())
}

fn reads_alike_in_every_width(world: &World) -> Outcome {
    let card = world.card()?;
    for at in (0..128).step_by(8) {
        let mut bytes = [0; 8];
        for (offset, byte) in bytes.iter_mut().enumerate() {
            [*byte] = card.get::<1>(CONFIG, at + offset as u64)?;
        }
        check_eq!(card.get::<8>(CONFIG, at)?, bytes, "8 bytes at {at:#x}");
        for half in [0, 4] {
            let want = &bytes[half..half + 4];
            check_eq!(
                card.get::<4>(CONFIG, at + half as u64)?,
                want,
                "4 bytes at {at:#x} + {half}"
            );
        }
        for pair in [0, 2, 4, 6] {
            let want = &bytes[pair..pair + 2];
            check_eq!(
                card.get::<2>(CONFIG, at + pair as u64)?,
                want,
                "2 bytes at {at:#x} + {pair}"
            );
        }
    }
    Ok(())
}

fn reads_its_last_bytes(world: &World) -> Outcome {
    let card = world.card()?;
    let word = card.get::<4>(CONFIG, 252)?;
    for (offset, want) in word.into_iter().enumerate() {
        let at = 252 + offset as u64;
        check_eq!(card.get::<1>(CONFIG, at)?, [want], "byte {at}");
    }
    Ok(())
}

fn no_byte(card: &Card, at: u64) -> Outcome {
    for width in [1, 2, 4, 8] {
        let mut buffer = [0; 8];
        match card.read(CONFIG, at, &mut buffer[..width]) {
            Err(_) | Ok(0) => {}
            Ok(count) => check!(false, "a read of {width} bytes at {at:#x} gave {count}"),
        }
    }
    Ok(())
}

fn refuses_reads_just_beyond_its_end(world: &World) -> Outcome {
    let card = world.card()?;
    [256, 260, 272, 512, 1024, 4092]
        .into_iter()
        .try_for_each(|at| no_byte(&card, at))
}

fn refuses_reads_far_beyond_its_end(world: &World) -> Outcome {
    let card = world.card()?;
    [1 << 16, 1 << 24, 1 << 32, 1 << 39, (1 << 40) - 8]
        .into_iter()
        .try_for_each(|at| no_byte(&card, at))
}

fn does_not_alias_writes_beyond_its_end(world: &World) -> Outcome {
    let card = world.card()?;
    card.put(CONFIG, INTERRUPT_LINE, &[0x11])?;
    for far in [1 << 8, 1 << 12, 1 << 16, 1 << 32] {
        let _ = card.write(CONFIG, far + INTERRUPT_LINE, &[0x77]);
        check_eq!(
            card.get::<1>(CONFIG, INTERRUPT_LINE)?,
            [0x11],
            "the interrupt line after a write at {far:#x} more"
        );
    }
    Ok(())
}

fn is_a_16550_serial_controller(world: &World) -> Outcome {
    let card = world.card()?;
    check_eq!(
        card.get::<3>(CONFIG, 0x09)?,
        [0x02, 0x00, 0x07],
        "class code"
    );
    check_eq!(card.get::<1>(CONFIG, 0x0e)?, [0], "header type");
    Ok(())
}

fn keeps_its_identity(world: &World) -> Outcome {
    let card = world.card()?;
    let before = card.get::<16>(CONFIG, 0)?;
    for at in [0x00, 0x02, 0x08, 0x0a, 0x0e] {
        for value in [0xffff_u16, 0] {
            let _ = card.write(CONFIG, at, &value.to_le_bytes());
        }
    }
    let after = card.get::<16>(CONFIG, 0)?;
    for at in [0, 1, 2, 3, 8, 9, 10, 11, 14] {
        check_eq!(after[at], before[at], "byte {at:#x}");
    }
    Ok(())
}

/// Where the register of a BAR is.
fn register(bar: u32) -> u64 {
    BAR0_REGISTER + 4 * u64::from(bar)
}

/// The BARs that the card has, with their sizes.
fn bars(card: &Card) -> Result<Vec<(u32, u32)>, Miss> {
    let mut found = Vec::new();
    for bar in 0..BARS {
        let size = card.region(bar)?.size;
        if size > 0 {
            found.push((bar, size as u32));
        }
    }
    check!(!found.is_empty(), "no BAR has a size");
    Ok(found)
}

fn sizes_its_bars(world: &World) -> Outcome {
    let card = world.card()?;
    for (bar, size) in bars(&card)? {
        card.put(CONFIG, register(bar), &[0xff; 4])?;
        let sized = config32(&card, register(bar))?;
        check_eq!(sized & 0x03, 0x01, "kind of BAR {bar}, which is for I/O");
        check_eq!(!(sized & !0x03) + 1, size, "size of BAR {bar}");
    }
    Ok(())
}

fn keeps_bar_addresses(world: &World) -> Outcome {
    let card = world.card()?;
    for address in [0x3f8_0000_u32, 0xc000, 0x1000_0040, 0] {
        for (bar, _) in bars(&card)? {
            let own = address + 0x40 * bar;
            card.put(CONFIG, register(bar), &own.to_le_bytes())?;
            check_eq!(
                config32(&card, register(bar))? & !0x03,
                own,
                "address of BAR {bar}"
            );
        }
    }
    Ok(())
}

fn keeps_bar_addresses_aligned(world: &World) -> Outcome {
    let card = world.card()?;
    for (bar, size) in bars(&card)? {
        let address = 0xc000 | (size - 1);
        card.put(CONFIG, register(bar), &address.to_le_bytes())?;
        check_eq!(
            config32(&card, register(bar))?,
            0xc001,
            "BAR {bar} of {size} bytes after {address:#x}"
        );
    }
    Ok(())
}

fn has_no_registers_for_bars_it_lacks(world: &World) -> Outcome {
    let card = world.card()?;
    for bar in 0..BARS {
        if card.region(bar)?.size == 0 {
            let _ = card.write(CONFIG, register(bar), &[0xff; 4]);
            check_eq!(
                config32(&card, register(bar))?,
                0,
                "BAR {bar}, which is not there"
            );
        }
    }
    Ok(())
}

fn takes_writes_of_single_bytes(world: &World) -> Outcome {
    let card = world.card()?;
    card.put(CONFIG, BAR0_REGISTER, &0x1234_5600_u32.to_le_bytes())?;
    for value in [0x80, 0x40, 0xc0] {
        card.put(CONFIG, BAR0_REGISTER, &[value])?;
        let want = 0x1234_5600 | u32::from(value);
        check_eq!(
            config32(&card, BAR0_REGISTER)? & !0x03,
            want,
            "BAR 0 after byte {value:#x}"
        );
    }
    Ok(())
}

fn takes_writes_to_any_byte(world: &World) -> Outcome {
    let card = world.card()?;
    card.put(CONFIG, BAR0_REGISTER, &[0; 4])?;
    for (at, value) in [(1, 0xc1), (2, 0x23), (3, 0x45)] {
        card.put(CONFIG, BAR0_REGISTER + at, &[value])?;
        check_eq!(
            card.get::<1>(CONFIG, BAR0_REGISTER + at)?,
            [value],
            "byte {at} of BAR 0"
        );
    }
    check_eq!(
        config32(&card, BAR0_REGISTER)? & !0x03,
        0x4523_c100,
        "BAR 0 in the end"
    );
    Ok(())
}

fn keeps_the_command_register(world: &World) -> Outcome {
    let card = world.card()?;
    let bits = COMMAND_IO | COMMAND_MASTER | COMMAND_INTX_DISABLE;
    for value in [bits, 0, COMMAND_IO, COMMAND_MASTER, COMMAND_INTX_DISABLE, 0] {
        card.put(CONFIG, COMMAND, &value.to_le_bytes())?;
        check_eq!(
            config16(&card, COMMAND)? & bits,
            value,
            "the command register"
        );
    }
    Ok(())
}

fn keeps_the_interrupt_line(world: &World) -> Outcome {
    let card = world.card()?;
    for value in [0x00, 0x0b, 0xa5, 0xff] {
        card.put(CONFIG, INTERRUPT_LINE, &[value])?;
        check_eq!(
            card.get::<1>(CONFIG, INTERRUPT_LINE)?,
            [value],
            "the interrupt line"
        );
    }
    Ok(())
}

fn names_its_interrupt_pin(world: &World) -> Outcome {
    let card = world.card()?;
    let [pin] = card.get::<1>(CONFIG, 0x3d)?;
    check!((1..=4).contains(&pin), "the pin is {pin}");
    let _ = card.write(CONFIG, 0x3d, &[0]);
    check_eq!(card.get::<1>(CONFIG, 0x3d)?, [pin], "the pin after a write");
    Ok(())
}

fn has_a_capability_for_its_msi(world: &World) -> Outcome {
    let card = world.card()?;
    let (_, count) = card.irq(VFIO_PCI_MSI_IRQ_INDEX)?;
    let found = card.capability(0x05)?.is_some();
    check_eq!(
        found,
        count > 0,
        "whether there is a capability for {count} vectors"
    );
    Ok(())
}
