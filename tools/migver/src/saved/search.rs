// SPDX-License-Identifier: GPL-2.0-only

//! Finds the streams in a file: one by itself, or several among much else.
//!
//! In a file that QEMU's migration wrote (`migrate file:`, or libvirt's save image around it), the bytes of a device
//! lie in pieces: each follows a flag and its length, both big-endian u64, and what was sent before the guest stopped
//! is far from what was sent after. Which piece belongs to which device is told by the number of the section that it
//! lies in (QEMU, `hw/vfio/migration.c` and `migration/savevm.c`). What does not lie in such a piece is taken to be
//! whole.
//!
//! The file is read once, from front to back, and as much memory is used as a few streams take at most.

use super::{
    Decoder,
    Problem,
    Stream, //
};

use memchr::memmem::Finder;
use migdev_migration::stream::{
    Malformed,
    MAGIC,
    MAX_STREAM, //
};

use std::io::{
    self,
    Read, //
};

/// `VFIO_MIG_FLAG_DEV_DATA_STATE` of QEMU: a length and data follow.
const FLAG: [u8; 8] = 0xffff_ffff_ef10_0004_u64.to_be_bytes();

/// The length in bytes of what stands before a piece: the flag and the length.
const PIECE_HEAD: usize = 16;

/// The length in bytes of what begins a section that goes on: its kind, and its number as big-endian u32.
const SECTION_HEAD: usize = 5;

/// `QEMU_VM_SECTION_PART` and `QEMU_VM_SECTION_END`.
const SECTION_KINDS: [u8; 2] = [2, 3];

/// How many streams can be waiting for their next piece. More devices than that are in no machine.
const MAX_WAITING: usize = 64;

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// A part of a stream in the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Piece {
    /// Where it begins: its offset in the file in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub length: usize,
}

/// A stream in the file.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where its parts lie, in order; one at least.
    pub pieces: Vec<Piece>,
    /// What is in it.
    pub stream: Stream,
}

/// What there is to tell of the file as a whole.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// How long it is in bytes.
    pub length: u64,
    /// How many streams were found.
    pub found: usize,
    /// How many places begin as a stream does and go on otherwise.
    pub passed: usize,
    /// What is wrong with the file's beginning, if it looks like a stream that was spoiled on the way.
    pub spoiled: Option<String>,
}

/// Hands every stream in `input` to `tell`, in the order in which they end.
///
/// A file that begins as a stream is one, even if it cannot be read on. Elsewhere, what has no version string in its
/// head is passed over: any program that handles streams has their beginning in it.
///
/// # Errors
///
/// Those of `input` and of `tell`.
pub fn search(
    input: &mut dyn Read,
    tell: &mut dyn FnMut(Found) -> io::Result<()>,
) -> io::Result<Summary> {
    let mut search = Search {
        window: Window::new(input),
        waiting: Vec::new(),
        summary: Summary::default(),
        tell,
    };
    search.run()?;
    Ok(search.summary)
}

/// A stream of which a piece has come, and more may.
struct Waiting {
    decoder: Decoder,
    pieces: Vec<Piece>,
    section: Option<[u8; 4]>,
}

impl Waiting {
    /// Returns where its last piece ends.
    fn end(&self) -> u64 {
        let end = |piece: &Piece| piece.offset + piece.length as u64;
        self.pieces.last().map_or(0, end)
    }
}

struct Search<'a> {
    window: Window<'a>,
    waiting: Vec<Waiting>,
    summary: Summary,
    tell: &'a mut dyn FnMut(Found) -> io::Result<()>,
}

