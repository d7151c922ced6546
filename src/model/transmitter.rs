// SPDX-License-Identifier: GPL-2.0-only

//! The transmitter of a port: the transmitter holding register or FIFO, and the interrupt that tells it is empty.
//!
//! There is no shift register: line time is zero, so a character is either waiting here or through. LSR's THRE and
//! TEMT bits are therefore always equal.

use super::fifo::{
    Character,
    Fifo,
    FifoControl, //
};
use super::port::field;
use super::registers::{
    LSR_TEMT,
    LSR_THRE, //
};
use crate::migration::stream::RecordError;

/// The transmitter of one port.
///
/// # Invariants
///
/// - `characters` holds at most as many as the mode has room for, [`FifoControl::depth`], and none has errors.
/// - `interrupt` is set only while `enabled` is and `characters` is empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Transmitter {
    characters: Fifo,
    /// IER's ETBEI bit, whose change is an event here.
    enabled: bool,
    /// The transmitter became empty, or ETBEI was set while it was, and nobody was told yet.
    interrupt: bool,
}

impl Transmitter {
    /// Empty, with its interrupt disabled.
    pub(super) const fn new() -> Self {
        // INVARIANT: There is no character and no interrupt.
        Self {
            characters: Fifo::new(),
            enabled: false,
            interrupt: false,
        }
    }

    /// A transmitter as it was saved, in `mode`: its characters, ETBEI, and whether it asserts its interrupt.
    pub(super) fn restore(
        characters: Fifo,
        enabled: bool,
        interrupt: bool,
        mode: FifoControl,
    ) -> Result<Self, RecordError> {
        if characters.len() > mode.depth() {
            let count = u8::try_from(characters.len()).unwrap_or(u8::MAX);
            return Err(field("tx_count", count, "0x0 or 0x1 in 16450 mode"));
        }
        if interrupt && !(enabled && characters.is_empty()) {
            let allowed = "0x0 unless ier has bit 1 and tx_count is 0x0";
            return Err(field("thre", 1, allowed));
        }
        // INVARIANT: Both were checked, but for the errors.
        Ok(Self {
            characters,
            enabled,
            interrupt,
        })
    }

    /// The characters that wait.
    pub(super) fn characters(&self) -> &Fifo {
        &self.characters
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_empty(&self) -> bool {
        self.characters.is_empty()
    }

    /// What LSR has of the transmitter.
    pub(super) fn status(&self) -> u8 {
        if self.is_empty() {
            LSR_THRE | LSR_TEMT
        } else {
            0
        }
    }

    /// Whether ETBEI is set.
    pub(super) fn interrupt_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether the transmitter asserts its interrupt.
    pub(super) fn interrupt(&self) -> bool {
        self.interrupt
    }

    /// Writes ETBEI. Setting it while the transmitter is empty is a reason to interrupt; setting it again is not.
    pub(super) fn enable_interrupt(&mut self, enable: bool) {
        if enable != self.enabled {
            self.enabled = enable;
            // INVARIANT: Both conditions are what is asked here.
            self.interrupt = enable && self.is_empty();
        }
    }

    /// Withdraws the interrupt, as reading IIR does when IIR names it.
    pub(super) fn acknowledge(&mut self) {
        self.interrupt = false;
    }

    /// Writes THR: queues a character, or drops it when there is no room, and withdraws the interrupt.
    pub(super) fn write(&mut self, value: u8, mode: FifoControl) {
        // INVARIANT: The interrupt is off before the queue can become non-empty.
        self.interrupt = false;
        if self.characters.len() < mode.depth() {
            self.characters.push(Character::good(value));
        }
    }

    /// Takes the next character to send. Taking the last one is a reason to interrupt.
    pub(super) fn take(&mut self) -> Option<u8> {
        let character = self.characters.pop()?;
        if self.is_empty() {
            // INVARIANT: The queue is empty.
            self.interrupt = self.enabled;
        }
        Some(character.value)
    }

    /// Drops what waits. If anything did, the transmitter becomes empty, which is a reason to interrupt.
    pub(super) fn clear(&mut self) {
        if !self.is_empty() {
            self.restart();
        }
    }

    /// Drops what waits as the FIFOs are switched on or off, which is a reason to interrupt whether anything did or
    /// not (data sheet, "FIFO Interrupt Mode Operation": the interrupt after changing FCR0 is immediate).
    pub(super) fn restart(&mut self) {
        self.characters.clear();
        // INVARIANT: The queue is empty.
        self.interrupt = self.enabled;
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_model_transmitter)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    const MODE: FifoControl = FifoControl::CHARACTER_MODE;

    fn enabled() -> Transmitter {
        let mut transmitter = Transmitter::new();
        transmitter.enable_interrupt(true);
        transmitter
    }

    #[test]
    fn enabling_while_empty_interrupts() {
        assert!(enabled().interrupt());
    }

    #[test]
    fn enabling_while_not_empty_waits_for_empty() {
        let mut transmitter = Transmitter::new();
        transmitter.write(b'a', MODE);
        transmitter.enable_interrupt(true);
        assert!(!transmitter.interrupt());
        assert_eq!(transmitter.take(), Some(b'a'));
        assert!(transmitter.interrupt());
    }

    #[test]
    fn enabling_twice_interrupts_once() {
        let mut transmitter = enabled();
        transmitter.acknowledge();
        transmitter.enable_interrupt(true);
        assert!(!transmitter.interrupt());
    }

    #[test]
    fn enabling_anew_interrupts_anew() {
        let mut transmitter = enabled();
        transmitter.acknowledge();
        transmitter.enable_interrupt(false);
        assert!(!transmitter.interrupt());
        transmitter.enable_interrupt(true);
        assert!(transmitter.interrupt());
    }

    #[test]
    fn writing_withdraws_the_interrupt_until_empty_again() {
        let mut transmitter = enabled();
        transmitter.write(b'a', MODE);
        assert!(!transmitter.interrupt());
        assert_eq!(transmitter.status(), 0);
        transmitter.take();
        assert!(transmitter.interrupt());
        assert_eq!(transmitter.status(), LSR_THRE | LSR_TEMT);
    }

    #[test]
    fn a_character_written_to_a_full_transmitter_is_dropped() {
        let mut transmitter = Transmitter::new();
        transmitter.write(b'a', MODE);
        transmitter.write(b'b', MODE);
        assert_eq!(transmitter.take(), Some(b'a'));
        assert_eq!(transmitter.take(), None);
    }

    #[test]
    fn clearing_interrupts_only_if_something_waited() {
        let mut transmitter = enabled();
        transmitter.acknowledge();
        transmitter.clear();
        assert!(!transmitter.interrupt());
        transmitter.write(b'a', MODE);
        transmitter.clear();
        assert!(transmitter.interrupt());
        assert!(transmitter.is_empty());
    }

    #[test]
    fn switching_the_fifos_interrupts_at_once() {
        let mut transmitter = enabled();
        transmitter.acknowledge();
        transmitter.restart();
        assert!(transmitter.interrupt());
    }
}
