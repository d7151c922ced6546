// SPDX-License-Identifier: GPL-2.0-only
//! What a device may do between an open and the close of it, when several threads move it by both protocols at once.
//!
//! It is told from the descriptions in `linux/vfio.h` and `Documentation/migration-states.rst`, not from the driver's code:
//! the state, the transfer that is open if there is one, and one register that has nothing to do with either.

use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use vfio_client::migration::v1;
use vfio_client::migration::v2::{
    saves, PRE_COPY, PRE_COPY_P2P, RESUMING, RUNNING, RUNNING_P2P, STOP, STOP_COPY,
};

use crate::history::{Model, Progress, DONE};

/// The name of a transfer: the number of the call that began it.
pub type Name = u64;

/// An answer: a value, or the number of an error.
pub type Answer<T> = Result<T, i32>;

/// A call to an open device or to a data file of it, with its answer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub enum Call {
    /// The feature protocol is asked for a state; a data file came back if the answer says so.
    Set(u32, Answer<bool>, Name),
    /// The feature protocol is asked which state it is.
    Get(Answer<u32>),
    /// `device_state` of the migration region is written.
    SetRegion(u32, Answer<()>, Name),
    /// It is read.
    GetRegion(Answer<u32>),
    /// The reset.
    Reset(Answer<()>),
    /// The scratch register of port 0 is written.
    WriteScratch(u8, Answer<()>),
    /// It is read.
    ReadScratch(Answer<u8>),
    /// Some bytes were read from the data file of a transfer; 0 is the end.
    Read(Name, Answer<usize>),
    /// A whole stream that such a device has saved was written to a data file.
    Feed(Name, Answer<()>),
    /// The first part of one was.
    FeedPart(Name, Answer<()>),
    /// What is no stream was.
    Spoil(Name, Answer<()>),
    /// A chunk was put into the migration region's data section, and its length was written.
    Give(Answer<()>),
    /// Something that always works.
    Always(Answer<()>),
}

/// What has arrived of a state.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Arrived {
    Nothing,
    Part,
    All,
    Refused,
}

/// The transfer that is open.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Transfer {
    /// `None` for the migration region.
    file: Option<Name>,
    arrived: Arrived,
    /// The device has the state that arrived.
    applied: bool,
    /// A client of the region was told that what it sent is no whole state.
    given_up: bool,
}

/// The device.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct State {
    at: u32,
    transfer: Option<Transfer>,
    /// The scratch register, if it is known what a loaded stream had there.
    scratch: Option<u8>,
}

impl State {
    /// As it is when it is opened, and after a reset.
    pub fn fresh() -> Self {
        State {
            at: RUNNING,
            transfer: None,
            scratch: Some(0),
        }
    }

    /// Whether there is no other transfer than the one of this data file.
    fn is_of(&self, name: Name) -> bool {
        self.transfer.is_some_and(|open| open.file == Some(name))
    }

    /// The state with the transfer changed.
    fn with(self, change: impl FnOnce(&mut Transfer)) -> Self {
        let mut next = self;
        if let Some(transfer) = &mut next.transfer {
            change(transfer);
        }
        next
    }

    /// The state once all of a stream is in the device.
    fn loaded(self) -> Self {
        let next = self.with(|open| (open.arrived, open.applied) = (Arrived::All, true));
        State {
            scratch: None,
            ..next
        }
    }
}

/// Whether there is a way from a state to another: the only one that is missing leads back into pre-copy.
fn has_way(from: u32, to: u32) -> bool {
    !(from == STOP_COPY && [PRE_COPY, PRE_COPY_P2P].contains(&to))
}

/// Whether a transfer begins on the way, and so a data file comes back.
fn begins(from: u32, to: u32) -> bool {
    to != from && (to == RESUMING || saves(to) && !saves(from))
}

