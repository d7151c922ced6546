// SPDX-License-Identifier: GPL-2.0-only

//! The PCI configuration space of the card.
//!
//! A type 0 header (PCI Local Bus Specification 3.0, chapter 6) and one capability, MSI with a 64-bit address and one
//! vector (section 6.8.1). From ABI 1.1 on there is a device-specific register behind them: at offset 0xf0 the major number
//! of the ABI, at 0xf1 the minor, at 0xf2 two bytes of zeros. It is no capability, as a VMM compares those of source and
//! destination, and would refuse an upgrade. Each byte has a power-on value, a mask of bits that software writes, and a mask of bits that
//! it clears by writing 1; a table lists them by register, and everything not in the table is read-only zero. As the
//! masks apply byte by byte, accesses of any length and alignment mean the same as the bytes they consist of.
//!
//! Address decoding is the business of whoever routes accesses to the card: the I/O space enable bit of the command
//! register is kept for software to read back, and consulted by nothing here.

use super::card::{
    transferred,
    Card,
    Ports, //
};
use super::Abi;

/// The length of configuration space in bytes.
pub const LEN: usize = 256;

/// Command register: the device may write to memory, which is what an MSI is.
const COMMAND_BUS_MASTER: u16 = 1 << 2;
/// Command register: the device must not assert INTx#.
const COMMAND_INTX_DISABLE: u16 = 1 << 10;
/// Status register: the device wants to interrupt, whether it may or not.
const STATUS_INTERRUPT: u8 = 1 << 3;
/// MSI message control: MSI is used in place of INTx#.
const MSI_ENABLE: u16 = 1;

const COMMAND: usize = 0x04;
const STATUS: usize = 0x06;
const BAR0: usize = 0x10;
const MSI: usize = 0x40;
const MSI_CONTROL: usize = MSI + 2;
const ABI: usize = 0xf0;

/// A register: where it is, its power-on value, and what software does to it. All bytes are little-endian.
struct Field<const N: usize> {
    offset: usize,
    reset: [u8; N],
    /// Bits that take the value written.
    writable: [u8; N],
    /// Bits that are cleared by writing 1.
    clearable: [u8; N],
}

impl<const N: usize> Field<N> {
    const fn read_only(offset: usize, reset: [u8; N]) -> Self {
        Self::writable(offset, reset, [0; N])
    }

    const fn writable(offset: usize, reset: [u8; N], writable: [u8; N]) -> Self {
        Self {
            offset,
            reset,
            writable,
            clearable: [0; N],
        }
    }

    const fn clearable(offset: usize, reset: [u8; N], clearable: [u8; N]) -> Self {
        Self {
            offset,
            reset,
            writable: [0; N],
            clearable,
        }
    }
}

/// Where the last register ends that software can change. What follows need not be kept for each card.
const KEPT: usize = 0x50;

/// What each byte of configuration space is at power-on, and how it takes writes.
struct Layout {
    reset: [u8; LEN],
    writable: [u8; KEPT],
    clearable: [u8; KEPT],
}

static ONE_PORT_1_0: Layout = Layout::new(Ports::One, Abi::V1_0);
static ONE_PORT_1_1: Layout = Layout::new(Ports::One, Abi::V1_1);
static TWO_PORTS_1_0: Layout = Layout::new(Ports::Two, Abi::V1_0);
static TWO_PORTS_1_1: Layout = Layout::new(Ports::Two, Abi::V1_1);

