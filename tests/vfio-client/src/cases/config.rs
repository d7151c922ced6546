// SPDX-License-Identifier: GPL-2.0-only
//! Configuration space: identity, write masks, BAR sizing, the MSI capability (PCI Local Bus
//! Specification 3.0, chapter 6).

use super::{cases, World};
use vfio_client::device::Device;
use vfio_client::ktap::{check, check_eq, Outcome};
use vfio_client::serial::{
    config16, config32, BAR0_REGISTER, COMMAND, COMMAND_INTX_DISABLE, COMMAND_IO, COMMAND_MASTER,
    CONFIG, INTERRUPT_LINE, STATUS,
};

cases![
    identifies_itself_as_a_16550_serial_card,
    has_an_interrupt_pin_and_one_function,
    tells_the_size_of_its_io_bar,
    keeps_the_address_of_its_io_bar,
    has_no_other_bar_and_no_rom,
    takes_the_command_bits_it_implements,
    never_sets_a_status_bit_by_writing,
    keeps_the_interrupt_line,
    has_one_64_bit_msi_vector,
    keeps_the_msi_address_and_data,
    keeps_read_only_fields_under_any_write,
    survives_all_ones_and_all_zeroes_everywhere,
    names_the_version_of_what_its_guest_sees,
];

/// Where the MSI capability stands.
const MSI: u64 = 0x40;

fn identifies_itself_as_a_16550_serial_card(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    check_eq!(config16(&device, 0x00)?, 0x1b36, "vendor");
    let id = [0x0002, 0x0003][world.ports() - 1];
    check_eq!(config16(&device, 0x02)?, id, "device");
    let class = config32(&device, 0x08)? >> 8;
    check_eq!(
        class,
        0x07_0002,
        "class, subclass and programming interface"
    );
    Ok(())
}

fn has_an_interrupt_pin_and_one_function(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    check_eq!(device.get::<1>(CONFIG, 0x3d)?, [1], "interrupt pin (INTA)");
    check_eq!(device.get::<1>(CONFIG, 0x0e)?, [0], "header type");
    Ok(())
}

fn tells_the_size_of_its_io_bar(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    check_eq!(
        config32(&device, BAR0_REGISTER)?,
        1,
        "BAR 0 at power-on: I/O, no address"
    );
    device.put(CONFIG, BAR0_REGISTER, &[0xff; 4])?;
    let value = config32(&device, BAR0_REGISTER)?;
    check_eq!(value & 3, 1, "kind of BAR 0");
    let size = (!(value & !3)).wrapping_add(1);
    check_eq!(
        size as usize,
        world.bar_size(),
        "size of BAR 0, from {value:#x}"
    );
    Ok(())
}

fn keeps_the_address_of_its_io_bar(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let mask = !(world.bar_size() as u32 - 1);
    for address in [0xc000_u32, 0xc0f8, 0xffff_fff0, 0x0000_0010, 0] {
        device.put(CONFIG, BAR0_REGISTER, &address.to_le_bytes())?;
        let want = (address & mask) | 1;
        check_eq!(
            config32(&device, BAR0_REGISTER)?,
            want,
            "BAR 0 after {address:#x}"
        );
    }
    Ok(())
}

fn has_no_other_bar_and_no_rom(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for at in [0x14, 0x18, 0x1c, 0x20, 0x24, 0x30] {
        device.put(CONFIG, at, &[0xff; 4])?;
        check_eq!(config32(&device, at)?, 0, "register {at:#x} after all ones");
    }
    Ok(())
}

fn takes_the_command_bits_it_implements(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    check_eq!(config16(&device, COMMAND)?, 0, "command at power-on");
    for bits in [COMMAND_IO, COMMAND_MASTER, COMMAND_INTX_DISABLE] {
        device.put(CONFIG, COMMAND, &bits.to_le_bytes())?;
        check_eq!(config16(&device, COMMAND)?, bits, "command after {bits:#x}");
    }
    device.put(CONFIG, COMMAND, &[0xff; 2])?;
    let all = config16(&device, COMMAND)?;
    check_eq!(all & 0xf800, 0, "reserved bits of the command register");
    device.put(CONFIG, COMMAND, &[0; 2])?;
    check_eq!(config16(&device, COMMAND)?, 0, "command after zero");
    Ok(())
}

fn never_sets_a_status_bit_by_writing(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let status = config16(&device, STATUS)?;
    check_eq!(status & 0x10, 0x10, "the capability list bit");
    for value in [[0xff; 2], [0; 2], [0xff; 2]] {
        device.put(CONFIG, STATUS, &value)?;
        check_eq!(
            config16(&device, STATUS)?,
            status,
            "status after {value:x?}"
        );
    }
    Ok(())
}

fn keeps_the_interrupt_line(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    for value in [0xff, 0x0b, 0x00] {
        device.put(CONFIG, INTERRUPT_LINE, &[value])?;
        check_eq!(
            device.get::<1>(CONFIG, INTERRUPT_LINE)?,
            [value],
            "interrupt line"
        );
    }
    Ok(())
}

