// SPDX-License-Identifier: GPL-2.0-only

//! Transfer sessions: a stream that is being written or taken in.

use super::stream::{
    Checksum,
    Incoming,
    Outgoing,
    Snapshot, //
};
use crate::migver::Identity;

use core::fmt;

/// Which way the state of the device goes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// Out of the device.
    Saving,
    /// Into the device.
    Loading,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Saving => "saving",
            Self::Loading => "loading",
        })
    }
}

/// One transfer of the state of a device, in or out. It holds the stream's buffers, less than 2 KiB.
#[expect(
    clippy::large_enum_variant,
    reason = "the owner brings memory for either before it is known which one it will be"
)]
pub enum Session<S: Snapshot> {
    /// The device is being saved.
    Saving(Outgoing),
    /// The device is being loaded.
    Loading(Incoming<S>),
}

impl<S: Snapshot> Session<S> {
    /// A session in which a device that says `mine` of itself is saved. Its stream begins with the head, from the
    /// start.
    #[inline]
    pub fn saving(mine: &'static Identity<'static>, checksum: Checksum) -> Self {
        Self::Saving(Outgoing::new(mine, checksum))
    }

    /// A session in which `device`, which says `mine` of itself, is loaded.
    #[inline]
    pub fn loading(mine: &'static Identity<'static>, device: &S, checksum: Checksum) -> Self {
        Self::Loading(Incoming::new(mine, device, checksum))
    }

    /// Which way the state goes.
    pub fn direction(&self) -> Direction {
        match self {
            Self::Saving(_) => Direction::Saving,
            Self::Loading(_) => Direction::Loading,
        }
    }
}
