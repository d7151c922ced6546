// SPDX-License-Identifier: GPL-2.0-only

//! The field `device_state` of `struct vfio_device_migration_info`: the states as version 1 writes them.
//!
//! Three bits are the state: `VFIO_DEVICE_STATE_V1_RUNNING`, `_SAVING` and `_RESUMING`. The others are reserved; a
//! client is to preserve them by reading, changing and writing the field, so they are kept as written.

use super::{
    Error,
    State, //
};

use core::fmt;

/// The bits of `device_state` that are the state (`VFIO_DEVICE_STATE_MASK`).
pub const MASK: u32 = 0b111;

/// The three bits, of which bit 0 is RUNNING, bit 1 is SAVING and bit 2 is RESUMING.
///
/// # Invariants
///
/// No other bit is set.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Bits(u32);

impl Bits {
    /// Every combination, valid as a state or not, in ascending order.
    // INVARIANT: They go up to `MASK`.
    pub const ALL: [Self; 8] = [
        Self(0b000),
        Self(0b001),
        Self(0b010),
        Self(0b011),
        Self(0b100),
        Self(0b101),
        Self(0b110),
        Self(0b111),
    ];

    /// Takes the state out of a value of the field.
    pub const fn of(device_state: u32) -> Self {
        // INVARIANT: The other bits are cleared.
        Self(device_state & MASK)
    }

    /// Returns the bits as a number.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl From<State> for Bits {
    /// Says in three bits what state it is. The P2P states are what they are without P2P, which version 1 does not know.
    fn from(state: State) -> Self {
        // INVARIANT: They go up to `MASK`.
        Self(match state {
            State::Stop => 0b000,
            State::Running | State::RunningP2p => 0b001,
            State::StopCopy => 0b010,
            State::PreCopy | State::PreCopyP2p => 0b011,
            State::Resuming => 0b100,
            State::Error => 0b110,
        })
    }
}

impl fmt::Display for Bits {
    /// Shows the bits as the header has them in its table: `011`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03b}", self.0)
    }
}

/// Returns the state to go to when a client writes the bits `to` into the field of a device in state `from`; `from`
/// itself when they are the bits that are there.
///
/// Not all that version 2 can do: what no client of version 1 asks for is refused.
///
/// # Errors
///
/// [`Error::DeviceState`].
pub fn target(from: State, to: Bits) -> Result<State, Error> {
    let now = Bits::from(from);
    let target = match (now.number(), to.number()) {
        (0b110, _) => None,
        (now, to) if now == to => Some(from),

        (0b001, 0b000) => Some(State::Stop),
        (0b001, 0b010) => Some(State::StopCopy),
        (0b001, 0b011) => Some(State::PreCopy),
        (0b001, 0b100) => Some(State::Resuming),

        (0b011, 0b010) => Some(State::StopCopy),
        (0b011, 0b001) => Some(State::Running),

        (0b010, 0b000) => Some(State::Stop),
        (0b010, 0b001) => Some(State::Running),

        (0b000, 0b001) => Some(State::Running),
        // These two are how QEMU 7.2 saves a virtual machine that is paused, and loads into one.
        (0b000, 0b010) => Some(State::StopCopy),
        (0b000, 0b100) => Some(State::Resuming),

        (0b100, 0b001) => Some(State::Running),

        _ => None,
    };
    target.ok_or(Error::DeviceState { from: now, to })
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migration_device_state)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::arcs;
    use super::*;

    #[test]
    fn what_is_granted_has_the_bits_that_were_asked_for() {
        for from in State::ALL {
            for to in Bits::ALL {
                if let Ok(state) = target(from, to) {
                    assert!(Bits::from(state) == to);
                }
            }
        }
    }

    #[test]
    fn what_is_granted_can_be_reached() {
        for from in State::ALL {
            for to in Bits::ALL {
                assert!(
                    target(from, to).is_ok_and(|to| arcs::next(from, to).is_some())
                        == target(from, to).is_ok()
                );
            }
        }
    }

    #[test]
    fn the_same_bits_change_nothing() {
        for state in State::ALL {
            let same = target(state, Bits::from(state));
            assert!(same == Ok(state) || state == State::Error);
        }
    }

    #[test]
    fn an_invalid_combination_is_never_granted() {
        for from in State::ALL {
            for bits in [0b101, 0b110, 0b111] {
                assert!(target(from, Bits::of(bits)).is_err());
            }
        }
    }

    #[test]
    fn nothing_leads_out_of_error() {
        for bits in Bits::ALL {
            assert!(target(State::Error, bits).is_err());
        }
    }

    #[test]
    fn reserved_bits_are_no_part_of_the_state() {
        for bits in Bits::ALL {
            assert!(Bits::of(bits.number() | !MASK) == bits);
        }
    }
}