fn has_one_64_bit_msi_vector(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    check_eq!(
        u64::from(device.get::<1>(CONFIG, 0x34)?[0]),
        MSI,
        "capability pointer"
    );
    let [id, next] = device.get::<2>(CONFIG, MSI)?;
    check_eq!(id, 5, "capability identifier");
    check_eq!(next, 0, "next capability");
    let control = config16(&device, MSI + 2)?;
    check_eq!(control & 0x0001, 0, "MSI enable at power-on");
    check_eq!(
        control & 0x000e,
        0,
        "vectors that the device can have, as a power of two"
    );
    check_eq!(control & 0x0080, 0x0080, "64-bit address");
    Ok(())
}

fn keeps_the_msi_address_and_data(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let before = config16(&device, MSI + 2)?;
    device.put(CONFIG, MSI + 2, &[0xff; 2])?;
    let after = config16(&device, MSI + 2)?;
    check_eq!(after & 1, 1, "MSI enable after all ones");
    check_eq!(
        (before ^ after) & !0x0071,
        0,
        "read-only bits of message control"
    );
    device.put(CONFIG, MSI + 4, &[0xff; 8])?;
    check_eq!(config32(&device, MSI + 4)?, 0xffff_fffc, "message address");
    check_eq!(
        config32(&device, MSI + 8)?,
        0xffff_ffff,
        "message upper address"
    );
    device.put(CONFIG, MSI + 12, &[0x34, 0x12])?;
    check_eq!(config16(&device, MSI + 12)?, 0x1234, "message data");
    device.put(CONFIG, MSI, &[0; 14])?;
    check_eq!(
        config16(&device, MSI)?,
        0x0005,
        "identifier and next after zeroes"
    );
    check_eq!(
        config32(&device, MSI + 4)?,
        0,
        "message address after zeroes"
    );
    check_eq!(
        config16(&device, MSI + 2)?,
        before,
        "message control after zeroes"
    );
    Ok(())
}

/// Fields that no write changes, as (offset, length).
const READ_ONLY: [(u64, usize); 9] = [
    (0x00, 4),   // vendor, device
    (0x08, 4),   // revision, class
    (0x0e, 2),   // header type, BIST
    (0x14, 28),  // other BARs, CardBus pointer, subsystem
    (0x30, 12),  // ROM, capability pointer, reserved
    (0x3d, 3),   // pin, grant, latency
    (0x40, 2),   // MSI identifier and next
    (0x50, 160), // nothing
    (0xf0, 16),  // version, nothing
];

fn read_only_fields(device: &Device) -> Result<Vec<Vec<u8>>, nix::errno::Errno> {
    READ_ONLY
        .iter()
        .map(|(at, length)| {
            let mut bytes = vec![0; *length];
            device.read(CONFIG, *at, &mut bytes).map(|_| bytes)
        })
        .collect()
}

fn keeps_read_only_fields_under_any_write(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let want = read_only_fields(&device)?;
    for pattern in [0xff_u8, 0x00, 0xa5, 0x5a] {
        for at in 0..256 {
            device.put(CONFIG, at, &[pattern])?;
        }
        check_eq!(
            read_only_fields(&device)?,
            want,
            "after bytes of {pattern:#x}"
        );
        device.put(CONFIG, 0, &[pattern; 256])?;
        check_eq!(
            read_only_fields(&device)?,
            want,
            "after one write of {pattern:#x}"
        );
    }
    Ok(())
}

fn survives_all_ones_and_all_zeroes_everywhere(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let first = device.get::<256>(CONFIG, 0)?;
    for pattern in [0xff_u8, 0] {
        device.put(CONFIG, 0, &[pattern; 256])?;
        let once = device.get::<256>(CONFIG, 0)?;
        device.put(CONFIG, 0, &[pattern; 256])?;
        check_eq!(
            device.get::<256>(CONFIG, 0)?,
            once,
            "a second write of {pattern:#x}"
        );
    }
    device.reset()?;
    check!(
        device.get::<256>(CONFIG, 0)? == first,
        "reset does not restore power-on"
    );
    Ok(())
}

/// The device-specific register at 0xf0: major and minor number of `abi` in the version string, from 1.1 on.
fn names_the_version_of_what_its_guest_sees(world: &World<'_>) -> Outcome {
    let device = world.open()?;
    let register = device.get::<4>(CONFIG, 0xf0)?;
    let text = match std::fs::read_to_string(world.mdev.path().join("migration_version")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "abi=1.1,".to_owned(),
        text => text?,
    };
    let [major, minor, rest @ ..] = register;
    check_eq!(rest, [0; 2], "the other bytes of the register");
    let want = match [major, minor] {
        [0, 0] => "abi=1.0,".to_owned(),
        _ => format!("abi={major}.{minor},"),
    };
    check!(text.contains(&want), "{want} is not in {text}");
    Ok(())
}
