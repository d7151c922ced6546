// SPDX-License-Identifier: GPL-2.0-only

//! The arcs between states, and the way from any state to any other.
//!
//! A device implements the arcs in [`effect`]. A user may ask for any state; what is not one arc away is reached over
//! others by [`next`]. Both follow the description of `enum vfio_device_mig_state` in `include/uapi/linux/vfio.h` for a
//! device that has all of `VFIO_MIGRATION_STOP_COPY`, `VFIO_MIGRATION_P2P` and `VFIO_MIGRATION_PRE_COPY`; for one like
//! that, [`next`] says what `vfio_mig_get_next_state()` in `drivers/vfio/vfio_main.c` says.
//! `Documentation/migration-states.rst` has both as tables.

use super::{
    Direction,
    State::{
        self,
        Error,
        PreCopy,
        PreCopyP2p,
        Resuming,
        Running,
        RunningP2p,
        Stop,
        StopCopy, //
    },
};

/// What an arc does to the transfer session.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Effect {
    /// There is none before and none after.
    Nothing,
    /// It begins. One that begins with a stopped device has the whole state in it at once.
    Opens(Direction),
    /// It goes on as it was.
    Keeps,
    /// It goes on, and the rest of the state is added to it.
    Completes,
    /// It ends.
    Closes,
}

/// Returns the state to go to next on the way `from` a state `to` another; `to` itself when it is one arc away or the
/// same. `None` is for a request that is refused: out of `ERROR`, into `ERROR`, and back into pre-copy from `STOP_COPY`.
///
/// The way is the shortest that does not pass through `RESUMING`, nor through a saving state unless it stays among
/// them, so a session begins, if at all, with the last arc.
pub const fn next(from: State, to: State) -> Option<State> {
    Some(match from {
        Error => return None,
        Stop => match to {
            Error => return None,
            Stop | StopCopy | Resuming => to,
            Running | RunningP2p | PreCopy | PreCopyP2p => RunningP2p,
        },
        Running => match to {
            Error => return None,
            Running | PreCopy => to,
            RunningP2p | PreCopyP2p | Stop | StopCopy | Resuming => RunningP2p,
        },
        RunningP2p => match to {
            Error => return None,
            RunningP2p | PreCopyP2p => to,
            Running | PreCopy => Running,
            Stop | StopCopy | Resuming => Stop,
        },
        PreCopy => match to {
            Error => return None,
            PreCopy => to,
            PreCopyP2p | StopCopy => PreCopyP2p,
            Running | RunningP2p | Stop | Resuming => Running,
        },
        PreCopyP2p => match to {
            Error => return None,
            PreCopyP2p | PreCopy | StopCopy => to,
            Running | RunningP2p | Stop | Resuming => RunningP2p,
        },
        StopCopy => match to {
            Error | PreCopy | PreCopyP2p => return None,
            StopCopy => to,
            Stop | Running | RunningP2p | Resuming => Stop,
        },
        Resuming => match to {
            Error => return None,
            Resuming => to,
            Stop | StopCopy | Running | RunningP2p | PreCopy | PreCopyP2p => Stop,
        },
    })
}

/// Returns what the arc `from` a state `to` another does to the session, or `None` when there is no such arc.
pub const fn effect(from: State, to: State) -> Option<Effect> {
    Some(match (from, to) {
        (Running, RunningP2p) | (RunningP2p, Running) => Effect::Nothing,
        (RunningP2p, Stop) | (Stop, RunningP2p) => Effect::Nothing,

        (Running, PreCopy) | (RunningP2p, PreCopyP2p) | (Stop, StopCopy) => {
            Effect::Opens(Direction::Saving)
        }
        (PreCopy, PreCopyP2p) | (PreCopyP2p, PreCopy) => Effect::Keeps,
        (PreCopyP2p, StopCopy) => Effect::Completes,
        (PreCopy, Running) | (PreCopyP2p, RunningP2p) | (StopCopy, Stop) => Effect::Closes,

        (Stop, Resuming) => Effect::Opens(Direction::Loading),
        (Resuming, Stop) => Effect::Closes,

        _ => return None,
    })
}

/// What the way from one state to another does to the session, all in all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Way {
    /// The one that is there ends.
    pub(super) closes: bool,
    /// One begins, with the last arc.
    pub(super) opens: Option<Direction>,
    /// The whole state is in it at the end.
    pub(super) seals: bool,
    /// `RESUMING` is left.
    pub(super) leaves_resuming: bool,
}

/// All ways, by the numbers of the states where they begin and where they end.
static WAYS: [[Option<Way>; State::ALL.len()]; State::ALL.len()] = ways();

