// SPDX-License-Identifier: GPL-2.0-only

//! Reads a stream without knowing any device: its head, its records one by one, its end.

use super::{
    format::{
        copy,
        END,
        END_LEN,
        HEAD_LEN,
        MAGIC,
        MANDATORY,
        MAX_STREAM,
        RECORD_LEN, //
    },
    Checksum,
    Event,
    Head,
    Malformed,
    Record, //
};
use crate::migver;

/// Bytes of a part whose length is known, collected as they arrive.
///
/// # Invariants
///
/// - `len <= N`.
struct Gathered<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Gathered<N> {
    const fn new() -> Self {
        // INVARIANT: 0 is at most anything.
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    /// Takes bytes away from `input` until there are `wanted`, at most `N`, and says whether there are.
    fn gather(&mut self, wanted: usize, input: &mut &[u8]) -> bool {
        let wanted = wanted.min(N);
        let free = self.bytes.get_mut(self.len..wanted).unwrap_or_default();
        // INVARIANT: They are at most as many as were free below `wanted`, which is at most `N`.
        let taken = copy(free, input);
        self.len = self.len.saturating_add(taken);
        *input = input.get(taken..).unwrap_or_default();
        self.len >= wanted
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What a reader is about to read.
#[derive(Clone, Copy)]
enum Place {
    Head,
    /// The string of the head.
    String {
        length: usize,
    },
    /// What stands before a payload.
    Record,
    /// The rest of a payload; of one that is empty, its one empty piece.
    Payload {
        left: usize,
    },
    /// The payload of the end.
    Checksum,
    /// After the end.
    Nothing,
    Refused(Malformed),
}

/// Reads a stream from pieces of any size.
///
/// It keeps the head and no payload, and the sizes of the pieces have no influence on what is accepted. Once it has
/// refused something, it refuses the rest of the stream for the same reason.
///
/// # Examples
///
/// What a program that shows a stream does with the bytes of a file:
///
/// ```
/// use migdev_migration::stream::{Event, Malformed, Reader};
///
/// fn show(mut bytes: &[u8], checksum: fn(u32, &[u8]) -> u32) -> Result<Vec<String>, Malformed> {
///     let mut lines = Vec::new();
///     let mut reader = Reader::new(checksum);
///     while let Some(event) = reader.next(&mut bytes)? {
///         lines.push(match event {
///             Event::Head(head) => format!("version {}: {}", head.version, head.string.escape_ascii()),
///             Event::Record(record) => format!("{record}: {} bytes", record.length),
///             Event::Payload { piece, .. } => format!("{piece:02x?}"),
///             Event::End => String::from("complete"),
///         });
///     }
///     Ok(lines)
/// }
///
/// # fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
/// #     !bytes.iter().fold(!crc, |crc, byte| {
/// #         (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ crc % 2 * 0x82f6_3b78)
/// #     })
/// # }
/// let mut bytes = b"\x89mig\r\n\x1a\n\x01\x00\x08\x00\0\0\0\0migver:1".to_vec();
/// bytes.extend_from_slice(b"\x07\0\0\0\x02\0\0\0hi");
/// bytes.extend_from_slice(b"\xff\xff\x01\0\x04\0\0\0");
/// bytes.extend_from_slice(&crc32c(0, &bytes).to_le_bytes());
/// assert_eq!(
///     show(&bytes, crc32c)?,
///     [
///         "version 1: migver:1",
///         "record 0x0007 at byte 24: 2 bytes",
///         "[68, 69]",
///         "complete",
///     ],
/// );
/// # Ok::<(), Malformed>(())
/// ```
pub struct Reader {
    head: Gathered<HEAD_LEN>,
    string: Gathered<{ migver::MAX_LEN }>,
    record: Gathered<RECORD_LEN>,
    end: Gathered<4>,
    place: Place,
    /// How many bytes were read.
    total: usize,
    /// The checksum of what was read, and of the next `ahead` bytes, which were there by then.
    sum: u32,
    ahead: usize,
    checksum: Checksum,
}

impl Reader {
    /// A reader at the beginning of a stream.
    #[inline]
    pub fn new(checksum: Checksum) -> Self {
        Self {
            head: Gathered::new(),
            string: Gathered::new(),
            record: Gathered::new(),
            end: Gathered::new(),
            place: Place::Head,
            total: 0,
            sum: 0,
            ahead: 0,
            checksum,
        }
    }

    /// Returns how many bytes it has read.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Returns the head, once it has arrived.
    pub fn head(&self) -> Option<Head<'_>> {
        let head = self.shown_head();
        // Of what was refused before that, something is missing.
        let there = self.head.len == HEAD_LEN && self.check_head() == Ok(head.string.len());
        there.then_some(head)
    }

    /// Takes bytes away from the front of `bytes` until it can tell something about them. What it leaves must come next,
    /// as it is: it may be in the checksum already. `None` says that it needs more of them, or that the stream is complete;
    /// [`Event::End`] has then been told.
    ///
    /// # Errors
    ///
    /// Says why the bytes are not a stream.
    pub fn next<'a, 'b: 'a>(
        &'a mut self,
        bytes: &mut &'b [u8],
    ) -> Result<Option<Event<'a>>, Malformed> {
        let step = self
            .step(bytes)
            .inspect_err(|malformed| self.place = Place::Refused(*malformed))?;
        Ok(match step {
            Step::More => None,
            Step::Head => Some(Event::Head(self.shown_head())),
            Step::Record(record) => Some(Event::Record(record)),
            Step::Payload(piece, left) => Some(Event::Payload { piece, left }),
            Step::End => Some(Event::End),
        })
    }

