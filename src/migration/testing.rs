// SPDX-License-Identifier: GPL-2.0-only

//! For tests: a device as small as can be, and memory for one session at a time.

use super::{
    stream::{
        Full,
        Kind,
        Missing,
        RecordError,
        Records,
        Snapshot,
        MANDATORY, //
    },
    Direction,
    Migration,
    Session,
    Window, //
};
use crate::migver::{
    Abi,
    Description,
    Identity,
    Stream,
    Version, //
};

use core::cell::Cell;

/// What a [`Dial`] says of itself.
pub(super) static DIAL: Identity<'static> = match Version::new(&Description {
    vendor: "migdev",
    model: "dial",
    abi: Abi { major: 1, minor: 0 },
    stream: Stream {
        writes: 1,
        oldest: 1,
        newest: 1,
    },
    needs: &[],
    takes: &[],
    parameters: &[],
    extensions: &[],
}) {
    Ok(version) => Identity::new(version),
    Err(_) => panic!("not a valid version"),
};

/// A device whose state is one number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Dial(pub(super) u8);

/// The state machine of a dial. Its memory is lent.
pub(super) type Machine<'a> = Migration<Dial, &'a mut Session<Dial>>;

impl Snapshot for Dial {
    type Parts = Option<u8>;

    fn kind(_: u16, tag: u16) -> Option<Kind> {
        (tag == 1).then_some(Kind {
            name: "DIAL",
            flags: MANDATORY,
            longest: 1,
        })
    }

    fn save(&self, _: u16, records: &mut Records<'_>) -> Result<(), Full> {
        records.put(1, MANDATORY, &[self.0])
    }

    fn parts(&self) -> Option<u8> {
        None
    }

    fn load(parts: &mut Option<u8>, _: u16, _: u16, payload: &[u8]) -> Result<(), RecordError> {
        match (payload, *parts) {
            ([number], None) => {
                *parts = Some(*number);
                Ok(())
            }
            ([_], Some(_)) => Err(RecordError::Duplicate),
            _ => Err(RecordError::Length { expected: 1 }),
        }
    }

    fn assemble(parts: &Option<u8>, _: u16) -> Result<Self, Missing> {
        parts.map(Dial).ok_or(Missing { record: "DIAL" })
    }
}

/// No checksum at all. What is wrong with a stream shows elsewhere in these tests.
fn no_checksum(_: u32, _: &[u8]) -> u32 {
    0
}

/// A session with nothing in it.
pub(super) fn session(direction: Direction) -> Session<Dial> {
    match direction {
        Direction::Saving => Session::saving(&DIAL, no_checksum),
        Direction::Loading => Session::loading(&DIAL, &Dial(0), no_checksum),
    }
}

/// The start of a data section. The rest is never used, as a stream of these tests is short.
pub(super) struct Section(pub(super) [Cell<u8>; 256]);

impl Section {
    pub(super) fn new() -> Self {
        Self([const { Cell::new(0) }; 256])
    }
}

impl Window for Section {
    fn read(&self, at: usize, out: &mut [u8]) {
        for (to, from) in out.iter_mut().zip(self.0.iter().skip(at)) {
            *to = from.get();
        }
    }

    fn write(&self, at: usize, data: &[u8]) {
        for (to, from) in self.0.iter().skip(at).zip(data) {
            to.set(*from);
        }
    }
}
