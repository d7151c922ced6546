// SPDX-License-Identifier: GPL-2.0-only

//! The states that a stream can bring are those that a guest can bring about: none more, none fewer.
//!
//! None fewer: whatever accesses do, what is saved is loaded. None more: for each state that is loaded there is a
//! sequence of accesses to a card at power-on that ends in it, and [`witness`] finds it.

mod stream_support;
mod support;

use migdev_model::{
    Abi,
    Card,
    Ports, //
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select, //
};
use stream_support::{
    load,
    save,
    witness::{
        witness,
        Port,
        BI,
        BREAK,
        DATA,
        EIGHT_BITS,
        FCR,
        LCR,
        LOOP,
        LSR,
        MCR,
        OE, //
    },
    Outcome,
    Plain,
    COUNTERS,
    PORT, //
};
use support::cases;

/// Ports that are nearly always possible, and often at an edge.
fn any_port() -> impl Strategy<Value = Port> {
    let registers = (
        0..16_u8,
        select(&[0x00, 0x00, 0x01, 0x41, 0x81, 0xc1][..]),
        prop_oneof![any::<u8>(), any::<u8>().prop_map(|lcr| lcr | BREAK)],
        prop_oneof![0..16_u8, 0..32_u8],
        select(&[0x00, OE, BI, OE | BI][..]),
        0..16_u8,
        any::<u8>(),
        any::<[u8; 2]>(),
        0..2_u8,
    );
    let value = prop_oneof![Just(0), any::<u8>()];
    let character = (value, any::<bool>());
    let received = vec(character, 16);
    let count = prop_oneof![0..17_usize, 13..17_usize];
    let waiting = (vec(any::<u8>(), 16), 0..17_usize);
    (registers, received, count, waiting).prop_map(
        |((ier, fcr, lcr, mcr, lsr, msr, scr, divisor, thre), mut received, count, waiting)| {
            let depth = if fcr == 0 { 1 } else { 16 };
            received.truncate(count.min(depth));
            for (place, (value, broken)) in received.iter_mut().enumerate() {
                *broken &= place > 0;
                *value = if *broken { 0 } else { *value };
            }
            let (mut waiting, count) = waiting;
            waiting.truncate(count.min(depth));
            if received.len() < depth || mcr & LOOP != 0 {
                waiting.clear();
            }
            let thre = if waiting.is_empty() && ier & 2 != 0 {
                thre
            } else {
                0
            };
            Port {
                ier,
                fcr,
                lcr,
                mcr,
                lsr,
                msr,
                scr,
                divisor,
                thre,
                received,
                waiting,
            }
        },
    )
}

/// What moves characters and begins and ends breaks, and nothing else.
fn line_access() -> impl Strategy<Value = (usize, Option<u8>)> {
    prop_oneof![
        6 => (Just(DATA), select(&[0, b'a'][..]).prop_map(Some)),
        4 => (select(&[DATA, LSR][..]), Just(None)),
        4 => (Just(LCR), select(&[EIGHT_BITS, EIGHT_BITS | BREAK][..]).prop_map(Some)),
        1 => (Just(MCR), select(&[0, LOOP][..]).prop_map(Some)),
        1 => (Just(FCR), select(&[0x00, 0x01, 0x03, 0x05][..]).prop_map(Some)),
    ]
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn what_is_loaded_can_be_brought_about(port in any_port(), counters in any::<[u8; 16]>()) {
        let mut plain = Plain::of(&Card::new(Ports::One, Abi::NEWEST));
        *plain.payload(PORT) = port.payload();
        *plain.payload(COUNTERS) = counters.to_vec();
        match load(Ports::One, &plain.write()) {
            Outcome::Loaded(loaded) => {
                // What it took to get there counts; how much is up to the guest, so any number can be brought.
                let mut reached = Plain::of(&witness(&port));
                *reached.payload(COUNTERS) = counters.to_vec();
                prop_assert_eq!(save(&loaded), reached.write());
            }
            // Nothing is left to refuse but what a break excludes.
            Outcome::Refused(_, _, reason) => {
                prop_assert!(port.broken() && reason.contains("in a break"), "{}", reason);
            }
            Outcome::Unfinished => prop_assert!(false),
        }
    }

    #[test]
    fn what_a_break_brings_about_is_loaded(
        full in 0..20_usize,
        fifos in any::<bool>(),
        accesses in vec(line_access(), 0..60),
    ) {
        let mut card = Card::new(Ports::One, Abi::NEWEST);
        card.io_write(LCR, &[EIGHT_BITS]);
        card.io_write(FCR, &[u8::from(fifos)]);
        for _ in 0..full {
            card.io_write(DATA, b"x");
        }
        for (register, value) in accesses {
            match value {
                Some(value) => card.io_write(register, &[value]),
                None => card.io_read(register, &mut [0]),
            };
            prop_assert_eq!(load(Ports::One, &save(&card)).card(), card.clone());
        }
    }
}