    fn step<'a>(&mut self, bytes: &mut &'a [u8]) -> Result<Step<'a>, Malformed> {
        loop {
            let before = *bytes;
            match self.place {
                Place::Head => {
                    let there = self.head.gather(HEAD_LEN, bytes);
                    self.count(before, bytes);
                    check_magic(self.head.bytes())?;
                    if !there {
                        self.sum_up(before, bytes, 0);
                        return Ok(Step::More);
                    }
                    let length = self.check_head()?;
                    self.sum_up(before, bytes, length);
                    self.place = Place::String { length };
                }
                Place::String { length } => {
                    let there = self.string.gather(length, bytes);
                    self.count(before, bytes);
                    self.sum_up(before, bytes, 0);
                    if !there {
                        return Ok(Step::More);
                    }
                    self.place = Place::Record;
                    return Ok(Step::Head);
                }
                Place::Record => {
                    let at = self.total.saturating_sub(self.record.len);
                    let there = self.record.gather(RECORD_LEN, bytes);
                    self.count(before, bytes);
                    if !there {
                        self.sum_up(before, bytes, 0);
                        return Ok(Step::More);
                    }
                    let record = self.check_record(at)?;
                    self.record = Gathered::new();
                    if record.tag == END {
                        // The checksum does not cover itself.
                        self.sum_up(before, bytes, 0);
                        self.place = Place::Checksum;
                        continue;
                    }
                    self.sum_up(before, bytes, record.length);
                    self.place = Place::Payload {
                        left: record.length,
                    };
                    return Ok(Step::Record(record));
                }
                Place::Payload { left } => {
                    if before.is_empty() && left > 0 {
                        return Ok(Step::More);
                    }
                    let (piece, rest) = before.split_at_checked(left).unwrap_or((before, &[][..]));
                    *bytes = rest;
                    self.count(before, bytes);
                    self.sum_up(before, bytes, 0);
                    let left = left.saturating_sub(piece.len());
                    self.place = match left {
                        0 => Place::Record,
                        left => Place::Payload { left },
                    };
                    return Ok(Step::Payload(piece, left));
                }
                Place::Checksum => {
                    let expected = self.sum;
                    let there = self.end.gather(4, bytes);
                    if !there {
                        return Ok(Step::More);
                    }
                    let found = u32::from_le_bytes(self.end.bytes);
                    if found != expected {
                        return Err(Malformed::Checksum { found, expected });
                    }
                    self.total = self.total.saturating_add(4);
                    self.place = Place::Nothing;
                    return Ok(Step::End);
                }
                Place::Nothing if before.is_empty() => return Ok(Step::More),
                Place::Nothing => return Err(Malformed::Trailing),
                Place::Refused(malformed) => return Err(malformed),
            }
        }
    }

    /// Counts what was read: of `before`, all but the `rest`.
    #[inline]
    fn count(&mut self, before: &[u8], rest: &[u8]) {
        let taken = before.len().saturating_sub(rest.len());
        self.total = self.total.saturating_add(taken);
    }

    /// Sums up what was read, and of the `next` bytes those that are there already: one long sum is cheaper than two short
    /// ones.
    #[inline]
    fn sum_up(&mut self, before: &[u8], rest: &[u8], next: usize) {
        let taken = before.len().saturating_sub(rest.len());
        if taken <= self.ahead {
            self.ahead = self.ahead.saturating_sub(taken);
            return;
        }
        let next = next.min(rest.len());
        let new = before.get(self.ahead..taken.saturating_add(next));
        self.sum = (self.checksum)(self.sum, new.unwrap_or_default());
        self.ahead = next;
    }

    /// Checks the head, and returns the length of the string.
    fn check_head(&self) -> Result<usize, Malformed> {
        let [.., low, high, a, b, c, d] = self.head.bytes;
        let length = u16::from_le_bytes([low, high]);
        let value = u32::from_le_bytes([a, b, c, d]);
        if length == 0 || usize::from(length) > migver::MAX_LEN {
            return Err(Malformed::StringLength { length });
        }
        if value != 0 {
            return Err(Malformed::Reserved { value });
        }
        Ok(usize::from(length))
    }

    /// Checks what stands before the payload of a record that begins at `at`.
    fn check_record(&self, at: usize) -> Result<Record, Malformed> {
        let [tag_low, tag_high, flags_low, flags_high, a, b, c, d] = self.record.bytes;
        let length = u32::from_le_bytes([a, b, c, d]);
        let record = Record {
            at,
            tag: u16::from_le_bytes([tag_low, tag_high]),
            flags: u16::from_le_bytes([flags_low, flags_high]),
            length: usize::try_from(length).unwrap_or(usize::MAX),
        };
        let end = record.tag == END;
        if record.flags & !MANDATORY != 0 || end && record.flags == 0 {
            return Err(Malformed::Flags { record });
        }
        if end && record.length != 4 {
            return Err(Malformed::EndLength { record });
        }
        // Every other record leaves room for the end, so that a stream which is too long is refused at one that is.
        let reserved = if end { 0 } else { END_LEN };
        let least = self
            .total
            .saturating_add(record.length)
            .saturating_add(reserved);
        if least > MAX_STREAM {
            return Err(Malformed::TooLong { record });
        }
        Ok(record)
    }

    fn shown_head(&self) -> Head<'_> {
        let [_, _, _, _, _, _, _, _, low, high, ..] = self.head.bytes;
        Head {
            version: u16::from_le_bytes([low, high]),
            string: self.string.bytes(),
        }
    }
}

