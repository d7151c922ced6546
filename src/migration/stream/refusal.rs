// SPDX-License-Identifier: GPL-2.0-only

//! Why a stream was refused.

use super::{
    Malformed,
    Missing,
    Record,
    RecordError, //
};
use crate::migver;

use core::fmt;

/// Why a stream was refused.
///
/// It is shown in one line of printable ASCII, whatever the stream was: which record or part of the head, which
/// field, what it is, and what would have been allowed.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is no heap to put it on, and it is only made to be shown"
)]
pub enum Refusal<'a> {
    /// The bytes are not a stream.
    Malformed(Malformed),
    /// The version string ends in a newline, which it has in sysfs but not in a stream.
    Newline,
    /// The state of the source does not fit this device, or its version string cannot be read.
    Incompatible(migver::Refusal<'a>),
    /// The stream has a version that this device does not load.
    Version {
        /// The version of the stream.
        version: u16,
        /// The oldest version that the device loads.
        oldest: u32,
        /// The newest version that the device loads.
        newest: u32,
    },
    /// The stream has another version than the string in it says.
    OtherVersion {
        /// The version of the stream.
        version: u16,
        /// The version that the source writes by its string.
        writes: u32,
    },
    /// A record that must be understood, and is not known in this version of the stream.
    Unknown {
        /// The record.
        record: Record,
    },
    /// A record has other flags than records of its kind.
    Flags {
        /// The record.
        record: Record,
        /// Its name.
        name: &'static str,
        /// The flags that it should have.
        expected: u16,
    },
    /// A record is longer than any of its kind.
    Longest {
        /// The record.
        record: Record,
        /// Its name.
        name: &'static str,
        /// The greatest length of its payload in bytes.
        longest: usize,
    },
    /// The device cannot take in a record.
    Record {
        /// The record.
        record: Record,
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        error: RecordError,
    },
    /// A record did not come.
    Missing(Missing),
}

impl Refusal<'_> {
    /// Returns the positive Linux errno: for an incompatible string that of its
    /// [class](migver::Class::errno), otherwise EINVAL, EPROTO for a version of the stream that is not loaded,
    /// EBADMSG for a wrong checksum and EFBIG for a stream that is too long.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Malformed(malformed) => malformed.errno(),
            Self::Incompatible(refusal) => refusal.class().errno(),
            Self::Version { .. } => 71,
            _ => 22,
        }
    }

    /// Returns the symbol of [`Refusal::errno`], such as `"EINVAL"`.
    pub fn errno_name(&self) -> &'static str {
        match self {
            Self::Malformed(malformed) => malformed.errno_name(),
            Self::Incompatible(refusal) => refusal.class().errno_name(),
            Self::Version { .. } => "EPROTO",
            _ => "EINVAL",
        }
    }
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(malformed) => malformed.fmt(f),
            Self::Newline => f.write_str("head: the version string ends in a newline"),
            Self::Incompatible(migver::Refusal::Unreadable(error)) => {
                write!(f, "head: version string: {error}")
            }
            Self::Incompatible(refusal) => refusal.fmt(f),
            Self::Version {
                version,
                oldest,
                newest,
            } => write!(
                f,
                "head: stream version is {version}, allowed is {oldest} to {newest}"
            ),
            Self::OtherVersion { version, writes } => write!(
                f,
                "head: stream version is {version}, but the version string says {writes}"
            ),
            Self::Unknown { record } => {
                write!(f, "{record}: it is mandatory and not known")
            }
            Self::Flags {
                record,
                name,
                expected,
            } => write!(
                f,
                "record {name} at byte {}: flags is {:#x}, allowed is {expected:#x}",
                record.at, record.flags
            ),
            Self::Longest {
                record,
                name,
                longest,
            } => write!(
                f,
                "record {name} at byte {}: length is {}, allowed is at most {longest}",
                record.at, record.length
            ),
            Self::Record {
                record,
                name,
                error: error @ RecordError::Length { .. },
            } => write!(
                f,
                "record {name} at byte {}: length is {}, but {error}",
                record.at, record.length
            ),
            Self::Record {
                record,
                name,
                error,
            } => write!(f, "record {name} at byte {}: {error}", record.at),
            Self::Missing(Missing { record }) => write!(f, "record {record} is missing"),
        }
    }
}

impl core::error::Error for Refusal<'_> {}
