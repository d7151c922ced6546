// SPDX-License-Identifier: GPL-2.0-only

//! The state machine of one device.

use super::{
    arcs::Way,
    stream::{
        length,
        Refusal,
        Snapshot, //
    },
    Counters,
    Direction,
    Error,
    Session,
    State, //
};
use crate::migver::Identity;

use core::{
    marker::PhantomData,
    ops::DerefMut, //
};

/// By what the bytes of a session are carried.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Carrier {
    /// The data section of the migration region.
    Region,
    /// The data file with this number.
    File(u64),
}

/// A session that was opened, for which the caller hands out a data file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Opened {
    /// The number of the session. The data file does everything with it, and is disabled when it is the number of no
    /// session any more. No number is used twice for a device.
    pub id: u64,
    /// Whether the file is read or written.
    pub direction: Direction,
}

/// The session that is open.
pub(super) struct Transfer<B> {
    pub(super) carrier: Carrier,
    pub(super) memory: B,
    /// How many bytes of the stream have been read, all of them.
    pub(super) sent: usize,
    /// How many of the next bytes stand in the data section for a client of version 1 to read; 0 for none.
    pub(super) offered: usize,
    /// What arrived was a whole state, and the device has it.
    pub(super) applied: bool,
    /// A client of version 1 was told that what it sent is no whole state.
    pub(super) given_up: bool,
}

/// The state machine of one device, whose state is an `S`. The memory of a session is a `B`, which the caller brings.
///
/// Whatever fails changes nothing: a change of state is done whole or not at all.
///
/// # Invariants
///
/// - There is a session in the saving states and in `RESUMING`, and in no other; its direction is that of the state.
/// - The stream of a session in `STOP_COPY` is sealed, and in the pre-copy states it is not.
/// - `next_id` is greater than the number of any session yet.
pub struct Migration<S: Snapshot, B: DerefMut<Target = Session<S>>> {
    pub(super) state: State,
    pub(super) transfer: Option<Transfer<B>>,
    /// The bits of `device_state` that are not the state, as a client of version 1 wrote them last.
    pub(super) reserved_bits: u32,
    pub(super) counters: Counters,
    next_id: u64,
    device: PhantomData<S>,
}

impl<S: Snapshot, B: DerefMut<Target = Session<S>>> Default for Migration<S, B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Snapshot, B: DerefMut<Target = Session<S>>> Migration<S, B> {
    /// The state machine of a device that was just created: it is in `RUNNING`.
    pub const fn new() -> Self {
        // INVARIANT: `RUNNING` has no session, and no number was used.
        Self {
            state: State::Running,
            transfer: None,
            reserved_bits: 0,
            counters: Counters::new(),
            next_id: 1,
            device: PhantomData,
        }
    }

    /// Returns the state that the device is in.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether the device may signal interrupts.
    pub fn is_running(&self) -> bool {
        self.state.is_running()
    }

    /// Ends a session, if there is one, and goes to `RUNNING`, from `ERROR` as well. This is for the reset of the
    /// device and for when it is opened; the owner resets the device itself.
    pub fn reset(&mut self) {
        // INVARIANT: `RUNNING` has no session.
        self.transfer = None;
        self.state = State::Running;
        self.reserved_bits = 0;
    }

    /// Ends a session, if there is one, and goes to `ERROR`. This is for an owner that finds the device to be in no
    /// state from which it can go on; nothing else leads there.
    pub fn fail(&mut self) {
        // INVARIANT: `ERROR` has no session.
        self.transfer = None;
        self.state = State::Error;
    }

    /// Goes to the state `to`, over others where that is the way (see [`arcs::next`](super::arcs::next)).
    ///
    /// `room` brings a session of the direction that it is asked for, with nothing in it but what
    /// [`Session::saving`] or [`Session::loading`] puts there. It is called at most once, before anything changes. If a
    /// session was opened, it is returned, and the caller hands out a data file for it.
    ///
    /// # Errors
    ///
    /// - [`Error::Arc`] when there is no way.
    /// - [`Error::Incomplete`] when that would leave `RESUMING` before a state has arrived whole and sound.
    /// - [`Error::NoMemory`] when `room` brings nothing, or something else.
    /// - [`Error::TooLarge`] when the device would be saved and its state does not fit a stream.
    pub fn set_state(
        &mut self,
        device: &S,
        to: State,
        room: impl FnOnce(Direction) -> Option<B>,
    ) -> Result<Option<Opened>, Error> {
        let id = self.next_id;
        let opened = self.change(device, to, Carrier::File(id), room);
        Ok(self.counted(opened)?.map(|direction| {
            // INVARIANT: `id` was used now, and is less than what follows it.
            self.next_id = id.wrapping_add(1);
            Opened { id, direction }
        }))
    }

    /// Returns the number that the next data file gets, for an owner that makes the file first.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Returns how many bytes are to be read until the state of `device` has been read whole, should the device be
    /// stopped now: those of a whole stream if it is not being saved. `mine` is what the device says of itself.
    pub fn stop_copy_length(&self, mine: &Identity<'_>, device: &S) -> usize {
        match &self.transfer {
            Some(Transfer { memory, sent, .. }) => match &**memory {
                Session::Saving(stream) if stream.is_sealed() => stream.remaining(),
                Session::Saving(_) => length(mine, device).saturating_sub(*sent),
                Session::Loading(_) => length(mine, device),
            },
            None => length(mine, device),
        }
    }

    /// Whether the device has taken in a state in this session.
    pub fn has_taken_in(&self) -> bool {
        self.transfer
            .as_ref()
            .is_some_and(|transfer| transfer.applied)
    }

