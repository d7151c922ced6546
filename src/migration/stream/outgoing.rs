// SPDX-License-Identifier: GPL-2.0-only

//! The stream of a device that is being saved.

use super::{
    format::{
        record_head,
        END,
        END_LEN,
        HEAD_LEN,
        MAGIC,
        MANDATORY, //
    },
    Checksum,
    Full,
    Records,
    Snapshot, //
};
use crate::migver::Version;

use core::fmt::Write;

/// A stream on its way out, in memory of its own.
///
/// It begins with the head alone, which a destination can weigh while the source still runs. The rest follows with
/// [`seal`](Self::seal), once the device has stopped. The bytes are the same whenever each part was fetched.
///
/// # Invariants
///
/// - `sent <= len`, and `len <= CAPACITY`.
pub struct Outgoing {
    bytes: [u8; Self::CAPACITY],
    len: usize,
    sent: usize,
    version: u16,
    sealed: bool,
    checksum: Checksum,
}

impl Outgoing {
    /// The most bytes that a stream which is written here can have: room for the longest head and about 1000 bytes of
    /// records.
    pub const CAPACITY: usize = 2048;

    /// A stream with its head, from a device with the version `mine`. It is in the stream version that `mine` writes.
    pub fn new(mine: &Version<'_>, checksum: Checksum) -> Self {
        let mut bytes = [0; Self::CAPACITY];
        let mut records = Records::into(&mut bytes, 0);
        // A string has at most 1022 bytes, so there is room. Were there not, destinations would refuse what is there.
        let _ = head(mine, &mut records);
        // INVARIANT: Nothing was sent; `Records` keeps to the bytes that it got.
        Self {
            len: records.len(),
            bytes,
            sent: 0,
            version: stream_version(mine),
            sealed: false,
            checksum,
        }
    }

    /// Appends the state of `device` and the end. Once is enough: a stream that is sealed stays as it is.
    ///
    /// # Errors
    ///
    /// The state does not fit. Then the stream is as it was.
    pub fn seal<S: Snapshot>(&mut self, device: &S) -> Result<(), Full> {
        if self.sealed {
            return Ok(());
        }
        let mut records = Records::into(&mut self.bytes, self.len);
        device.save(self.version, &mut records)?;
        records.append(&record_head(END, MANDATORY, 4))?;
        let covered = records.len();
        let sum = (self.checksum)(0, self.bytes.get(..covered).ok_or(Full)?);
        let mut records = Records::into(&mut self.bytes, covered);
        records.append(&sum.to_le_bytes())?;
        // INVARIANT: It only grows, and `Records` keeps to the bytes that it got.
        self.len = records.len();
        self.sealed = true;
        Ok(())
    }

    /// Whether the end is in it.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// How many bytes are there that were not fetched yet.
    pub fn remaining(&self) -> usize {
        self.len.saturating_sub(self.sent)
    }

    /// Copies the next bytes to `out`, and returns how many: as many as are there and fit. They are fetched only once
    /// [`advance`](Self::advance) says so.
    pub fn peek(&self, out: &mut [u8]) -> usize {
        let next = self.bytes.get(self.sent..self.len).unwrap_or_default();
        let copied = out.iter_mut().zip(next);
        let count = copied.len();
        copied.for_each(|(to, from)| *to = *from);
        count
    }

    /// Says that `count` more bytes were fetched, or all if there are fewer.
    pub fn advance(&mut self, count: usize) {
        // INVARIANT: The minimum is at most `len`.
        self.sent = self.sent.saturating_add(count).min(self.len);
    }
}

/// Returns how many bytes the stream of `device` would have if it were saved now, or [`Outgoing::CAPACITY`] if it
/// does not fit that.
pub fn length<S: Snapshot>(mine: &Version<'_>, device: &S) -> usize {
    let mut records = Records::counted(Outgoing::CAPACITY);
    let counted = head(mine, &mut records)
        .and_then(|()| device.save(stream_version(mine), &mut records))
        .and_then(|()| records.append(&[0; END_LEN]));
    match counted {
        Ok(()) => records.len(),
        Err(Full) => Outgoing::CAPACITY,
    }
}

/// The stream version that `mine` writes, as the head has it.
///
/// A version string has room for greater numbers than the head. Beyond 65535 the two differ, which destinations refuse.
fn stream_version(mine: &Version<'_>) -> u16 {
    u16::try_from(mine.stream().writes).unwrap_or(u16::MAX)
}

/// Writes the head.
fn head(mine: &Version<'_>, records: &mut Records<'_>) -> Result<(), Full> {
    let mut count = Records::counted(usize::from(u16::MAX));
    write!(count, "{mine}").map_err(|_| Full)?;
    let string = u16::try_from(count.len()).map_err(|_| Full)?;

    let mut fixed = [0; HEAD_LEN];
    let fields = MAGIC
        .into_iter()
        .chain(stream_version(mine).to_le_bytes())
        .chain(string.to_le_bytes());
    for (to, from) in fixed.iter_mut().zip(fields) {
        *to = from;
    }
    records.append(&fixed)?;
    write!(records, "{mine}").map_err(|_| Full)
}