impl Layout {
    const fn of(ports: Ports, abi: Abi) -> &'static Self {
        match (ports, abi) {
            (Ports::One, Abi::V1_0) => &ONE_PORT_1_0,
            (Ports::One, Abi::V1_1) => &ONE_PORT_1_1,
            (Ports::Two, Abi::V1_0) => &TWO_PORTS_1_0,
            (Ports::Two, Abi::V1_1) => &TWO_PORTS_1_1,
        }
    }

    /// The table of registers. Only evaluated while compiling.
    const fn new(ports: Ports, abi: Abi) -> Self {
        let device: u16 = match ports {
            Ports::One => 0x0002,
            Ports::Two => 0x0003,
        };
        // The address bits below the size of BAR0 are fixed.
        let bar0 = (Card::io_len(ports) as u32).wrapping_neg();
        let version = match abi {
            Abi::V1_0 => [0; 4],
            Abi::V1_1 => [abi.major(), abi.minor(), 0, 0],
        };

        Self {
            reset: [0; LEN],
            writable: [0; KEPT],
            clearable: [0; KEPT],
        }
        // Vendor ID: Red Hat, from whom QEMU's cards have their IDs.
        .with(Field::read_only(0x00, 0x1b36_u16.to_le_bytes()))
        .with(Field::read_only(0x02, device.to_le_bytes()))
        // I/O space, bus master, parity error response, SERR# enable, INTx disable.
        .with(Field::writable(COMMAND, [0; 2], 0x0545_u16.to_le_bytes()))
        // Capability list. The six bits for errors seen on the bus are there to clear; this bus has none.
        .with(Field::clearable(
            STATUS,
            0x0010_u16.to_le_bytes(),
            0xf900_u16.to_le_bytes(),
        ))
        .with(Field::read_only(0x08, [0x01]))
        // Class code: programming interface 16550 compatible, serial controller, simple communication controller.
        .with(Field::read_only(0x09, [0x02, 0x00, 0x07]))
        // Cache line size, and latency timer.
        .with(Field::writable(0x0c, [0; 2], [0xff; 2]))
        // BAR0: I/O space.
        .with(Field::writable(
            BAR0,
            1_u32.to_le_bytes(),
            bar0.to_le_bytes(),
        ))
        // Subsystem vendor ID and subsystem ID, those of all of QEMU's cards.
        .with(Field::read_only(0x2c, 0x1af4_u16.to_le_bytes()))
        .with(Field::read_only(0x2e, 0x1100_u16.to_le_bytes()))
        // Capabilities pointer.
        .with(Field::read_only(0x34, [MSI as u8]))
        // Interrupt line, and interrupt pin: INTA#.
        .with(Field::writable(0x3c, [0], [0xff]))
        .with(Field::read_only(0x3d, [1]))
        // MSI: capability ID, and the end of the list.
        .with(Field::read_only(MSI, [0x05, 0x00]))
        // 64-bit address. One vector is asked for, so no number of vectors but one can be enabled.
        .with(Field::writable(
            MSI_CONTROL,
            0x0080_u16.to_le_bytes(),
            MSI_ENABLE.to_le_bytes(),
        ))
        // Message address, lower and upper half, and message data.
        .with(Field::writable(
            MSI + 4,
            [0; 4],
            0xffff_fffc_u32.to_le_bytes(),
        ))
        .with(Field::writable(MSI + 8, [0; 4], [0xff; 4]))
        .with(Field::writable(MSI + 12, [0; 2], [0xff; 2]))
        // The version of the ABI, which 1.0 does not tell.
        .with(Field::read_only(ABI, version))
    }

    /// Adds a register. Only evaluated while compiling, where an offset out of range is an error; so is one of a register
    /// that software can change and that is not kept.
    // Not `expect`: these are lints of the crate, and the kernel's build of the same file has them off.
    #[allow(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "evaluated while compiling"
    )]
    const fn with<const N: usize>(mut self, field: Field<N>) -> Self {
        let mut at = 0;
        while at < N {
            self.reset[field.offset + at] = field.reset[at];
            if field.writable[at] | field.clearable[at] != 0 {
                self.writable[field.offset + at] = field.writable[at];
                self.clearable[field.offset + at] = field.clearable[at];
            }
            at += 1;
        }
        self
    }
}

/// The configuration space of one card.
///
/// # Invariants
///
/// - Bits that are neither writable nor clearable have their power-on value. The interrupt status bit is 0 in `bytes`;
///   it is put in when the status register is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    ports: Ports,
    abi: Abi,
    bytes: [u8; KEPT],
}

