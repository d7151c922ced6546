// SPDX-License-Identifier: GPL-2.0-only

//! The stream of a card in any state, with any changes to its records and the right checksum.

#![no_main]

mod arrival;
#[allow(dead_code)]
#[path = "../../host/tests/support/configuration.rs"]
mod configuration;
#[allow(dead_code, unreachable_pub)]
#[path = "../../host/tests/support/reference.rs"]
mod reference;
#[path = "../../host/tests/stream_support/mod.rs"]
mod stream_support;
#[allow(dead_code)]
mod twin;

use arrival::Arrival;
use libfuzzer_sys::{
    arbitrary::{
        Arbitrary,
        Result,
        Unstructured, //
    },
    fuzz_target, //
};
use migdev_model::{
    Abi,
    Card,
    Ports, //
};
use stream_support::{
    as_of,
    string_of,
    Plain,
    Record, //
};
use twin::Access;

/// A change of a stream.
#[derive(Debug)]
enum Change {
    /// A byte of the payload of a record becomes another.
    Byte(usize, usize, u8),
    /// A byte of the payload of a record has other bits.
    Bits(usize, usize, u8),
    /// The payload of a record gets another length.
    Length(usize, usize),
    Flags(usize, u16),
    Tag(usize, u16),
    Remove(usize),
    Repeat(usize),
    Swap(usize, usize),
    /// A record that is not known is put in: its place, tag, flags and length.
    Unknown(usize, u16, u16, usize),
    Version(u16),
    /// The string becomes that of another card.
    String(u16, Ports),
    /// A byte of the string becomes another.
    StringByte(usize, u8),
}

impl Change {
    fn arbitrary(bytes: &mut Unstructured<'_>) -> Result<Self> {
        let record = bytes.int_in_range(0..=7_usize)?;
        let small = |bytes: &mut Unstructured<'_>| bytes.int_in_range(0..=63_usize);
        Ok(match bytes.int_in_range(0..=17)? {
            0..=3 => Self::Byte(record, small(bytes)?, bytes.arbitrary()?),
            4..=6 => Self::Bits(record, small(bytes)?, bytes.arbitrary()?),
            7 => Self::Length(record, bytes.int_in_range(0..=300)?),
            8 => Self::Flags(record, bytes.int_in_range(0..=3)?),
            9 => Self::Tag(record, bytes.int_in_range(0..=5)?),
            10 => Self::Remove(record),
            11 => Self::Repeat(record),
            12 => Self::Swap(record, bytes.int_in_range(0..=7)?),
            13 | 14 => {
                let tag = bytes.int_in_range(4..=0xfffe)?;
                let long = bytes.ratio(1_u8, 4_u8)?;
                let length = bytes.int_in_range(0..=if long { 0x1_0010 } else { 300 })?;
                Self::Unknown(record, tag, u16::from(bytes.ratio(1_u8, 8_u8)?), length)
            }
            15 => Self::Version(bytes.int_in_range(0..=3)?),
            16 => Self::String(bytes.int_in_range(1..=2)?, ports(bytes)?),
            _ => Self::StringByte(bytes.int_in_range(0..=100)?, bytes.arbitrary()?),
        })
    }

    fn make(&self, plain: &mut Plain) {
        let count = plain.records.len();
        let change = |plain: &mut Plain, record: usize, change: &dyn Fn(&mut Record)| {
            if count > 0 {
                change(&mut plain.records[record % count]);
            }
        };
        let byte = |plain: &mut Plain, record, at, new: &dyn Fn(u8) -> u8| {
            change(plain, record, &|record| {
                let last = record.payload.len().saturating_sub(1);
                if let Some(byte) = record.payload.get_mut(last.min(at)) {
                    *byte = new(*byte);
                }
            });
        };
        match *self {
            Self::Byte(record, at, value) => byte(plain, record, at, &|_| value),
            Self::Bits(record, at, bits) => byte(plain, record, at, &|byte| byte ^ bits),
            Self::Length(record, length) => {
                change(plain, record, &|record| record.payload.resize(length, 0));
            }
            Self::Flags(record, flags) => change(plain, record, &|record| record.flags = flags),
            Self::Tag(record, tag) => change(plain, record, &|record| record.tag = tag),
            Self::Remove(record) if count > 0 => drop(plain.records.remove(record % count)),
            Self::Repeat(record) if count > 0 => {
                let again = plain.records[record % count].clone();
                plain.records.push(again);
            }
            Self::Swap(one, other) if count > 0 => plain.records.swap(one % count, other % count),
            Self::Remove(_) | Self::Repeat(_) | Self::Swap(..) => {}
            Self::Unknown(place, tag, flags, length) => {
                let record = Record::new(tag, flags, &vec![0x5a; length]);
                plain.records.insert(place % (count + 1), record);
            }
            Self::Version(version) => plain.version = version,
            Self::String(version, ports) => plain.string = string_of(version, ports).into(),
            Self::StringByte(at, value) => {
                let length = plain.string.len();
                plain.string[at % length] = value;
            }
        }
    }
}

fn ports(bytes: &mut Unstructured<'_>) -> Result<Ports> {
    Ok(*bytes.choose(&[Ports::One, Ports::Two])?)
}

/// A card that was used, how its stream is changed, and where it goes.
#[derive(Debug)]
struct Travel {
    ports: Ports,
    version: u16,
    /// The ABI of where it goes.
    abi: Abi,
    cuts: u8,
    accesses: Vec<Access>,
    changes: Vec<Change>,
}

impl<'a> Arbitrary<'a> for Travel {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let ports = ports(bytes)?;
        let version = bytes.int_in_range(1..=2)?;
        let abi = *bytes.choose(&Abi::ALL)?;
        let cuts = bytes.arbitrary()?;
        let mut changes = Vec::new();
        for _ in 0..bytes.int_in_range(0..=4)? {
            changes.push(Change::arbitrary(bytes)?);
        }
        let mut accesses = Vec::new();
        while !bytes.is_empty() {
            accesses.push(Access::io(bytes)?);
        }
        Ok(Self {
            ports,
            version,
            abi,
            cuts,
            accesses,
            changes,
        })
    }
}

fuzz_target!(|travel: Travel| {
    let mut card = Card::new(travel.ports, Abi::NEWEST);
    for access in &travel.accesses {
        access.make(&mut card);
    }
    let mut plain = Plain::of_version(travel.version, &card);
    let unchanged = plain.write();
    for change in &travel.changes {
        change.make(&mut plain);
    }
    let bytes = plain.write();
    let arrival = Arrival {
        mine: string_of(2, travel.ports),
        ports: travel.ports,
        abi: travel.abi,
        cuts: travel.cuts,
    };
    let outcome = arrival.of(&bytes);

    // What may be skipped makes no difference, as long as the stream is not too long for it.
    plain.drop_skipped();
    if plain.write() == unchanged && bytes.len() <= 0x1_0000 {
        let loaded = outcome.card();
        if travel.abi == Abi::NEWEST {
            assert_eq!(loaded, as_of(travel.version, &card));
        }
    }
});
