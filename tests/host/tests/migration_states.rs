// SPDX-License-Identifier: GPL-2.0-only

//! The states and the ways between them, held against the rules of the UAPI, which are written down here once more and
//! applied by search instead of by table.

mod migration_support;

use std::collections::VecDeque;

use migdev_migration::{
    arcs::{
        effect,
        next,
        Effect, //
    },
    stream::{
        Full,
        Kind,
        Missing,
        RecordError,
        Records,
        Snapshot,
        MANDATORY, //
    },
    Direction,
    Error,
    Migration,
    Session,
    State,
    State::{
        PreCopy,
        PreCopyP2p,
        Resuming,
        Running,
        RunningP2p,
        Stop,
        StopCopy, //
    }, //
};
use migration_support::{
    crc32c,
    room,
    Bench,
    Board,
    BOARD, //
};

/// The arcs that the UAPI describes for a device with all three features.
const ARCS: [(State, State); 15] = [
    (RunningP2p, Stop),
    (StopCopy, Stop),
    (Resuming, Stop),
    (PreCopy, Running),
    (RunningP2p, Running),
    (PreCopyP2p, RunningP2p),
    (Running, RunningP2p),
    (Stop, RunningP2p),
    (Running, PreCopy),
    (RunningP2p, PreCopyP2p),
    (Stop, StopCopy),
    (PreCopy, PreCopyP2p),
    (PreCopyP2p, PreCopy),
    (PreCopyP2p, StopCopy),
    (Stop, Resuming),
];

/// The saving group, in the order in which a migration passes through it.
const GROUP: [State; 3] = [PreCopy, PreCopyP2p, StopCopy];

/// The shortest way, found by search. No saving state is in the interior, unless the way stays in the saving group.
fn shortest(from: State, to: State) -> Option<Vec<State>> {
    let within = GROUP.contains(&from) && GROUP.contains(&to);
    let mut ways = VecDeque::from([vec![from]]);
    let mut seen = vec![from];
    while let Some(way) = ways.pop_front() {
        let at = *way.last().unwrap();
        if at == to {
            return Some(way);
        }
        for (_, end) in ARCS.iter().filter(|(start, _)| *start == at) {
            let allowed = match within {
                true => GROUP.contains(end),
                false => *end == to || !GROUP.contains(end),
            };
            if allowed && !seen.contains(end) {
                seen.push(*end);
                ways.push_back([&way[..], &[*end]].concat());
            }
        }
    }
    None
}

#[test]
fn every_way_is_the_shortest_that_the_uapi_allows() {
    for from in State::ALL {
        for to in State::ALL {
            let expected = match (from, to) {
                (State::Error, _) | (_, State::Error) => None,
                _ => shortest(from, to).map(|way| way.get(1).copied().unwrap_or(from)),
            };
            assert_eq!(next(from, to), expected, "{from} to {to}");
        }
    }
}

#[test]
fn only_pre_copy_cannot_be_reached_from_stop_copy() {
    for from in State::ALL {
        for to in State::ALL {
            let blocked = from == StopCopy && (to == PreCopy || to == PreCopyP2p);
            let error = from == State::Error || to == State::Error;
            assert_eq!(next(from, to).is_none(), blocked || error, "{from} to {to}");
        }
    }
}

#[test]
fn the_arcs_are_those_of_the_uapi() {
    for from in State::ALL {
        for to in State::ALL {
            assert_eq!(
                effect(from, to).is_some(),
                ARCS.contains(&(from, to)),
                "{from} to {to}"
            );
        }
    }
}

#[test]
fn a_session_lasts_as_long_as_the_saving_group_or_resuming() {
    let session = |state| match state {
        Resuming => Some(Direction::Loading),
        _ => GROUP.contains(&state).then_some(Direction::Saving),
    };
    for (from, to) in ARCS {
        let expected = match (session(from), session(to)) {
            (None, None) => Effect::Nothing,
            (None, Some(direction)) => Effect::Opens(direction),
            (Some(_), None) => Effect::Closes,
            (Some(_), Some(_)) if to == StopCopy => Effect::Completes,
            (Some(_), Some(_)) => Effect::Keeps,
        };
        assert_eq!(effect(from, to), Some(expected), "{from} to {to}");
    }
}

#[test]
fn a_request_ends_in_its_state_or_changes_nothing() {
    for from in State::ALL {
        for to in State::ALL {
            let (mut bench, _) = Bench::in_state(from);
            let before = bench.look();
            let granted = bench.set_state(to);
            let refusals = bench.machine.counters().refusals;
            // Nothing has arrived in RESUMING, so it is not left.
            if from == Resuming && to != Resuming && to != State::Error {
                assert_eq!(granted, Err(Error::Incomplete), "{from} to {to}");
            } else if next(from, to).is_none() {
                assert_eq!(granted, Err(Error::Arc { from, to }));
            }
            match granted {
                Ok(_) => assert_eq!(bench.machine.state(), to),
                Err(_) => assert_eq!(bench.look(), before, "{from} to {to}"),
            }
            assert_eq!(refusals, u64::from(granted.is_err()));
        }
    }
}