    /// Returns what happened so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns why the stream that is being loaded was refused, if it was.
    pub fn refusal(&self) -> Option<Refusal<'_>> {
        match &*self.transfer.as_ref()?.memory {
            Session::Loading(stream) => stream.refusal(),
            Session::Saving(_) => None,
        }
    }

    /// Goes to the state `to`. A session that this opens is carried by `carrier`; its direction is returned.
    pub(super) fn change(
        &mut self,
        device: &S,
        to: State,
        carrier: Carrier,
        room: impl FnOnce(Direction) -> Option<B>,
    ) -> Result<Option<Direction>, Error> {
        // Everything that can fail comes first.
        let from = self.state;
        let way = Way::between(from, to).ok_or(Error::Arc { from, to })?;
        if way.leaves_resuming {
            self.check_loaded(carrier)?;
        }
        let mut fresh = match way.opens {
            Some(direction) => Some(new_transfer(carrier, direction, room)?),
            None => None,
        };
        if way.seals {
            let stopped = fresh.as_mut().or(self.transfer.as_mut());
            if let Some(Session::Saving(stream)) = stopped.map(|transfer| &mut *transfer.memory) {
                stream.seal(device).map_err(|_| Error::TooLarge)?;
            }
        }

        // INVARIANT: There is a session after the way if and only if its arcs keep or open one. One is opened by the last
        // arc only, after what was there was closed, and is sealed if that leads to `STOP_COPY`.
        if way.closes {
            self.transfer = None;
        }
        if fresh.is_some() {
            self.transfer = fresh;
            self.counters.session();
        }
        self.state = to;
        Ok(way.opens)
    }

    /// Checks that `RESUMING` may be left on the word of somebody who uses `carrier`.
    ///
    /// The UAPI wants the request refused while what has arrived is incomplete or invalid, and the session aborted by a
    /// reset. Version 1 has no other word for "cancel" than the one for "done", and its clients abort the virtual machine
    /// when they cannot get back to a valid state. So for a session of theirs it is a cancel when nothing has arrived,
    /// and when they say it again after they were told that what arrived is of no use; but not if the device has been
    /// changed, which only a reset can undo.
    fn check_loaded(&mut self, carrier: Carrier) -> Result<(), Error> {
        let Some(transfer) = &mut self.transfer else {
            return Ok(());
        };
        let Session::Loading(stream) = &*transfer.memory else {
            return Ok(());
        };
        let refused = stream.refusal().is_some();
        if stream.is_complete() && !refused {
            return Ok(());
        }
        if carrier == Carrier::Region && transfer.carrier == Carrier::Region {
            if !transfer.applied && (transfer.given_up || (stream.is_empty() && !refused)) {
                return Ok(());
            }
            transfer.given_up = true;
        }
        Err(Error::Incomplete)
    }

    /// Counts the refusal of a change of state.
    pub(super) fn counted<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_err() {
            self.counters.refusal();
        }
        result
    }
}

/// Gets the memory for a session.
fn new_transfer<S: Snapshot, B: DerefMut<Target = Session<S>>>(
    carrier: Carrier,
    direction: Direction,
    room: impl FnOnce(Direction) -> Option<B>,
) -> Result<Transfer<B>, Error> {
    let memory = room(direction)
        .filter(|session| session.direction() == direction)
        .ok_or(Error::NoMemory)?;
    Ok(Transfer {
        carrier,
        memory,
        sent: 0,
        offered: 0,
        applied: false,
        given_up: false,
    })
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migration_machine)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::testing::{
        session,
        Dial,
        Machine, //
    };
    use super::*;

    #[test]
    fn a_refused_request_changes_nothing() {
        let mut machine = Machine::new();
        let refused = [
            (
                State::Error,
                Error::Arc {
                    from: State::Running,
                    to: State::Error,
                },
            ),
            (State::StopCopy, Error::NoMemory),
            (State::PreCopy, Error::NoMemory),
            (State::Resuming, Error::NoMemory),
        ];
        for (to, error) in refused {
            assert!(machine.set_state(&Dial(1), to, |_| None) == Err(error));
            assert!(machine.state() == State::Running);
            assert!(machine.transfer.is_none());
            assert_eq!(machine.next_id(), 1);
        }
        assert_eq!(machine.counters().refusals, 4);
        assert_eq!(machine.counters().sessions, 0);
    }

    #[test]
    fn a_way_without_a_session_asks_for_no_memory() {
        let mut machine = Machine::new();
        let mut asked = false;
        for to in [State::RunningP2p, State::Stop, State::Running, State::Stop] {
            let done = machine.set_state(&Dial(1), to, |_| {
                asked = true;
                None
            });
            assert!(done == Ok(None));
            assert!(machine.state() == to);
        }
        assert!(!asked);
    }

    #[test]
    fn resuming_is_left_by_reset_when_nothing_has_arrived() {
        let mut memory = session(Direction::Loading);
        let mut machine = Machine::new();
        let opened = machine.set_state(&Dial(1), State::Resuming, |_| Some(&mut memory));
        assert!(opened.is_ok_and(|opened| opened.is_some()));
        let left = machine.set_state(&Dial(1), State::Stop, |_| None);
        assert!(left == Err(Error::Incomplete));
        assert!(machine.state() == State::Resuming);
        machine.reset();
        assert!(machine.state() == State::Running);
        assert!(machine.transfer.is_none());
    }

    #[test]
    fn only_a_reset_leads_out_of_error() {
        let mut machine = Machine::new();
        machine.fail();
        for to in State::ALL {
            assert!(machine.set_state(&Dial(1), to, |_| None).is_err());
            assert!(machine.state() == State::Error);
        }
        machine.reset();
        assert!(machine.state() == State::Running);
    }
}
