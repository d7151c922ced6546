// SPDX-License-Identifier: GPL-2.0-only

//! Devices from the bytes that a fuzzer mutates: one device and what was changed about it to make the next.

use libfuzzer_sys::arbitrary::{
    Arbitrary,
    Result,
    Unstructured, //
};
use migver::{
    Marking,
    Rule, //
};

use super::support::Plain;

/// Three devices, each of them the one before with some changes.
#[derive(Debug)]
pub struct Devices(pub [Plain; 3]);

impl<'a> Arbitrary<'a> for Devices {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let mut device = Plain::simple();
        let mut next = || -> Result<Plain> {
            for _ in 0..bytes.int_in_range(0..=12)? {
                change(&mut device, bytes)?;
            }
            Ok(device.clone())
        };
        Ok(Self([next()?, next()?, next()?]))
    }
}

/// Makes one change, such that the device can still be described.
fn change(device: &mut Plain, bytes: &mut Unstructured<'_>) -> Result<()> {
    match bytes.int_in_range(0..=12)? {
        0 => device.vendor = name(bytes)?,
        1 => device.model = name(bytes)?,
        2 => device.abi.0 = number(bytes)?,
        3 => device.abi.1 = number(bytes)?,
        4 => {
            let mut stream = [number(bytes)?, number(bytes)?, number(bytes)?];
            stream.sort_unstable();
            device.stream = (stream[1], stream[0], stream[2]);
        }
        5 => {
            let feature = name(bytes)?;
            device.needs.insert(feature.clone());
            device.takes.insert(feature);
        }
        6 => {
            device.takes.insert(name(bytes)?);
        }
        7 => {
            device.needs.remove(&name(bytes)?);
        }
        8 => {
            let feature = name(bytes)?;
            device.needs.remove(&feature);
            device.takes.remove(&feature);
        }
        9 => {
            let parameter = (*bytes.choose(&Rule::ALL)?, value(bytes)?);
            device.parameters.insert(name(bytes)?, parameter);
        }
        10 => {
            device.parameters.remove(&name(bytes)?);
        }
        11 => {
            let extension = (*bytes.choose(&Marking::ALL)?, text(bytes)?);
            device.extensions.insert(name(bytes)?, extension);
        }
        _ => {
            device.extensions.remove(&name(bytes)?);
        }
    }
    Ok(())
}

/// One of a few names, or sometimes any: names must meet for rules to bear on them.
fn name(bytes: &mut Unstructured<'_>) -> Result<String> {
    const FEW: [&str; 6] = ["a", "a-b", "a.b", "b", "ports", "x_1"];
    if bytes.ratio(7_u8, 8_u8)? {
        return Ok((*bytes.choose(&FEW)?).into());
    }
    let mut name = String::new();
    for _ in 0..bytes.int_in_range(1..=migver::MAX_NAME_LEN)? {
        let byte = *bytes.choose(b"abcdefghijklmnopqrstuvwxyz0123456789._-")?;
        let inside = name.ends_with(|byte: char| byte.is_ascii_alphanumeric());
        if byte.is_ascii_alphanumeric() || inside {
            name.push(byte.into());
        }
    }
    let whole = name.trim_end_matches(['.', '_', '-']);
    Ok(if whole.is_empty() { "z" } else { whole }.into())
}

/// The value of an extension.
fn text(bytes: &mut Unstructured<'_>) -> Result<String> {
    let length = bytes.int_in_range(1..=migver::MAX_NAME_LEN)?;
    (0..length)
        .map(|_| Ok(char::from(*bytes.choose(b"01aAzZ._:+-")?)))
        .collect()
}

/// A small number, so that two are often close, or sometimes any.
fn number(bytes: &mut Unstructured<'_>) -> Result<u32> {
    match bytes.int_in_range(0..=9_u32)? {
        small @ 0..=7 => Ok(small),
        8 => Ok(u32::MAX),
        _ => bytes.arbitrary(),
    }
}

fn value(bytes: &mut Unstructured<'_>) -> Result<u64> {
    match number(bytes)? {
        u32::MAX => Ok(u64::MAX),
        other if other > 8 => bytes.arbitrary(),
        small => Ok(small.into()),
    }
}
