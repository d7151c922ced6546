// SPDX-License-Identifier: GPL-2.0-only

//! Version 2: the session as a data file sees it.
//!
//! A file asks with the number of its session. If another session has begun since, or none is open, the file is
//! disabled, and everything but asking for [`readiness`](Migration::readiness) is refused with [`Error::Disabled`].

use super::{
    machine::{
        Carrier,
        Transfer, //
    },
    stream::{
        Incoming,
        Outgoing,
        Snapshot, //
    },
    Counters,
    Error,
    Migration,
    Session,
    State, //
};

use core::ops::DerefMut;

/// What can be done with a data file now without waiting.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Readiness {
    /// There are bytes to read, or the end of the stream.
    pub readable: bool,
    /// Bytes are taken.
    pub writable: bool,
    /// Its session has ended. Reading and writing are refused at once.
    pub disabled: bool,
}

/// How much there is to read before the device stops, in bytes, as in `struct vfio_precopy_info`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PrecopyInfo {
    /// Of what a destination should have before the device stops.
    pub initial_bytes: u64,
    /// Of what has changed since it was read. Nothing of what is sent in advance can change.
    pub dirty_bytes: u64,
}

impl<S: Snapshot, B: DerefMut<Target = Session<S>>> Migration<S, B> {
    /// Copies the next bytes of the stream to `out`, and returns how many. They stay until [`advance`](Self::advance)
    /// says that they have reached the user. 0 is the end of the stream.
    ///
    /// # Errors
    ///
    /// - [`Error::NoMessage`] when there will be more once the device stops.
    /// - [`Error::Access`] for a file that is written.
    /// - [`Error::Disabled`].
    pub fn peek(&self, id: u64, out: &mut [u8]) -> Result<usize, Error> {
        let stream = match &*self.file(id)?.memory {
            Session::Saving(stream) => stream,
            Session::Loading(_) => return Err(Error::Access),
        };
        if stream.remaining() == 0 && !stream.is_sealed() {
            return Err(Error::NoMessage);
        }
        Ok(stream.peek(out))
    }

    /// Returns how many bytes of the stream have been fetched, which is where in it [`peek`](Self::peek) begins. 0 for a file
    /// that is disabled.
    pub fn position(&self, id: u64) -> usize {
        self.file(id).map_or(0, |transfer| transfer.sent)
    }

    /// Says that the next `count` bytes of the stream have reached the user. Nothing happens for a file that is
    /// disabled by now: then they were of a session that has ended.
    pub fn advance(&mut self, id: u64, count: usize) {
        if let Some(transfer) = self.transfer.as_mut() {
            if let (true, Session::Saving(stream)) =
                (transfer.carrier == Carrier::File(id), &mut *transfer.memory)
            {
                take(stream, count, &mut transfer.sent, &mut self.counters);
            }
        }
    }

    /// Takes in the next bytes of a stream. With the last of them the state is applied to `device`, whole.
    ///
    /// # Errors
    ///
    /// - [`Error::Stream`] when the stream is refused, here or before. The device is as it was.
    /// - [`Error::Access`] for a file that is read.
    /// - [`Error::Disabled`].
    pub fn write(&mut self, id: u64, device: &mut S, bytes: &[u8]) -> Result<(), Error> {
        self.file(id)?;
        let Some(stream) = loading(&mut self.transfer) else {
            return Err(Error::Access);
        };
        push(stream, bytes, &mut self.counters)?;
        apply(&mut self.transfer, device);
        self.counters.loaded(bytes.len());
        Ok(())
    }

    /// Returns what can be done with the file.
    pub fn readiness(&self, id: u64) -> Readiness {
        let session = self.file(id).map(|transfer| &*transfer.memory);
        Readiness {
            readable: matches!(session, Ok(Session::Saving(stream))
                if stream.remaining() > 0 || stream.is_sealed()),
            writable: matches!(session, Ok(Session::Loading(_))),
            disabled: session.is_err(),
        }
    }

    /// Returns how much there is to read before the device stops.
    ///
    /// # Errors
    ///
    /// - [`Error::NotPreCopy`] in any state but `PRE_COPY` and `PRE_COPY_P2P`, for whichever file.
    /// - [`Error::Disabled`].
    pub fn precopy_info(&self, id: u64) -> Result<PrecopyInfo, Error> {
        if !matches!(self.state, State::PreCopy | State::PreCopyP2p) {
            return Err(Error::NotPreCopy);
        }
        match &*self.file(id)?.memory {
            Session::Saving(stream) => Ok(PrecopyInfo {
                initial_bytes: u64::try_from(stream.remaining()).unwrap_or(u64::MAX),
                dirty_bytes: 0,
            }),
            Session::Loading(_) => Err(Error::NotPreCopy),
        }
    }