impl Config {
    /// Configuration space at power-on, of a card with `ports` of which the guest sees `abi`.
    pub const fn new(ports: Ports, abi: Abi) -> Self {
        // INVARIANT: All bits have their power-on value.
        Self {
            ports,
            abi,
            bytes: match Layout::of(ports, abi).reset.first_chunk() {
                Some(kept) => *kept,
                None => [0; KEPT],
            },
        }
    }

    /// How many ports the card has.
    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    /// The version of what the guest sees.
    pub(super) fn abi(&self) -> Abi {
        self.abi
    }

    /// Reads from `offset` on into `out`, and returns how many bytes it read: fewer than asked at the end.
    ///
    /// `pending` is what the interrupt status bit of the status register reads.
    pub fn read(&self, offset: usize, out: &mut [u8], pending: bool) -> usize {
        let read = transferred(LEN, offset, out.len());
        let kept = self.bytes.get(offset..).unwrap_or_default();
        let count = kept.len().min(read);
        if let (Some(out), Some(kept)) = (out.get_mut(..count), kept.get(..count)) {
            out.copy_from_slice(kept);
        }
        // What is not kept reads as the table has it, to its end. Most reads end before.
        if let Some(rest @ [_, ..]) = out.get_mut(count..) {
            let table = &Layout::of(self.ports, self.abi).reset;
            let table = table.get(offset.saturating_add(count)..);
            for (to, from) in rest.iter_mut().zip(table.unwrap_or_default()) {
                *to = *from;
            }
        }
        let status = STATUS.checked_sub(offset).and_then(|at| out.get_mut(at));
        if let (Some(status), true) = (status, pending) {
            *status |= STATUS_INTERRUPT;
        }
        read
    }

    /// Writes `data` from `offset` on, and returns how many bytes it took: fewer than given at the end.
    ///
    /// Bytes and bits that software cannot change are taken, and have no effect.
    pub fn write(&mut self, offset: usize, data: &[u8]) -> usize {
        let layout = Layout::of(self.ports, self.abi);
        for (at, data) in (offset..KEPT).zip(data.iter()) {
            if let (Some(byte), Some(writable), Some(clearable)) = (
                self.bytes.get_mut(at),
                layout.writable.get(at),
                layout.clearable.get(at),
            ) {
                // INVARIANT: Only bits of the two masks change.
                *byte = (*byte & !writable | data & writable) & !(data & clearable);
            }
        }
        transferred(LEN, offset, data.len())
    }

    /// Returns the bytes at `offsets`, without the interrupt status bit. This is for what is saved.
    pub(super) fn save<const N: usize>(&self, offsets: &[usize; N]) -> [u8; N] {
        let mut bytes = [0; N];
        for (to, at) in bytes.iter_mut().zip(offsets) {
            *to = self.bytes.get(*at).copied().unwrap_or_default();
        }
        bytes
    }

    /// Restores the bytes at `offsets`.
    ///
    /// # Errors
    ///
    /// Returns the first offset at which software cannot write what is in `data`.
    pub(super) fn restore<const N: usize>(
        &mut self,
        offsets: &[usize; N],
        data: &[u8; N],
    ) -> Result<(), usize> {
        let layout = Layout::of(self.ports, self.abi);
        let (mut offsets, mut data) = (&offsets[..], &data[..]);
        while let ([at, offsets_left @ ..], [value, data_left @ ..]) = (offsets, data) {
            let (Some(byte), Some(writable)) = (self.bytes.get_mut(*at), layout.writable.get(*at))
            else {
                return Err(*at);
            };
            // INVARIANT: Only bits of the mask change.
            *byte = *byte & !writable | value & writable;
            if *byte != *value {
                return Err(*at);
            }
            (offsets, data) = (offsets_left, data_left);
        }
        Ok(())
    }

    /// Whether the command register forbids the card to assert INTx#.
    pub fn intx_disabled(&self) -> bool {
        self.half_word(COMMAND) & COMMAND_INTX_DISABLE != 0
    }

    /// Whether the command register allows the card to write to memory.
    pub fn bus_master(&self) -> bool {
        self.half_word(COMMAND) & COMMAND_BUS_MASTER != 0
    }

