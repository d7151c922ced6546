// SPDX-License-Identifier: GPL-2.0-only

//! What the tests of the stream share: streams saved and loaded by the code, and streams put together by hand.

// Each test file compiles this module for itself and uses its own part of it.
#![allow(dead_code, unreachable_pub)]

pub mod witness;

use migdev_migration::stream::{
    Incoming,
    Outgoing,
    Progress, //
};
use migdev_model::{
    Abi,
    Card,
    Ports, //
};
use migver::{
    Identity,
    Version, //
};
use std::{
    collections::BTreeMap,
    sync::Mutex, //
};

pub const MANDATORY: u16 = 1;
pub const CONFIG: u16 = 1;
pub const PORT: u16 = 2;
pub const COUNTERS: u16 = 3;
pub const END: u16 = 0xffff;

pub const EINVAL: i32 = 22;
pub const EFBIG: i32 = 27;
pub const EPROTO: i32 = 71;
pub const EBADMSG: i32 = 74;

/// The versions of the stream.
pub const VERSIONS: [u16; 2] = [1, 2];

/// CRC-32C, as a stream takes it.
pub fn checksum(sum: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(sum, bytes)
}

/// The string of a card with `ports`.
pub fn string(ports: Ports) -> &'static str {
    string_of(2, ports)
}

/// The string of a card with `ports` that writes that version of the stream. One that writes version 1 is as cards were
/// before there was another.
pub fn string_of(version: u16, ports: Ports) -> &'static str {
    match (version, ports) {
        (1, Ports::One) => {
            "migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:1"
        }
        (1, Ports::Two) => {
            "migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:2"
        }
        (2, Ports::One) => {
            "migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,param.ports=eq:1"
        }
        (2, Ports::Two) => {
            "migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,param.ports=eq:2"
        }
        _ => panic!("there is no version {version}"),
    }
}

/// What a device says of itself that has this string. It is made once.
pub fn identity(string: &'static str) -> &'static Identity<'static> {
    static MADE: Mutex<BTreeMap<&str, &Identity<'_>>> = Mutex::new(BTreeMap::new());
    MADE.lock().unwrap().entry(string).or_insert_with(|| {
        let version = Version::parse(string.as_bytes()).expect(string);
        Box::leak(Box::new(Identity::new(version)))
    })
}

/// The stream of a card, from the code.
pub fn save(card: &Card) -> Vec<u8> {
    save_as(2, card)
}

/// That version of the stream of a card, from the code.
pub fn save_as(version: u16, card: &Card) -> Vec<u8> {
    let mut stream = Outgoing::new(identity(string_of(version, card.ports())), checksum);
    stream.seal(card).expect("a card fits");
    drain(&mut stream)
}

/// The card as that version of the stream has it.
pub fn as_of(version: u16, card: &Card) -> Card {
    if version > 1 {
        return card.clone();
    }
    let mut plain = Plain::of(card);
    plain.payload(COUNTERS).fill(0);
    load(card.ports(), &plain.write()).card()
}

/// What is in a stream that was not fetched yet.
pub fn drain(stream: &mut Outgoing) -> Vec<u8> {
    let mut bytes = vec![0; stream.remaining()];
    let count = stream.peek(&mut bytes);
    assert_eq!(count, bytes.len());
    stream.advance(count);
    bytes
}

/// What became of a stream: a card, an errno with its symbol and reason, or nothing yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Loaded(Box<Card>),
    Refused(i32, &'static str, String),
    Unfinished,
}

impl Outcome {
    pub fn card(self) -> Card {
        match self {
            Self::Loaded(card) => *card,
            other => panic!("not loaded: {other:?}"),
        }
    }

    /// The errno and the reason of a refusal.
    pub fn refusal(self) -> (i32, String) {
        match self {
            Self::Refused(errno, _, reason) => (errno, reason),
            other => panic!("not refused: {other:?}"),
        }
    }

    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(..))
    }
}

/// Loads a stream that comes in pieces into a card of `ports` with the string `mine`.
pub fn load_pieces<'a>(
    mine: &'static str,
    ports: Ports,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    load_into(mine, &Card::new(ports, Abi::NEWEST), pieces)
}