/// What `device_state` says in a state.
fn bits(at: u32) -> u32 {
    match at {
        RUNNING | RUNNING_P2P => v1::RUNNING,
        PRE_COPY | PRE_COPY_P2P => v1::PRE_COPY,
        STOP_COPY => v1::STOP_COPY,
        RESUMING => v1::RESUMING,
        _ => v1::STOPPED,
    }
}

/// Where a write of `device_state` leads to, if it is one of those that clients of the region make.
fn region_target(at: u32, to: u32) -> Option<u32> {
    let from = bits(at);
    if from == to {
        return Some(at);
    }
    let ways = [
        (v1::RUNNING, v1::STOPPED, STOP),
        (v1::RUNNING, v1::STOP_COPY, STOP_COPY),
        (v1::RUNNING, v1::PRE_COPY, PRE_COPY),
        (v1::RUNNING, v1::RESUMING, RESUMING),
        (v1::PRE_COPY, v1::STOP_COPY, STOP_COPY),
        (v1::PRE_COPY, v1::RUNNING, RUNNING),
        (v1::STOP_COPY, v1::STOPPED, STOP),
        (v1::STOP_COPY, v1::RUNNING, RUNNING),
        (v1::STOPPED, v1::RUNNING, RUNNING),
        (v1::STOPPED, v1::STOP_COPY, STOP_COPY),
        (v1::STOPPED, v1::RESUMING, RESUMING),
        (v1::RESUMING, v1::RUNNING, RUNNING),
    ];
    let way = |(begin, end, _): &&(u32, u32, u32)| (*begin, *end) == (from, to);
    ways.iter().find(way).map(|(_, _, target)| *target)
}

/// How the device goes to a state on the word of who uses the file of this name, or the region: where it is then, and whether
/// a transfer began, or the device when it refuses.
fn go(state: &State, to: u32, file: Option<Name>) -> Result<(State, bool), State> {
    if !has_way(state.at, to) {
        return Err(*state);
    }
    if let Some(open) = state
        .transfer
        .filter(|_| state.at == RESUMING && to != RESUMING)
    {
        if open.arrived != Arrived::All {
            let both_region = file.is_none() && open.file.is_none();
            let nothing_yet = open.arrived == Arrived::Nothing;
            if !both_region || open.applied || !(open.given_up || nothing_yet) {
                return Err(state.with(|open| open.given_up |= both_region));
            }
        }
    }
    let opens = begins(state.at, to);
    let keeps = state.at == to || saves(state.at) && saves(to);
    let transfer = match state.transfer.filter(|_| keeps) {
        None if opens => Some(Transfer {
            file,
            arrived: Arrived::Nothing,
            applied: false,
            given_up: false,
        }),
        kept => kept,
    };
    let next = State {
        at: to,
        transfer,
        ..*state
    };
    Ok((next, opens))
}

const EINVAL: i32 = Errno::EINVAL as i32;
const EBUSY: i32 = Errno::EBUSY as i32;
const ENODEV: i32 = Errno::ENODEV as i32;
const ENOMSG: i32 = Errno::ENOMSG as i32;

/// The model of a device that migrates.
pub struct Session;