impl Search<'_> {
    fn run(&mut self) -> io::Result<()> {
        self.window.fill()?;
        self.look_at_beginning();
        let (magic, flag) = (Finder::new(&MAGIC), Finder::new(&FLAG));
        let (mut next_magic, mut next_flag) = (Next::default(), Next::default());
        loop {
            next_magic.update(&self.window, &magic);
            next_flag.update(&self.window, &flag);
            let Some(at) = [next_magic.at, next_flag.at].into_iter().flatten().min() else {
                if self.window.ended() {
                    break;
                }
                self.window.pass_searched();
                self.window.fill()?;
                continue;
            };
            self.window.go(at);
            self.window.fill()?;
            let taken = if next_flag.at == Some(at) {
                self.piece()?
            } else {
                self.whole()?
            };
            self.window.go(at + taken.max(1) as u64);
        }
        self.summary.length = self.window.length();
        for waiting in std::mem::take(&mut self.waiting) {
            self.end(waiting)?;
        }
        Ok(())
    }

    /// Finds out whether the file begins as a stream whose magic was spoiled, as by a transfer as text.
    fn look_at_beginning(&mut self) {
        let bytes = self.window.bytes();
        let begins = bytes.len() >= MAGIC.len() && bytes.get(1..4) == MAGIC.get(1..4);
        if begins && !bytes.starts_with(&MAGIC) {
            let mut decoder = Decoder::new();
            decoder.feed(bytes);
            let problem = decoder.finish().problems.into_iter().next();
            self.summary.spoiled = problem.map(|problem| problem.text);
        }
    }

    /// Looks at a piece of some device's data. Returns how many bytes are done with.
    fn piece(&mut self) -> io::Result<usize> {
        let offset = self.window.place();
        let bytes = self.window.bytes();
        let length = bytes
            .get(FLAG.len()..)
            .and_then(|rest| rest.first_chunk())
            .map(|length| u64::from_be_bytes(*length))
            .and_then(|length| usize::try_from(length).ok())
            .filter(|length| (1..=MAX_STREAM).contains(length));
        let Some(length) = length else {
            return Ok(FLAG.len());
        };
        let data = bytes.get(PIECE_HEAD..).unwrap_or_default();
        let data = data.get(..length).unwrap_or(data);
        let section = match self.window.before(SECTION_HEAD) {
            [kind, number @ ..] if SECTION_KINDS.contains(kind) => number.first_chunk().copied(),
            _ => None,
        };
        let known = self.waiting.iter().position(|waiting| {
            waiting.end() == offset || section.is_some() && waiting.section == section
        });
        let mut waiting = match known {
            _ if data.starts_with(&MAGIC) => Waiting {
                decoder: Decoder::new(),
                pieces: Vec::new(),
                section,
            },
            Some(index) => self.waiting.remove(index),
            // The data of another device, which may be anything.
            None => return Ok(FLAG.len()),
        };
        let taken = waiting.decoder.feed(data);
        waiting.pieces.push(Piece {
            offset: offset + PIECE_HEAD as u64,
            length: taken,
        });
        if waiting.decoder.is_over() {
            self.end(waiting)?;
        } else {
            self.waiting.push(waiting);
            if self.waiting.len() > MAX_WAITING {
                let oldest = self.waiting.remove(0);
                self.end(oldest)?;
            }
        }
        Ok(PIECE_HEAD + taken)
    }

    /// Looks at a stream that lies there as a whole. Returns how many bytes are done with.
    fn whole(&mut self) -> io::Result<usize> {
        let offset = self.window.place();
        let bytes = self.window.bytes();
        let mut decoder = Decoder::new();
        let length = decoder.feed(bytes);
        let trailing = bytes.get(length..).unwrap_or_default();
        let complete = decoder.is_complete();
        let mut stream = decoder.finish();
        if offset > 0 && !stream.is_plausible() {
            self.summary.passed += 1;
            return Ok(MAGIC.len());
        }
        // A file that is a stream is nothing else. One stream after the other is what `cat` makes of several.
        if offset == 0 && complete && !trailing.is_empty() && !trailing.starts_with(&MAGIC) {
            stream.problems.push(Problem {
                at: length,
                text: Malformed::Trailing.to_string(),
            });
        }
        self.summary.found += 1;
        (self.tell)(Found {
            pieces: vec![Piece { offset, length }],
            stream,
        })?;
        Ok(if complete { length } else { MAGIC.len() })
    }

    /// Tells a stream in pieces of which no more will come.
    fn end(&mut self, waiting: Waiting) -> io::Result<()> {
        let stream = waiting.decoder.finish();
        if !stream.is_plausible() {
            self.summary.passed += 1;
            return Ok(());
        }
        self.summary.found += 1;
        (self.tell)(Found {
            pieces: waiting.pieces,
            stream,
        })
    }
}

