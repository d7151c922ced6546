// SPDX-License-Identifier: GPL-2.0-only

//! The migration of a card by protocol v2.

use super::{
    device::SerialDevice,
    live::Live,
    transfer::Transfer, //
};
use crate::{
    migration::State,
    vfio::{
        self,
        DataFile,
        MigrationState, //
    },
};
use kernel::prelude::*;

impl vfio::Migration for SerialDevice {
    type Transfer = Transfer;

    fn set_state(this: Pin<&Self>, state: MigrationState) -> Result<Option<DataFile<Transfer>>> {
        Live::set_state(&this.get_ref().live, state.into())
    }

    fn state(this: Pin<&Self>) -> MigrationState {
        this.live.carry(|migration| migration.state()).into()
    }

    fn stop_copy_length(this: Pin<&Self>) -> usize {
        this.live.stop_copy_length()
    }
}

/// Both ways between the states of two layers that know nothing of each other.
macro_rules! the_same_states {
    ($($state:ident)*) => {
        impl From<MigrationState> for State {
            fn from(state: MigrationState) -> Self {
                match state {
                    $(MigrationState::$state => Self::$state,)*
                }
            }
        }

        impl From<State> for MigrationState {
            fn from(state: State) -> Self {
                match state {
                    $(State::$state => Self::$state,)*
                }
            }
        }
    };
}

the_same_states!(Error Stop Running StopCopy Resuming RunningP2p PreCopy PreCopyP2p);

#[cfg_attr(CONFIG_MIGDEV_KUNIT_TEST, kunit_tests(migdev_driver_migration))]
#[cfg(CONFIG_MIGDEV_KUNIT_TEST)]
mod tests {
    use super::*;
    use crate::migration::arcs;

    #[test]
    fn states_have_the_numbers_of_the_uapi() {
        for state in State::ALL {
            let raw = MigrationState::from(state);
            assert_eq!(raw as u32, state.number());
            assert!(State::from(raw) == state);
            assert!(MigrationState::try_from(state.number()) == Ok(raw));
        }
        assert!(MigrationState::try_from(8).is_err());
        assert!(MigrationState::try_from(u32::MAX).is_err());
    }

    #[test]
    fn each_step_is_the_one_that_the_vfio_core_takes() {
        // The core warns of who asks for a way out of an error: there is none.
        for from in State::ALL.into_iter().filter(|from| *from != State::Error) {
            for to in State::ALL {
                let ours = arcs::next(from, to).map(MigrationState::from);
                let theirs = vfio::next_state(from.into(), to.into()).ok();
                assert!(ours == theirs);
            }
        }
    }
}
