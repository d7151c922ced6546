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
    /// The state cannot be written. Then the stream is as it was.
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

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_stream_outgoing)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::testing::{
        crc32c,
        version,
        Lamp,
        LAMP,
        VERSION, //
    };
    use super::*;

    /// The length of the head.
    const HEAD: usize = 16 + 54;

    #[test]
    fn the_head_is_there_before_the_state() {
        let mut stream = Outgoing::new(&VERSION, crc32c);
        let mut head = [0; HEAD + 1];
        assert_eq!(stream.remaining(), HEAD);
        assert_eq!(stream.peek(&mut head), HEAD);
        assert_eq!(
            head,
            *b"\x89mig\r\n\x1a\n\x01\0\x36\0\0\0\0\0\
               migver:1,vendor=migdev,model=lamp,abi=1.0,stream=1:1-2\0"
        );
        assert_eq!(stream.seal(&LAMP), Ok(()));
        assert_eq!(stream.remaining(), HEAD + 9 + END_LEN);
    }

    #[test]
    fn the_version_that_is_written_decides_what_is_written() {
        for (writes, records) in [(1, 9), (2, 9 + 9)] {
            let mine = version("migdev", writes);
            let mut stream = Outgoing::new(&mine, crc32c);
            assert_eq!(stream.seal(&LAMP), Ok(()));
            assert_eq!(stream.remaining(), HEAD + records + END_LEN);
            assert_eq!(stream.remaining(), length(&mine, &LAMP));
        }
    }

    #[test]
    fn bytes_stay_until_they_were_fetched() {
        let mut stream = Outgoing::new(&VERSION, crc32c);
        let mut two = [0; 2];
        assert_eq!(stream.peek(&mut two), 2);
        assert_eq!(stream.peek(&mut two), 2);
        assert_eq!(two, *b"\x89m");
        stream.advance(2);
        assert_eq!(stream.peek(&mut two), 2);
        assert_eq!(two, *b"ig");
        stream.advance(usize::MAX);
        assert_eq!(stream.remaining(), 0);
        assert_eq!(stream.peek(&mut two), 0);
    }

    /// A lamp with more to tell than there is room for.
    struct Chandelier;

    impl Snapshot for Chandelier {
        type Parts = ();

        fn kind(_version: u16, _tag: u16) -> Option<super::super::Kind> {
            None
        }

        fn save(&self, _version: u16, records: &mut Records<'_>) -> Result<(), Full> {
            for tag in 0..10 {
                records.put(tag, 0, &[0; 256])?;
            }
            Ok(())
        }

        fn parts(&self) {}

        fn load(
            _parts: &mut (),
            _version: u16,
            _tag: u16,
            _payload: &[u8],
        ) -> Result<(), super::super::RecordError> {
            Ok(())
        }

        fn assemble(_parts: &()) -> Result<Self, super::super::Missing> {
            Ok(Self)
        }
    }

    #[test]
    fn a_state_that_does_not_fit_leaves_the_stream_as_it_was() {
        let mut stream = Outgoing::new(&VERSION, crc32c);
        assert_eq!(stream.seal(&Chandelier), Err(Full));
        assert!(!stream.is_sealed());
        assert_eq!(stream.remaining(), HEAD);
        assert_eq!(length(&VERSION, &Chandelier), Outgoing::CAPACITY);
        assert_eq!(
            stream.seal(&Lamp {
                on: false,
                colour: 0
            }),
            Ok(())
        );
        assert!(stream.is_sealed());
    }
}
