// SPDX-License-Identifier: GPL-2.0-only

//! What a device should do that is moved by both versions, mixed: a small model, and the comparison with it.
//!
//! The model knows the stream of a board as a string of bytes, from the outside: whoever saves moves a position through
//! it. What arrives is judged by comparing it with the stream of the one board that is sent; only bytes that are no
//! beginning of that are left to a decoder of their own, which gets all of them at once. The state does not walk along
//! arcs: what matters is where a request begins and where it ends.

use std::sync::LazyLock;

use super::bench::{
    crc32c,
    Bench,
    Board,
    BOARD, //
};
use migdev_migration::{
    stream::{
        Incoming,
        Progress, //
    },
    Error,
    State::{
        self,
        PreCopy,
        PreCopyP2p,
        Resuming,
        Running,
        RunningP2p,
        Stop,
        StopCopy, //
    },
};

/// Something that a user does.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Asks for a state, with or without there being memory.
    SetState(State, bool),
    /// Reads so many bytes of the region from an offset on.
    Read(u64, usize),
    /// Writes to the region, with or without there being memory.
    Write(u64, Vec<u8>, bool),
    /// Delivers data through the region as a client does.
    Deliver(Data),
    /// Reads so many bytes of the data file that is so many behind the newest.
    FileRead(u64, usize),
    /// Writes to a data file.
    FileWrite(u64, Data),
    /// Resets the machine.
    Reset,
    /// Declares the device broken.
    Fail,
    /// The guest uses the device.
    Use(u8),
}

impl Operation {
    /// Writes `device_state`.
    pub fn device_state(value: u32, memory: bool) -> Self {
        Self::Write(0x00, value.to_ne_bytes().to_vec(), memory)
    }

    /// Writes `data_size`.
    pub fn data_size(value: u64) -> Self {
        Self::Write(0x18, value.to_ne_bytes().to_vec(), true)
    }
}

/// What is written.
#[derive(Clone, Debug)]
pub enum Data {
    /// So many of the next bytes of the stream, or all that are left.
    Next(usize),
    /// All that are left, the last one wrong; or one too many if none is left.
    Spoilt,
    /// These.
    Bytes(Vec<u8>),
}

/// The board that is loaded.
const SOURCE: u8 = 77;

/// The stream of the board that is loaded.
static SENT: LazyLock<Vec<u8>> = LazyLock::new(|| Board::new(SOURCE).stream());

/// The length of the region, where its data section begins, and how many bytes are offered at once.
const REGION: u64 = 0x2000;
const SECTION: u64 = 0x1000;
const CHUNK: usize = 64;

/// Who carries a session.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Carrier {
    Region,
    File(u64),
}

/// A session as the model has it.
#[derive(Debug)]
struct Session {
    carrier: Carrier,
    /// The stream that is saved, as far as it is there; or what has arrived of the one that is loaded.
    stream: Vec<u8>,
    /// How much of what is saved was fetched.
    position: usize,
    /// How much of it stands in the data section.
    offered: usize,
    /// Why what has arrived was refused.
    refused: Option<i32>,
    /// What has arrived was whole.
    applied: bool,
    given_up: bool,
}

/// The model.
#[derive(Debug)]
struct Reference {
    state: State,
    session: Option<Session>,
    reserved: u32,
    files: u64,
    board: Board,
    section: Vec<u8>,
}

/// The errno of a refusal, or what was read, or how much was written.
type Outcome = Result<Vec<u8>, i32>;

const DONE: Outcome = Ok(Vec::new());

/// What becomes of all that has arrived: a board, nothing yet, or a refusal.
fn judge(arrived: &[u8]) -> Result<Option<Board>, i32> {
    let whole = arrived.len() == SENT.len();
    if SENT.starts_with(arrived) {
        return Ok(whole.then(|| Board::new(SOURCE)));
    }
    if arrived.starts_with(&SENT) {
        return Err(22);
    }
    let before_sum = SENT.len() - 4;
    if whole && arrived[..before_sum] == SENT[..before_sum] {
        return Err(74);
    }
    let mut incoming = Incoming::new(&BOARD, &Board::new(0), crc32c);
    match incoming.push(arrived)? {
        Progress::Partial => Ok(None),
        Progress::Complete => Ok(incoming.take()),
    }
}