impl Session {
    /// What a call does that is one step, if it can have given that answer.
    fn step(&self, state: &State, call: &Call) -> Option<State> {
        let same = |allowed: bool| allowed.then_some(*state);
        match *call {
            Call::Set(to, answer, name) => match (go(state, to, Some(name)), answer) {
                (Ok((next, opens)), Ok(opened)) if opens == opened => Some(next),
                (Err(next), Err(EINVAL)) => Some(next),
                _ => None,
            },
            Call::SetRegion(to, answer, _) => {
                let gone = region_target(state.at, to).map(|to| go(state, to, None));
                match (gone, answer) {
                    (Some(Ok((next, _))), Ok(())) => Some(next),
                    (Some(Err(next)), Err(EINVAL)) => Some(next),
                    (None, Err(EINVAL)) => Some(*state),
                    _ => None,
                }
            }
            Call::Get(answer) => same(answer == Ok(state.at)),
            Call::GetRegion(answer) => same(answer == Ok(bits(state.at))),
            Call::Reset(answer) => answer.ok().map(|()| State::fresh()),
            Call::WriteScratch(value, answer) => answer.ok().map(|()| State {
                scratch: Some(value),
                ..*state
            }),
            Call::ReadScratch(Ok(value)) => match state.scratch {
                Some(known) => same(known == value),
                None => Some(State {
                    scratch: Some(value),
                    ..*state
                }),
            },
            Call::ReadScratch(Err(_)) => None,
            Call::Read(name, answer) => same(match answer {
                Err(ENODEV) => !state.is_of(name),
                Err(ENOMSG) => state.is_of(name) && [PRE_COPY, PRE_COPY_P2P].contains(&state.at),
                Ok(0) => state.is_of(name) && state.at == STOP_COPY,
                Ok(_) => state.is_of(name) && saves(state.at),
                Err(_) => false,
            }),
            Call::Spoil(name, answer) => match answer {
                Err(ENODEV) => same(!state.is_of(name)),
                Err(_) if state.is_of(name) => {
                    Some(state.with(|open| open.arrived = Arrived::Refused))
                }
                _ => None,
            },
            Call::FeedPart(name, answer) => match answer {
                Err(ENODEV) => same(!state.is_of(name)),
                Ok(()) if state.is_of(name) => {
                    Some(state.with(|open| open.arrived = Arrived::Part))
                }
                _ => None,
            },
            Call::Always(answer) => same(answer.is_ok()),
            Call::Feed(..) | Call::Give(_) => None,
        }
    }

    /// What a chunk in the region may do. Others may have changed it before its length was written, so that it is not known
    /// what it was.
    fn give(state: &State, answer: Answer<()>) -> Vec<State> {
        let loading = state.transfer.filter(|_| state.at == RESUMING);
        match (loading, answer) {
            (None, Err(EINVAL)) => vec![*state],
            (Some(open), Err(EBUSY)) if open.file.is_some() => vec![*state],
            (Some(open), Ok(())) if open.file.is_none() && !open.given_up => {
                let part = state.with(|open| open.arrived = Arrived::Part);
                vec![part, state.loaded()]
            }
            (Some(open), Err(errno)) if open.file.is_none() && errno != EBUSY => {
                let refused = state.with(|open| open.arrived = Arrived::Refused);
                match open.given_up && errno == EINVAL {
                    true => vec![*state, refused],
                    false => vec![refused],
                }
            }
            _ => vec![],
        }
    }
}

impl Model for Session {
    type State = State;
    type Call = Call;

    fn only_looks(&self, call: &Call) -> bool {
        matches!(
            call,
            Call::Get(_)
                | Call::GetRegion(_)
                | Call::Read(..)
                | Call::Always(_)
                | Call::Set(_, Err(_), _)
        )
    }

