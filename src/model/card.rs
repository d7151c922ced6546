// SPDX-License-Identifier: GPL-2.0-only

//! The card as a whole: configuration space, BAR0 with its ports, and the interrupt they share.

use super::config::{
    self,
    Config, //
};
use super::uart::{
    self,
    Uart, //
};
use super::{
    Abi,
    PortCounters, //
};

/// The most ports a card has.
pub(super) const MAX_PORTS: usize = 2;

/// How many ports a card has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ports {
    /// One port, as on QEMU's `pci-serial`.
    One,
    /// Two ports, as on QEMU's `pci-serial-2x`.
    Two,
}

impl Ports {
    /// The number.
    pub(super) const fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// How many of `len` bytes from `offset` on lie inside a space of `size` bytes.
pub(super) fn transferred(size: usize, offset: usize, len: usize) -> usize {
    size.saturating_sub(offset).min(len)
}

/// A PCI serial card with its ports and their plugs.
///
/// Accesses are made with [`config_read`](Self::config_read), [`config_write`](Self::config_write),
/// [`io_read`](Self::io_read) and [`io_write`](Self::io_write). Each takes any offset and any length, transfers bytes
/// in ascending order, one register each, and returns how many it transferred: those of the access that lie inside the
/// space, so 0 when it starts at or past the end. Bytes of the buffer past the count are not touched.
///
/// After an access the owner asks for the state of the interrupt and does what follows: drives INTA# with
/// [`intx_asserted`](Self::intx_asserted), or sends a message when [`msi_asserted`](Self::msi_asserted) has become
/// true.
///
/// # Invariants
///
/// - Ports the card does not have are in their reset state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Card {
    ports: Ports,
    config: Config,
    uarts: [Uart; MAX_PORTS],
}

impl Card {
    /// The length of configuration space in bytes.
    pub const CONFIG_LEN: usize = config::LEN;

    /// A card at power-on, of which the guest sees `abi`.
    pub const fn new(ports: Ports, abi: Abi) -> Self {
        // INVARIANT: All ports are in their reset state.
        Self {
            ports,
            config: Config::new(ports, abi),
            uarts: [Uart::new(), Uart::new()],
        }
    }

