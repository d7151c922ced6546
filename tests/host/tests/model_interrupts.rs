// SPDX-License-Identifier: GPL-2.0-only

//! Every register of a port reads as an independent reference has it, and the interrupt is what the registers say.

mod support;

use migdev_model::{
    Abi,
    Card,
    Ports, //
};
use proptest::collection::vec;
use proptest::prelude::*;
use support::reference::Port;
use support::{
    access,
    any_card,
    any_ports,
    cases,
    config_word,
    io_read,
    peek,
    register_write, //
};

/// Reading (`None`) or writing a register of a port.
fn register_access() -> impl Strategy<Value = (usize, Option<u8>)> {
    prop_oneof![
        (0..8_usize).prop_map(|register| (register, None)),
        register_write().prop_map(|(register, value)| (register, Some(value))),
        // Data in a row, so that FIFOs fill and run over.
        any::<u8>().prop_map(|value| (0, Some(value))),
    ]
}

proptest! {
    #![proptest_config(cases(1024))]

    #[test]
    fn a_port_reads_as_the_reference_has_it(accesses in vec(register_access(), 0..250)) {
        let mut card = Card::new(Ports::One, Abi::NEWEST);
        let mut port = Port::default();
        for (step, (register, value)) in accesses.iter().enumerate() {
            match value {
                Some(value) => {
                    card.io_write(*register, &[*value]);
                    port.write(*register, *value);
                }
                None => {
                    prop_assert_eq!(
                        io_read(&mut card, *register, 1)[0],
                        port.read(*register),
                        "register {} at step {}", register, step
                    );
                }
            }
            prop_assert_eq!(card.pending(), port.pending(), "at step {}", step);
            let counters: Vec<_> = card.counters().map(|counters| [counters.passed, counters.overrun]).collect();
            prop_assert_eq!(counters, [port.counters()], "at step {}", step);
        }
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn the_interrupt_is_what_iir_and_configuration_space_say(
        ports in any_ports(),
        accesses in vec(access(), 0..80),
    ) {
        let mut card = Card::new(ports, Abi::NEWEST);
        for access in &accesses {
            access.apply(&mut card);
            let pending = (0..Card::io_len(ports) / 8).any(|port| peek(&card, port * 8 + 2) & 1 == 0);
            let command = config_word(&mut card, 0x04);
            let msi = config_word(&mut card, 0x42) & 1 != 0;
            prop_assert_eq!(card.pending(), pending);
            prop_assert_eq!(config_word(&mut card, 0x06) & 0x08 != 0, pending);
            prop_assert_eq!(card.msi_enabled(), msi);
            prop_assert_eq!(card.intx_asserted(), pending && command & 0x400 == 0 && !msi);
            prop_assert_eq!(card.msi_asserted(), pending && command & 0x004 != 0);
        }
    }

    #[test]
    fn reading_iir_withdraws_the_transmitter_and_nothing_else(card in any_card()) {
        let mut card = card;
        for base in (0..Card::io_len(card.ports())).step_by(8) {
            let before = card.clone();
            let first = io_read(&mut card, base + 2, 1)[0];
            if first & 0x3f == 0x02 {
                prop_assert_ne!(peek(&card, base + 2) & 0x3f, 0x02);
                // Writing ETBEI anew brings it back: the transmitter is still empty.
                let mut again = card.clone();
                again.io_write(base + 3, &[0x03]);
                let ier = peek(&again, base + 1);
                again.io_write(base + 1, &[ier & !0x02]);
                again.io_write(base + 1, &[ier]);
                prop_assert_eq!(peek(&again, base + 2), first);
            } else {
                prop_assert_eq!(&card, &before);
            }
        }
    }

    #[test]
    fn a_driver_that_serves_what_iir_names_comes_to_rest(card in any_card()) {
        let mut card = card;
        for base in (0..Card::io_len(card.ports())).step_by(8) {
            // DLAB would hide RBR from the driver.
            let lcr = peek(&card, base + 3);
            card.io_write(base + 3, &[lcr & 0x7f]);
            let mut served = 0;
            loop {
                let register = match io_read(&mut card, base + 2, 1)[0] & 0x0f {
                    0x06 => 5,
                    0x04 | 0x0c => 0,
                    0x02 => 2,
                    0x00 => 6,
                    _ => break,
                };
                io_read(&mut card, base + register, 1);
                served += 1;
                // 32 characters on their way, each perhaps with an error, and a few more reasons.
                prop_assert!(served <= 100, "an interrupt that cannot be served");
            }
        }
        prop_assert!(!card.pending());
    }
}
