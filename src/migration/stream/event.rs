// SPDX-License-Identifier: GPL-2.0-only

//! What is in a stream, as a [`Reader`](super::Reader) tells it.

use super::format::END;

use core::fmt;

/// The head of a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head<'a> {
    /// The version of the stream.
    pub version: u16,
    /// The source's `migration_version` string, as it came: nothing has looked at it yet.
    pub string: &'a [u8],
}

/// A record, without its payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record {
    /// Where it begins: its offset in the stream in bytes.
    pub at: usize,
    /// What it is. [`END`] is told as [`Event::End`].
    pub tag: u16,
    /// [`MANDATORY`](super::MANDATORY) or nothing.
    pub flags: u16,
    /// The length of its payload in bytes.
    pub length: usize,
}

/// What comes next in a stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// The head, once.
    Head(Head<'a>),
    /// A record begins.
    Record(Record),
    /// The next piece of the record's payload. A payload comes in one or more pieces, one that is empty too.
    Payload {
        /// The piece.
        piece: &'a [u8],
        /// How many bytes of the payload come after it. 0 ends the record.
        left: usize,
    },
    /// The stream is complete and its checksum is right.
    End,
}

impl fmt::Display for Record {
    /// Shows which record it is: its tag and where it begins.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag {
            END => write!(f, "record END at byte {}", self.at),
            tag => write!(f, "record {tag:#06x} at byte {}", self.at),
        }
    }
}