    /// A card of configuration space and ports that were saved.
    ///
    /// The caller has left a port that the card does not have in its reset state.
    pub(super) fn from_parts(config: Config, uarts: [Uart; MAX_PORTS]) -> Self {
        // INVARIANT: It is the caller's word.
        Self {
            ports: config.ports(),
            config,
            uarts,
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// All ports, those that the card does not have included.
    pub(super) fn uarts(&self) -> &[Uart; MAX_PORTS] {
        &self.uarts
    }

    /// Takes the whole card back to its state at power-on, configuration space included.
    pub fn reset(&mut self) {
        *self = Self::new(self.ports, self.abi());
    }

    /// How many ports the card has.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// The version of what the guest sees.
    pub fn abi(&self) -> Abi {
        self.config.abi()
    }

    /// What each port has counted since power-on, first port first.
    pub fn counters(&self) -> impl Iterator<Item = PortCounters> + '_ {
        self.uarts
            .iter()
            .take(self.ports.count())
            .map(Uart::counters)
    }

    /// The length of BAR0 in bytes, for a card with `ports`: 8 a port.
    pub const fn io_len(ports: Ports) -> usize {
        match ports {
            Ports::One => uart::REGISTERS,
            Ports::Two => 2 * uart::REGISTERS,
        }
    }

    /// Reads configuration space from byte `offset` on.
    pub fn config_read(&mut self, offset: usize, out: &mut [u8]) -> usize {
        self.config.read(offset, out, self.pending())
    }

    /// Writes configuration space from byte `offset` on. Bits that are not writable keep their value.
    pub fn config_write(&mut self, offset: usize, data: &[u8]) -> usize {
        self.config.write(offset, data)
    }

    /// Reads BAR0 from byte `offset` on. Each byte is a register, with the side effects of reading it.
    pub fn io_read(&mut self, offset: usize, out: &mut [u8]) -> usize {
        let count = transferred(Self::io_len(self.ports), offset, out.len());
        for (index, byte) in out.iter_mut().take(count).enumerate() {
            let at = offset.wrapping_add(index);
            if let Some(uart) = self.uarts.get_mut(at / uart::REGISTERS) {
                *byte = uart.read(at % uart::REGISTERS);
            }
        }
        count
    }

    /// Writes BAR0 from byte `offset` on. Each byte is a register, with the side effects of writing it.
    pub fn io_write(&mut self, offset: usize, data: &[u8]) -> usize {
        let count = transferred(Self::io_len(self.ports), offset, data.len());
        for (index, byte) in data.iter().take(count).enumerate() {
            let at = offset.wrapping_add(index);
            if let Some(uart) = self.uarts.get_mut(at / uart::REGISTERS) {
                // INVARIANT: `at` is below the length of BAR0, so the port is one the card has.
                uart.write(at % uart::REGISTERS, *byte);
            }
        }
        count
    }

    /// Whether a port asserts its interrupt, before configuration space has its say.
    ///
    /// This is what the interrupt status bit of the status register shows.
    pub fn pending(&self) -> bool {
        self.uarts.iter().any(Uart::pending)
    }

    /// Whether the card asserts INTA#: a port interrupts, the command register does not disable INTx, and MSI is not
    /// enabled.
    pub fn intx_asserted(&self) -> bool {
        self.pending() && !self.config.intx_disabled() && !self.msi_enabled()
    }

    /// Whether the guest has set the card up to assert INTA#: a port has an interrupt enabled, and neither the command
    /// register nor MSI is in the way.
    pub fn uses_intx(&self) -> bool {
        self.uarts.iter().any(Uart::may_interrupt)
            && !self.config.intx_disabled()
            && !self.msi_enabled()
    }

    /// Whether the card has a reason to send a message: a port interrupts, and the command register lets the card
    /// write to memory.
    ///
    /// A message is due whenever this becomes true and messages are enabled (PCI Local Bus Specification 3.0, section
    /// 6.8.3). Enabling them is not asked for here: with VFIO the VMM does that when it assigns an eventfd, and one that
    /// drives the card itself, without a guest, need not write the enable bit.
    pub fn msi_asserted(&self) -> bool {
        self.pending() && self.config.bus_master()
    }

    /// Whether MSI is enabled, which excludes INTA#.
    pub fn msi_enabled(&self) -> bool {
        self.config.msi_enabled()
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_model_card)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    /// A card whose last port asserts its interrupt, as THRE is enabled while the transmitter is empty.
    fn interrupting(ports: Ports) -> Card {
        let mut card = Card::new(ports, Abi::NEWEST);
        card.io_write(Card::io_len(ports) - 7, &[0x02]);
        card
    }

    fn config_byte(card: &mut Card, offset: usize) -> u8 {
        let mut byte = [0xaa];
        card.config_read(offset, &mut byte);
        byte[0]
    }

    #[test]
    fn bar0_has_8_bytes_a_port() {
        assert_eq!(Card::io_len(Ports::One), 8);
        assert_eq!(Card::io_len(Ports::Two), 16);
    }

    #[test]
    fn a_card_of_one_port_has_no_second_one() {
        let mut card = Card::new(Ports::One, Abi::NEWEST);
        let mut bytes = [0xaa; 16];
        assert_eq!(card.io_read(8, &mut bytes), 0);
        assert_eq!(bytes, [0xaa; 16]);
        assert_eq!(card.io_write(8, &[0x02; 8]), 0);
        assert_eq!(card, Card::new(Ports::One, Abi::NEWEST));
    }

    #[test]
    fn an_access_across_the_end_of_bar0_is_cut_short() {
        let mut card = Card::new(Ports::Two, Abi::NEWEST);
        let mut bytes = [0xaa; 4];
        assert_eq!(card.io_write(15, &[0x5a, 0xff, 0xff, 0xff]), 1);
        assert_eq!(card.io_read(15, &mut bytes), 1);
        assert_eq!(bytes, [0x5a, 0xaa, 0xaa, 0xaa]);
        assert_eq!(card.io_read(usize::MAX, &mut bytes), 0);
        assert_eq!(card.io_write(usize::MAX, &bytes), 0);
    }

    #[test]
    fn a_read_of_no_bytes_transfers_none() {
        let mut card = Card::new(Ports::Two, Abi::NEWEST);
        assert_eq!(card.io_read(0, &mut []), 0);
        assert_eq!(card.config_read(0, &mut []), 0);
    }

    #[test]
    fn ports_do_not_share_registers() {
        let mut card = Card::new(Ports::Two, Abi::NEWEST);
        card.io_write(3, &[0x03]);
        card.io_write(11, &[0x03]);
        card.io_write(0, b"a");
        card.io_write(8, b"b");
        let mut byte = [0];
        card.io_read(8, &mut byte);
        assert_eq!(&byte, b"b");
        card.io_read(0, &mut byte);
        assert_eq!(&byte, b"a");
    }

    #[test]
    fn a_narrow_write_reaches_one_register_only() {
        let mut card = Card::new(Ports::One, Abi::NEWEST);
        card.io_write(7, &[0x77]);
        card.io_write(6, &[0xff]);
        let mut bytes = [0; 8];
        assert_eq!(card.io_read(0, &mut bytes), 8);
        assert_eq!(bytes, [0, 0, 0x01, 0, 0, 0x60, 0, 0x77]);
    }

    #[test]
    fn every_port_drives_the_one_interrupt_pin() {
        for ports in [Ports::One, Ports::Two] {
            assert!(!Card::new(ports, Abi::NEWEST).intx_asserted());
            assert!(interrupting(ports).intx_asserted());
        }
        let mut card = interrupting(Ports::Two);
        card.io_write(1, &[0x02]);
        card.io_write(1, &[0x00]);
        assert!(card.intx_asserted());
    }

    #[test]
    fn intx_disable_silences_the_pin_but_not_the_status_bit() {
        let mut card = interrupting(Ports::One);
        card.config_write(0x05, &[0x04]);
        assert!(card.pending());
        assert!(!card.intx_asserted());
        assert_eq!(config_byte(&mut card, 0x06), 0x18);
        card.config_write(0x05, &[0x00]);
        assert!(card.intx_asserted());
    }

    #[test]
    fn interrupt_status_follows_the_ports() {
        let mut card = interrupting(Ports::Two);
        assert_eq!(config_byte(&mut card, 0x06), 0x18);
        let mut iir = [0];
        card.io_read(10, &mut iir);
        assert_eq!(iir, [0x02]);
        assert_eq!(config_byte(&mut card, 0x06), 0x10);
        assert!(!card.intx_asserted());
    }

    #[test]
    fn msi_takes_the_place_of_the_pin() {
        let mut card = interrupting(Ports::One);
        card.config_write(0x42, &[0x01]);
        assert!(card.msi_enabled());
        assert!(!card.intx_asserted());
        card.config_write(0x42, &[0x00]);
        assert!(!card.msi_enabled());
        assert!(card.intx_asserted());
    }

    #[test]
    fn a_message_needs_a_reason_and_bus_mastering() {
        let mut card = interrupting(Ports::One);
        assert!(!card.msi_asserted());
        card.config_write(0x04, &[0x04]);
        assert!(card.msi_asserted());
        card.io_write(1, &[0x00]);
        assert!(!card.msi_asserted());
        card.io_write(1, &[0x02]);
        assert!(card.msi_asserted());
    }

    #[test]
    fn each_port_counts_for_itself() {
        for ports in [Ports::One, Ports::Two] {
            let mut card = Card::new(ports, Abi::NEWEST);
            let last = Card::io_len(ports) - 8;
            card.io_write(last, b"x");
            let mut counted = card.counters();
            if ports == Ports::Two {
                assert_eq!(counted.next(), Some(PortCounters::default()));
            }
            assert_eq!(counted.next().map(|counters| counters.passed), Some(1));
            assert_eq!(counted.next(), None);
        }
    }

    #[test]
    fn reset_leaves_nothing_to_the_next_user() {
        for ports in [Ports::One, Ports::Two] {
            let mut card = interrupting(ports);
            card.config_write(0, &[0xff; 256]);
            card.io_write(0, &[0xff; 16]);
            card.io_write(0, &[0xff; 16]);
            assert!(card != Card::new(ports, Abi::NEWEST));
            card.reset();
            assert_eq!(card, Card::new(ports, Abi::NEWEST));
            assert_eq!(card.ports(), ports);
        }
    }

    #[test]
    fn reset_keeps_the_version_of_what_the_guest_sees() {
        for abi in Abi::ALL {
            let mut card = Card::new(Ports::One, abi);
            card.reset();
            assert_eq!(card.abi(), abi);
            assert_eq!(config_byte(&mut card, 0xf1), abi.minor());
        }
    }
}
