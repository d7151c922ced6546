// SPDX-License-Identifier: GPL-2.0-only

//! Any access, of any offset and any length, does what its bytes do, and nothing outside of the card's spaces.

mod support;

use migdev_model::Card;
use proptest::collection::vec;
use proptest::prelude::*;
use support::{
    access,
    any_abi,
    any_card_of,
    any_ports,
    cases,
    Access, //
};

/// How many bytes of an access of `len` bytes at `offset` lie inside a space of `size` bytes.
fn inside(size: usize, offset: usize, len: usize) -> usize {
    (0..len)
        .filter(|at| {
            offset
                .checked_add(*at)
                .is_some_and(|address| address < size)
        })
        .count()
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn an_access_transfers_what_lies_inside_and_leaves_the_rest_untouched(
        card in any_card_of(any_abi()),
        accesses in vec(access(), 1..40),
    ) {
        let mut card = card;
        let io_len = Card::io_len(card.ports());
        for access in &accesses {
            let mut buffer = vec![0xaa; 600];
            match access {
                Access::IoRead(offset, len) => {
                    let count = card.io_read(*offset, &mut buffer[..*len]);
                    prop_assert_eq!(count, inside(io_len, *offset, *len));
                    prop_assert!(buffer[count..].iter().all(|byte| *byte == 0xaa));
                }
                Access::ConfigRead(offset, len) => {
                    let count = card.config_read(*offset, &mut buffer[..*len]);
                    prop_assert_eq!(count, inside(Card::CONFIG_LEN, *offset, *len));
                    prop_assert!(buffer[count..].iter().all(|byte| *byte == 0xaa));
                }
                Access::IoWrite(offset, data) => {
                    let count = card.io_write(*offset, data);
                    prop_assert_eq!(count, inside(io_len, *offset, data.len()));
                }
                Access::ConfigWrite(offset, data) => {
                    let count = card.config_write(*offset, data);
                    prop_assert_eq!(count, inside(Card::CONFIG_LEN, *offset, data.len()));
                }
            }
        }
    }

    #[test]
    fn an_access_past_the_end_changes_nothing(card in any_card_of(any_abi()), beyond in any::<usize>()) {
        let mut after = card.clone();
        let mut bytes = [0xaa; 32];
        let io_end = Card::io_len(card.ports()).saturating_add(beyond);
        let config_end = Card::CONFIG_LEN.saturating_add(beyond);
        prop_assert_eq!(after.io_read(io_end, &mut bytes), 0);
        prop_assert_eq!(after.io_write(io_end, &[0xff; 32]), 0);
        prop_assert_eq!(after.config_read(config_end, &mut bytes), 0);
        prop_assert_eq!(after.config_write(config_end, &[0xff; 32]), 0);
        prop_assert_eq!(bytes, [0xaa; 32]);
        prop_assert_eq!(after, card);
    }

    #[test]
    fn a_wide_access_is_the_bytes_it_consists_of(
        card in any_card_of(any_abi()),
        offset in 0..300_usize,
        data in vec(any::<u8>(), 0..300),
    ) {
        let (mut wide, mut narrow) = (card.clone(), card);
        // Both spaces read first, so that the state differs if a side effect is missed or made twice.
        for read in [
            Access::IoRead(offset % 16, data.len()),
            Access::ConfigRead(offset, data.len()),
        ] {
            let at_once = read.apply(&mut wide);
            let mut one_by_one = Vec::new();
            for at in 0..data.len() {
                let byte = match read {
                    Access::IoRead(offset, _) => Access::IoRead(offset + at, 1),
                    _ => Access::ConfigRead(offset + at, 1),
                };
                one_by_one.extend(byte.apply(&mut narrow));
            }
            prop_assert_eq!(at_once, one_by_one);
            prop_assert_eq!(&wide, &narrow);
        }
        wide.io_write(offset % 16, &data);
        wide.config_write(offset, &data);
        for (at, byte) in data.iter().enumerate() {
            narrow.io_write(offset % 16 + at, &[*byte]);
        }
        for (at, byte) in data.iter().enumerate() {
            narrow.config_write(offset + at, &[*byte]);
        }
        prop_assert_eq!(wide, narrow);
    }

    #[test]
    fn reset_is_power_on_from_any_state(card in any_card_of(any_abi())) {
        let (ports, abi) = (card.ports(), card.abi());
        let mut card = card;
        card.reset();
        prop_assert_eq!(card, Card::new(ports, abi));
    }

    #[test]
    fn reading_configuration_space_changes_nothing(card in any_card_of(any_abi()), offset in 0..256_usize) {
        let mut read = card.clone();
        read.config_read(offset, &mut [0; 256]);
        prop_assert_eq!(read, card);
    }

    #[test]
    fn equal_cards_stay_equal_under_equal_accesses(
        ports in any_ports(),
        abi in any_abi(),
        accesses in vec(access(), 0..60),
    ) {
        // A card that was used and reset, against a new one: no state hides from comparison.
        let mut used = Card::new(ports, abi);
        for access in &accesses {
            access.apply(&mut used);
        }
        used.reset();
        let mut new = Card::new(ports, abi);
        for access in &accesses {
            prop_assert_eq!(access.apply(&mut used), access.apply(&mut new));
        }
        prop_assert_eq!(used, new);
    }
}
