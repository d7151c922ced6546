// SPDX-License-Identifier: GPL-2.0-only

//! Configuration space as the PCI Local Bus Specification and QEMU's `pci-serial` have it, written down as a table.

use migdev_model::{
    Abi,
    Ports, //
};

/// Double words that are not read-only zero: offset, what is fixed, and what software may write.
fn registers(ports: Ports, abi: Abi) -> Vec<(usize, u32, u32)> {
    let (id, address) = match ports {
        Ports::One => (0x0002_1b36, 0xffff_fff8),
        Ports::Two => (0x0003_1b36, 0xffff_fff0),
    };
    vec![
        (0x00, id, 0),
        (0x04, 0x0010_0000, 0x0000_0545),
        (0x08, 0x0700_0201, 0),
        (0x0c, 0, 0x0000_ffff),
        (0x10, 0x0000_0001, address),
        (0x2c, 0x1100_1af4, 0),
        (0x34, 0x0000_0040, 0),
        (0x3c, 0x0000_0100, 0x0000_00ff),
        (0x40, 0x0080_0005, 0x0001_0000),
        (0x44, 0, 0xffff_fffc),
        (0x48, 0, 0xffff_ffff),
        (0x4c, 0, 0x0000_ffff),
        (0xf0, if abi == Abi::V1_0 { 0 } else { 0x0000_0101 }, 0),
    ]
}

/// A byte of configuration space: what is fixed in it, and what software may write.
pub fn byte(ports: Ports, abi: Abi, offset: usize) -> (u8, u8) {
    registers(ports, abi)
        .into_iter()
        .find(|register| register.0 == offset / 4 * 4)
        .map_or((0, 0), |(_, fixed, writable)| {
            let shift = offset % 4 * 8;
            ((fixed >> shift) as u8, (writable >> shift) as u8)
        })
}
