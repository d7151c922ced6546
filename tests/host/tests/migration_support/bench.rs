// SPDX-License-Identifier: GPL-2.0-only

//! A device whose state takes several chunks, a data section that anyone may change, and one device with all that is
//! around it.

use std::cell::RefCell;

use migdev_migration::{
    device_state::Bits,
    region::{
        DATA_OFFSET,
        DATA_SIZE, //
    },
    stream::{
        Full,
        Kind,
        Missing,
        Outgoing,
        RecordError,
        Records,
        Snapshot,
        MANDATORY, //
    },
    Counters,
    Direction,
    Error,
    Migration,
    Opened,
    Session,
    State,
    Window, //
};
use migver::{
    Abi,
    Description,
    Identity,
    Stream,
    Version, //
};

/// What a [`Board`] says of itself.
pub static BOARD: Identity<'static> = match Version::new(&Description {
    vendor: "migdev",
    model: "board",
    abi: Abi { major: 1, minor: 0 },
    stream: Stream {
        writes: 1,
        oldest: 1,
        newest: 1,
    },
    needs: &[],
    takes: &[],
    parameters: &[],
    extensions: &[],
}) {
    Ok(version) => Identity::new(version),
    Err(_) => panic!("not a valid version"),
};

/// CRC-32C, as a stream takes it.
pub fn crc32c(sum: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(sum, bytes)
}

/// A device with four blocks of memory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Board {
    pub blocks: [[u8; 100]; 4],
}

impl Board {
    /// A board whose memory is filled by a number.
    pub fn new(seed: u8) -> Self {
        let byte = |block: usize, at: usize| seed ^ ((block * 100 + at) % 251) as u8;
        Self {
            blocks: core::array::from_fn(|block| core::array::from_fn(|at| byte(block, at))),
        }
    }

    /// Its stream, whole.
    pub fn stream(&self) -> Vec<u8> {
        let mut stream = Outgoing::new(&BOARD, crc32c);
        stream.seal(self).expect("a board fits a stream");
        let mut bytes = vec![0; stream.remaining()];
        stream.peek(&mut bytes);
        bytes
    }

    /// How much of its stream can be read before it stops.
    pub fn head() -> usize {
        Outgoing::new(&BOARD, crc32c).remaining()
    }
}

impl Snapshot for Board {
    type Parts = [Option<[u8; 100]>; 4];

    fn kind(_version: u16, tag: u16) -> Option<Kind> {
        (1..=4).contains(&tag).then_some(Kind {
            name: "BLOCK",
            flags: MANDATORY,
            longest: 100,
        })
    }

    fn save(&self, _version: u16, records: &mut Records<'_>) -> Result<(), Full> {
        for (tag, block) in (1..).zip(&self.blocks) {
            records.put(tag, MANDATORY, block)?;
        }
        Ok(())
    }

    fn parts(&self) -> Self::Parts {
        [None; 4]
    }

    fn load(parts: &mut Self::Parts, _: u16, tag: u16, payload: &[u8]) -> Result<(), RecordError> {
        let block = payload
            .try_into()
            .map_err(|_| RecordError::Length { expected: 100 })?;
        match parts[usize::from(tag) - 1].replace(block) {
            None => Ok(()),
            Some(_) => Err(RecordError::Duplicate),
        }
    }

    fn assemble(parts: &Self::Parts, _: u16) -> Result<Self, Missing> {
        let missing = Missing { record: "BLOCK" };
        let mut blocks = [[0; 100]; 4];
        for (block, part) in blocks.iter_mut().zip(parts) {
            *block = part.ok_or(missing)?;
        }
        Ok(Self { blocks })
    }
}

/// A data section in ordinary memory.
pub struct Memory(pub RefCell<Vec<u8>>);

impl Window for Memory {
    fn read(&self, at: usize, out: &mut [u8]) {
        out.copy_from_slice(&self.0.borrow()[at..][..out.len()]);
    }

    fn write(&self, at: usize, data: &[u8]) {
        self.0.borrow_mut()[at..][..data.len()].copy_from_slice(data);
    }
}

/// The fields of the control page: offset and width.
pub const DEVICE_STATE: (u64, usize) = (0x00, 4);
pub const RESERVED: (u64, usize) = (0x04, 4);
pub const PENDING_BYTES: (u64, usize) = (0x08, 8);
pub const DATA_OFFSET_FIELD: (u64, usize) = (0x10, 8);
pub const DATA_SIZE_FIELD: (u64, usize) = (0x18, 8);

/// A device with its state machine, its data section and a supply of memory that can fail.
pub struct Bench {
    pub machine: Migration<Board, Box<Session<Board>>>,
    pub board: Board,
    pub window: Memory,
    /// Whether there is memory for a session.
    pub memory: bool,
}

/// Memory with a session in it, if there is any.
pub fn room(memory: bool, board: &Board) -> impl FnOnce(Direction) -> Option<Box<Session<Board>>> {
    let board = board.clone();
    move |direction| {
        memory.then(|| {
            Box::new(match direction {
                Direction::Saving => Session::saving(&BOARD, crc32c),
                Direction::Loading => Session::loading(&BOARD, &board, crc32c),
            })
        })
    }
}

impl Bench {
    /// A bench with a board filled by a number.
    pub fn new(seed: u8) -> Self {
        Self {
            machine: Migration::new(),
            board: Board::new(seed),
            window: Memory(RefCell::new(vec![0; DATA_SIZE])),
            memory: true,
        }
    }

    /// A bench with a board in a state, reached by version 2 where there is a way. Then the number of the data file, if
    /// there is one.
    pub fn in_state(state: State) -> (Self, Option<u64>) {
        let mut bench = Self::new(1);
        if state == State::Error {
            bench.machine.fail();
            return (bench, None);
        }
        let opened = bench.set_state(state).expect("a way from RUNNING");
        (bench, opened.map(|opened| opened.id))
    }

