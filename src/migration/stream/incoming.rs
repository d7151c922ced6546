// SPDX-License-Identifier: GPL-2.0-only

//! Takes a stream in, and makes a state of it.

use super::{
    format::copy,
    Checksum,
    Event,
    Head,
    Kind,
    Malformed,
    Missing,
    Reader,
    Record,
    RecordError,
    Refusal,
    Snapshot,
    MANDATORY, //
};
use crate::migver::{
    Identity,
    Version, //
};

/// What `include/uapi/asm-generic/errno-base.h` calls so.
const EINVAL: i32 = 22;

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// More of it must follow.
    Partial,
    /// It has come whole, and there is a state to [`take`](Incoming::take).
    Complete,
}

/// A [`Refusal`] that borrows nothing. The reasons of an incompatible string are found anew when they are asked for.
#[derive(Clone, Copy)]
enum Fault {
    Malformed(Malformed),
    Newline,
    Incompatible,
    Version,
    OtherVersion { writes: u32 },
    Unknown(Record),
    Flags(Record, Kind),
    Longest(Record, Kind),
    Record(Record, Kind, RecordError),
    Missing(Missing),
}

/// A stream on its way in, from a source that may be anyone.
///
/// Bytes come in pieces of any size, which have no influence on what is accepted. The string in the head is weighed
/// against the device's own as soon as it is there, and every record is checked as soon as it is there; the state is
/// given out once the checksum at the end was right, whole or not at all.
///
/// A device that takes a state in carries it (`Documentation/migration-version.rst`, "No detour reaches further"): its
/// own string must from then on name what the state needs, and it must write at least the stream version that came.
/// Whoever gives a device features, or has it write another stream version than the newest that it loads, has to see to
/// that. As long as a device's string names no features, and says that it writes the newest version it loads, whatever
/// is accepted has needs and a version that the string names already.
pub struct Incoming<S: Snapshot> {
    reader: Reader,
    mine: &'static Identity<'static>,
    /// The version of the stream, once the head was accepted.
    version: u16,
    parts: S::Parts,
    /// The payload of the record that is arriving.
    payload: [u8; PAYLOAD],
    /// How much of it is there.
    filled: usize,
    /// The record that is arriving, if it is known.
    record: Option<(Record, Kind)>,
    started: bool,
    complete: bool,
    taken: bool,
    fault: Option<Fault>,
}

/// The greatest length in bytes that the payload of a known record can have.
const PAYLOAD: usize = 256;

impl<S: Snapshot> Incoming<S> {
    /// The greatest length in bytes that the payload of a known record can have.
    pub const PAYLOAD: usize = PAYLOAD;

    /// A stream of which nothing has come, for a device that says `mine` of itself and is created like `device`.
    #[inline]
    pub fn new(mine: &'static Identity<'static>, device: &S, checksum: Checksum) -> Self {
        // First, so that nothing stands between the reader and where it will be.
        let parts = device.parts();
        Self {
            reader: Reader::new(checksum),
            mine,
            version: 0,
            parts,
            payload: [0; PAYLOAD],
            filled: 0,
            record: None,
            started: false,
            complete: false,
            taken: false,
            fault: None,
        }
    }

    /// Takes in the next bytes.
    ///
    /// # Errors
    ///
    /// Returns the positive Linux errno of the [`refusal`](Self::refusal). Nothing takes it back: every later call fails
    /// the same way.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Progress, i32> {
        self.started |= !bytes.is_empty();
        if self.fault.is_none() {
            self.fault = self.read(bytes).err();
        }
        if self.fault.is_some() {
            // There is a refusal if there is a fault.
            return Err(self.refusal().map_or(EINVAL, |refusal| refusal.errno()));
        }
        Ok(match self.complete {
            true => Progress::Complete,
            false => Progress::Partial,
        })
    }

    /// Whether nothing has come yet.
    pub fn is_empty(&self) -> bool {
        !self.started
    }

    /// Whether all has come and nothing was refused.
    pub fn is_complete(&self) -> bool {
        self.complete && self.fault.is_none()
    }

    /// Returns the state when it is complete, once.
    pub fn take(&mut self) -> Option<S> {
        if self.taken || !self.is_complete() {
            return None;
        }
        self.taken = true;
        S::assemble(&self.parts, self.version).ok()
    }

    /// Returns why the stream was refused, if it was.
    pub fn refusal(&self) -> Option<Refusal<'_>> {
        let head = self.reader.head();
        let version = head.map_or(0, |head| head.version);
        let stream = self.mine.version().stream();
        Some(match self.fault? {
            Fault::Malformed(malformed) => Refusal::Malformed(malformed),
            Fault::Newline => Refusal::Newline,
            Fault::Incompatible => Refusal::Incompatible(self.mine.check(head?.string).err()?),
            Fault::Version => Refusal::Version {
                version,
                oldest: stream.oldest,
                newest: stream.newest,
            },
            Fault::OtherVersion { writes } => Refusal::OtherVersion { version, writes },
            Fault::Unknown(record) => Refusal::Unknown { record },
            Fault::Flags(record, kind) => Refusal::Flags {
                record,
                name: kind.name,
                expected: kind.flags,
            },
            Fault::Longest(record, kind) => Refusal::Longest {
                record,
                name: kind.name,
                longest: kind.longest.min(PAYLOAD),
            },
            Fault::Record(record, kind, error) => Refusal::Record {
                record,
                name: kind.name,
                error,
            },
            Fault::Missing(missing) => Refusal::Missing(missing),
        })
    }

    fn read(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while let Some(event) = self.reader.next(&mut bytes).map_err(Fault::Malformed)? {
            match event {
                Event::Head(head) => self.version = weigh(head, self.mine)?,
                Event::Record(record) => {
                    self.record = recognise::<S>(self.version, record)?;
                    self.filled = 0;
                }
                Event::Payload { piece, left } => {
                    let Some((record, kind)) = self.record else {
                        continue;
                    };
                    // Most payloads come in one piece.
                    let payload = if left == 0 && self.filled == 0 {
                        piece
                    } else {
                        let free = self.payload.get_mut(self.filled..).unwrap_or_default();
                        // `recognise` has seen to it that all of it fits.
                        self.filled = self.filled.saturating_add(copy(free, piece));
                        self.payload.get(..self.filled).unwrap_or_default()
                    };
                    if left == 0 {
                        S::load(&mut self.parts, self.version, record.tag, payload)
                            .map_err(|error| Fault::Record(record, kind, error))?;
                    }
                }
                Event::End => {
                    S::assemble(&self.parts, self.version).map_err(Fault::Missing)?;
                    self.complete = true;
                }
            }
        }
        Ok(())
    }
}