#[test]
fn a_data_file_is_opened_when_a_session_begins_and_only_then() {
    for from in State::ALL {
        for to in State::ALL {
            let (mut bench, old) = Bench::in_state(from);
            if from == Resuming {
                bench
                    .file_write(old.unwrap(), &bench.board.stream())
                    .unwrap();
            }
            let sessions = bench.machine.counters().sessions;
            let Ok(opened) = bench.set_state(to) else {
                continue;
            };
            let transfers = |state| GROUP.contains(&state) || state == Resuming;
            let stays = from == to || (GROUP.contains(&from) && GROUP.contains(&to));
            assert_eq!(opened.is_some(), transfers(to) && !stays, "{from} to {to}");
            assert_eq!(
                bench.machine.counters().sessions - sessions,
                u64::from(opened.is_some())
            );
            if let Some(opened) = opened {
                let loading = opened.direction == Direction::Loading;
                assert_eq!(loading, to == Resuming);
                assert!(!bench.machine.readiness(opened.id).disabled);
                assert_ne!(Some(opened.id), old);
            }
            // Whatever the old file was for, it is that still or it is disabled.
            if let Some(old) = old {
                assert_eq!(
                    bench.machine.readiness(old).disabled,
                    !stays,
                    "{from} to {to}"
                );
            }
        }
    }
}

#[test]
fn without_memory_nothing_changes() {
    for from in State::ALL {
        for to in State::ALL {
            let (mut bench, id) = Bench::in_state(from);
            if from == Resuming {
                bench
                    .file_write(id.unwrap(), &bench.board.stream())
                    .unwrap();
            }
            bench.memory = false;
            let before = bench.look();
            if bench.set_state(to) == Err(Error::NoMemory) {
                assert_eq!(bench.look(), before, "{from} to {to}");
                bench.memory = true;
                assert!(matches!(bench.set_state(to), Ok(Some(_))));
            } else {
                bench.memory = true;
                assert!(
                    !matches!(bench.set_state(to), Ok(Some(_))),
                    "{from} to {to}"
                );
            }
        }
    }
}

#[test]
fn a_session_of_the_wrong_direction_is_no_memory() {
    for (to, wrong) in [(PreCopy, Direction::Loading), (Resuming, Direction::Saving)] {
        let mut bench = Bench::new(1);
        let other = room(true, &bench.board);
        let granted = bench.machine.set_state(&bench.board, to, |_| other(wrong));
        assert_eq!(granted, Err(Error::NoMemory));
        assert_eq!(bench.machine.state(), Running);
    }
}

#[test]
fn a_device_may_signal_interrupts_in_the_running_states_only() {
    let running = [Running, RunningP2p, PreCopy, PreCopyP2p];
    for state in State::ALL {
        let (bench, _) = Bench::in_state(state);
        assert_eq!(
            bench.machine.is_running(),
            running.contains(&state),
            "{state}"
        );
    }
}

#[test]
fn reset_leads_from_every_state_to_running_and_ends_the_session() {
    for state in State::ALL {
        let (mut bench, id) = Bench::in_state(state);
        bench.machine.reset();
        assert_eq!(bench.machine.state(), Running);
        assert_eq!(bench.device_state(), 0b001);
        if let Some(id) = id {
            assert!(bench.machine.readiness(id).disabled);
        }
        let opened = bench.set_state(StopCopy).unwrap().unwrap();
        assert_ne!(Some(opened.id), id);
    }
}

#[test]
fn only_a_reset_leads_out_of_error() {
    for to in State::ALL {
        let (mut bench, _) = Bench::in_state(State::Error);
        assert!(bench.set_state(to).is_err());
        assert_eq!(bench.machine.state(), State::Error);
        bench.machine.reset();
        assert_eq!(bench.machine.state(), Running);
    }
}

#[test]
fn a_number_that_is_no_state_is_refused() {
    for number in 8..=1000_u32 {
        assert_eq!(State::try_from(number), Err(Error::UnknownState(number)));
    }
    assert_eq!(State::try_from(u32::MAX).map_err(Error::errno), Err(22));
}

/// A device whose state does not fit a stream.
struct Giant;

impl Snapshot for Giant {
    type Parts = ();

    fn kind(_: u16, _: u16) -> Option<Kind> {
        None
    }

    fn save(&self, _: u16, records: &mut Records<'_>) -> Result<(), Full> {
        for tag in 1..=20 {
            records.put(tag, MANDATORY, &[0; 200])?;
        }
        Ok(())
    }

    fn parts(&self) {}

    fn load(_: &mut (), _: u16, _: u16, _: &[u8]) -> Result<(), RecordError> {
        Ok(())
    }

    fn assemble(_: &(), _: u16) -> Result<Self, Missing> {
        Ok(Self)
    }
}

#[test]
fn a_device_that_cannot_be_saved_stays_where_it_is() {
    let room = |_| Some(Box::new(Session::saving(&BOARD, crc32c)));
    for state in [Running, RunningP2p, Stop, PreCopy, PreCopyP2p] {
        let mut machine = Migration::new();
        let opened = machine.set_state(&Giant, state, room).unwrap();
        let done = machine.set_state(&Giant, StopCopy, room);
        assert_eq!(done, Err(Error::TooLarge), "{state}");
        assert_eq!(machine.state(), state);
        if let Some(opened) = opened {
            // The session goes on, and what is in it is what was in it.
            let mut head = [0; 4096];
            assert_eq!(machine.peek(opened.id, &mut head), Ok(Board::head()));
        }
        assert_eq!(machine.counters().refusals, 1);
    }
}