    /// A bench whose device was brought by version 1 to a state of version 1.
    pub fn in_device_state(bits: u32) -> Self {
        let mut bench = Self::new(1);
        if bits == 0b110 {
            bench.machine.fail();
        } else {
            bench
                .write(DEVICE_STATE.0, &bits.to_ne_bytes())
                .expect("a way from 001");
        }
        bench
    }

    pub fn set_state(&mut self, to: State) -> Result<Option<Opened>, Error> {
        let room = room(self.memory, &self.board);
        self.machine.set_state(&self.board, to, room)
    }

    /// Reads `len` bytes of the region.
    pub fn read(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut out = vec![0xa5; len];
        let count = self.machine.region_read(&self.window, offset, &mut out)?;
        out.truncate(count);
        Ok(out)
    }

    /// Writes to the region.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        let room = room(self.memory, &self.board);
        self.machine
            .region_write(&mut self.board, &self.window, offset, bytes, room)
    }

    /// Reads a field.
    pub fn field(&mut self, (offset, width): (u64, usize)) -> u64 {
        let bytes = self.read(offset, width).expect("a field can be read");
        assert_eq!(bytes.len(), width);
        match width {
            4 => u32::from_ne_bytes(bytes.try_into().unwrap()).into(),
            _ => u64::from_ne_bytes(bytes.try_into().unwrap()),
        }
    }

    pub fn device_state(&mut self) -> u32 {
        self.field(DEVICE_STATE) as u32
    }

    pub fn set_device_state(&mut self, value: u32) -> Result<(), Error> {
        let written = self.write(DEVICE_STATE.0, &value.to_ne_bytes())?;
        assert_eq!(written, 4);
        Ok(())
    }

    pub fn set_data_size(&mut self, value: u64) -> Result<(), Error> {
        let written = self.write(DATA_SIZE_FIELD.0, &value.to_ne_bytes())?;
        assert_eq!(written, 8);
        Ok(())
    }

    /// Reads one chunk as a client of version 1 does, without looking at `pending_bytes`.
    pub fn chunk(&mut self) -> Vec<u8> {
        let offset = self.field(DATA_OFFSET_FIELD);
        let size = self.field(DATA_SIZE_FIELD) as usize;
        self.read(offset, size)
            .expect("the data section can be read")
    }

    /// Reads what there is as a client of version 1 does, until `pending_bytes` is 0. Every chunk makes it less.
    pub fn drain(&mut self) -> Vec<u8> {
        let mut stream = Vec::new();
        let mut pending = self.field(PENDING_BYTES);
        while pending > 0 {
            let chunk = self.chunk();
            assert!(!chunk.is_empty());
            stream.extend(&chunk);
            let left = self.field(PENDING_BYTES);
            assert_eq!(left, pending - chunk.len() as u64);
            pending = left;
        }
        stream
    }

    /// Writes a chunk as a client of version 1 does.
    pub fn deliver(&mut self, chunk: &[u8]) -> Result<(), Error> {
        let offset = self.field(DATA_OFFSET_FIELD);
        assert_eq!(self.write(offset, chunk), Ok(chunk.len()));
        self.set_data_size(chunk.len() as u64)
    }

    /// Reads up to `len` bytes of a data file.
    pub fn file_read(&mut self, id: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut out = vec![0xa5; len];
        let count = self.machine.peek(id, &mut out)?;
        self.machine.advance(id, count);
        out.truncate(count);
        Ok(out)
    }

    pub fn file_write(&mut self, id: u64, bytes: &[u8]) -> Result<(), Error> {
        self.machine.write(id, &mut self.board, bytes)
    }

    /// All that can be seen of the machine and the device without doing anything to them, but for how many refusals
    /// there were.
    pub fn look(&mut self) -> Look {
        let next_id = self.machine.next_id();
        let counters = Counters {
            refusals: 0,
            ..*self.machine.counters()
        };
        let files = (0..next_id)
            .map(|id| {
                let mut bytes = vec![0; 4096];
                let peeked = self.machine.peek(id, &mut bytes);
                let info = self.machine.precopy_info(id).map(|info| info.initial_bytes);
                let readiness = self.machine.readiness(id);
                let ready = [readiness.readable, readiness.writable, readiness.disabled];
                (peeked, bytes, info, ready)
            })
            .collect();
        Look {
            state: self.machine.state(),
            device_state: self.device_state(),
            data_size: self.field(DATA_SIZE_FIELD),
            left: self.machine.stop_copy_length(&BOARD, &self.board),
            refused: self.machine.refusal().map(|refusal| refusal.errno()),
            next_id,
            counters,
            files,
            board: self.board.clone(),
            section: self.window.0.borrow().clone(),
        }
    }
}

/// What a data file shows: what can be read, what it says of pre-copy, and what it is ready for.
type File = (Result<usize, Error>, Vec<u8>, Result<u64, Error>, [bool; 3]);

/// What can be seen of a machine.
#[derive(Debug, PartialEq)]
pub struct Look {
    state: State,
    device_state: u32,
    data_size: u64,
    left: usize,
    refused: Option<i32>,
    next_id: u64,
    counters: Counters,
    files: Vec<File>,
    board: Board,
    section: Vec<u8>,
}

/// The states that version 1 knows, by their bits; those it does not are left out.
pub const DEVICE_STATES: [u32; 6] = [0b000, 0b001, 0b010, 0b011, 0b100, 0b110];

/// Three bits as the code has them.
pub fn bits(value: u32) -> Bits {
    Bits::of(value)
}

const _: () = assert!(DATA_OFFSET as usize % 4096 == 0);
