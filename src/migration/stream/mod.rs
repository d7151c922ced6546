// SPDX-License-Identifier: GPL-2.0-only

//! The migration stream: how the state of a device is written down, and how it is taken in again.
//!
//! A stream is a head, records and an end. The head carries the source's `migration_version` string, which the
//! destination weighs as soon as it has arrived; each record a part of the state; the end a checksum of everything
//! before it. `Documentation/migration-stream.rst` has the layout byte by byte.
//!
//! - [`Outgoing`] is the stream of a device that is being saved.
//! - [`Incoming`] takes a stream in, in pieces of any size, and has a new state of the device at the end or a
//!   [`Refusal`].
//! - [`Reader`] tells what is in a stream without knowing any device. [`Incoming`] is built on it, and so can be a tool
//!   that shows streams.
//! - [`Snapshot`] is what a device brings: how its state becomes records and records become a state.
//!
//! Nothing here allocates, recurses or panics. Reading is linear in the length of the stream and takes fixed memory.

mod event;
mod format;
mod incoming;
mod malformed;
mod outgoing;
mod reader;
mod records;
mod refusal;
mod snapshot;

#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod testing;

pub use event::{
    Event,
    Head,
    Record, //
};
pub use format::{
    END,
    END_LEN,
    HEAD_LEN,
    MAGIC,
    MANDATORY,
    MAX_STREAM,
    RECORD_LEN, //
};
pub use incoming::{
    Incoming,
    Progress, //
};
pub use malformed::Malformed;
pub use outgoing::{
    length,
    Outgoing, //
};
pub use reader::Reader;
pub use records::{
    Full,
    Records, //
};
pub use refusal::Refusal;
pub use snapshot::{
    Kind,
    Missing,
    RecordError,
    Snapshot, //
};

/// A function that continues a CRC-32C, the CRC of iSCSI (RFC 3720, section 12.1 and appendix B.4), over more bytes.
///
/// It begins with 0: `checksum(0, b"123456789") == 0xe306_9283`, and
/// `checksum(checksum(0, a), b)` is the checksum of `a` followed by `b`.
pub type Checksum = fn(u32, &[u8]) -> u32;
