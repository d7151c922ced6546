// SPDX-License-Identifier: GPL-2.0-only

//! One stream, taken apart as far as it can be read.

use migdev_migration::stream::{
    Event,
    Malformed,
    Reader,
    Record,
    RecordError,
    Refusal,
    Snapshot,
    END_LEN,
    HEAD_LEN,
    MANDATORY, //
};
use migdev_model::{
    snapshot::VERSIONS,
    Abi,
    Card,
    Ports, //
};
use migver::Version;

/// A record with its payload.
#[derive(Clone, Debug)]
pub struct SavedRecord {
    /// What stands before the payload.
    pub record: Record,
    /// Its name, if it is one of a serial card.
    pub name: Option<&'static str>,
    /// The payload, as much as there is.
    pub payload: Vec<u8>,
}

/// Something that a destination would refuse the stream for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Where: the offset in the stream in bytes.
    pub at: usize,
    /// What is wrong, as a destination would say it.
    pub text: String,
}

/// What is in a stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// How many bytes of it there are.
    pub length: usize,
    /// The version of the stream, if there is a head.
    pub version: Option<u16>,
    /// The source's version string, as it came.
    pub string: Vec<u8>,
    /// The records before the end.
    pub records: Vec<SavedRecord>,
    /// Whether the end is there with the right checksum.
    pub complete: bool,
    /// Whether what is in the records is known here.
    pub known: bool,
    /// What is wrong, in order of discovery.
    pub problems: Vec<Problem>,
}

impl Stream {
    /// Whether what there is begins like a stream: with a head that has a version string in it.
    pub fn is_plausible(&self) -> bool {
        self.version.is_some() && self.string.starts_with(b"migver:")
    }
}

/// Reads one stream from pieces of any size.
pub struct Decoder {
    reader: Reader,
    stream: Stream,
    /// What the model has taken in, while it knows the stream and nothing was wrong.
    parts: Option<(u16, <Card as Snapshot>::Parts)>,
    over: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    pub fn new() -> Self {
        Self {
            reader: Reader::new(crc32c::crc32c_append),
            stream: Stream::default(),
            parts: None,
            over: false,
        }
    }

    /// Whether the stream has ended, with its end or because it cannot be read on.
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Whether the end has come.
    pub const fn is_complete(&self) -> bool {
        self.stream.complete
    }