    /// Whether MSI is enabled.
    pub fn msi_enabled(&self) -> bool {
        self.half_word(MSI_CONTROL) & MSI_ENABLE != 0
    }

    fn half_word(&self, offset: usize) -> u16 {
        match self.bytes.get(offset..) {
            Some([low, high, ..]) => u16::from_le_bytes([*low, *high]),
            _ => 0,
        }
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_model_config)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    fn word(config: &Config, offset: usize) -> u32 {
        let mut bytes = [0xaa; 4];
        config.read(offset, &mut bytes, false);
        u32::from_le_bytes(bytes)
    }

    /// A register after all-ones were written to it at power-on.
    fn sized(ports: Ports, offset: usize) -> u32 {
        let mut config = Config::new(ports, Abi::NEWEST);
        config.write(offset, &[0xff; 4]);
        word(&config, offset)
    }

    #[test]
    fn the_card_has_the_ids_of_qemus_cards() {
        assert_eq!(
            word(&Config::new(Ports::One, Abi::NEWEST), 0x00),
            0x0002_1b36
        );
        assert_eq!(
            word(&Config::new(Ports::Two, Abi::NEWEST), 0x00),
            0x0003_1b36
        );
        assert_eq!(
            word(&Config::new(Ports::One, Abi::NEWEST), 0x2c),
            0x1100_1af4
        );
    }

    #[test]
    fn the_class_is_a_16550_serial_controller() {
        assert_eq!(
            word(&Config::new(Ports::Two, Abi::NEWEST), 0x08),
            0x0700_0201
        );
    }

    #[test]
    fn the_header_is_of_type_0_and_of_one_function() {
        assert_eq!(word(&Config::new(Ports::One, Abi::NEWEST), 0x0c), 0);
    }

    #[test]
    fn bar0_tells_its_size_in_io_space() {
        assert_eq!(sized(Ports::One, 0x10), 0xffff_fff9);
        assert_eq!(sized(Ports::Two, 0x10), 0xffff_fff1);
    }

    #[test]
    fn bar0_keeps_its_address() {
        let mut config = Config::new(Ports::One, Abi::NEWEST);
        config.write(0x10, &0x0000_c0ff_u32.to_le_bytes());
        assert_eq!(word(&config, 0x10), 0x0000_c0f9);
    }

    #[test]
    fn the_other_bars_and_the_rom_are_not_there() {
        for offset in [0x14, 0x18, 0x1c, 0x20, 0x24, 0x30] {
            assert_eq!(sized(Ports::Two, offset), 0);
        }
    }

    #[test]
    fn the_command_register_takes_the_bits_that_mean_something() {
        assert_eq!(sized(Ports::One, 0x04) & 0xffff, 0x0545);
    }

    #[test]
    fn the_status_register_tells_of_capabilities_and_takes_no_ones() {
        assert_eq!(sized(Ports::One, 0x04) >> 16, 0x0010);
    }

    #[test]
    fn interrupt_status_is_live_and_cannot_be_written() {
        let mut config = Config::new(Ports::One, Abi::NEWEST);
        config.write(0x06, &[0xff, 0xff]);
        let mut status = [0; 2];
        config.read(0x06, &mut status, true);
        assert_eq!(status, [0x18, 0x00]);
        config.read(0x06, &mut status, false);
        assert_eq!(status, [0x10, 0x00]);
    }

    #[test]
    fn error_bits_clear_where_1_is_written_and_only_there() {
        let mut config = Config::new(Ports::One, Abi::NEWEST);
        config.bytes[0x07] = 0xf9;
        config.write(0x06, &[0x00, 0x81]);
        assert_eq!(word(&config, 0x04) >> 16, 0x7810);
        config.write(0x06, &[0x00, 0x00]);
        assert_eq!(word(&config, 0x04) >> 16, 0x7810);
        config.write(0x06, &[0xff, 0xff]);
        assert_eq!(word(&config, 0x04) >> 16, 0x0010);
    }

