// SPDX-License-Identifier: GPL-2.0-only

//! For tests: a device as small as can be, and a checksum.

use super::{
    Full,
    Kind,
    Missing,
    RecordError,
    Records,
    Snapshot,
    MANDATORY, //
};
use crate::migver::{
    Abi,
    Description,
    Identity,
    Stream,
    Version, //
};

/// CRC-32C, bit by bit.
pub(super) fn crc32c(sum: u32, bytes: &[u8]) -> u32 {
    let step = |sum: u32| match sum & 1 {
        0 => sum >> 1,
        _ => (sum >> 1) ^ 0x82f6_3b78,
    };
    !bytes.iter().fold(!sum, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum))
    })
}

/// What a lamp of `vendor` says of itself that writes `writes` and loads 1 to 2.
const fn identity(vendor: &'static str, writes: u32) -> Identity<'static> {
    let description = Description {
        vendor,
        model: "lamp",
        abi: Abi { major: 1, minor: 0 },
        stream: Stream {
            writes,
            oldest: 1,
            newest: 2,
        },
        needs: &[],
        takes: &[],
        parameters: &[],
        extensions: &[],
    };
    match Version::new(&description) {
        Ok(version) => Identity::new(version),
        Err(_) => panic!("not a valid version"),
    }
}

/// What most lamps say.
pub(super) static LAMP_1: Identity<'static> = identity("migdev", 1);

/// What a lamp says that writes version 2.
static LAMP_2: Identity<'static> = identity("migdev", 2);

/// What a lamp of somebody else says.
pub(super) static OTHER_LAMP: Identity<'static> = identity("acme", 1);

/// What a lamp says that writes 1 or 2.
pub(super) fn lamp(writes: u32) -> &'static Identity<'static> {
    match writes {
        1 => &LAMP_1,
        _ => &LAMP_2,
    }
}

/// A lamp that is on or off. Version 2 of its stream also tells its colour, which version 1 does not know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Lamp {
    pub(super) on: bool,
    pub(super) colour: u8,
}

pub(super) const LAMP: Lamp = Lamp {
    on: true,
    colour: 0,
};

pub(super) const SWITCH: u16 = 1;
pub(super) const COLOUR: u16 = 2;

#[derive(Default)]
pub(super) struct Parts {
    on: Option<bool>,
    colour: u8,
}

impl Snapshot for Lamp {
    type Parts = Parts;

    fn kind(version: u16, tag: u16) -> Option<Kind> {
        match (version, tag) {
            (1..=2, SWITCH) => Some(Kind {
                name: "SWITCH",
                flags: MANDATORY,
                longest: 1,
            }),
            (2, COLOUR) => Some(Kind {
                name: "COLOUR",
                flags: 0,
                longest: 1,
            }),
            _ => None,
        }
    }

    fn save(&self, version: u16, records: &mut Records<'_>) -> Result<(), Full> {
        records.put(SWITCH, MANDATORY, &[u8::from(self.on)])?;
        match version {
            1 => Ok(()),
            _ => records.put(COLOUR, 0, &[self.colour]),
        }
    }

    fn parts(&self) -> Parts {
        Parts::default()
    }

    fn load(parts: &mut Parts, _version: u16, tag: u16, payload: &[u8]) -> Result<(), RecordError> {
        let [value] = payload else {
            return Err(RecordError::Length { expected: 1 });
        };
        match (tag, value) {
            (COLOUR, _) if parts.on.is_none() => {
                return Err(RecordError::Order { expected: "SWITCH" });
            }
            (COLOUR, colour) => parts.colour = *colour,
            _ if parts.on.is_some() => return Err(RecordError::Duplicate),
            (_, 0 | 1) => parts.on = Some(*value == 1),
            _ => {
                return Err(RecordError::Field {
                    name: "on",
                    value: u32::from(*value),
                    allowed: "0 or 1",
                });
            }
        }
        Ok(())
    }

    fn assemble(parts: &Parts, _version: u16) -> Result<Self, Missing> {
        let on = parts.on.ok_or(Missing { record: "SWITCH" })?;
        Ok(Self {
            on,
            colour: parts.colour,
        })
    }
}