/// The part of the data section that an access is to, if it is to that.
fn section(offset: u64, len: usize) -> Result<Option<std::ops::Range<usize>>, i32> {
    match offset {
        REGION.. => Err(22),
        SECTION.. => {
            let at = (offset - SECTION) as usize;
            Ok(Some(at..(at + len).min((REGION - SECTION) as usize)))
        }
        _ => Ok(None),
    }
}

impl Reference {
    fn new() -> Self {
        Self {
            state: Running,
            session: None,
            reserved: 0,
            files: 0,
            board: Board::new(1),
            section: vec![0; (REGION - SECTION) as usize],
        }
    }

    fn saving(&self) -> bool {
        [PreCopy, PreCopyP2p, StopCopy].contains(&self.state)
    }

    /// Goes to a state.
    fn change(&mut self, to: State, memory: bool, carrier: Carrier) -> Outcome {
        let from = self.state;
        let group = [PreCopy, PreCopyP2p, StopCopy];
        let back = from == StopCopy && [PreCopy, PreCopyP2p].contains(&to);
        if from == State::Error || to == State::Error || back {
            return Err(22);
        }
        if from == to {
            return DONE;
        }
        if let (Resuming, Some(session)) = (from, &mut self.session) {
            let sound = session.refused.is_none();
            let region = carrier == Carrier::Region && session.carrier == Carrier::Region;
            let nothing = session.stream.is_empty() && sound;
            let cancels = region && !session.applied && (nothing || session.given_up);
            if !(session.applied && sound || cancels) {
                session.given_up |= region;
                return Err(22);
            }
        }
        let continues = group.contains(&from) && group.contains(&to);
        if (group.contains(&to) && !continues) || to == Resuming {
            if !memory {
                return Err(12);
            }
            let stream = match to {
                Resuming => Vec::new(),
                StopCopy => self.board.stream(),
                _ => self.board.stream()[..Board::head()].to_vec(),
            };
            self.session = Some(Session {
                carrier,
                stream,
                position: 0,
                offered: 0,
                refused: None,
                applied: false,
                given_up: false,
            });
            if carrier != Carrier::Region {
                self.files += 1;
            }
        } else if continues {
            if let (StopCopy, Some(session)) = (to, &mut self.session) {
                session.stream = self.board.stream();
            }
        } else {
            self.session = None;
        }
        self.state = to;
        DONE
    }

    fn device_state(&mut self, value: u32, memory: bool) -> Outcome {
        let now = bits_of(self.state);
        let wanted = value & 7;
        let to = match wanted {
            _ if now == 6 => return Err(22),
            _ if wanted == now => self.state,
            0 if [1, 2].contains(&now) => Stop,
            1 => Running,
            2 if [0, 1, 3].contains(&now) => StopCopy,
            3 if now == 1 => PreCopy,
            4 if [0, 1].contains(&now) => Resuming,
            _ => return Err(22),
        };
        let done = self.change(to, memory, Carrier::Region);
        if done.is_ok() {
            self.reserved = value & !7;
        }
        done
    }

    /// The session, if it is a save by this carrier.
    fn save_by(&mut self, carrier: Carrier) -> Option<&mut Session> {
        let saving = self.saving();
        self.session
            .as_mut()
            .filter(|session| saving && session.carrier == carrier)
    }

    /// Takes data in.
    fn load(&mut self, bytes: &[u8]) -> Outcome {
        let session = self.session.as_mut().unwrap();
        if let Some(errno) = session.refused {
            return Err(errno);
        }
        session.stream.extend(bytes);
        match judge(&session.stream) {
            Ok(Some(board)) if !session.applied => {
                session.applied = true;
                self.board = board;
            }
            Ok(_) => {}
            Err(errno) => {
                session.refused = Some(errno);
                return Err(errno);
            }
        }
        DONE
    }

    /// What the operation would write.
    fn data(&self, data: &Data) -> Vec<u8> {
        let position = match &self.session {
            Some(session) if self.state == Resuming => session.stream.len(),
            _ => 0,
        };
        let rest = SENT.get(position..).unwrap_or_default();
        match data {
            Data::Bytes(bytes) => bytes.clone(),
            Data::Next(count) => rest[..*count.min(&rest.len())].to_vec(),
            Data::Spoilt if rest.is_empty() => vec![0],
            Data::Spoilt => {
                let mut bytes = rest.to_vec();
                *bytes.last_mut().unwrap() ^= 0x10;
                bytes
            }
        }
    }

