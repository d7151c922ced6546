// SPDX-License-Identifier: GPL-2.0-only

//! The receiver of a port: the receiver buffer or FIFO, and the errors that LSR reports of it.
//!
//! Errors travel with their character. They show in LSR once the character is the next to be read, and stay there
//! until LSR is read, even when the character itself is read before. An overrun is no character's: it shows at once.

use super::fifo::{
    Character,
    Fifo,
    FifoControl, //
};
use super::port::field;
use super::registers::{
    LSR_DR,
    LSR_FIFO_ERROR,
    LSR_OE, //
};
use crate::migration::stream::RecordError;

/// What a break has for errors.
pub(super) const BREAK_ERRORS: u8 = Character::BREAK.errors;

/// The receiver of one port.
///
/// # Invariants
///
/// - `characters` holds at most as many as the mode has room for, [`FifoControl::depth`].
/// - Its oldest character carries no errors: they have moved to `errors`.
/// - A character carries no errors or those of a break, [`Character::BREAK`], and is then NUL.
/// - `errors` has only the error bits of LSR set: OE, FE, BI; the last two only together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Receiver {
    characters: Fifo,
    errors: u8,
}

impl Receiver {
    /// An empty receiver without errors.
    pub(super) const fn new() -> Self {
        // INVARIANT: There is neither a character nor an error.
        Self {
            characters: Fifo::new(),
            errors: 0,
        }
    }

    /// A receiver as it was saved, in `mode`: its characters, and the errors that LSR has yet to tell.
    pub(super) fn restore(
        characters: Fifo,
        errors: u8,
        mode: FifoControl,
    ) -> Result<Self, RecordError> {
        if !matches!(errors & !LSR_OE, 0 | BREAK_ERRORS) {
            return Err(field("lsr", errors, "0x0, 0x2, 0x18 or 0x1a"));
        }
        if characters.len() > mode.depth() {
            let count = u8::try_from(characters.len()).unwrap_or(u8::MAX);
            return Err(field("rx_count", count, "0x0 or 0x1 in 16450 mode"));
        }
        for (place, character) in characters.iter().enumerate() {
            match character.errors {
                0 => {}
                BREAK_ERRORS if place == 0 => {
                    let allowed = "0x0 with the oldest character, whose errors are in lsr";
                    return Err(field("rx_errors", BREAK_ERRORS, allowed));
                }
                BREAK_ERRORS if character.value == 0 => {}
                BREAK_ERRORS => {
                    return Err(field("rx_value", character.value, "0x0 for a break"));
                }
                errors => return Err(field("rx_errors", errors, "0x0 or 0x18")),
            }
        }
        // INVARIANT: Each was checked; `BREAK_ERRORS` is FE and BI.
        Ok(Self { characters, errors })
    }

    /// The characters that were not read yet.
    pub(super) fn characters(&self) -> &Fifo {
        &self.characters
    }

    /// The errors that LSR has yet to tell.
    pub(super) fn errors(&self) -> u8 {
        self.errors
    }

    /// Drops all characters, and their errors with them.
    ///
    /// An overrun stays until LSR is read, for it tells of a character that never was in the FIFO.
    pub(super) fn clear(&mut self) {
        self.characters.clear();
        self.errors &= LSR_OE;
    }

    /// Whether a character that comes now would be kept.
    pub(super) fn has_room(&self, mode: FifoControl) -> bool {
        self.characters.len() < mode.depth()
    }

    /// Takes a character from the line, and returns whether one was lost by that.
    ///
    /// Without room that is an overrun. In FIFO mode the new character is lost; in 16450 mode it replaces the one that
    /// was not read in time (data sheet, LSR bit 1).
    pub(super) fn receive(&mut self, character: Character, mode: FifoControl) -> bool {
        let overrun = !self.has_room(mode);
        if overrun {
            self.errors |= LSR_OE;
            if mode.enabled() {
                return true;
            }
            self.characters.clear();
        }
        // INVARIANT: There is room, checked or made above.
        self.characters.push(character);
        self.show_errors();
        overrun
    }

    /// Reads RBR: takes the oldest character, or 0 when there is none.
    pub(super) fn read(&mut self) -> u8 {
        let character = self.characters.pop();
        self.show_errors();
        character.map_or(0, |character| character.value)
    }

    /// Reads what LSR has of the receiver, which clears the errors it shows.
    pub(super) fn take_status(&mut self, mode: FifoControl) -> u8 {
        let mut status = self.errors;
        if !self.characters.is_empty() {
            status |= LSR_DR;
        }
        if mode.enabled() && (self.errors & !LSR_OE != 0 || self.characters.has_errors()) {
            status |= LSR_FIFO_ERROR;
        }
        // INVARIANT: No bit is left.
        self.errors = 0;
        status
    }

