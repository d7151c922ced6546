// SPDX-License-Identifier: GPL-2.0-only

//! Operations on a device and its migration, from the bytes that a fuzzer mutates.

use libfuzzer_sys::arbitrary::{
    Result,
    Unstructured, //
};
use migdev_migration::State;

use super::reference::{
    Data,
    Operation, //
};

/// One access to the region, or what lies between accesses of one client.
pub fn access(bytes: &mut Unstructured<'_>) -> Result<Operation> {
    Ok(match bytes.int_in_range(0..=11_u8)? {
        0 | 1 => {
            let bits = bytes.int_in_range(0..=7)?;
            Operation::device_state(bits, true)
        }
        2 => Operation::device_state(bytes.arbitrary()?, bytes.arbitrary()?),
        3 => Operation::Read(0x08, 8),
        4 => Operation::Read(0x10, 8),
        5 => field(bytes)?,
        6 => Operation::Deliver(data(bytes)?),
        7 => Operation::data_size(bytes.int_in_range(0..=0x1001)?),
        8 => Operation::Read(offset(bytes)?, length(bytes)?),
        9 => Operation::Write(offset(bytes)?, some(bytes)?, bytes.arbitrary()?),
        10 => Operation::Use(bytes.arbitrary()?),
        _ => match bytes.int_in_range(0..=7)? {
            0 => Operation::Fail,
            1..=4 => Operation::data_size(bytes.arbitrary()?),
            _ => Operation::Reset,
        },
    })
}

/// One operation of either version.
pub fn operation(bytes: &mut Unstructured<'_>) -> Result<Operation> {
    Ok(match bytes.int_in_range(0..=7_u8)? {
        0 | 1 => {
            let state = *bytes.choose(&State::ALL)?;
            Operation::SetState(state, !bytes.ratio(1_u8, 8_u8)?)
        }
        2 => Operation::FileRead(back(bytes)?, length(bytes)?),
        3 | 4 => Operation::FileWrite(back(bytes)?, data(bytes)?),
        _ => access(bytes)?,
    })
}

/// A field, whole: all are read, some can be written.
fn field(bytes: &mut Unstructured<'_>) -> Result<Operation> {
    let (offset, width) =
        *bytes.choose(&[(0x00, 4), (0x04, 4), (0x08, 8), (0x10, 8), (0x18, 8)])?;
    Ok(if bytes.arbitrary()? {
        let value = bytes.arbitrary::<u64>()?.to_ne_bytes();
        Operation::Write(offset, value[..width].to_vec(), true)
    } else {
        Operation::Read(offset, width)
    })
}

/// Most often the newest file.
fn back(bytes: &mut Unstructured<'_>) -> Result<u64> {
    Ok(bytes.int_in_range(0..=7_u64)?.saturating_sub(5))
}

/// An offset near where something begins or ends, or any.
fn offset(bytes: &mut Unstructured<'_>) -> Result<u64> {
    let near = *bytes.choose(&[0x00, 0x10, 0x20, 0x1000, 0x1040, 0x2000, u64::MAX, 0])?;
    let distance = bytes.int_in_range(0..=31_u64)?;
    match bytes.int_in_range(0..=7)? {
        0 => bytes.arbitrary(),
        1..=3 => Ok(near.saturating_add(distance)),
        _ => Ok(near.saturating_sub(distance)),
    }
}

fn length(bytes: &mut Unstructured<'_>) -> Result<usize> {
    match bytes.int_in_range(0..=7)? {
        0 => bytes.int_in_range(0..=0x1100),
        1..=3 => Ok(*bytes.choose(&[1, 2, 4, 8])?),
        _ => bytes.int_in_range(0..=80),
    }
}

fn some(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let (len, first) = (length(bytes)?, bytes.arbitrary::<u8>()?);
    Ok((0..len).map(|at| first.wrapping_add(at as u8)).collect())
}

fn data(bytes: &mut Unstructured<'_>) -> Result<Data> {
    Ok(match bytes.int_in_range(0..=7)? {
        0 => Data::Spoilt,
        1 => {
            // What a client delivers fits the data section.
            let mut any = some(bytes)?;
            any.truncate(0x1000);
            Data::Bytes(any)
        }
        2..=4 => Data::Next(usize::MAX),
        _ => Data::Next(bytes.int_in_range(0..=511)?),
    })
}
