// SPDX-License-Identifier: GPL-2.0-only

//! Configuration space keeps what software may change, and nothing else, whatever is written.

mod support;

use migdev_model::{
    Abi,
    Card,
    Ports, //
};
use proptest::collection::vec;
use proptest::prelude::*;
use support::{
    access,
    any_abi,
    any_ports,
    cases,
    config_read,
    configuration::byte,
    peek,
    Access, //
};

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn every_bit_is_fixed_or_what_was_last_written(
        ports in any_ports(),
        abi in any_abi(),
        accesses in vec(access(), 0..60),
    ) {
        let mut card = Card::new(ports, abi);
        let mut written = [0; 256];
        for access in &accesses {
            access.apply(&mut card);
            if let Access::ConfigWrite(offset, data) = access {
                for (at, byte) in data.iter().enumerate() {
                    if let Some(slot) = offset.checked_add(at).and_then(|at| written.get_mut(at)) {
                        *slot = *byte;
                    }
                }
            }
        }
        let interrupt = (0..Card::io_len(ports) / 8).any(|port| peek(&card, port * 8 + 2) & 1 == 0);
        for (offset, value) in config_read(&mut card, 0, 256).into_iter().enumerate() {
            let (fixed, writable) = byte(ports, abi, offset);
            let live = if offset == 0x06 && interrupt { 0x08 } else { 0 };
            prop_assert_eq!(value, fixed | written[offset] & writable | live, "at {:#x}", offset);
        }
    }

    #[test]
    fn each_bar_tells_its_size(ports in any_ports(), address in any::<u32>()) {
        let mut card = Card::new(ports, Abi::NEWEST);
        for bar in 0..6 {
            let size = if bar == 0 { Card::io_len(ports) as u32 } else { 0 };
            card.config_write(0x10 + 4 * bar, &[0xff; 4]);
            let mask = config_read(&mut card, 0x10 + 4 * bar, 4);
            let mask = u32::from_le_bytes(mask.try_into().expect("four bytes"));
            prop_assert_eq!((mask & !3).wrapping_neg(), size);
            prop_assert_eq!(mask & 3, u32::from(size != 0));

            card.config_write(0x10 + 4 * bar, &address.to_le_bytes());
            let kept = config_read(&mut card, 0x10 + 4 * bar, 4);
            prop_assert_eq!(
                u32::from_le_bytes(kept.try_into().expect("four bytes")) & !3,
                address & mask & !3
            );
        }
    }
}

#[test]
fn the_list_of_capabilities_is_one_msi() {
    for abi in Abi::ALL {
        let mut card = Card::new(Ports::One, abi);
        assert_ne!(config_read(&mut card, 0x06, 1)[0] & 0x10, 0);
        let at = usize::from(config_read(&mut card, 0x34, 1)[0]);
        assert!(at >= 0x40 && at % 4 == 0);
        assert_eq!(config_read(&mut card, at, 2), [0x05, 0x00]);
    }
}
