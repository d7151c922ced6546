// SPDX-License-Identifier: GPL-2.0-only

//! The fields of the records that serial cards have.

use migdev_model::snapshot::{
    CONFIG,
    COUNTERS,
    COUNTERS_FIELDS,
    PORT,
    PORT_FIELDS,
    REGISTERS, //
};

/// A field of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Field {
    /// Its name in the documentation.
    pub name: &'static str,
    /// The port that it is of, in a record of all ports.
    pub port: Option<usize>,
    /// What is in it.
    pub value: FieldValue,
}

/// What is in a field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FieldValue {
    /// A register: its value, and its size in bytes.
    Register(u64, usize),
    /// A number of things.
    Count(u64),
    /// Characters, oldest first, each with the bits of LSR that tell what was wrong with it.
    Characters(Vec<(u8, u8)>),
}

/// Takes the payload of a record apart, as far as it goes: what is cut short has fewer fields. [`None`] if no record
/// of a serial card has this tag.
pub fn fields(tag: u16, payload: &[u8]) -> Option<Vec<Field>> {
    match tag {
        CONFIG => {
            let mut offset = 0;
            let registers = REGISTERS.iter().map_while(|item| {
                let field = register(item.name, payload, offset, item.len);
                offset += item.len;
                field
            });
            Some(registers.collect())
        }
        PORT => Some(port(payload)),
        COUNTERS => Some(counters(payload)),
        _ => None,
    }
}

fn register(name: &'static str, payload: &[u8], offset: usize, size: usize) -> Option<Field> {
    Some(Field {
        name,
        port: None,
        value: FieldValue::Register(number(payload, offset, size)?, size),
    })
}

/// Reads a little-endian number.
fn number(payload: &[u8], offset: usize, size: usize) -> Option<u64> {
    let bytes = payload.get(offset..offset.checked_add(size)?)?;
    let mut number = [0; 8];
    number.get_mut(..size)?.copy_from_slice(bytes);
    Some(u64::from_le_bytes(number))
}

fn port(payload: &[u8]) -> Vec<Field> {
    let mut all: Vec<_> = PORT_FIELDS
        .iter()
        .map_while(|(name, offset, size)| register(name, payload, *offset, *size))
        .collect();
    // The characters follow the last of them: those of the receiver, two bytes each, then those of the transmitter.
    let fixed = PORT_FIELDS
        .last()
        .map_or(0, |(_, offset, size)| offset + size);
    let Some(characters) = payload.get(fixed..) else {
        return all;
    };
    let count = |name| {
        let (_, offset, size) = PORT_FIELDS.iter().find(|(field, ..)| *field == name)?;
        usize::try_from(number(payload, *offset, *size)?).ok()
    };
    let received = count("rx_count").unwrap_or(0).saturating_mul(2);
    let (received, waiting) = characters
        .split_at_checked(received)
        .unwrap_or((characters, &[]));
    let received: Vec<_> = received
        .chunks_exact(2)
        .map(|pair| (pair[0], pair[1]))
        .collect();
    let waiting: Vec<_> = waiting.iter().map(|value| (*value, 0)).collect();
    for (name, characters) in [("received", received), ("waiting", waiting)] {
        all.push(Field {
            name,
            port: None,
            value: FieldValue::Characters(characters),
        });
    }
    all
}

fn counters(payload: &[u8]) -> Vec<Field> {
    let stride: usize = COUNTERS_FIELDS.iter().map(|(_, _, size)| size).sum();
    let mut all = Vec::new();
    for (port, part) in payload.chunks(stride).enumerate() {
        for (name, offset, size) in COUNTERS_FIELDS {
            if let Some(value) = number(part, offset, size) {
                all.push(Field {
                    name,
                    port: Some(port),
                    value: FieldValue::Count(value),
                });
            }
        }
    }
    all
}
