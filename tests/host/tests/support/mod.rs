// SPDX-License-Identifier: GPL-2.0-only

//! What the tests of the model share: access sequences as a guest could make them, and what to do with them.

// Each test file compiles this module for itself and uses its own part of it.
#![allow(dead_code, unreachable_pub)]

pub mod configuration;
pub mod reference;

use migdev_model::{
    Abi,
    Card,
    Ports, //
};
use proptest::collection::vec;
use proptest::prelude::*;

/// How often a property is tried. Failures are reported, and not filed among the sources.
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// One access to a card.
#[derive(Clone, Debug)]
pub enum Access {
    IoRead(usize, usize),
    IoWrite(usize, Vec<u8>),
    ConfigRead(usize, usize),
    ConfigWrite(usize, Vec<u8>),
}

impl Access {
    /// Makes the access, and returns what was read.
    pub fn apply(&self, card: &mut Card) -> Vec<u8> {
        match self {
            Self::IoRead(offset, len) => io_read(card, *offset, *len),
            Self::ConfigRead(offset, len) => config_read(card, *offset, *len),
            Self::IoWrite(offset, data) => {
                card.io_write(*offset, data);
                Vec::new()
            }
            Self::ConfigWrite(offset, data) => {
                card.config_write(*offset, data);
                Vec::new()
            }
        }
    }
}

/// Reads BAR0; what the card transferred.
pub fn io_read(card: &mut Card, offset: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xaa; len];
    let count = card.io_read(offset, &mut bytes);
    bytes.truncate(count);
    bytes
}

/// Reads configuration space; what the card transferred.
pub fn config_read(card: &mut Card, offset: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xaa; len];
    let count = card.config_read(offset, &mut bytes);
    bytes.truncate(count);
    bytes
}

/// A 16-bit register of configuration space.
pub fn config_word(card: &mut Card, offset: usize) -> u16 {
    match config_read(card, offset, 2)[..] {
        [low, high] => u16::from_le_bytes([low, high]),
        _ => panic!("the card has no register at {offset:#x}"),
    }
}

/// A register of a port as it would read now, without the side effects of reading it.
pub fn peek(card: &Card, offset: usize) -> u8 {
    io_read(&mut card.clone(), offset, 1)[0]
}

pub fn any_ports() -> impl Strategy<Value = Ports> {
    prop_oneof![Just(Ports::One), Just(Ports::Two)]
}

pub fn any_abi() -> impl Strategy<Value = Abi> {
    prop::sample::select(&Abi::ALL[..])
}

/// A version of the stream.
pub fn any_version() -> impl Strategy<Value = u16> {
    1..=2_u16
}

/// A write to one register of a port, most often with a value that leads somewhere.
pub fn register_write() -> impl Strategy<Value = (usize, u8)> {
    let value = any::<u8>();
    prop_oneof![
        6 => (Just(0), value),
        2 => (Just(1), prop_oneof![4 => 0..16_u8, 1 => value]),
        2 => (Just(2), prop_oneof![
            3 => prop::sample::select(&[0x01, 0x41, 0x81, 0xc1][..]),
            2 => prop::sample::select(&[0x00, 0x03, 0x05, 0x07, 0x06][..]),
            1 => value,
        ]),
        2 => (Just(3), prop_oneof![
            6 => Just(0x03),
            3 => prop::sample::select(&[0x00, 0x01, 0x02, 0x43, 0x83][..]),
            1 => value,
        ]),
        2 => (Just(4), prop_oneof![2 => 0..16_u8, 1 => 16..32_u8, 1 => value]),
        1 => (5..8_usize, value),
    ]
}

/// A wide access somewhere: inside, across the end, or far away.
fn span(size: usize) -> impl Strategy<Value = (usize, usize)> {
    let offset = prop_oneof![
        8 => 0..size,
        1 => size..2 * size,
        1 => any::<usize>(),
        1 => usize::MAX - 8..=usize::MAX,
    ];
    (offset, prop_oneof![4 => 0..9_usize, 1 => 0..2 * size])
}

fn write(size: usize) -> impl Strategy<Value = (usize, Vec<u8>)> {
    span(size).prop_flat_map(|(offset, len)| {
        let byte = prop_oneof![Just(0xff), Just(0x00), any::<u8>()];
        (Just(offset), vec(byte, len))
    })
}

/// Any access at all, and often one that a driver makes.
pub fn access() -> impl Strategy<Value = Access> {
    let port = prop_oneof![Just(0), Just(8)];
    prop_oneof![
        8 => (port.clone(), register_write())
            .prop_map(|(port, (register, value))| Access::IoWrite(port + register, vec![value])),
        8 => (port, 0..8_usize).prop_map(|(port, register)| Access::IoRead(port + register, 1)),
        // The command register and MSI's message control.
        2 => (prop_oneof![Just(0x04), Just(0x42)], vec(any::<u8>(), 2))
            .prop_map(|(offset, data)| Access::ConfigWrite(offset, data)),
        1 => span(16).prop_map(|(offset, len)| Access::IoRead(offset, len)),
        1 => write(16).prop_map(|(offset, data)| Access::IoWrite(offset, data)),
        1 => span(256).prop_map(|(offset, len)| Access::ConfigRead(offset, len)),
        1 => write(256).prop_map(|(offset, data)| Access::ConfigWrite(offset, data)),
    ]
}

/// A card of the newest ABI in any state that accesses can bring it to.
pub fn any_card() -> impl Strategy<Value = Card> {
    any_card_of(Just(Abi::NEWEST))
}

/// The same of any ABI of these.
pub fn any_card_of(abi: impl Strategy<Value = Abi>) -> impl Strategy<Value = Card> {
    (any_ports(), abi, vec(access(), 0..80)).prop_map(|(ports, abi, accesses)| {
        let mut card = Card::new(ports, abi);
        for access in &accesses {
            access.apply(&mut card);
        }
        card
    })
}
