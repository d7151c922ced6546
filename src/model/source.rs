// SPDX-License-Identifier: GPL-2.0-only

//! The reasons for which a port interrupts, as the interrupt identification register (IIR) names them.

/// Why a port interrupts. The order is the chip's priority, highest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// LSR shows an error.
    LineStatus,
    /// The receiver reached its trigger level; in 16450 mode, the receiver has a character.
    ReceivedData,
    /// The receiver has characters, but fewer than its trigger level.
    CharacterTimeout,
    /// The transmitter became empty.
    TransmitterEmpty,
    /// A modem line changed.
    ModemStatus,
}

impl Source {
    /// The source as IIR identifies it, bit 0 ("no interrupt") included.
    pub(super) fn identification(self) -> u8 {
        match self {
            Self::LineStatus => 0x06,
            Self::ReceivedData => 0x04,
            Self::CharacterTimeout => 0x0c,
            Self::TransmitterEmpty => 0x02,
            Self::ModemStatus => 0x00,
        }
    }
}