/// Where something is next. It is looked for once in each part of the file, however often something else is found.
#[derive(Default)]
struct Next {
    at: Option<u64>,
    /// Up to where it is known not to be, if it has not been found.
    searched: u64,
}

impl Next {
    fn update(&mut self, window: &Window<'_>, finder: &Finder<'_>) {
        let here = window.place();
        let from = match self.at {
            Some(at) if at >= here => return,
            Some(_) => here,
            None if self.searched == window.length() => return,
            // Its first bytes may have been there already.
            None => here.max(self.searched.saturating_sub(MAGIC.len() as u64 - 1)),
        };
        self.at = window.find(from, finder);
        self.searched = window.length();
    }
}

/// What is seen of a file while it goes by.
struct Window<'a> {
    input: &'a mut dyn Read,
    buffer: Vec<u8>,
    /// The offset in the file of the buffer's first byte.
    base: u64,
    /// Where in the buffer it is looked at now.
    at: usize,
    at_end: bool,
}

impl<'a> Window<'a> {
    /// As much as can be asked for from any place on.
    const AHEAD: usize = PIECE_HEAD + MAX_STREAM;

    fn new(input: &'a mut dyn Read) -> Self {
        Self {
            input,
            buffer: Vec::with_capacity(SECTION_HEAD + Self::AHEAD + CHUNK),
            base: 0,
            at: 0,
            at_end: false,
        }
    }

    /// Reads until there is as much ahead as can be asked for, or the file has ended.
    fn fill(&mut self) -> io::Result<()> {
        if self.at_end || self.buffer.len() - self.at >= Self::AHEAD {
            return Ok(());
        }
        let done = self.at.saturating_sub(SECTION_HEAD);
        self.buffer.drain(..done);
        self.base += done as u64;
        self.at -= done;
        let wanted = SECTION_HEAD + Self::AHEAD + CHUNK - self.buffer.len();
        let read = (&mut *self.input)
            .take(wanted as u64)
            .read_to_end(&mut self.buffer)?;
        self.at_end = read < wanted;
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    /// Returns the bytes before this place.
    fn before(&self, count: usize) -> &[u8] {
        let from = self.at.checked_sub(count);
        from.and_then(|from| self.buffer.get(from..self.at))
            .unwrap_or_default()
    }

    /// Returns the offset in the file.
    fn place(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Goes to an offset in the file that is ahead.
    fn go(&mut self, place: u64) {
        let ahead = place.saturating_sub(self.base);
        let ahead = usize::try_from(ahead).unwrap_or(usize::MAX);
        self.at = ahead.min(self.buffer.len());
    }

    /// Finds the next place in what is there, from an offset in the file on.
    fn find(&self, from: u64, finder: &Finder<'_>) -> Option<u64> {
        let skip = usize::try_from(from.checked_sub(self.base)?).ok()?;
        let found = finder.find(self.buffer.get(skip..)?)?;
        Some(from + found as u64)
    }

    /// Passes over what was searched without finding anything, except for what may be the beginning of it.
    fn pass_searched(&mut self) {
        let end = self.buffer.len().saturating_sub(MAGIC.len() - 1);
        self.at = self.at.max(end);
    }

    /// Whether all that there is has been read.
    const fn ended(&self) -> bool {
        self.at_end
    }

    /// Returns the length of what has been read.
    fn length(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }
}