    fn read(&mut self, offset: u64, len: usize) -> Outcome {
        if let Some(range) = section(offset, len)? {
            return Ok(self.section[range].to_vec());
        }
        let field = match (offset, len) {
            (0x00, 4) => {
                let bits = bits_of(self.state) | self.reserved;
                return Ok(bits.to_ne_bytes().to_vec());
            }
            (0x04, 4) => return Ok(vec![0; 4]),
            (0x08, 8) => self.save_by(Carrier::Region).map_or(0, |session| {
                session.position += std::mem::take(&mut session.offered);
                session.stream.len() - session.position
            }),
            (0x10, 8) => {
                self.offer();
                SECTION as usize
            }
            (0x18, 8) => self
                .save_by(Carrier::Region)
                .map_or(0, |session| session.offered),
            _ => return Err(22),
        };
        Ok((field as u64).to_ne_bytes().to_vec())
    }

    /// Puts the next chunk into the data section, the same until it was acknowledged.
    fn offer(&mut self) {
        let chunk = self.save_by(Carrier::Region).map_or(vec![], |session| {
            if session.offered == 0 {
                session.offered = CHUNK.min(session.stream.len() - session.position);
            }
            session.stream[session.position..][..session.offered].to_vec()
        });
        self.section[..chunk.len()].copy_from_slice(&chunk);
    }

    fn write(&mut self, offset: u64, bytes: &[u8], memory: bool) -> Outcome {
        let mut count = bytes.len();
        if let Some(range) = section(offset, count)? {
            count = range.len();
            self.section[range].copy_from_slice(&bytes[..count]);
        } else {
            match (offset, count) {
                (0x00, 4) => {
                    let value = u32::from_ne_bytes(bytes.try_into().unwrap());
                    self.device_state(value, memory)?;
                }
                (0x04, 4) => {}
                (0x18, 8) => {
                    let value = u64::from_ne_bytes(bytes.try_into().unwrap());
                    self.consume(value)?;
                }
                _ => return Err(22),
            }
        }
        Ok(count.to_ne_bytes().to_vec())
    }

    /// Takes so many bytes of the data section in.
    fn consume(&mut self, size: u64) -> Outcome {
        let session = match &self.session {
            Some(session) if self.state == Resuming => session,
            _ => return Err(22),
        };
        if session.carrier != Carrier::Region {
            return Err(16);
        }
        let given_up = session.given_up && session.refused.is_none();
        if size == 0 || size > REGION - SECTION || given_up {
            return Err(22);
        }
        let bytes = self.section[..size as usize].to_vec();
        self.load(&bytes)
    }

    fn apply(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::SetState(to, memory) => {
                self.change(*to, *memory, Carrier::File(self.files + 1))
            }
            Operation::Read(offset, len) => self.read(*offset, *len),
            Operation::Write(offset, bytes, memory) => self.write(*offset, bytes, *memory),
            Operation::Deliver(data) => {
                let bytes = self.data(data);
                self.offer();
                self.write(SECTION, &bytes, true)?;
                self.consume(bytes.len() as u64)
            }
            Operation::FileRead(back, count) => {
                let carrier = Carrier::File(self.files.wrapping_sub(*back));
                if self
                    .session
                    .as_ref()
                    .is_none_or(|session| session.carrier != carrier)
                {
                    return Err(19);
                }
                let stopped = self.state == StopCopy;
                let Some(session) = self.save_by(carrier) else {
                    return Err(22);
                };
                let left = &session.stream[session.position..];
                if left.is_empty() && !stopped {
                    return Err(42);
                }
                let read = left[..left.len().min(*count)].to_vec();
                session.position += read.len();
                Ok(read)
            }
            Operation::FileWrite(back, data) => {
                let carrier = Carrier::File(self.files.wrapping_sub(*back));
                let bytes = self.data(data);
                match &self.session {
                    Some(session) if session.carrier == carrier => {}
                    _ => return Err(19),
                }
                match self.state {
                    Resuming => self.load(&bytes),
                    _ => Err(22),
                }
            }
            Operation::Reset => {
                (self.state, self.session, self.reserved) = (Running, None, 0);
                DONE
            }
            Operation::Fail => {
                (self.state, self.session) = (State::Error, None);
                DONE
            }
            Operation::Use(seed) => {
                self.board = Board::new(*seed);
                DONE
            }
        }
    }

    /// What else can be seen.
    fn shown(&self) -> Shown {
        let position = match &self.session {
            Some(session) if self.saving() => session.position,
            _ => 0,
        };
        let newest = self
            .session
            .as_ref()
            .filter(|session| session.carrier == Carrier::File(self.files));
        let left = newest.map(|session| session.stream.len() - session.position);
        Shown {
            state: self.state,
            files: self.files,
            device_state: bits_of(self.state) | self.reserved,
            // Every board has a stream of one length.
            left: SENT.len() - position,
            applied: self.session.as_ref().is_some_and(|session| session.applied),
            refused: self.session.as_ref().and_then(|session| session.refused),
            newest: [
                self.saving() && left.is_some_and(|left| left > 0 || self.state == StopCopy),
                self.state == Resuming && left.is_some(),
                left.is_none(),
            ],
            precopy: match (self.state, left) {
                (PreCopy | PreCopyP2p, Some(left)) => Ok(left as u64),
                (PreCopy | PreCopyP2p, None) => Err(19),
                _ => Err(22),
            },
        }
    }
}