/// An [`Event`] that does not borrow from the reader.
#[derive(Clone, Copy)]
enum Step<'a> {
    More,
    Head,
    Record(Record),
    Payload(&'a [u8], usize),
    End,
}

/// Compares as many bytes of the magic as there are.
fn check_magic(head: &[u8]) -> Result<(), Malformed> {
    if head.first_chunk() == Some(&MAGIC) {
        return Ok(());
    }
    for (at, (found, expected)) in head.iter().zip(&MAGIC).enumerate() {
        if found != expected {
            return Err(Malformed::Magic { at, found: *found });
        }
    }
    Ok(())
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_stream_reader)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::testing::crc32c;
    use super::*;

    /// A stream with one record that has a payload and one that has none.
    const STREAM: [u8; 54] = *b"\x89mig\r\n\x1a\n\x01\0\x08\0\0\0\0\0migver:1\
        \x07\0\0\0\x02\0\0\0hi\x08\0\x01\0\0\0\0\0\xff\xff\x01\0\x04\0\0\0\xb3\x3b\xb0\xbc";

    /// What is read of a stream in pieces of `size` bytes: the number of events, 100 for the end, and the error.
    fn read(bytes: &[u8], size: usize) -> (usize, Result<(), Malformed>) {
        let mut reader = Reader::new(crc32c);
        let mut events = 0;
        for mut piece in bytes.chunks(size) {
            loop {
                match reader.next(&mut piece) {
                    Ok(Some(Event::End)) => events += 100,
                    Ok(Some(_)) => events += 1,
                    Ok(None) => break,
                    Err(malformed) => return (events, Err(malformed)),
                }
            }
        }
        (events, Ok(()))
    }

    #[test]
    fn tells_head_records_payloads_and_end() {
        let mut bytes = &STREAM[..];
        let mut reader = Reader::new(crc32c);
        assert_eq!(reader.head(), None);
        let head = Head {
            version: 1,
            string: b"migver:1",
        };
        let record = |at, tag, flags, length| {
            Event::Record(Record {
                at,
                tag,
                flags,
                length,
            })
        };
        let events = [
            Event::Head(head),
            record(24, 7, 0, 2),
            Event::Payload {
                piece: b"hi",
                left: 0,
            },
            record(34, 8, 1, 0),
            Event::Payload {
                piece: b"",
                left: 0,
            },
            Event::End,
        ];
        for event in events {
            assert_eq!(reader.next(&mut bytes), Ok(Some(event)));
        }
        assert_eq!(reader.next(&mut bytes), Ok(None));
        assert_eq!(reader.total(), STREAM.len());
        assert_eq!(reader.head(), Some(head));
    }

    #[test]
    fn pieces_of_any_size_are_the_same_stream() {
        assert_eq!(read(&STREAM, STREAM.len()), (105, Ok(())));
        for size in 2..STREAM.len() {
            let (events, result) = read(&STREAM, size);
            // The one payload may come in two pieces.
            assert!(events == 105 || events == 106);
            assert_eq!(result, Ok(()));
        }
        assert_eq!(read(&STREAM, 1), (106, Ok(())));
    }

    #[test]
    fn a_refusal_is_for_good_and_shows_no_head_that_did_not_come() {
        let mut reader = Reader::new(crc32c);
        let refused = Err(Malformed::Magic { at: 1, found: b'M' });
        assert_eq!(reader.next(&mut &b"\x89M"[..]), refused);
        assert_eq!(reader.next(&mut &STREAM[..]), refused);
        assert_eq!(reader.next(&mut &b""[..]), refused);
        assert_eq!(reader.head(), None);

        let mut reader = Reader::new(crc32c);
        let mut bytes = &STREAM[..];
        while reader.next(&mut bytes) != Ok(None) {}
        assert_eq!(reader.next(&mut &b"x"[..]), Err(Malformed::Trailing));
        assert_eq!(reader.next(&mut &b""[..]), Err(Malformed::Trailing));
    }

    #[test]
    fn every_byte_is_covered() {
        for at in 0..STREAM.len() {
            let mut bytes = STREAM;
            bytes[at] ^= 0x40;
            let (_, result) = read(&bytes, 7);
            let (events, whole) = read(&bytes, STREAM.len());
            assert_eq!(result, whole);
            // It is refused, or it waits for what a longer string or payload should have.
            assert!(whole.is_err() || events < 100);
        }
    }

    #[test]
    fn nothing_may_follow_the_end() {
        let mut bytes = [0; 55];
        bytes[..54].copy_from_slice(&STREAM);
        assert_eq!(read(&bytes, 55), (105, Err(Malformed::Trailing)));
        assert_eq!(read(&bytes, 54), (105, Err(Malformed::Trailing)));
    }

    #[test]
    fn a_stream_is_not_longer_than_the_limit() {
        // What is there without the payload: head, the record itself, the end.
        let room = MAX_STREAM - 24 - RECORD_LEN - END_LEN;
        for (length, fits) in [(room, true), (room + 1, false), (usize::MAX, false)] {
            let mut bytes = [0; 32];
            bytes.copy_from_slice(&STREAM[..32]);
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            bytes[28..].copy_from_slice(&length.to_le_bytes());
            assert_eq!(read(&bytes, 32).1.is_ok(), fits);
        }
    }

    #[test]
    fn what_is_left_may_come_again_with_less_or_more_behind_it() {
        for lengths in [[54, 1, 3], [33, 1, 54], [9, 26, 2], [1, 54, 7], [33, 54, 1]] {
            let mut reader = Reader::new(crc32c);
            let (mut at, mut ended) = (0, false);
            for length in lengths.into_iter().cycle().take(200) {
                let rest = &STREAM[at..];
                let mut piece = &rest[..length.min(rest.len())];
                let before = piece.len();
                ended |= reader.next(&mut piece) == Ok(Some(Event::End));
                at += before - piece.len();
            }
            assert!(ended);
        }
    }
}