impl Way {
    /// Looks up the way `from` a state `to` another, of which [`next`] has the arcs; `None` where there is none.
    #[inline]
    pub(super) fn between(from: State, to: State) -> Option<Self> {
        *WAYS.get(from as usize)?.get(to as usize)?
    }

    /// Goes from one state to another, and notes what the arcs do.
    const fn walk(from: State, to: State) -> Option<Self> {
        let mut way = Self {
            closes: false,
            opens: None,
            seals: false,
            leaves_resuming: matches!(from, Resuming) && !matches!(to, Resuming),
        };
        let mut at = from;
        loop {
            let Some(next) = next(at, to) else {
                return None;
            };
            match effect(at, next) {
                // It has arrived: from a state to itself there is no arc.
                None => return Some(way),
                Some(Effect::Opens(direction)) => way.opens = Some(direction),
                Some(Effect::Closes) => way.closes = true,
                Some(Effect::Nothing | Effect::Keeps | Effect::Completes) => {}
            }
            way.seals = matches!(next, StopCopy);
            at = next;
        }
    }
}

/// Finds all ways. Only evaluated while compiling.
// Not `expect`: these are lints of the crate, and the kernel's build of the same file has them off.
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "evaluated while compiling"
)]
const fn ways() -> [[Option<Way>; State::ALL.len()]; State::ALL.len()] {
    let mut ways = [[None; State::ALL.len()]; State::ALL.len()];
    let mut from = 0;
    while from < State::ALL.len() {
        let mut to = 0;
        while to < State::ALL.len() {
            ways[from][to] = Way::walk(State::ALL[from], State::ALL[to]);
            to += 1;
        }
        from += 1;
    }
    ways
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migration_arcs)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    /// Walks from one state to another; the states on the way are given to `step` in pairs. Whether it arrives.
    fn walk(from: State, to: State, mut step: impl FnMut(State, State)) -> bool {
        let mut at = from;
        for _ in State::ALL {
            match next(at, to) {
                None => return false,
                Some(next) if next == at => return at == to,
                Some(next) => {
                    step(at, next);
                    at = next;
                }
            }
        }
        false
    }

    #[test]
    fn every_request_arrives_or_is_refused_at_once() {
        for from in State::ALL {
            for to in State::ALL {
                assert_eq!(walk(from, to, |_, _| {}), next(from, to).is_some());
            }
        }
    }

    #[test]
    fn a_way_consists_of_arcs() {
        for from in State::ALL {
            for to in State::ALL {
                walk(from, to, |at, next| assert!(effect(at, next).is_some()));
            }
        }
    }

    #[test]
    fn an_arc_is_the_way_to_its_end() {
        for from in State::ALL {
            for to in State::ALL {
                assert!(effect(from, to).is_none() || next(from, to) == Some(to));
            }
        }
    }

    #[test]
    fn a_session_begins_with_the_last_arc_only() {
        for from in State::ALL {
            for to in State::ALL {
                walk(from, to, |at, next| {
                    let opens = matches!(effect(at, next), Some(Effect::Opens(_)));
                    assert!(!opens || next == to);
                });
            }
        }
    }

    #[test]
    fn there_is_a_session_in_the_transfer_states_only() {
        for from in State::ALL {
            for to in State::ALL {
                let expected = match effect(from, to) {
                    None => continue,
                    Some(Effect::Nothing) => (false, false),
                    Some(Effect::Opens(_)) => (false, true),
                    Some(Effect::Keeps | Effect::Completes) => (true, true),
                    Some(Effect::Closes) => (true, false),
                };
                assert!((from.is_transfer(), to.is_transfer()) == expected);
            }
        }
    }

    #[test]
    fn a_way_does_what_its_arcs_do() {
        for from in State::ALL {
            for to in State::ALL {
                let Some(way) = Way::between(from, to) else {
                    assert!(next(from, to).is_none());
                    continue;
                };
                let (mut opened, mut closed, mut completed) = (None, false, false);
                assert!(walk(from, to, |at, next| match effect(at, next) {
                    Some(Effect::Opens(direction)) => opened = Some(direction),
                    Some(Effect::Closes) => closed = true,
                    Some(Effect::Completes) => completed = true,
                    _ => {}
                }));
                assert!(way.opens == opened && way.closes == closed);
                let stops = opened == Some(Direction::Saving) && to == StopCopy;
                assert_eq!(way.seals, completed || stops);
                assert_eq!(way.leaves_resuming, from == Resuming && to != Resuming);
                assert!(to.is_transfer() == (opened.is_some() || from.is_transfer() && !closed));
            }
        }
    }

    #[test]
    fn error_is_neither_left_nor_asked_for() {
        for state in State::ALL {
            assert!(next(Error, state).is_none());
            assert!(next(state, Error).is_none());
        }
    }
}
