// SPDX-License-Identifier: GPL-2.0-only

//! Why bytes are not a stream.

use super::{
    format::{
        END,
        MAGIC,
        MAX_STREAM, //
    },
    Record, //
};
use crate::migver;

use core::fmt;

/// Why bytes are not a stream, whatever device they are of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// It does not begin as streams do.
    Magic {
        /// The offset of the first byte that is wrong.
        at: usize,
        /// The byte.
        found: u8,
    },
    /// The head says that the string has a length which strings do not have.
    StringLength {
        /// The length in bytes.
        length: u16,
    },
    /// The reserved field of the head is not 0.
    Reserved {
        /// Its value.
        value: u32,
    },
    /// A record has flags that are not defined, or the end has not those that it must have.
    Flags {
        /// The record.
        record: Record,
    },
    /// The end has not the length that it must have.
    EndLength {
        /// The record.
        record: Record,
    },
    /// With this record, the stream is longer than [`MAX_STREAM`].
    TooLong {
        /// The record.
        record: Record,
    },
    /// The checksum at the end is not that of the bytes before it.
    Checksum {
        /// What the stream says.
        found: u32,
        /// What its bytes amount to.
        expected: u32,
    },
    /// Bytes follow the end.
    Trailing,
}

impl Malformed {
    /// Returns the positive Linux errno.
    pub const fn errno(&self) -> i32 {
        match self {
            Self::TooLong { .. } => 27,
            Self::Checksum { .. } => 74,
            _ => 22,
        }
    }

    /// Returns the symbol of [`Malformed::errno`].
    pub const fn errno_name(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "EFBIG",
            Self::Checksum { .. } => "EBADMSG",
            _ => "EINVAL",
        }
    }
}

impl fmt::Display for Malformed {
    /// Shows it in one line of printable ASCII.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic { at, found } => write!(
                f,
                "not a migration stream: byte {at} of the magic is {found:#04x}, must be {:#04x}",
                MAGIC.get(*at).copied().unwrap_or_default()
            ),
            Self::StringLength { length } => write!(
                f,
                "head: length of the version string is {length}, allowed is 1 to {}",
                migver::MAX_LEN
            ),
            Self::Reserved { value } => {
                write!(f, "head: reserved is {value:#x}, allowed is 0x0")
            }
            Self::Flags { record } => {
                let allowed = if record.tag == END {
                    "0x1"
                } else {
                    "0x0 or 0x1"
                };
                write!(
                    f,
                    "{record}: flags is {:#x}, allowed is {allowed}",
                    record.flags
                )
            }
            Self::EndLength { record } => {
                write!(f, "{record}: length is {}, allowed is 4", record.length)
            }
            Self::TooLong { record } => write!(
                f,
                "{record}: with a length of {} the stream has more than {MAX_STREAM} bytes",
                record.length
            ),
            Self::Checksum { found, expected } => write!(
                f,
                "record END: checksum is {found:#010x}, but that of what came is {expected:#010x}"
            ),
            Self::Trailing => f.write_str("bytes follow the record END"),
        }
    }
}

impl core::error::Error for Malformed {}
