// SPDX-License-Identifier: GPL-2.0-only

//! The states that a device can be in.

use super::Error;

use core::fmt;

/// A state of migration, by its number in `enum vfio_device_mig_state` (`include/uapi/linux/vfio.h`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u32)]
pub enum State {
    /// The device failed and can only be reset.
    Error = 0,
    /// The device does nothing by itself and signals no interrupt.
    Stop = 1,
    /// The device works. It is in this state when it is opened and after a reset.
    Running = 2,
    /// As `Stop`, and the whole state can be read.
    StopCopy = 3,
    /// As `Stop`, and a state can be written.
    Resuming = 4,
    /// As `Running`, without direct memory access to other devices.
    RunningP2p = 5,
    /// As `Running`, and what can be said of the state in advance can be read.
    PreCopy = 6,
    /// As `PreCopy`, without direct memory access to other devices.
    PreCopyP2p = 7,
}

impl State {
    /// Every state, in the order of the numbers.
    pub const ALL: [Self; 8] = [
        Self::Error,
        Self::Stop,
        Self::Running,
        Self::StopCopy,
        Self::Resuming,
        Self::RunningP2p,
        Self::PreCopy,
        Self::PreCopyP2p,
    ];

    /// Returns the number that the kernel's interface has for the state.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Returns the name that the kernel's interface has for the state, without its prefix: `"PRE_COPY_P2P"`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Stop => "STOP",
            Self::Running => "RUNNING",
            Self::StopCopy => "STOP_COPY",
            Self::Resuming => "RESUMING",
            Self::RunningP2p => "RUNNING_P2P",
            Self::PreCopy => "PRE_COPY",
            Self::PreCopyP2p => "PRE_COPY_P2P",
        }
    }

    /// Whether the device works, which is to say that it may signal interrupts.
    ///
    /// The P2P states keep a device from accessing others, which this one never does; interrupts go to the host.
    pub const fn is_running(self) -> bool {
        matches!(
            self,
            Self::Running | Self::RunningP2p | Self::PreCopy | Self::PreCopyP2p
        )
    }

    /// Whether this is one of the two states in which a running device is saved in advance.
    pub const fn is_pre_copy(self) -> bool {
        matches!(self, Self::PreCopy | Self::PreCopyP2p)
    }

    /// Whether this is one of the states that share a session in which the device is saved (the "saving group").
    pub const fn is_saving(self) -> bool {
        self.is_pre_copy() || matches!(self, Self::StopCopy)
    }

    /// Whether there is a session in this state, in which the device is saved or loaded.
    pub const fn is_transfer(self) -> bool {
        self.is_saving() || matches!(self, Self::Resuming)
    }
}

impl TryFrom<u32> for State {
    type Error = Error;

    /// Takes the number that a user gave.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownState`] for a number that is not in `enum vfio_device_mig_state`.
    fn try_from(number: u32) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|state| state.number() == number)
            .ok_or(Error::UnknownState(number))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migration_state)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_its_number_and_no_other_number_is_one() {
        for (number, state) in (0_u32..).zip(State::ALL) {
            assert_eq!(state.number(), number);
            assert!(State::try_from(number) == Ok(state));
        }
        for number in [8, 9, 0x100, 0x1_0001, 1 << 31, u32::MAX] {
            assert!(State::try_from(number) == Err(Error::UnknownState(number)));
        }
    }

    #[test]
    fn a_name_stands_for_one_state() {
        for (index, state) in State::ALL.iter().enumerate() {
            for other in State::ALL.iter().skip(index + 1) {
                assert!(state.name() != other.name());
            }
        }
    }

    #[test]
    fn a_state_that_saves_and_runs_is_pre_copy() {
        for state in State::ALL {
            assert_eq!(state.is_pre_copy(), state.is_saving() && state.is_running());
        }
    }
}
