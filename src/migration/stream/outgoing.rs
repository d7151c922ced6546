// SPDX-License-Identifier: GPL-2.0-only

//! The stream of a device that is being saved.

use super::{
    format::{
        copy,
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
use crate::migver::Identity;

/// A stream on its way out.
///
/// It begins with the head alone, which a destination can weigh while the source still runs. The rest follows with
/// [`seal`](Self::seal), once the device has stopped. The bytes are the same whenever each part was fetched.
///
/// The string of the head is read where the device has it. Only the records have memory of their own.
///
/// # Invariants
///
/// - `len <= CAPACITY`, and `sent` is at most the length of the head and `len`.
pub struct Outgoing {
    identity: &'static Identity<'static>,
    checksum: Checksum,
    /// How many bytes of the stream were fetched.
    sent: usize,
    /// How many bytes of `records` there are: none, or all when the stream is sealed.
    len: usize,
    sealed: bool,
    /// The records and the end.
    records: [u8; Self::CAPACITY],
}

impl Outgoing {
    /// The most bytes that the records of a stream which is written here can have, the end included.
    pub const CAPACITY: usize = 512;

    /// A stream with its head, from a device that says `identity` of itself. It is in the stream version that this
    /// writes.
    #[inline]
    pub fn new(identity: &'static Identity<'static>, checksum: Checksum) -> Self {
        // INVARIANT: Nothing is there but the head, and nothing was sent.
        Self {
            identity,
            checksum,
            sent: 0,
            len: 0,
            sealed: false,
            records: [0; Self::CAPACITY],
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
        let mut records = Records::into(&mut self.records);
        device.save(stream_version(self.identity), &mut records)?;
        records.append(&record_head(END, MANDATORY, 4))?;
        let sum = (self.checksum)(0, &head(self.identity));
        let sum = (self.checksum)(sum, self.identity.as_bytes());
        let sum = (self.checksum)(sum, records.bytes());
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
        head_len(self.identity)
            .saturating_add(self.len)
            .saturating_sub(self.sent)
    }

    /// Copies the next bytes to `out`, and returns how many: as many as are there and fit. They are fetched only once
    /// [`advance`](Self::advance) says so.
    pub fn peek(&self, out: &mut [u8]) -> usize {
        let head = head(self.identity);
        let records = self.records.get(..self.len).unwrap_or_default();
        let mut passed = self.sent;
        let mut count: usize = 0;
        for part in [&head, self.identity.as_bytes(), records] {
            let free = out.get_mut(count..).unwrap_or_default();
            count = count.saturating_add(copy(free, part.get(passed..).unwrap_or_default()));
            passed = passed.saturating_sub(part.len());
        }
        count
    }

    /// Says that `count` more bytes were fetched, or all if there are fewer.
    pub fn advance(&mut self, count: usize) {
        // INVARIANT: The minimum is at most what there is.
        self.sent = self.sent.saturating_add(count.min(self.remaining()));
    }
}

/// Returns how many bytes the stream of `device` would have if it were saved now; with [`Outgoing::CAPACITY`] bytes of
/// records if they do not fit that.
pub fn length<S: Snapshot>(identity: &Identity<'_>, device: &S) -> usize {
    let mut records = Records::counted(Outgoing::CAPACITY);
    let counted = device
        .save(stream_version(identity), &mut records)
        .and_then(|()| records.append(&[0; END_LEN]));
    head_len(identity).saturating_add(match counted {
        Ok(()) => records.len(),
        Err(Full) => Outgoing::CAPACITY,
    })
}

/// The stream version that a device writes, as the head has it.
///
/// A version string has room for greater numbers than the head. Beyond 65535 the two differ, which destinations refuse.
fn stream_version(identity: &Identity<'_>) -> u16 {
    u16::try_from(identity.version().stream().writes).unwrap_or(u16::MAX)
}

/// The head without the string.
fn head(identity: &Identity<'_>) -> [u8; HEAD_LEN] {
    let [a, b, c, d, e, f, g, h] = MAGIC;
    let [version_low, version_high] = stream_version(identity).to_le_bytes();
    // A string has at most 1022 bytes.
    let len = u16::try_from(identity.len()).unwrap_or(u16::MAX);
    let [len_low, len_high] = len.to_le_bytes();
    [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        version_low,
        version_high,
        len_low,
        len_high,
        0,
        0,
        0,
        0,
    ]
}

/// The length of the head with the string.
fn head_len(identity: &Identity<'_>) -> usize {
    HEAD_LEN.saturating_add(identity.len())
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_stream_outgoing)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::testing::{
        crc32c,
        lamp,
        Lamp,
        LAMP,
        LAMP_1, //
    };
    use super::*;

    /// The length of the head.
    const HEAD: usize = 16 + 54;

    #[test]
    fn the_head_is_there_before_the_state() {
        let mut stream = Outgoing::new(&LAMP_1, crc32c);
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
            let mine = lamp(writes);
            let mut stream = Outgoing::new(mine, crc32c);
            assert_eq!(stream.seal(&LAMP), Ok(()));
            assert_eq!(stream.remaining(), HEAD + records + END_LEN);
            assert_eq!(stream.remaining(), length(mine, &LAMP));
        }
    }

    #[test]
    fn bytes_stay_until_they_were_fetched() {
        let mut stream = Outgoing::new(&LAMP_1, crc32c);
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

        fn assemble(_parts: &(), _version: u16) -> Result<Self, super::super::Missing> {
            Ok(Self)
        }
    }

    #[test]
    fn a_state_that_does_not_fit_leaves_the_stream_as_it_was() {
        let mut stream = Outgoing::new(&LAMP_1, crc32c);
        assert_eq!(stream.seal(&Chandelier), Err(Full));
        assert!(!stream.is_sealed());
        assert_eq!(stream.remaining(), HEAD);
        assert_eq!(length(&LAMP_1, &Chandelier), HEAD + Outgoing::CAPACITY);
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
