// SPDX-License-Identifier: GPL-2.0-only
//! Calls on the stream that is to be loaded, which touch no device.

use vfio_client::migration::stream::{seal, Record, Stream, END, MANDATORY};

use super::World;
use crate::calls::Answer;

/// Takes the stream of a device as it is at power-on.
pub fn take(world: &mut World, arguments: &[u64]) -> Answer {
    let slot = &world.slots[arguments[0] as usize % super::DEVICES];
    let stream = slot.pristine.as_ref()?.stream.clone()?;
    world.stream = stream;
    Some(Ok(0))
}

/// Changes the stream. The checksum is right afterwards, unless it is what was to be changed.
pub fn change(world: &mut World, arguments: &[u64]) -> Answer {
    let &[how, place, value] = arguments else {
        return None;
    };
    let (at, bytes) = (place as usize, &mut world.stream);
    if bytes.len() < END {
        return None;
    }
    let length = bytes.len();
    match how {
        0 => bytes[at % length] ^= value as u8,
        1 => bytes.truncate(at % length),
        2 => bytes.extend(super::data::pattern(value, place)),
        3 => {
            bytes[at % (length - 4)] = value as u8;
            seal(bytes);
        }
        _ => {
            let mut stream = Stream::parse(bytes).ok()?;
            change_records(&mut stream, how, at, value)?;
            *bytes = stream.bytes();
        }
    }
    Some(Ok(0))
}

fn change_records(stream: &mut Stream, how: u64, at: usize, value: u64) -> Option<()> {
    let count = stream.records.len();
    if count == 0 {
        return None;
    }
    let place = at % count;
    match how {
        4 => stream.records[place].tag = value as u16,
        5 => stream.records[place].flags = value as u16,
        6 => stream.records[place].length = value as u32,
        7 => {
            let payload = &mut stream.records[place].payload;
            let last = payload.len().checked_sub(1)?;
            // The upper bits of the place say which byte of the record.
            payload[(at / count).min(last)] = value as u8;
        }
        8 => {
            let again = stream.records[place].clone();
            stream.records.push(again);
        }
        9 => drop(stream.records.remove(place)),
        10 => stream.set_version(value as u16),
        11 => {
            let flags = if value & 1 == 0 { 0 } else { MANDATORY };
            let payload = super::data::pattern(value, at as u64);
            stream
                .records
                .insert(place, Record::new((value >> 8) as u16, flags, payload));
        }
        12 => {
            let mut text = stream.text();
            text.push(char::from(b' ' + (value % 95) as u8));
            stream.set_text(&text);
        }
        _ => stream.records.swap(place, 0),
    }
    Some(())
}
