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

/// The number of the last slot. It masks the number of any, as there is a power of two of them.
const LAST_SLOT: u8 = FIFO_LEN as u8 - 1;

const _: () = assert!(FIFO_LEN.is_power_of_two() && FIFO_LEN == u16::BITS as usize);

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
/// - `oldest < FIFO_LEN` and `len <= FIFO_LEN`.
/// - The characters are in `len` slots from `oldest` on, where the first slot follows the last.
/// - A bit of `flawed` is set if and only if its slot has a character with errors.
#[derive(Clone, Debug)]
pub(super) struct Fifo {
    slots: [Character; FIFO_LEN],
    flawed: u16,
    oldest: u8,
    len: u8,
}

/// The slot that is `place` slots behind the slot `oldest`.
fn slot(oldest: u8, place: u8) -> usize {
    usize::from(oldest.wrapping_add(place) & LAST_SLOT)
}

/// The bit of `flawed` for a slot.
fn bit(slot: usize) -> u16 {
    1 << (slot & usize::from(LAST_SLOT))
}

impl Fifo {
    /// An empty queue.
    pub(super) const fn new() -> Self {
        // INVARIANT: There is no character.
        Self {
            slots: [Character::BLANK; FIFO_LEN],
            flawed: 0,
            oldest: 0,
            len: 0,
        }
    }

    /// How many characters are queued.
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether nothing is queued.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        // INVARIANT: There is no character any more.
        self.len = 0;
        self.flawed = 0;
    }

    /// Queues `character` behind the others, or drops it when all slots are taken.
    pub(super) fn push(&mut self, character: Character) {
        if self.len() >= FIFO_LEN {
            return;
        }
        let at = slot(self.oldest, self.len);
        if let Some(free) = self.slots.get_mut(at) {
            // INVARIANT: The slot behind the last is filled, and counted; if it has errors, that is noted.
            *free = character;
            self.len = self.len.saturating_add(1);
            if character.errors != 0 {
                self.flawed |= bit(at);
            }
        }
    }

    /// Takes the oldest character.
    pub(super) fn pop(&mut self) -> Option<Character> {
        let len = self.len.checked_sub(1)?;
        let at = usize::from(self.oldest);
        let character = *self.slots.get(at)?;
        // INVARIANT: The character leaves its slot, and the one behind it is the oldest.
        self.flawed &= !bit(at);
        self.oldest = self.oldest.wrapping_add(1) & LAST_SLOT;
        self.len = len;
        Some(character)
    }

    /// Takes the errors away from the oldest character, and returns them.
    pub(super) fn take_errors(&mut self) -> u8 {
        let at = usize::from(self.oldest);
        if self.flawed & bit(at) == 0 {
            return 0;
        }
        // INVARIANT: The character loses its errors, and that is noted.
        self.flawed &= !bit(at);
        self.slots
            .get_mut(at)
            .map_or(0, |oldest| core::mem::take(&mut oldest.errors))
    }

    /// The queued characters, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Character> {
        let (before, from) = self
            .slots
            .split_at_checked(usize::from(self.oldest))
            .unwrap_or_default();
        from.iter().chain(before).take(self.len())
    }

    /// Whether a queued character carries an error.
    pub(super) fn has_errors(&self) -> bool {
        self.flawed != 0
    }
}

/// Queues are equal when they hold the same characters, wherever those are.
impl PartialEq for Fifo {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl Eq for Fifo {}

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
    fn queues_with_the_same_characters_are_equal_wherever_these_are() {
        let broken = Character {
            value: 0,
            errors: 8,
        };
        for start in 0..2 * FIFO_LEN {
            let mut used = Fifo::new();
            for _ in 0..start {
                used.push(broken);
                used.pop();
            }
            let mut fresh = Fifo::new();
            for value in 0..16 {
                let character = if value % 5 == 4 {
                    broken
                } else {
                    Character::good(value)
                };
                used.push(character);
                assert!(used != fresh);
                fresh.push(character);
                assert_eq!(used, fresh);
                assert_eq!(used.len(), usize::from(value) + 1);
                assert!(used.iter().last() == Some(&character));
            }
            used.push(broken);
            assert_eq!(used, fresh);
            for value in 0..16 {
                let errors = if value % 5 == 4 { 8 } else { 0 };
                assert_eq!(used.has_errors(), value < 15);
                assert_eq!(used.take_errors(), errors);
                assert_eq!(used.take_errors(), 0);
                assert_eq!(used.pop().map(|character| character.errors), Some(0));
            }
            assert!(!used.has_errors());
        }
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
