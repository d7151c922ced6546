// SPDX-License-Identifier: GPL-2.0-only

//! Why something that a user asked for was refused.

use super::{
    device_state::Bits,
    State, //
};

use core::fmt;

/// Why something that a user asked for was refused.
///
/// It is shown in words, in one line of printable ASCII.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Error {
    /// A number is not that of a state.
    UnknownState(u32),
    /// There is no way from the one state to the other.
    Arc {
        /// The state that the device is in.
        from: State,
        /// The state that was asked for.
        to: State,
    },
    /// There is no way from the one state to the other in version 1.
    DeviceState {
        /// What `device_state` says.
        from: Bits,
        /// What was to be written there.
        to: Bits,
    },
    /// `RESUMING` cannot be left before a state has arrived whole and sound.
    Incomplete,
    /// There is no such access: place, length or direction is wrong, or it has no meaning in this state.
    Access,
    /// The session belongs to a data file, and the region has no part in it.
    Busy,
    /// There is no memory for a session.
    NoMemory,
    /// The state of the device does not fit a stream.
    TooLarge,
    /// The session of the data file has ended.
    Disabled,
    /// There is nothing to read now, but there will be.
    NoMessage,
    /// It can only be asked for in the pre-copy states.
    NotPreCopy,
    /// The stream was refused, with this positive Linux errno. [`Migration::refusal`](super::Migration::refusal) says
    /// why.
    Stream(i32),
}

impl Error {
    /// Returns the positive Linux errno, as in `include/uapi/asm-generic/errno.h`.
    pub const fn errno(self) -> i32 {
        match self {
            Self::UnknownState(_)
            | Self::Arc { .. }
            | Self::DeviceState { .. }
            | Self::Incomplete
            | Self::Access
            | Self::NotPreCopy => 22, // EINVAL
            Self::Busy => 16,      // EBUSY
            Self::NoMemory => 12,  // ENOMEM
            Self::TooLarge => 28,  // ENOSPC
            Self::Disabled => 19,  // ENODEV
            Self::NoMessage => 42, // ENOMSG
            Self::Stream(errno) => errno,
        }
    }
}

impl Error {
    /// Returns the symbol of [`errno`](Self::errno), such as `"EINVAL"`; of [`Self::Stream`] the refusal has it.
    pub const fn errno_name(self) -> &'static str {
        match self {
            Self::Busy => "EBUSY",
            Self::NoMemory => "ENOMEM",
            Self::TooLarge => "ENOSPC",
            Self::Disabled => "ENODEV",
            Self::NoMessage => "ENOMSG",
            _ => "EINVAL",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownState(number) => write!(f, "{number} is not the number of a state"),
            Self::Arc { from, to } => write!(f, "there is no way from {from} to {to}"),
            Self::DeviceState { from, to } => {
                write!(f, "there is no way from device_state {from} to {to}")
            }
            Self::Incomplete => f.write_str(
                "RESUMING was to be left before a whole state had arrived; a reset aborts it",
            ),
            Self::Access => f.write_str("there is no such access in this state"),
            Self::Busy => f.write_str("the session belongs to a data file"),
            Self::NoMemory => f.write_str("there is no memory for a session"),
            Self::TooLarge => f.write_str("the state of the device does not fit a stream"),
            Self::Disabled => f.write_str("the session of the data file has ended"),
            Self::NoMessage => f.write_str("there is nothing to read now"),
            Self::NotPreCopy => f.write_str("the device is not in a pre-copy state"),
            Self::Stream(errno) => write!(f, "the stream was refused with error {errno}"),
        }
    }
}

impl core::error::Error for Error {}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migration_error)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_errno_that_the_interface_wants() {
        let from = Bits::of(0b001);
        let to = Bits::of(0b111);
        let expected = [
            (Error::UnknownState(8), 22),
            (Error::DeviceState { from, to }, 22),
            (Error::Incomplete, 22),
            (Error::Access, 22),
            (Error::NotPreCopy, 22),
            (Error::Busy, 16),
            (Error::NoMemory, 12),
            (Error::TooLarge, 28),
            (Error::Disabled, 19),
            (Error::NoMessage, 42),
            (Error::Stream(74), 74),
        ];
        for (error, errno) in expected {
            assert_eq!(error.errno(), errno);
        }
    }
}