/// Loads a stream that comes in pieces into a card that is created like this one and has the string `mine`.
pub fn load_into<'a>(
    mine: &'static str,
    card: &Card,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let mut stream = Incoming::new(identity(mine), card, checksum);
    let mut progress = Ok(Progress::Partial);
    for piece in pieces {
        let before = progress;
        progress = stream.push(piece);
        assert!(
            before.is_ok() || progress == before,
            "a refusal is for good"
        );
        assert_eq!(progress == Ok(Progress::Complete), stream.is_complete());
        assert_eq!(progress.is_err(), stream.refusal().is_some());
    }
    if let Some(refusal) = stream.refusal() {
        let outcome = Outcome::Refused(refusal.errno(), refusal.errno_name(), refusal.to_string());
        assert_eq!(progress, Err(refusal.errno()));
        assert!(stream.take().is_none());
        return outcome;
    }
    match stream.take() {
        Some(card) => {
            assert!(stream.take().is_none(), "a state is given out once");
            Outcome::Loaded(Box::new(card))
        }
        None => Outcome::Unfinished,
    }
}

/// Loads a stream that comes in one piece into a card of `ports`.
pub fn load(ports: Ports, bytes: &[u8]) -> Outcome {
    load_pieces(string(ports), ports, [bytes])
}

/// A record as the test has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub tag: u16,
    pub flags: u16,
    pub payload: Vec<u8>,
}

impl Record {
    pub fn new(tag: u16, flags: u16, payload: &[u8]) -> Self {
        Self {
            tag,
            flags,
            payload: payload.to_vec(),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.tag.to_le_bytes());
        bytes.extend(self.flags.to_le_bytes());
        bytes.extend((self.payload.len() as u32).to_le_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// The bytes of a head.
pub fn head(version: u16, string: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x89mig\r\n\x1a\n".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend((string.len() as u16).to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(string);
    bytes
}

/// Ends what stands before, with the right checksum.
pub fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend(END.to_le_bytes());
    bytes.extend(MANDATORY.to_le_bytes());
    bytes.extend(4_u32.to_le_bytes());
    let sum = checksum(0, &bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// A stream in pieces that a test can change before it puts them together again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    pub version: u16,
    pub string: Vec<u8>,
    /// All but the end.
    pub records: Vec<Record>,
}

impl Plain {
    /// Takes a stream apart that the code has written.
    pub fn read(bytes: &[u8]) -> Self {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let mut at = 16 + usize::from(half(10));
        let string = bytes[16..at].to_vec();
        let mut records = Vec::new();
        while half(at) != END {
            let length = usize::from(half(at + 4));
            let payload = &bytes[at + 8..at + 8 + length];
            records.push(Record::new(half(at), half(at + 2), payload));
            at += 8 + length;
        }
        let plain = Self {
            version: half(8),
            string,
            records,
        };
        assert_eq!(plain.write(), bytes, "it is as the test would write it");
        plain
    }

    pub fn of(card: &Card) -> Self {
        Self::read(&save(card))
    }

    pub fn of_version(version: u16, card: &Card) -> Self {
        Self::read(&save_as(version, card))
    }

    pub fn write(&self) -> Vec<u8> {
        let mut bytes = head(self.version, &self.string);
        for record in &self.records {
            bytes.extend(record.bytes());
        }
        sealed(bytes)
    }

    /// Takes out what a destination skips: the records that its version of the stream does not have and that are not
    /// MANDATORY.
    pub fn drop_skipped(&mut self) {
        let newest = if self.version == 1 { PORT } else { COUNTERS };
        self.records
            .retain(|record| record.flags != 0 || (CONFIG..=newest).contains(&record.tag));
    }

    /// The payload of the first record with that tag.
    pub fn payload(&mut self, tag: u16) -> &mut Vec<u8> {
        let record = self.records.iter_mut().find(|record| record.tag == tag);
        &mut record.expect("there is such a record").payload
    }
}

/// A card whose FIFOs are all full, and that has counted something of everything.
pub fn full_card(ports: Ports) -> Card {
    let mut card = Card::new(ports, Abi::NEWEST);
    for base in (0..Card::io_len(ports)).step_by(8) {
        card.io_write(base + 3, &[0x03]);
        card.io_write(base + 2, &[0x01]);
        // A full receiver overruns in loopback mode.
        card.io_write(base + 4, &[0x10]);
        for value in 0..19 + base as u8 {
            card.io_write(base, &[value]);
        }
        card.io_read(base + 5, &mut [0]);
        card.io_write(base + 4, &[0x00]);
        card.io_write(base + 2, &[0x03]);
        for value in 0..32 {
            card.io_write(base, &[0x40 + value]);
        }
    }
    card
}