/// Weighs the head against what the device says of itself, and returns the version of the stream.
fn weigh(head: Head<'_>, mine: &Identity<'_>) -> Result<u16, Fault> {
    if head.string.ends_with(b"\n") {
        return Err(Fault::Newline);
    }
    let stream = mine.version().stream();
    // A source that says the same is compatible, as `Identity::check` has it too, and need not be read.
    let writes = if head.string == mine.as_bytes() {
        stream.writes
    } else {
        mine.check(head.string).map_err(|_| Fault::Incompatible)?;
        let source = Version::parse(head.string).map_err(|_| Fault::Incompatible)?;
        source.stream().writes
    };
    let version = u32::from(head.version);
    if version < stream.oldest || version > stream.newest {
        return Err(Fault::Version);
    }
    if version != writes {
        return Err(Fault::OtherVersion { writes });
    }
    Ok(head.version)
}

/// Says what kind of record this is, or `None` for one to skip.
fn recognise<S: Snapshot>(version: u16, record: Record) -> Result<Option<(Record, Kind)>, Fault> {
    match S::kind(version, record.tag) {
        None if record.flags & MANDATORY != 0 => Err(Fault::Unknown(record)),
        None => Ok(None),
        Some(kind) if record.flags != kind.flags => Err(Fault::Flags(record, kind)),
        Some(kind) if record.length > kind.longest.min(PAYLOAD) => {
            Err(Fault::Longest(record, kind))
        }
        Some(kind) => Ok(Some((record, kind))),
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_stream_incoming)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::{
        testing::{
            crc32c,
            lamp,
            Lamp,
            COLOUR,
            LAMP,
            LAMP_1,
            OTHER_LAMP,
            SWITCH, //
        },
        Full,
        Outgoing,
        Records, //
    };
    use super::*;

    const LEN: usize = 256;

    /// A stream of `mine` with these records, and its length.
    fn stream<S: Snapshot>(mine: &'static Identity<'static>, device: &S) -> ([u8; LEN], usize) {
        let mut bytes = [0; LEN];
        let mut stream = Outgoing::new(mine, crc32c);
        let sealed = stream.seal(device);
        assert_eq!(sealed, Ok(()));
        let length = stream.peek(&mut bytes);
        (bytes, length)
    }

    /// Loads a stream into a lamp: the errno, or the lamp.
    fn load(bytes: &[u8], size: usize) -> Result<Option<Lamp>, i32> {
        let mut incoming = Incoming::new(&LAMP_1, &LAMP, crc32c);
        for piece in bytes.chunks(size) {
            incoming.push(piece)?;
        }
        Ok(incoming.take())
    }

    /// A device that writes what the test wants.
    struct Scripted([Option<(u16, u16, &'static [u8])>; 4]);

    impl Snapshot for Scripted {
        type Parts = ();

        fn kind(_version: u16, _tag: u16) -> Option<Kind> {
            None
        }

        fn save(&self, _version: u16, records: &mut Records<'_>) -> Result<(), Full> {
            for (tag, flags, payload) in self.0.iter().flatten() {
                records.put(*tag, *flags, payload)?;
            }
            Ok(())
        }

        fn parts(&self) {}

        fn load(
            _parts: &mut (),
            _version: u16,
            _tag: u16,
            _payload: &[u8],
        ) -> Result<(), RecordError> {
            Ok(())
        }

        fn assemble(_parts: &(), _version: u16) -> Result<Self, Missing> {
            Ok(Self([None; 4]))
        }
    }

    /// What becomes of a stream in version `writes` with these records.
    fn load_records(
        writes: u32,
        records: [Option<(u16, u16, &'static [u8])>; 4],
    ) -> Result<Option<Lamp>, i32> {
        let (bytes, length) = stream(lamp(writes), &Scripted(records));
        load(&bytes[..length], LEN)
    }

    const ON: (u16, u16, &[u8]) = (SWITCH, MANDATORY, &[1]);

    #[test]
    fn what_is_saved_is_what_is_loaded_in_each_version() {
        let blue = Lamp {
            on: false,
            colour: 7,
        };
        for (writes, colour) in [(1, 0), (2, 7)] {
            let (bytes, length) = stream(lamp(writes), &blue);
            let expected = Lamp { on: false, colour };
            for size in [1, 5, LEN] {
                assert_eq!(load(&bytes[..length], size), Ok(Some(expected)));
            }
            for end in 0..length {
                assert_eq!(load(&bytes[..end], LEN), Ok(None));
            }
        }
    }

    #[test]
    fn a_state_is_given_out_once_and_stays_complete() {
        let (bytes, length) = stream(&LAMP_1, &LAMP);
        let mut incoming = Incoming::new(&LAMP_1, &LAMP, crc32c);
        assert!(incoming.is_empty());
        assert_eq!(incoming.push(&bytes[..1]), Ok(Progress::Partial));
        assert!(!incoming.is_empty() && !incoming.is_complete());
        assert_eq!(incoming.take(), None);
        assert_eq!(incoming.push(&bytes[1..length]), Ok(Progress::Complete));
        assert!(incoming.is_complete());
        assert_eq!(incoming.take(), Some(LAMP));
        assert_eq!(incoming.take(), None);
        assert!(incoming.is_complete());
        assert_eq!(incoming.push(b""), Ok(Progress::Complete));
        assert_eq!(incoming.push(b"x"), Err(22));
        assert!(!incoming.is_complete());
    }

    #[test]
    fn the_string_is_weighed_as_soon_as_it_is_there() {
        let (bytes, _) = stream(&OTHER_LAMP, &LAMP);
        let head = 16 + usize::from(bytes[10]);
        let mut incoming = Incoming::new(&LAMP_1, &LAMP, crc32c);
        assert_eq!(incoming.push(&bytes[..head - 1]), Ok(Progress::Partial));
        assert_eq!(incoming.push(&bytes[head - 1..head]), Err(18));
        assert_eq!(incoming.push(b""), Err(18));
        assert!(matches!(incoming.refusal(), Some(Refusal::Incompatible(_))));
    }

    #[test]
    fn an_unknown_record_is_skipped_if_it_may_be() {
        let long = &[0; 100];
        let records = [Some((9, 0, &long[..])), Some(ON), Some((9, 0, b"")), None];
        assert_eq!(load_records(1, records), Ok(Some(LAMP)));
        let records = [Some((9, MANDATORY, &long[..])), Some(ON), None, None];
        assert_eq!(load_records(1, records), Err(22));
    }

    #[test]
    fn a_record_is_known_by_its_version() {
        let records = [Some(ON), Some((COLOUR, 0, &[3][..])), None, None];
        let coloured = Lamp {
            on: true,
            colour: 3,
        };
        assert_eq!(load_records(1, records), Ok(Some(LAMP)));
        assert_eq!(load_records(2, records), Ok(Some(coloured)));
    }

    #[test]
    fn a_known_record_is_there_once_in_order_with_its_flags_and_length() {
        let colour = Some((COLOUR, 0, &[3][..]));
        for records in [
            [None, None, None, None],
            [Some(ON), Some(ON), None, None],
            [colour, Some(ON), None, None],
            [Some((SWITCH, 0, &[1][..])), None, None, None],
            [Some((SWITCH, MANDATORY, &[][..])), None, None, None],
            [Some((SWITCH, MANDATORY, &[1, 1][..])), None, None, None],
            [Some((SWITCH, MANDATORY, &[2][..])), None, None, None],
            [Some(ON), Some((COLOUR, MANDATORY, &[3][..])), None, None],
        ] {
            assert_eq!(load_records(2, records), Err(22));
        }
    }

    #[test]
    fn a_refusal_names_its_errno() {
        let (mut bytes, length) = stream(&LAMP_1, &LAMP);
        bytes[length - 1] ^= 1;
        assert_eq!(load(&bytes[..length], LEN), Err(74));
        bytes[8] = 2;
        assert_eq!(load(&bytes[..length], LEN), Err(22));
        bytes[8] = 3;
        assert_eq!(load(&bytes[..length], LEN), Err(71));
        bytes[0] = 0;
        assert_eq!(load(&bytes[..length], LEN), Err(22));
    }
}