    fn steps(&self, state: &State, call: &Call, progress: Progress) -> Vec<(State, Progress)> {
        match (*call, progress) {
            // Piece by piece: there is a moment at which a part has arrived.
            (Call::Feed(name, Ok(())), 0) if state.is_of(name) => {
                vec![(state.with(|open| open.arrived = Arrived::Part), 1)]
            }
            (Call::Feed(name, Ok(())), 1) if state.is_of(name) => vec![(state.loaded(), DONE)],
            (Call::Feed(name, Err(ENODEV)), 0) => {
                let cut_off = (!state.is_of(name)).then_some((*state, DONE));
                let begun = state.with(|open| open.arrived = Arrived::Part);
                let begun = state.is_of(name).then_some((begun, 1));
                cut_off.into_iter().chain(begun).collect()
            }
            (Call::Feed(name, Err(ENODEV)), 1) if !state.is_of(name) => vec![(*state, DONE)],
            (Call::Feed(..), _) => vec![],
            (Call::Give(answer), 0) => {
                let after = Session::give(state, answer).into_iter();
                after.map(|state| (state, DONE)).collect()
            }
            (_, 0) => {
                let after = self.step(state, call).into_iter();
                after.map(|state| (state, DONE)).collect()
            }
            _ => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{explain, Event};

    /// Calls one after the other.
    fn in_turn(calls: &[Call]) -> Vec<Event<Call>> {
        let each = calls.iter().zip(1_u64..);
        each.map(|(call, at)| Event {
            begin: 10 * at,
            end: 10 * at + 5,
            call: *call,
        })
        .collect()
    }

    fn holds(events: &[Event<Call>]) -> bool {
        explain(&Session, State::fresh(), events).is_ok()
    }

    fn accepts(calls: &[Call]) -> bool {
        holds(&in_turn(calls))
    }

    /// The same with the last two calls at once.
    fn accepts_with_the_last_two_at_once(calls: &[Call]) -> bool {
        let mut events = in_turn(calls);
        let count = events.len();
        events[count - 1].begin = events[count - 2].begin + 1;
        holds(&events)
    }

    #[test]
    fn a_device_is_where_it_was_sent_last() {
        let sent = Call::Set(STOP, Ok(false), 1);
        assert!(accepts(&[
            Call::Get(Ok(RUNNING)),
            sent,
            Call::Get(Ok(STOP))
        ]));
        assert!(!accepts(&[sent, Call::Get(Ok(RUNNING))]));
        assert!(accepts(&[sent, Call::GetRegion(Ok(v1::STOPPED))]));
        assert!(!accepts(&[sent, Call::GetRegion(Ok(v1::RUNNING))]));
        assert!(accepts_with_the_last_two_at_once(&[
            sent,
            Call::Get(Ok(RUNNING))
        ]));
    }

    #[test]
    fn a_state_that_nobody_asked_for_is_rejected() {
        let two = [
            Call::Set(STOP, Ok(false), 1),
            Call::Set(RUNNING_P2P, Ok(false), 2),
        ];
        for (state, is_explained) in [(STOP, true), (RUNNING_P2P, true), (RUNNING, false)] {
            let mut events = in_turn(&[two[0], two[1], Call::Get(Ok(state))]);
            events[1].begin = events[0].begin + 1;
            assert_eq!(holds(&events), is_explained);
        }
    }

    #[test]
    fn a_refusal_needs_a_reason() {
        assert!(!accepts(&[Call::Set(STOP, Err(EINVAL), 1)]));
        let stopped = Call::Set(STOP_COPY, Ok(true), 1);
        assert!(accepts(&[stopped, Call::Set(PRE_COPY, Err(EINVAL), 2)]));
        assert!(!accepts(&[stopped, Call::Set(PRE_COPY, Ok(false), 2)]));
        assert!(!accepts(&[stopped, Call::Set(PRE_COPY, Err(EBUSY), 2)]));
    }

    #[test]
    fn a_data_file_comes_when_a_transfer_begins_and_not_otherwise() {
        assert!(accepts(&[Call::Set(STOP_COPY, Ok(true), 1)]));
        assert!(!accepts(&[Call::Set(STOP_COPY, Ok(false), 1)]));
        assert!(!accepts(&[Call::Set(STOP, Ok(true), 1)]));
        let ahead = Call::Set(PRE_COPY, Ok(true), 1);
        assert!(accepts(&[ahead, Call::Set(STOP_COPY, Ok(false), 2)]));
        assert!(!accepts(&[ahead, Call::Set(STOP_COPY, Ok(true), 2)]));
    }

    #[test]
    fn a_file_lives_as_long_as_its_transfer() {
        let open = Call::Set(STOP_COPY, Ok(true), 1);
        assert!(accepts(&[
            open,
            Call::Read(1, Ok(64)),
            Call::Read(1, Ok(0))
        ]));
        assert!(!accepts(&[open, Call::Read(1, Err(ENODEV))]));
        assert!(!accepts(&[open, Call::Read(1, Err(ENOMSG))]));
        let over = [open, Call::Reset(Ok(()))];
        assert!(accepts(&[over[0], over[1], Call::Read(1, Err(ENODEV))]));
        assert!(!accepts(&[over[0], over[1], Call::Read(1, Ok(64))]));
        // Nor does it come back to life with the next one.
        let next = Call::Set(STOP_COPY, Ok(true), 3);
        assert!(!accepts(&[over[0], over[1], next, Call::Read(1, Ok(64))]));
    }

    #[test]
    fn a_load_is_over_when_all_has_arrived_and_not_before() {
        let open = Call::Set(RESUMING, Ok(true), 1);
        let run = |answer| Call::Set(RUNNING, answer, 2);
        assert!(accepts(&[open, run(Err(EINVAL))]));
        assert!(!accepts(&[open, run(Ok(false))]));
        assert!(accepts(&[open, Call::Feed(1, Ok(())), run(Ok(false))]));
        assert!(!accepts(&[open, Call::Feed(1, Ok(())), run(Err(EINVAL))]));
        assert!(!accepts(&[open, Call::FeedPart(1, Ok(())), run(Ok(false))]));
        assert!(!accepts(&[
            open,
            Call::Spoil(1, Err(EINVAL)),
            run(Ok(false))
        ]));
    }

    #[test]
    fn a_stream_that_such_a_device_saved_is_not_refused() {
        let open = Call::Set(RESUMING, Ok(true), 1);
        for errno in [Errno::EINVAL, Errno::EBADMSG, Errno::ENODEV] {
            assert!(!accepts(&[open, Call::Feed(1, Err(errno as i32))]));
        }
        let cut_off = [open, Call::Reset(Ok(())), Call::Feed(1, Err(ENODEV))];
        assert!(accepts(&cut_off));
        assert!(accepts_with_the_last_two_at_once(&cut_off));
    }

    #[test]
    fn a_load_by_the_region_is_cancelled_at_the_second_try() {
        let open = Call::SetRegion(v1::RESUMING, Ok(()), 1);
        let run = |answer| Call::SetRegion(v1::RUNNING, answer, 2);
        assert!(accepts(&[open, run(Ok(()))]));
        let part = Call::Give(Err(Errno::EBADMSG as i32));
        assert!(accepts(&[open, part, run(Err(EINVAL)), run(Ok(()))]));
        assert!(!accepts(&[open, part, run(Ok(()))]));
        assert!(!accepts(&[open, part, run(Err(EINVAL)), run(Err(EINVAL))]));
        // The feature protocol knows no cancelling but the reset.
        assert!(accepts(&[open, Call::Set(RUNNING, Err(EINVAL), 2)]));
        assert!(!accepts(&[open, Call::Set(RUNNING, Ok(false), 2)]));
    }

    #[test]
    fn the_region_has_no_part_in_the_transfer_of_a_file() {
        let open = Call::Set(RESUMING, Ok(true), 1);
        assert!(accepts(&[open, Call::Give(Err(EBUSY))]));
        assert!(!accepts(&[open, Call::Give(Ok(()))]));
        assert!(accepts(&[Call::Give(Err(EINVAL))]));
        assert!(!accepts(&[Call::Give(Ok(()))]));
    }

    #[test]
    fn a_register_keeps_what_was_written_until_a_reset_or_a_load() {
        let write = Call::WriteScratch(7, Ok(()));
        let read = |value| Call::ReadScratch(Ok(value));
        assert!(accepts(&[read(0), write, read(7)]));
        assert!(!accepts(&[write, read(0)]));
        assert!(accepts(&[write, Call::Reset(Ok(())), read(0)]));
        assert!(!accepts(&[write, Call::Reset(Ok(())), read(7)]));
        let load = [Call::Set(RESUMING, Ok(true), 1), Call::Feed(1, Ok(()))];
        assert!(accepts(&[write, load[0], load[1], read(9), read(9)]));
        assert!(!accepts(&[write, load[0], load[1], read(9), read(8)]));
    }
}