    /// Returns the session if it is that of the file.
    fn file(&self, id: u64) -> Result<&Transfer<B>, Error> {
        self.transfer
            .as_ref()
            .filter(|transfer| transfer.carrier == Carrier::File(id))
            .ok_or(Error::Disabled)
    }
}

/// The stream that is being taken in, if there is one.
pub(super) fn loading<S: Snapshot, B: DerefMut<Target = Session<S>>>(
    transfer: &mut Option<Transfer<B>>,
) -> Option<&mut Incoming<S>> {
    match &mut *transfer.as_mut()?.memory {
        Session::Loading(stream) => Some(stream),
        Session::Saving(_) => None,
    }
}

/// Says that the next `count` bytes were read.
pub(super) fn take(stream: &mut Outgoing, count: usize, sent: &mut usize, counters: &mut Counters) {
    let taken = count.min(stream.remaining());
    stream.advance(taken);
    *sent = sent.saturating_add(taken);
    counters.saved(taken);
}

/// Takes bytes into a stream.
pub(super) fn push<S: Snapshot>(
    stream: &mut Incoming<S>,
    bytes: &[u8],
    counters: &mut Counters,
) -> Result<(), Error> {
    let refused_before = stream.refusal().is_some();
    match stream.push(bytes) {
        Ok(_) => Ok(()),
        Err(errno) => {
            if !refused_before {
                counters.refusal();
            }
            Err(Error::Stream(errno))
        }
    }
}

/// Applies the state to the device if it has arrived whole, once.
pub(super) fn apply<S: Snapshot, B: DerefMut<Target = Session<S>>>(
    transfer: &mut Option<Transfer<B>>,
    device: &mut S,
) {
    let state = loading(transfer).and_then(Incoming::take);
    if let (Some(state), Some(transfer)) = (state, transfer) {
        *device = state;
        transfer.applied = true;
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migration_data_file)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::testing::{
        session,
        Dial,
        Machine,
        DIAL, //
    };
    use super::super::Direction;
    use super::*;

    /// Goes to a state, and returns the number of the data file.
    fn open<'a>(
        machine: &mut Machine<'a>,
        device: &Dial,
        to: State,
        memory: &'a mut Session<Dial>,
    ) -> u64 {
        match machine.set_state(device, to, |_| Some(memory)) {
            Ok(Some(opened)) => opened.id,
            _ => 0,
        }
    }

    #[test]
    fn a_device_is_moved_from_one_file_to_another() {
        let mut memory = session(Direction::Saving);
        let mut source = Machine::new();
        let from = open(&mut source, &Dial(7), State::PreCopy, &mut memory);
        let mut memory = session(Direction::Loading);
        let (mut destination, mut device) = (Machine::new(), Dial(0));
        let to = open(&mut destination, &device, State::Resuming, &mut memory);

        let mut piece = [0; 16];
        for state in [State::PreCopy, State::StopCopy] {
            assert!(source.set_state(&Dial(7), state, |_| None) == Ok(None));
            while let Ok(count @ 1..) = source.peek(from, &mut piece) {
                source.advance(from, count);
                let piece = piece.get(..count).unwrap_or_default();
                assert!(destination.write(to, &mut device, piece).is_ok());
            }
        }
        assert!(source.peek(from, &mut piece) == Ok(0));
        assert_eq!(source.stop_copy_length(&DIAL, &Dial(7)), 0);
        assert_eq!(device, Dial(7));
        assert!(destination.set_state(&device, State::Running, |_| None) == Ok(None));
        assert_eq!(
            source.counters().saved_bytes,
            destination.counters().loaded_bytes
        );
    }

    #[test]
    fn pre_copy_runs_out_of_bytes_with_no_message() {
        let mut memory = session(Direction::Saving);
        let mut machine = Machine::new();
        let id = open(&mut machine, &Dial(7), State::PreCopy, &mut memory);
        let info = machine.precopy_info(id);
        assert!(info.is_ok_and(|info| info.initial_bytes > 0));
        machine.advance(id, usize::MAX);
        assert!(machine.peek(id, &mut [0; 8]) == Err(Error::NoMessage));
        assert!(!machine.readiness(id).readable);
        let info = machine.precopy_info(id);
        assert!(info.is_ok_and(|info| info.initial_bytes == 0));
    }

    #[test]
    fn a_file_of_an_ended_session_is_disabled() {
        let mut memory = session(Direction::Saving);
        let mut machine = Machine::new();
        let id = open(&mut machine, &Dial(7), State::StopCopy, &mut memory);
        assert!(!machine.readiness(id).disabled);
        machine.reset();
        assert!(machine.readiness(id).disabled);
        assert!(machine.peek(id, &mut [0; 8]) == Err(Error::Disabled));
        assert!(machine.write(id, &mut Dial(0), b"x") == Err(Error::Disabled));
    }
}
