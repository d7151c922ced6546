// SPDX-License-Identifier: GPL-2.0-only

//! What a device brings to be saved and loaded.

use super::{
    Full,
    Records, //
};

use core::fmt;

/// A device whose state can be written as records and made of records.
///
/// `version` is the version of the stream. [`save`](Self::save) writes the one that it is asked for, and
/// [`load`](Self::load) reads the one that the head of the stream names; both lie in the range that the device's
/// `migration_version` string says. Only tags below [`END`](super::END) belong to the device.
pub trait Snapshot: Sized {
    /// What has arrived of a state that is being loaded. The device itself stays as it is until all has.
    type Parts;

    /// Says what this version of the stream knows of a tag, or `None` if it does not know it.
    fn kind(version: u16, tag: u16) -> Option<Kind>;

    /// Writes the state as records.
    ///
    /// # Errors
    ///
    /// There is no room for the state, or this version of the stream has no way to tell it.
    fn save(&self, version: u16, records: &mut Records<'_>) -> Result<(), Full>;

    /// Returns what has arrived before anything has, for a device that is created like this one.
    fn parts(&self) -> Self::Parts;

    /// Takes in one record. It has a tag that [`kind`](Self::kind) knows, the flags and at most the length that it
    /// says. After an error `parts` is not used again.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the record, by itself or at this place in the stream.
    fn load(
        parts: &mut Self::Parts,
        version: u16,
        tag: u16,
        payload: &[u8],
    ) -> Result<(), RecordError>;

    /// Makes a state of what has arrived, all of which a stream of this version has.
    ///
    /// # Errors
    ///
    /// Names the first record that is missing.
    fn assemble(parts: &Self::Parts, version: u16) -> Result<Self, Missing>;
}

/// What a version of the stream knows of a tag.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kind {
    /// The name of the record in the documentation, for messages: one word of printable ASCII.
    pub name: &'static str,
    /// The flags that it has: 0 or [`MANDATORY`](super::MANDATORY).
    pub flags: u16,
    /// The greatest length of its payload in bytes, at most [`Incoming::PAYLOAD`](super::Incoming::PAYLOAD).
    pub longest: usize,
}

/// What is wrong with a record whose tag is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordError {
    /// The payload has another length than its fields need.
    Length {
        /// The length in bytes that it should have.
        expected: usize,
    },
    /// A field has a value that it cannot have, by itself or beside the others.
    Field {
        /// Its name in the documentation: printable ASCII.
        name: &'static str,
        /// Its value.
        value: u32,
        /// What it can be there, in words of printable ASCII.
        allowed: &'static str,
    },
    /// The record has been there before.
    Duplicate,
    /// Another record should have come first.
    Order {
        /// Its name.
        expected: &'static str,
    },
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Length { expected } => {
                write!(f, "its fields take {expected} bytes")
            }
            Self::Field {
                name,
                value,
                allowed,
            } => write!(f, "{name} is {value:#x}, allowed is {allowed}"),
            Self::Duplicate => f.write_str("it was there before"),
            Self::Order { expected } => write!(f, "{expected} must come before it"),
        }
    }
}

/// A record that did not come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Missing {
    /// Its name: printable ASCII.
    pub record: &'static str,
}
