// SPDX-License-Identifier: GPL-2.0-only

//! The queue behind each direction of a port, and what it can do as the FIFO control register has it.

use super::port::field;
use super::registers::{
    FCR_ENABLE,
    FCR_TRIGGER_SHIFT,
    LSR_BI,
    LSR_FE, //
};
use crate::migration::stream::RecordError;

/// The most characters a 16550A's FIFO holds.
pub(super) const FIFO_LEN: usize = 16;

/// What of the FIFO control register lasts beyond the write.
///
/// DMA mode select (bit 3) is not kept: it steers two pins that a PCI card does not have.
///
/// # Invariants
///
/// Only bits 0, 6 and 7 are ever set, and none unless bit 0 is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FifoControl(u8);

impl FifoControl {
    /// 16450 mode, as after a master reset.
    pub(super) const CHARACTER_MODE: Self = Self(0);

    /// What the write of `value` leaves. Without bit 0 the other bits are not programmed (data sheet, FCR bit 0).
    pub(super) fn from_write(value: u8) -> Self {
        // INVARIANT: All bits but 0, 6 and 7 are masked; without bit 0 the value is 0.
        if value & FCR_ENABLE == 0 {
            Self::CHARACTER_MODE
        } else {
            Self(value & (FCR_ENABLE | (0x03 << FCR_TRIGGER_SHIFT)))
        }
    }

    /// The value that was written, of which this is left: what is saved.
    pub(super) fn value(self) -> u8 {
        self.0
    }

    /// What was saved, or an error if no write leaves it.
    pub(super) fn restore(value: u8) -> Result<Self, RecordError> {
        // INVARIANT: It is what a write of it leaves.
        Some(Self::from_write(value))
            .filter(|control| control.0 == value)
            .ok_or(field("fcr", value, "0x0, 0x1, 0x41, 0x81 or 0xc1"))
    }

    /// Whether the FIFOs are enabled; otherwise the port is in 16450 mode.
    pub(super) fn enabled(self) -> bool {
        self.0 & FCR_ENABLE != 0
    }

    /// How many characters each direction holds: 1 in 16450 mode.
    pub(super) fn depth(self) -> usize {
        if self.enabled() {
            FIFO_LEN
        } else {
            1
        }
    }

    /// How many characters the receiver must hold to report received data: 1, 4, 8 or 14; 1 in 16450 mode.
    pub(super) fn trigger(self) -> usize {
        match self.0 >> FCR_TRIGGER_SHIFT {
            0 => 1,
            1 => 4,
            2 => 8,
            _ => 14,
        }
    }
}

/// A character and what went wrong with it on the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Character {
    /// The character, in the low bits.
    pub(super) value: u8,
    /// [`LSR_BI`] and [`LSR_FE`], or nothing.
    pub(super) errors: u8,
}

impl Character {
    const BLANK: Self = Self::good(0);

    /// What a receiver makes of a break: NUL, and no stop bit where one should be.
    pub(super) const BREAK: Self = Self {
        value: 0,
        errors: LSR_BI | LSR_FE,
    };

    /// A character without errors.
    pub(super) const fn good(value: u8) -> Self {
        Self { value, errors: 0 }
    }
}

/// A queue of up to [`FIFO_LEN`] characters, oldest first.
///
/// # Invariants
///
/// - `len <= FIFO_LEN`.
/// - The oldest character is in the first slot; slots from `len` on are blank. So equal queues are equal in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fifo {
    slots: [Character; FIFO_LEN],
    len: usize,
}

impl Fifo {
    /// An empty queue.
    pub(super) const fn new() -> Self {
        // INVARIANT: All slots are blank, and none is counted.
        Self {
            slots: [Character::BLANK; FIFO_LEN],
            len: 0,
        }
    }

    /// How many characters are queued.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is queued.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Queues `character` behind the others, or drops it when all slots are taken.
    pub(super) fn push(&mut self, character: Character) {
        // INVARIANT: The first blank slot is filled, and counted; at `FIFO_LEN` there is none.
        if let Some(slot) = self.slots.get_mut(self.len) {
            *slot = character;
            self.len = self.len.saturating_add(1);
        }
    }

    /// Takes the oldest character.
    pub(super) fn pop(&mut self) -> Option<Character> {
        let len = self.len.checked_sub(1)?;
        // INVARIANT: Every queued character moves one slot down, and a blank takes the last one's place.
        let mut moving = Character::BLANK;
        for slot in self.slots.iter_mut().take(self.len).rev() {
            moving = core::mem::replace(slot, moving);
        }
        self.len = len;
        Some(moving)
    }

    /// The oldest character, to look at or to change.
    pub(super) fn front_mut(&mut self) -> Option<&mut Character> {
        self.slots.iter_mut().take(self.len).next()
    }

    /// The queued characters, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Character> {
        self.slots.iter().take(self.len)
    }

    /// Whether a queued character carries an error.
    pub(super) fn has_errors(&self) -> bool {
        self.slots.iter().any(|character| character.errors != 0)
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_model_fifo)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_keeps_what_it_has() {
        let mut fifo = Fifo::new();
        for value in 0..20 {
            fifo.push(Character::good(value));
        }
        assert_eq!(fifo.len(), FIFO_LEN);
        for value in 0..16 {
            assert_eq!(fifo.pop(), Some(Character::good(value)));
        }
        assert_eq!(fifo.pop(), None);
        assert!(fifo.is_empty());
    }

    #[test]
    fn a_queue_that_was_used_equals_one_that_never_was() {
        let mut fifo = Fifo::new();
        for value in 0..7 {
            fifo.push(Character { value, errors: 8 });
        }
        for _ in 0..7 {
            fifo.pop();
        }
        assert!(!fifo.has_errors());
        assert_eq!(fifo, Fifo::new());
    }

    #[test]
    fn trigger_levels_are_1_4_8_and_14() {
        assert_eq!(FifoControl::from_write(0x01).trigger(), 1);
        assert_eq!(FifoControl::from_write(0x41).trigger(), 4);
        assert_eq!(FifoControl::from_write(0x81).trigger(), 8);
        assert_eq!(FifoControl::from_write(0xc1).trigger(), 14);
    }

    #[test]
    fn a_write_without_the_enable_bit_programs_nothing() {
        assert_eq!(FifoControl::from_write(0xfe), FifoControl::CHARACTER_MODE);
        assert_eq!(FifoControl::from_write(0xfe).depth(), 1);
        assert_eq!(FifoControl::from_write(0xfe).trigger(), 1);
    }
}
