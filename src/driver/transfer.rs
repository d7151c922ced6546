// SPDX-License-Identifier: GPL-2.0-only

//! What a data file is about: one transfer of one card.

use super::live::Live;
use crate::{
    migration,
    vfio::{
        self,
        Direction,
        PrecopyInfo,
        Readiness, //
    },
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A transfer, which is over as soon as the card has another one or none.
pub(super) struct Transfer {
    live: Arc<Live>,
    /// The number by which the card knows it.
    id: u64,
}

impl Transfer {
    /// Returns the transfer of a card that has that number.
    pub(super) fn new(live: Arc<Live>, id: u64) -> Self {
        Self { live, id }
    }
}

impl vfio::Transfer for Transfer {
    fn peek(&self, bytes: &mut [u8]) -> Result<(usize, usize)> {
        self.live
            .carry(|migration| {
                let count = migration.peek(self.id, bytes)?;
                Ok((migration.position(self.id), count))
            })
            .map_err(|error: migration::Error| Error::from_errno(-error.errno()))
    }

    fn advance(&self, position: usize, count: usize) -> bool {
        self.live.carry(|migration| {
            let is_next = migration.position(self.id) == position;
            if is_next {
                migration.advance(self.id, count);
            }
            is_next
        })
    }

    fn write(&self, bytes: &[u8]) -> Result {
        self.live.with(|state| {
            let written = state.migration.write(self.id, &mut state.card, bytes);
            self.live.checked(state, written)
        })
    }

    fn readiness(&self) -> Readiness {
        let now = self.live.carry(|migration| migration.readiness(self.id));
        match now {
            migration::Readiness { disabled: true, .. } => Readiness::Disabled,
            migration::Readiness { readable: true, .. } => Readiness::Readable,
            migration::Readiness { writable: true, .. } => Readiness::Writable,
            _ => Readiness::Nothing,
        }
    }

    fn precopy_info(&self) -> Result<PrecopyInfo> {
        let info = self
            .live
            .carry(|migration| migration.precopy_info(self.id))
            .map_err(|error| Error::from_errno(-error.errno()))?;
        Ok(PrecopyInfo {
            initial: info.initial_bytes,
            dirty: info.dirty_bytes,
        })
    }
}

impl From<migration::Direction> for Direction {
    fn from(direction: migration::Direction) -> Self {
        match direction {
            migration::Direction::Saving => Self::Save,
            migration::Direction::Loading => Self::Load,
        }
    }
}
