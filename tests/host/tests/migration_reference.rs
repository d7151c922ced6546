// SPDX-License-Identifier: GPL-2.0-only

//! Any operations of both versions, mixed, against a small model of what they should do.
//!
//! The model knows the stream of a board as a string of bytes, from the outside: whoever saves moves a position through it,
//! and whoever loads does too, as the operations only ever write the next bytes of a stream, or spoil it.

mod migration_support;

use migdev_migration::{
    region::{
        CHUNK,
        DATA_OFFSET,
        DATA_SIZE, //
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
use migration_support::*;
use proptest::{
    collection::vec,
    prelude::*, //
};

/// Something that a user does.
#[derive(Clone, Debug)]
enum Operation {
    /// Asks for a state, with or without there being memory.
    SetState(State, bool),
    /// Writes `device_state`.
    DeviceState(u32, bool),
    Pending,
    DataOffset,
    DataSize,
    /// Changes the data section where the chunk stands.
    Scribble(u8),
    /// Reads so many bytes of the data file that is so many behind the newest.
    FileRead(u64, usize),
    FileWrite(u64, Data),
    /// Delivers data through the region.
    Deliver(Data),
    /// Writes a `data_size` that is none.
    BadSize,
    Reset,
    Fail,
    /// The guest uses the device.
    Use(u8),
}

/// What is written.
#[derive(Clone, Debug)]
enum Data {
    /// So many of the next bytes of the stream, or all that are left.
    Next(usize),
    /// All that are left, the last one wrong; or one too many if none is left.
    Spoilt,
}

/// The board that is loaded.
const SOURCE: u8 = 77;

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
    /// The stream that is saved, as far as it is there; or the one that is loaded.
    stream: Vec<u8>,
    position: usize,
    offered: usize,
    spoilt: Option<i32>,
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
}

/// The errno of a refusal, or what was moved.
type Outcome = Result<Vec<u8>, i32>;

const DONE: Outcome = Ok(Vec::new());

impl Reference {
    fn saving(&self) -> bool {
        [PreCopy, PreCopyP2p, StopCopy].contains(&self.state)
    }

    /// Goes to a state. Unlike the machine it does not walk: what matters is where it begins and where it ends.
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
            let whole = session.position == session.stream.len() && session.spoilt.is_none();
            let region = carrier == Carrier::Region && session.carrier == Carrier::Region;
            let nothing = session.position == 0 && session.spoilt.is_none();
            let applied = session.position == session.stream.len();
            let cancels = region && !applied && (nothing || session.given_up);
            if !whole && !cancels {
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
                Resuming => Board::new(SOURCE).stream(),
                StopCopy => self.board.stream(),
                _ => self.board.stream()[..Board::head()].to_vec(),
            };
            self.session = Some(Session {
                carrier,
                stream,
                position: 0,
                offered: 0,
                spoilt: None,
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
    fn load(&mut self, data: &Data) -> Outcome {
        let session = self.session.as_mut().unwrap();
        let left = session.stream.len() - session.position;
        if let Some(errno) = session.spoilt {
            return Err(errno);
        }
        if session.given_up {
            return Err(22);
        }
        match data {
            Data::Spoilt => {
                session.spoilt = Some(if left == 0 { 22 } else { 74 });
                return Err(session.spoilt.unwrap());
            }
            Data::Next(count) => {
                session.position += *count.min(&left);
                if left > 0 && *count >= left {
                    self.board = Board::new(SOURCE);
                }
            }
        }
        DONE
    }

    /// What the operation would write.
    fn data(&self, data: &Data) -> Vec<u8> {
        let stream = Board::new(SOURCE).stream();
        let position = match &self.session {
            Some(session) if self.state == Resuming => session.position,
            _ => 0,
        };
        let rest = &stream[position..];
        match data {
            Data::Next(count) => rest[..*count.min(&rest.len())].to_vec(),
            Data::Spoilt if rest.is_empty() => vec![0],
            Data::Spoilt => {
                let mut bytes = rest.to_vec();
                *bytes.last_mut().unwrap() ^= 0x10;
                bytes
            }
        }
    }

    fn apply(&mut self, operation: &Operation) -> Outcome {
        match operation {
            Operation::SetState(to, memory) => {
                self.change(*to, *memory, Carrier::File(self.files + 1))
            }
            Operation::DeviceState(value, memory) => self.device_state(*value, *memory),
            Operation::Pending => {
                let left = self.save_by(Carrier::Region).map_or(0, |session| {
                    session.position += std::mem::take(&mut session.offered);
                    session.stream.len() - session.position
                });
                Ok((left as u64).to_ne_bytes().to_vec())
            }
            Operation::DataOffset => {
                // What is returned is what stands in the data section then.
                Ok(self.save_by(Carrier::Region).map_or(vec![], |session| {
                    if session.offered == 0 {
                        session.offered = CHUNK.min(session.stream.len() - session.position);
                    }
                    session.stream[session.position..][..session.offered].to_vec()
                }))
            }
            Operation::DataSize => {
                let size = self
                    .save_by(Carrier::Region)
                    .map_or(0, |session| session.offered);
                Ok((size as u64).to_ne_bytes().to_vec())
            }
            Operation::Scribble(_) => DONE,
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
                match &self.session {
                    Some(session) if session.carrier == carrier => {}
                    _ => return Err(19),
                }
                match self.state {
                    Resuming => self.load(data),
                    _ => Err(22),
                }
            }
            Operation::Deliver(data) => {
                // A client asks where to write first.
                let _ = self.apply(&Operation::DataOffset);
                match (&self.session, self.state) {
                    (Some(session), Resuming) if session.carrier != Carrier::Region => Err(16),
                    // A length of 0 is none.
                    (Some(_), Resuming) if self.data(data).is_empty() => Err(22),
                    (Some(_), Resuming) => self.load(data),
                    _ => Err(22),
                }
            }
            Operation::BadSize => match (&self.session, self.state) {
                (Some(session), Resuming) if session.carrier != Carrier::Region => Err(16),
                _ => Err(22),
            },
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

/// Does to the machine what was done to the model. `data` is what is to be written.
fn apply(bench: &mut Bench, operation: &Operation, data: impl Fn(&Data) -> Vec<u8>) -> Outcome {
    let newest = bench.machine.next_id() - 1;
    let done = match operation {
        Operation::SetState(to, memory) => {
            bench.memory = *memory;
            bench.set_state(*to).map(|_| Vec::new())
        }
        Operation::DeviceState(value, memory) => {
            bench.memory = *memory;
            bench.set_device_state(*value).map(|()| Vec::new())
        }
        Operation::Pending => bench.read(PENDING_BYTES.0, 8),
        Operation::DataSize => bench.read(DATA_SIZE_FIELD.0, 8),
        Operation::DataOffset => {
            assert_eq!(bench.field(DATA_OFFSET_FIELD), DATA_OFFSET);
            let size = bench.field(DATA_SIZE_FIELD) as usize;
            bench.read(DATA_OFFSET, size)
        }
        Operation::Scribble(byte) => bench.write(DATA_OFFSET, &[*byte; 400]).map(|_| Vec::new()),
        Operation::FileRead(back, count) => bench.file_read(newest.wrapping_sub(*back), *count),
        Operation::FileWrite(back, what) => bench
            .file_write(newest.wrapping_sub(*back), &data(what))
            .map(|()| Vec::new()),
        Operation::Deliver(what) => bench.deliver(&data(what)).map(|()| Vec::new()),
        Operation::BadSize => bench
            .set_data_size(DATA_SIZE as u64 + 1)
            .map(|()| Vec::new()),
        Operation::Reset => {
            bench.machine.reset();
            DONE.map_err(|_| Error::Access)
        }
        Operation::Fail => {
            bench.machine.fail();
            DONE.map_err(|_| Error::Access)
        }
        Operation::Use(seed) => {
            bench.board = Board::new(*seed);
            DONE.map_err(|_| Error::Access)
        }
    };
    done.map_err(Error::errno)
}

fn data() -> impl Strategy<Value = Data> {
    prop_oneof![
        4 => (0..400_usize).prop_map(Data::Next),
        4 => Just(Data::Next(usize::MAX)),
        1 => Just(Data::Spoilt),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let memory = || prop::bool::weighted(0.9);
    let state = prop::sample::select(State::ALL.to_vec());
    let value =
        (0..8_u32, prop_oneof![Just(0), any::<u32>()]).prop_map(|(bits, all)| all & !7 | bits);
    let back = || prop_oneof![6 => Just(0_u64), 1 => 0..4_u64];
    prop_oneof![
        5 => (state, memory()).prop_map(|(state, memory)| Operation::SetState(state, memory)),
        5 => (value, memory()).prop_map(|(value, memory)| Operation::DeviceState(value, memory)),
        3 => Just(Operation::Pending),
        3 => Just(Operation::DataOffset),
        1 => Just(Operation::DataSize),
        1 => any::<u8>().prop_map(Operation::Scribble),
        4 => (back(), 0..700_usize).prop_map(|(back, count)| Operation::FileRead(back, count)),
        4 => (back(), data()).prop_map(|(back, data)| Operation::FileWrite(back, data)),
        4 => data().prop_map(Operation::Deliver),
        1 => Just(Operation::BadSize),
        1 => Just(Operation::Reset),
        1 => any::<u8>().prop_map(Operation::Use),
    ]
}

/// Does the operations to both.
fn compare(operations: &[Operation]) -> Result<(), TestCaseError> {
    let mut bench = Bench::new(1);
    let mut reference = Reference {
        state: Running,
        session: None,
        reserved: 0,
        files: 0,
        board: Board::new(1),
    };
    for operation in operations {
        let written = |data: &Data| reference.data(data);
        let done = apply(&mut bench, operation, written);
        let expected = reference.apply(operation);
        prop_assert_eq!(done, expected, "{:?}", operation);
        prop_assert_eq!(bench.machine.state(), reference.state, "{:?}", operation);
        prop_assert_eq!(bench.machine.next_id(), reference.files + 1);
        let bits = bits_of(reference.state) | reference.reserved;
        prop_assert_eq!(bench.device_state(), bits, "{:?}", operation);
        prop_assert!(bench.board == reference.board, "{:?}", operation);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn any_mixture_of_both_versions_does_what_the_model_does(
        operations in vec(operation(), 0..60),
    ) {
        compare(&operations)?;
    }

    #[test]
    fn nothing_but_a_reset_helps_after_a_failure(
        before in vec(operation(), 0..10),
        after in vec(operation(), 0..30),
    ) {
        compare(&[before, vec![Operation::Fail], after].concat())?;
    }
}