    #[test]
    fn cache_line_size_latency_timer_and_interrupt_line_are_kept() {
        assert_eq!(sized(Ports::One, 0x0c), 0x0000_ffff);
        assert_eq!(sized(Ports::One, 0x3c), 0x0000_01ff);
    }

    #[test]
    fn the_one_capability_is_msi_with_64_bits_and_one_vector() {
        let config = Config::new(Ports::One, Abi::NEWEST);
        assert_eq!(word(&config, 0x34), 0x40);
        assert_eq!(word(&config, 0x40), 0x0080_0005);
    }

    #[test]
    fn msi_takes_enable_address_and_data_and_nothing_else() {
        assert_eq!(sized(Ports::One, 0x40), 0x0081_0005);
        assert_eq!(sized(Ports::One, 0x44), 0xffff_fffc);
        assert_eq!(sized(Ports::One, 0x48), 0xffff_ffff);
        assert_eq!(sized(Ports::One, 0x4c), 0x0000_ffff);
    }

    #[test]
    fn the_last_double_word_is_there_and_nothing_after_it() {
        let config = Config::new(Ports::One, Abi::NEWEST);
        let mut bytes = [0xaa; 8];
        assert_eq!(config.read(0xfc, &mut bytes, false), 4);
        assert_eq!(bytes, [0, 0, 0, 0, 0xaa, 0xaa, 0xaa, 0xaa]);
        assert_eq!(config.read(0x100, &mut bytes, false), 0);
        assert_eq!(config.read(usize::MAX, &mut bytes, false), 0);
    }

    #[test]
    fn a_write_past_the_end_is_refused_and_one_across_it_cut_short() {
        let mut config = Config::new(Ports::One, Abi::NEWEST);
        assert_eq!(config.write(0xfe, &[0xff; 4]), 2);
        assert_eq!(config.write(0x100, &[0xff; 4]), 0);
        assert_eq!(config.write(usize::MAX, &[0xff; 4]), 0);
        assert_eq!(config, Config::new(Ports::One, Abi::NEWEST));
    }

    #[test]
    fn a_narrow_write_leaves_its_neighbours_alone() {
        let mut config = Config::new(Ports::One, Abi::NEWEST);
        config.write(0x44, &[0xff; 8]);
        config.write(0x46, &[0x12]);
        assert_eq!(word(&config, 0x44), 0xff12_fffc);
        assert_eq!(word(&config, 0x48), 0xffff_ffff);
    }

    #[test]
    fn an_unaligned_write_means_the_bytes_it_consists_of() {
        let mut config = Config::new(Ports::One, Abi::NEWEST);
        config.write(0x43, &[0xff, 0x13, 0x57, 0x9b, 0xdf, 0x24]);
        assert_eq!(word(&config, 0x40), 0x0080_0005);
        assert_eq!(word(&config, 0x44), 0xdf9b_5710);
        assert_eq!(word(&config, 0x48), 0x0000_0024);
    }

    #[test]
    fn the_version_is_there_from_1_1_on_and_cannot_be_written() {
        for (abi, version) in [(Abi::V1_0, [0; 4]), (Abi::V1_1, [1, 1, 0, 0])] {
            for (ports, data) in [(Ports::One, 0x00), (Ports::Two, 0xff)] {
                let mut config = Config::new(ports, abi);
                config.write(0xf0, &[data; 4]);
                let mut bytes = [0xaa; 8];
                assert_eq!(config.read(0xee, &mut bytes, false), 8);
                assert_eq!(bytes[..2], [0; 2]);
                assert_eq!(bytes[2..6], version);
                assert_eq!(bytes[6..], [0; 2]);
            }
        }
    }

    #[test]
    fn the_versions_differ_in_that_register_alone() {
        for ports in [Ports::One, Ports::Two] {
            for offset in (0..LEN).step_by(4).filter(|offset| *offset != 0xf0) {
                for data in [0x00, 0xff] {
                    let values = Abi::ALL.map(|abi| {
                        let mut config = Config::new(ports, abi);
                        config.write(offset, &[data; 4]);
                        word(&config, offset)
                    });
                    assert_eq!(values[0], values[1]);
                }
            }
        }
    }
}