    /// Whether LSR shows an error.
    pub(super) fn error_shown(&self) -> bool {
        self.errors != 0
    }

    /// Whether there is a character to read.
    pub(super) fn ready(&self) -> bool {
        !self.characters.is_empty()
    }

    /// Whether there are as many characters as the trigger level asks for.
    pub(super) fn triggered(&self, mode: FifoControl) -> bool {
        self.characters.len() >= mode.trigger()
    }

    /// Moves the oldest character's errors to where LSR shows them.
    fn show_errors(&mut self) {
        // INVARIANT: The oldest character's errors are taken from it; characters carry only FE and BI.
        self.errors |= self.characters.take_errors();
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_model_receiver)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::registers::{
        LSR_BI,
        LSR_FE, //
    };
    use super::*;

    const BROKEN: Character = Character {
        value: 0,
        errors: LSR_BI | LSR_FE,
    };

    fn fifo_mode() -> FifoControl {
        FifoControl::from_write(0x01)
    }

    #[test]
    fn an_error_shows_when_its_character_is_next() {
        let mut receiver = Receiver::new();
        receiver.receive(Character::good(b'a'), fifo_mode());
        receiver.receive(BROKEN, fifo_mode());
        assert_eq!(receiver.take_status(fifo_mode()), LSR_DR | LSR_FIFO_ERROR);
        assert!(!receiver.error_shown());
        assert_eq!(receiver.read(), b'a');
        assert!(receiver.error_shown());
        assert_eq!(
            receiver.take_status(fifo_mode()),
            LSR_DR | LSR_FIFO_ERROR | LSR_BI | LSR_FE
        );
        assert_eq!(receiver.take_status(fifo_mode()), LSR_DR);
    }

    #[test]
    fn an_error_outlasts_its_character_until_lsr_is_read() {
        let mut receiver = Receiver::new();
        receiver.receive(BROKEN, fifo_mode());
        assert_eq!(receiver.read(), 0);
        assert_eq!(
            receiver.take_status(fifo_mode()),
            LSR_FIFO_ERROR | LSR_BI | LSR_FE
        );
        assert_eq!(receiver.take_status(fifo_mode()), 0);
    }

    #[test]
    fn bit_7_of_lsr_is_for_fifo_mode_only() {
        let mut receiver = Receiver::new();
        receiver.receive(BROKEN, FifoControl::CHARACTER_MODE);
        assert_eq!(
            receiver.take_status(FifoControl::CHARACTER_MODE),
            LSR_DR | LSR_BI | LSR_FE
        );
    }

    #[test]
    fn bit_7_of_lsr_is_not_for_an_overrun() {
        let mut receiver = Receiver::new();
        for value in 0..17 {
            receiver.receive(Character::good(value), fifo_mode());
        }
        assert_eq!(receiver.take_status(fifo_mode()), LSR_DR | LSR_OE);
    }

    #[test]
    fn an_overrun_of_the_fifo_loses_the_newest_character() {
        let mut receiver = Receiver::new();
        for value in 0..20 {
            receiver.receive(Character::good(value), fifo_mode());
        }
        for value in 0..16 {
            assert_eq!(receiver.read(), value);
        }
        assert!(!receiver.ready());
    }

    #[test]
    fn an_overrun_in_16450_mode_loses_the_unread_character() {
        let mut receiver = Receiver::new();
        receiver.receive(Character::good(b'a'), FifoControl::CHARACTER_MODE);
        receiver.receive(Character::good(b'b'), FifoControl::CHARACTER_MODE);
        assert_eq!(
            receiver.take_status(FifoControl::CHARACTER_MODE),
            LSR_DR | LSR_OE
        );
        assert_eq!(receiver.read(), b'b');
        assert!(!receiver.ready());
    }

    #[test]
    fn clearing_drops_errors_with_their_characters_but_not_an_overrun() {
        let mut receiver = Receiver::new();
        for _ in 0..17 {
            receiver.receive(BROKEN, fifo_mode());
        }
        receiver.clear();
        assert_eq!(receiver.take_status(fifo_mode()), LSR_OE);
        assert_eq!(receiver, Receiver::new());
    }

    #[test]
    fn an_empty_receiver_reads_zero() {
        let mut receiver = Receiver::new();
        receiver.receive(Character::good(0xff), fifo_mode());
        receiver.read();
        assert_eq!(receiver.read(), 0);
    }
}