    /// Takes in the next bytes and returns how many were of the stream.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !self.over {
            match self.reader.next(&mut rest) {
                Ok(None) => break,
                Ok(Some(Event::Head(head))) => {
                    self.stream.version = Some(head.version);
                    self.stream.string = head.string.to_vec();
                    self.weigh_head();
                }
                Ok(Some(Event::Record(record))) => self.begin(record),
                Ok(Some(Event::Payload { piece, left })) => {
                    if let Some(record) = self.stream.records.last_mut() {
                        record.payload.extend_from_slice(piece);
                    }
                    if left == 0 {
                        self.weigh_record();
                    }
                }
                Ok(Some(Event::End)) => {
                    self.stream.complete = true;
                    self.over = true;
                    self.weigh_end();
                }
                Err(malformed) => {
                    self.over = true;
                    let at = place(&malformed, self.reader.total());
                    self.problem(at, malformed);
                }
            }
        }
        let taken = bytes.len() - rest.len();
        // The reader does not count a checksum that has not come whole.
        self.stream.length += taken;
        taken
    }

    /// Says what has come. Nothing more will.
    pub fn finish(mut self) -> Stream {
        if !self.over {
            let where_it_ends = match self.stream.records.last() {
                _ if self.stream.version.is_none() => "in its head".to_owned(),
                Some(last) if last.payload.len() < last.record.length => match last.name {
                    Some(name) => format!("in record {name} at byte {}", last.record.at),
                    None => format!("in {}", last.record),
                },
                _ => "before the record END".to_owned(),
            };
            let text = format!("the stream is cut off {where_it_ends}");
            self.problem(self.stream.length, text);
        }
        self.stream
    }

    fn problem(&mut self, at: usize, text: impl std::fmt::Display) {
        // What is wrong with one part makes the model no judge of what follows.
        self.parts = None;
        self.stream.problems.push(Problem {
            at,
            text: text.to_string(),
        });
    }

    /// Looks at the version string, and finds out whether the model knows the device.
    fn weigh_head(&mut self) {
        let Some(version) = self.stream.version else {
            return;
        };
        let string = std::mem::take(&mut self.stream.string);
        match Version::parse(&string) {
            // Only sysfs may put one there.
            _ if string.ends_with(b"\n") => self.problem(HEAD_LEN, Refusal::Newline),
            Err(error) => self.problem(HEAD_LEN, format_args!("head: version string: {error}")),
            Ok(source) => {
                let writes = source.stream().writes;
                if u32::from(version) != writes {
                    self.problem(8, Refusal::OtherVersion { version, writes });
                } else if let Some(card) = card(&source).filter(|_| VERSIONS.contains(&version)) {
                    self.stream.known = true;
                    self.parts = Some((version, card.parts()));
                }
            }
        }
        self.stream.string = string;
    }

    fn begin(&mut self, record: Record) {
        let version = self.stream.version.unwrap_or_default();
        let kind = self
            .stream
            .known
            .then(|| Card::kind(version, record.tag))
            .flatten();
        self.stream.records.push(SavedRecord {
            record,
            name: kind.map(|kind| kind.name),
            payload: Vec::new(),
        });
        if self.parts.is_none() {
            return;
        }
        let refusal = match kind {
            None if record.flags & MANDATORY != 0 => Refusal::Unknown { record },
            Some(kind) if record.flags != kind.flags => Refusal::Flags {
                record,
                name: kind.name,
                expected: kind.flags,
            },
            Some(kind) if record.length > kind.longest => Refusal::Longest {
                record,
                name: kind.name,
                longest: kind.longest,
            },
            _ => return,
        };
        self.problem(record.at, refusal);
    }

    /// Lets the model look at the record that is now complete.
    fn weigh_record(&mut self) {
        let (Some((version, parts)), Some(last)) = (&mut self.parts, self.stream.records.last())
        else {
            return;
        };
        let (record, Some(name)) = (last.record, last.name) else {
            return;
        };
        let loaded: Result<(), RecordError> =
            Card::load(parts, *version, record.tag, &last.payload);
        if let Err(error) = loaded {
            let refusal = Refusal::Record {
                record,
                name,
                error,
            };
            self.problem(record.at, refusal);
        }
    }

    fn weigh_end(&mut self) {
        let Some((version, parts)) = &self.parts else {
            return;
        };
        if let Err(missing) = Card::assemble(parts, *version) {
            let at = self.reader.total().saturating_sub(END_LEN);
            self.problem(at, Refusal::Missing(missing));
        }
    }
}

/// Returns a card that is created as the source was, if the source is a serial card.
fn card(source: &Version<'_>) -> Option<Card> {
    if (source.vendor(), source.model()) != ("migdev", "serial") {
        return None;
    }
    let ports = source.parameters().find(|item| item.name == "ports")?.value;
    let ports = match ports {
        1 => Ports::One,
        2 => Ports::Two,
        _ => return None,
    };
    Some(Card::new(ports, Abi::NEWEST))
}

/// Returns where in the stream a reader found it malformed.
fn place(malformed: &Malformed, total: usize) -> usize {
    match malformed {
        Malformed::Magic { at, .. } => *at,
        Malformed::StringLength { .. } => 10,
        Malformed::Reserved { .. } => 12,
        Malformed::Flags { record }
        | Malformed::EndLength { record }
        | Malformed::TooLong { record } => record.at,
        Malformed::Checksum { .. } | Malformed::Trailing => total,
    }
}
