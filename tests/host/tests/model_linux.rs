// SPDX-License-Identifier: GPL-2.0-only

//! What Linux's 8250 driver tries before it trusts a port, step by step, and what it must find.
//!
//! The steps follow `drivers/tty/serial/8250/8250_pci.c` and `8250_port.c`; each test names the function. A card that
//! passes them is found by a stock guest with all its ports, as 16550A, and without any workaround for broken chips.

mod support;

use migdev_model::{
    Abi,
    Card,
    Ports, //
};
use support::{
    config_read,
    io_read, //
};

/// One port of a card, accessed as the driver does.
struct Port<'a> {
    card: &'a mut Card,
    base: usize,
}

impl Port<'_> {
    fn get(&mut self, register: usize) -> u8 {
        io_read(self.card, self.base + register, 1)[0]
    }

    fn set(&mut self, register: usize, value: u8) {
        self.card.io_write(self.base + register, &[value]);
    }
}

/// Does `check` with every port of either card, at power-on.
fn with_every_port(check: impl Fn(&mut Port<'_>)) {
    for ports in [Ports::One, Ports::Two] {
        let mut card = Card::new(ports, Abi::NEWEST);
        for base in (0..Card::io_len(ports)).step_by(8) {
            check(&mut Port {
                card: &mut card,
                base,
            });
        }
    }
}

#[test]
fn serial_pci_guess_board_takes_the_card_with_all_its_ports() {
    for (ports, count) in [(Ports::One, 1), (Ports::Two, 2)] {
        let mut card = Card::new(ports, Abi::NEWEST);
        let class = config_read(&mut card, 0x09, 3);
        assert_eq!(class[2], 0x07);
        assert_eq!(class[1], 0x00);
        assert!(class[0] <= 6);
        let mut sizes = Vec::new();
        for bar in (0x10..0x28).step_by(4) {
            card.config_write(bar, &[0xff; 4]);
            let mask = config_read(&mut card, bar, 4);
            let mask = u32::from_le_bytes(mask.try_into().expect("four bytes"));
            if mask != 0 {
                assert_eq!(mask & 1, 1, "a BAR in memory space");
                sizes.push((mask & !3).wrapping_neg());
            }
        }
        assert_eq!(sizes, [count * 8]);
    }
}

#[test]
fn autoconfig_sees_that_a_port_is_there() {
    with_every_port(|port| {
        port.set(1, 0x00);
        assert_eq!(port.get(1) & 0x0f, 0x00);
        port.set(1, 0x0f);
        assert_eq!(port.get(1) & 0x0f, 0x0f);
        port.set(1, 0x00);
        // The modem lines in loopback mode.
        port.set(4, 0x10 | 0x08 | 0x02);
        assert_eq!(port.get(6) & 0xf0, 0x80 | 0x10);
        port.set(4, 0x00);
    });
}

#[test]
fn autoconfig_sees_a_16550a_and_none_of_its_variants() {
    with_every_port(|port| {
        port.set(3, 0xbf);
        port.set(2, 0x00);
        port.set(3, 0x00);
        port.set(2, 0x01);
        assert_eq!(port.get(2) & 0xc0, 0xc0);
        // An EFR would read 0 here, behind either value of LCR.
        for lcr in [0x80, 0xbf] {
            port.set(3, lcr);
            assert_ne!(port.get(2), 0);
        }
        // A TI16750 would set bit 5 of IIR for a FIFO of 64.
        port.set(3, 0x00);
        port.set(2, 0x21);
        assert_eq!(port.get(2) & 0xe0, 0xc0);
        port.set(3, 0x80);
        port.set(2, 0x21);
        assert_eq!(port.get(2) & 0xe0, 0xc0);
        // An Xscale port would keep bit 6 of IER.
        port.set(3, 0x00);
        port.set(1, 0x40);
        assert_eq!(port.get(1), 0x00);
    });
}

#[test]
fn size_fifo_counts_16() {
    with_every_port(|port| {
        port.set(3, 0x00);
        port.set(2, 0x07);
        port.set(4, 0x10);
        port.set(3, 0x80);
        port.set(0, 0x01);
        port.set(1, 0x00);
        port.set(3, 0x03);
        for value in 0..=255 {
            port.set(0, value);
        }
        let mut received = Vec::new();
        while port.get(5) & 0x01 != 0 {
            received.push(port.get(0));
        }
        assert_eq!(received, (0..16).collect::<Vec<u8>>());
    });
}

#[test]
fn the_divisor_latch_names_no_other_chip() {
    // autoconfig_read_divisor_id(): some chips answer a divisor of 0 with their ID.
    with_every_port(|port| {
        port.set(3, 0x80);
        port.set(0, 0x00);
        port.set(1, 0x00);
        assert_eq!([port.get(0), port.get(1)], [0x00, 0x00]);
    });
}

#[test]
fn serial8250_thre_test_finds_no_bug() {
    with_every_port(|port| {
        assert_eq!(port.get(5) & 0x20, 0x20);
        port.set(1, 0x02);
        assert_eq!(port.get(2) & 0x01, 0x00);
        port.set(1, 0x00);
        port.set(1, 0x02);
        assert_eq!(port.get(2) & 0x01, 0x00);
        port.set(1, 0x00);
    });
}

#[test]
fn serial8250_iir_txen_test_finds_no_bug() {
    with_every_port(|port| {
        port.set(3, 0x03);
        port.set(1, 0x02);
        assert_eq!(port.get(5) & 0x40, 0x40);
        assert_eq!(port.get(2) & 0x01, 0x00);
        port.set(1, 0x00);
        assert_eq!(port.get(2) & 0x01, 0x01);
    });
}

#[test]
fn serial8250_do_startup_leaves_no_interrupt_behind() {
    with_every_port(|port| {
        // serial8250_clear_fifos(), then serial8250_clear_interrupts().
        port.set(2, 0x01);
        port.set(2, 0x07);
        port.set(2, 0x00);
        for register in [5, 0, 2, 6] {
            port.get(register);
        }
        port.set(1, 0x05);
        assert_eq!(port.get(2) & 0x01, 0x01);
        assert!(!port.card.pending());
        port.set(1, 0x00);
    });
}