/// What can be seen of a device and its machine at any time.
#[derive(Debug, PartialEq)]
struct Shown {
    state: State,
    files: u64,
    device_state: u32,
    left: usize,
    applied: bool,
    refused: Option<i32>,
    /// Whether the newest data file is readable, writable, and disabled.
    newest: [bool; 3],
    precopy: Result<u64, i32>,
}

fn shown(bench: &mut Bench) -> Shown {
    let files = bench.machine.next_id() - 1;
    let newest = bench.machine.readiness(files);
    Shown {
        state: bench.machine.state(),
        files,
        device_state: bench.device_state(),
        left: bench.machine.stop_copy_length(&BOARD, &bench.board),
        applied: bench.machine.has_taken_in(),
        refused: bench.machine.refusal().map(|refusal| refusal.errno()),
        newest: [newest.readable, newest.writable, newest.disabled],
        precopy: bench
            .machine
            .precopy_info(files)
            .map(|info| info.initial_bytes)
            .map_err(Error::errno),
    }
}

/// What `device_state` says of a state.
fn bits_of(state: State) -> u32 {
    match state {
        State::Error => 6,
        Stop => 0,
        Running | RunningP2p => 1,
        StopCopy => 2,
        PreCopy | PreCopyP2p => 3,
        Resuming => 4,
    }
}

/// Does to the machine what is done to the model. `data` is what is to be written.
fn apply(bench: &mut Bench, operation: &Operation, data: impl Fn(&Data) -> Vec<u8>) -> Outcome {
    let newest = bench.machine.next_id() - 1;
    let done = match operation {
        Operation::SetState(to, memory) => {
            bench.memory = *memory;
            bench.set_state(*to).map(|_| Vec::new())
        }
        Operation::Read(offset, len) => bench.read(*offset, *len),
        Operation::Write(offset, bytes, memory) => {
            bench.memory = *memory;
            let count = bench.write(*offset, bytes);
            count.map(|count| count.to_ne_bytes().to_vec())
        }
        Operation::Deliver(what) => bench.deliver(&data(what)).map(|()| Vec::new()),
        Operation::FileRead(back, count) => bench.file_read(newest.wrapping_sub(*back), *count),
        Operation::FileWrite(back, what) => bench
            .file_write(newest.wrapping_sub(*back), &data(what))
            .map(|()| Vec::new()),
        Operation::Reset => {
            bench.machine.reset();
            Ok(Vec::new())
        }
        Operation::Fail => {
            bench.machine.fail();
            Ok(Vec::new())
        }
        Operation::Use(seed) => {
            bench.board = Board::new(*seed);
            Ok(Vec::new())
        }
    };
    done.map_err(Error::errno)
}

/// Does the operations to both.
///
/// # Panics
///
/// The two differ; then it shows the operations up to that.
pub fn compare(operations: &[Operation]) {
    let mut bench = Bench::new(1);
    let mut reference = Reference::new();
    for (step, operation) in operations.iter().enumerate() {
        let done = apply(&mut bench, operation, |data: &Data| reference.data(data));
        let expected = reference.apply(operation);
        let (seen, shows) = (shown(&mut bench), reference.shown());
        let same = bench.board == reference.board && *bench.window.0.borrow() == reference.section;
        if done != expected || seen != shows || !same {
            panic!(
                "after {:#?}\nthe machine: {done:x?}, {seen:?}\nexpected:    {expected:x?}, {shows:?}\n\
                 the board and the data section are as expected: {same}",
                &operations[..=step],
            );
        }
    }
}
